"""Backends below HTTP/1.1: one that speaks HTTP/2 without an upgrade, and one that echoes lines of text."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from tests.behaviour.backends import BACKEND, echo, given
from tests.behaviour.journal import Journal, Seen

_CHUNK = 65536


class _Server(socketserver.ThreadingTCPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: connections break off here on purpose."""


@contextmanager
def _serving(serve: Callable[[Any], None]) -> Iterator[int]:
    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            serve(self.request)

    server = _Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@contextmanager
def tcp_backend(name: str) -> Iterator[int]:
    """A server that answers each line with `<name>: <line>`; its port."""

    def serve(connection: Any) -> None:
        with connection.makefile("rwb") as file:
            for line in file:
                file.write(f"{name}: ".encode() + line)
                file.flush()

    with _serving(serve) as port:
        yield port


@contextmanager
def tunnel_backend(name: str) -> Iterator[int]:
    """An HTTP proxy that is everything it leads to: it answers each line with `<name>: <method> <target> <line>`; its port."""

    def serve(connection: Any) -> None:
        with connection.makefile("rwb") as file:
            method, target, _ = file.readline().decode().split()
            while file.readline().strip():
                pass
            length = "" if method == "CONNECT" else "Transfer-Encoding: identity\r\n"
            file.write(f"HTTP/1.1 200 OK\r\n{length}\r\n".encode())
            file.flush()
            for line in file:
                file.write(f"{name}: {method} {target} ".encode() + line)
                file.flush()

    with _serving(serve) as port:
        yield port


@contextmanager
def deaf_backend() -> Iterator[int]:
    """A port at which connections are never taken: its queue is full; its port."""
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@contextmanager
def h2_backend(name: str, journal: Journal) -> Iterator[int]:
    """A server that speaks HTTP/2 alone, from the first byte; its port."""
    with _serving(lambda connection: _Http2(name, journal, connection).serve()) as port:
        yield port


class _Http2:
    """One connection; requests are answered one after the other."""

    def __init__(self, name: str, journal: Journal, connection: Any) -> None:
        self._name, self._journal, self._socket = name, journal, connection
        self._state = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self._open: dict[int, tuple[list[tuple[str, str]], bytearray]] = {}

    def serve(self) -> None:
        self._state.initiate_connection()
        self._flush()
        while data := self._socket.recv(_CHUNK):
            try:
                events = self._state.receive_data(data)
            except ProtocolError:
                break  # not HTTP/2
            for event in events:
                self._event(event)
            self._flush()

    def _flush(self) -> None:
        self._socket.sendall(self._state.data_to_send())

    def _event(self, event: Any) -> None:
        if isinstance(event, RequestReceived):
            self._open[event.stream_id] = ([(str(name), str(value)) for name, value in event.headers], bytearray())
        elif isinstance(event, DataReceived):
            self._open[event.stream_id][1].extend(event.data)
            self._state.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, StreamEnded):
            headers, body = self._open.pop(event.stream_id)
            self._answer(event.stream_id, headers, body.decode())

    def _answer(self, stream: int, headers: list[tuple[str, str]], body: str) -> None:
        pseudo = {name: value for name, value in headers if name.startswith(":")}
        own = [("host", pseudo[":authority"]), *(item for item in headers if not item[0].startswith(":"))]
        seen = Seen(
            backend=self._name, port=int(self._socket.getsockname()[1]), protocol="HTTP/2",
            method=pseudo[":method"], path=pseudo[":path"], headers=own, body=body,
        )  # fmt: skip
        step, count = self._journal.note(seen)
        time.sleep(step.delay)
        if step.reset:
            self._state.reset_stream(stream)
            return
        status = (":status", str(step.status))
        self._state.send_headers(stream, [status, (BACKEND, self._name), *given(seen)])
        self._state.send_data(stream, echo(seen, count), end_stream=True)
