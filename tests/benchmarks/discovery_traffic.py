"""The requests of the benchmarks of discovery: an application that calls, and the process that serves all instances."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from multiprocessing.connection import Connection
from typing import Self

_GOOD = 200


class Caller:
    """A caller's application: one request after another by one connection, with a rest between two.

    Args:
        address: Where its sidecar listens.
        host: Whom it calls.
        rest: Seconds between two requests.

    Attributes:
        seen: When each answer was there and who gave it, an address; "" for a request that failed.
    """

    def __init__(self, address: tuple[str, int], host: str, *, rest: float = 0.001) -> None:
        self.seen: list[tuple[float, str]] = []
        self._address, self._rest = address, rest
        self._request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with socket.create_connection(self._address) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while not self._over.wait(self._rest):
                sock.sendall(self._request)
                status, body = _answer(sock)
                self.seen.append((time.monotonic(), body.decode().strip() if status == _GOOD else ""))

    def first(self, address: str, since: float) -> float | None:
        """When this instance was first seen since then."""
        return next((at for at, who in _since(self.seen, since) if who == address), None)

    def last(self, address: str) -> float | None:
        """When this instance was last seen."""
        return next((at for at, who in reversed(self.seen) if who == address), None)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _answer(sock: socket.socket) -> tuple[int, bytes]:
    """The status and the body of an answer that says how long it is."""
    head, body = b"", b""
    while not (end := head.find(b"\r\n\r\n")) > 0:
        head += _received(sock)
    head, body = head[:end], head[end + 4 :]
    length = re.search(rb"content-length: ([0-9]+)", head)
    while length is not None and len(body) < int(length[1]):
        body += _received(sock)
    return int(head.split()[1]), body


def _received(sock: socket.socket) -> bytes:
    """What comes next.

    Raises:
        ConnectionError: Nothing does.
    """
    data = sock.recv(65536)
    if not data:
        raise ConnectionError("the sidecar has closed the connection")
    return data


def _since(seen: list[tuple[float, str]], since: float) -> list[tuple[float, str]]:
    """The end of a list, from some time on."""
    index = len(seen)
    while index and seen[index - 1][0] >= since:
        index -= 1
    return seen[index:]


def serve(pipe: Connection, port: int) -> None:
    """A process: all instances, on all addresses of the loopback network."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = f"{writer.get_extra_info('sockname')[0]}\n".encode()
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def run() -> None:
        server = await asyncio.start_server(answer, "0.0.0.0", port)  # noqa: S104 -- the loopback network's addresses
        pipe.send("listening")
        await server.serve_forever()

    asyncio.run(run())
