"""As much HTTP/1.1 as the demo's applications and their users speak: GET, keep-alive, Content-Length.

Nothing here knows of Envoy or of the product. Anything outside that subset is an error, never a guess.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

_HEAD_END = b"\r\n\r\n"
_OK = 200
_AGENT = MappingProxyType({"user-agent": "demo"})
_REASONS = {200: "OK", 404: "Not Found", 500: "Internal Server Error", 501: "Not Implemented", 502: "Bad Gateway"}


class WireError(Exception):
    """The other side does not speak this subset of HTTP."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer of any status."""

    status: int
    body: bytes

    @property
    def ok(self) -> bool:
        """Whether the status is 200."""
        return self.status == _OK


@dataclass(frozen=True, slots=True)
class Request:
    """What a GET says.

    Attributes:
        target: A path, or an absolute URL.
        headers: By name in lower case.
    """

    target: str
    headers: Mapping[str, str]


Handler = Callable[[Request], Awaitable[Answer]]
"""Answers a GET."""

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Caller:
    """A keep-alive client of one address, for any number of tasks of one event loop.

    Args:
        host: Address to connect to.
        port: Port to connect to.
        timeout: Seconds for one whole call, connecting included.
    """

    def __init__(self, host: str, port: int, *, timeout: float = 5.0) -> None:
        self._address = (host, port)
        self._timeout = timeout
        self._idle: list[_Connection] = []

    async def get(self, target: str, *, authority: str, headers: Mapping[str, str] = _AGENT) -> Answer:
        """GET a path, or an absolute URL from a proxy, under this Host and with these headers.

        A kept connection may be closed by the server just as it is used again. HTTP lets a client repeat an idempotent
        request on a new connection then (RFC 9110, 9.2.2), if not a byte of an answer has come; this is done once.

        Raises:
            OSError: Refused, reset or closed in the middle; TimeoutError is one of them.
            WireError: What answers is not in this subset of HTTP.
        """
        more = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"GET {target} HTTP/1.1\r\nHost: {authority}\r\n{more}\r\n".encode("latin-1")
        async with asyncio.timeout(self._timeout):
            if self._idle:
                connection = self._idle.pop()
                head = await _ask(connection, request)
                if head:
                    return await self._finish(connection, head)
                connection[1].close()
            connection = await asyncio.open_connection(*self._address)
            head = await _ask(connection, request)
            if not head:
                connection[1].close()
                raise ConnectionResetError("the connection was closed instead of an answer")
            return await self._finish(connection, head)

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[1].close()

    async def _finish(self, connection: _Connection, head: bytes) -> Answer:
        """Read the body; keep the connection, or close it if it can't be used again."""
        keep = False
        try:
            lower = head.lower()
            if not head.startswith(b"HTTP/1.1 ") or b"\r\ntransfer-encoding:" in lower:
                raise WireError(f"not an answer of HTTP/1.1 with a length: {head[:60]!r}")
            body = await connection[0].readexactly(_length(lower))
            keep = b"\r\nconnection: close" not in lower
            return Answer(int(head[9:12]), body)
        except asyncio.IncompleteReadError as error:
            raise ConnectionResetError("the connection was closed in the middle of an answer") from error
        finally:
            if keep:
                self._idle.append(connection)
            else:
                connection[1].close()


async def _ask(connection: _Connection, request: bytes) -> bytes:
    """Send a request and return the head of the answer; b"" if the connection ended before its first byte."""
    reader, writer = connection
    try:
        writer.write(request)
        return await reader.readuntil(_HEAD_END)
    except asyncio.IncompleteReadError as error:
        if error.partial:
            writer.close()
            raise ConnectionResetError("the connection was closed in the middle of an answer") from error
        return b""
    except (ConnectionResetError, BrokenPipeError):
        return b""
    except BaseException:
        writer.close()
        raise


def _length(lower_head: bytes) -> int:
    at = lower_head.find(b"\r\ncontent-length:")
    if at < 0:
        return 0
    return int(lower_head[at + 17 : lower_head.index(b"\r\n", at + 17)])


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, handler: Handler) -> None:
    """Serve one connection until the client closes it."""
    try:
        while True:
            head = await reader.readuntil(_HEAD_END)
            first, *fields = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
            method, target, _ = first.split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
            if method != "GET" or _length(head.lower()) or b"\r\ntransfer-encoding:" in head.lower():
                writer.write(_encode(Answer(501, b"only GET without a body"), close=True))
                return
            writer.write(_encode(await handler(Request(target, headers)), close=False))
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, ValueError):
        return  # the client went away, or never spoke HTTP: there is nobody to answer
    finally:
        writer.close()


def _encode(answer: Answer, *, close: bool) -> bytes:
    reason = _REASONS.get(answer.status, "Status")
    kind = "application/json" if answer.body[:1] == b"{" else "text/plain"
    head = f"HTTP/1.1 {answer.status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {len(answer.body)}\r\n"
    return head.encode("latin-1") + (b"Connection: close\r\n\r\n" if close else b"\r\n") + answer.body
