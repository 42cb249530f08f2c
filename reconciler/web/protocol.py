"""HTTP/1.1 on one connection, as uvicorn speaks it, with what it lacks: patience that ends, and errors in our form.

uvicorn waits for ever for a request that does not come and for a client that does not read, and answers garbage in plain
text. Here a connection has so many seconds for the head of a request, and so many to read its answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.web.access.limits import stranger
from reconciler.web.errors import BusyError, RequestError, document

_FOR_A_HEAD = 10.0
_FOR_READING = 30.0
_MOST_CONNECTIONS = 256
_MOST_OF_ONE = 64


class PatientProtocol(H11Protocol):
    """One connection.

    Attributes:
        for_a_head: Seconds from the first byte, or from the connection, until a request's head is complete.
        for_reading: Seconds that an answer may wait for its reader.
        most: Connections of one server at the same time.
        of_one: Of one peer, so that it can't shut out everybody else. What comes from this machine has no such limit: a proxy, a probe.
        stranger: Tells peers apart; "" for one without a limit of its own. A seam for tests.
    """

    for_a_head = _FOR_A_HEAD
    for_reading = _FOR_READING
    most = _MOST_CONNECTIONS
    of_one = _MOST_OF_ONE
    stranger: Callable[[str], str] = staticmethod(stranger)
    peer = ""
    _head_timer: asyncio.TimerHandle | None = None
    _read_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # asyncio hands TCP its own kind
        """Start the clock; one connection too many is told so."""
        super().connection_made(transport)
        # `pause_writing` means that something waits for the reader; over TLS, asyncio takes 0 to be more than it wants.
        transport.set_write_buffer_limits(high=1 if self.scheme == "https" else 0)
        self.peer = self.stranger(self.client[0]) if self.client is not None else ""
        if len(self.connections) > self.most or self._too_many():
            self._answer(503, document(BusyError("there are too many connections", hint="try again").diagnostics))
            return
        self._expect_a_head()

    def data_received(self, data: bytes) -> None:
        """Parse; when nothing is being answered, the bytes begin a request whose head has to come."""
        super().data_received(data)
        self._expect_a_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._cancel()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client does not read as fast as we write."""
        super().pause_writing()
        if self._read_timer is None:
            self._read_timer = self.loop.call_later(self.for_reading, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read."""
        super().resume_writing()
        if self._read_timer is not None:
            self._read_timer.cancel()
            self._read_timer = None

    def on_response_complete(self) -> None:
        """A request has been answered; bytes of the next one may be here already."""
        super().on_response_complete()
        if self.conn.trailing_data[0]:
            self._expect_a_head()

    def send_400_response(self, msg: str) -> None:
        """What came is not HTTP."""
        del msg
        self._answer(400, document(RequestError("this is not a request in HTTP/1.1").diagnostics))

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Never reached: there is no protocol to upgrade to."""
        del event
        self.transport.abort()

    def _too_many(self) -> bool:
        """Whether this one is beyond what its peer may have."""
        if not self.peer:
            return False
        found: int = sum(isinstance(item, PatientProtocol) and item.peer == self.peer for item in self.connections)
        return found > self.of_one

    def _expect_a_head(self) -> None:
        """Run the clock while there is no request to answer; a keep-alive connection at rest has a clock of its own."""
        if self._answering() or self.conn.our_state is not h11.IDLE:
            if self._head_timer is not None:
                self._head_timer.cancel()
                self._head_timer = None
        elif self._head_timer is None:
            self._head_timer = self.loop.call_later(self.for_a_head, self.transport.abort)

    def _answer(self, status: int, body: bytes) -> None:
        """An answer outside of any request; none if one is half out already."""
        if self.conn.our_state not in {h11.IDLE, h11.SEND_RESPONSE} or self._answering():
            self.transport.abort()
            return
        headers: list[tuple[str, str]] = [
            ("content-type", "application/json"),
            ("content-length", str(len(body))),
            ("connection", "close"),
        ]
        events: list[Any] = [h11.Response(status_code=status, headers=headers), h11.Data(data=body), h11.EndOfMessage()]
        for event in events:
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _answering(self) -> bool:
        return not getattr(self.cycle, "response_complete", True)  # no cycle before the first request

    def _cancel(self) -> None:
        for timer in (self._head_timer, self._read_timer):
            if timer is not None:
                timer.cancel()
        self._head_timer = self._read_timer = None
