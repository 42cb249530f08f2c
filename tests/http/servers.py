"""Real servers on real sockets that answer with exactly the bytes, and at the pace, that a test says."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from tests.certificates import serial_of

Behaviour = Callable[[socket.socket, threading.Event], None]
"""What happens on one connection; the event says that the test is over."""


class Server:
    """Accepts connections, and does on each what its behaviour says.

    Attributes:
        address: Where it listens, as the client takes it.
        connections: How many there have been.
        shown: Serial number of the certificate on each connection over TLS, 0 for none.
        ended: Counts the connections that the server is done with and has closed.
    """

    def __init__(self, behaviour: Behaviour, unix: Path | None = None, tls: ssl.SSLContext | None = None) -> None:
        self._behaviour = behaviour
        self._tls = tls
        self._listener = socket.socket(socket.AF_UNIX if unix else socket.AF_INET)
        self._listener.bind(str(unix) if unix else ("127.0.0.1", 0))
        self._listener.listen(16)
        self.port = 0 if unix else self._listener.getsockname()[1]
        self.address = f"unix://{unix}" if unix else f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self.connections = 0
        self.shown: list[int] = []
        self.ended = threading.Semaphore(0)
        self._over = threading.Event()
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Stop accepting and drop every connection."""
        self._over.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        for connection in self._open:
            connection.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
                self._open.append(connection)
                self.shown.append(
                    serial_of(connection.getpeercert(binary_form=True) or b"") if connection.getpeercert() else 0
                )
            self._behaviour(connection, self._over)
            connection.shutdown(socket.SHUT_RDWR)
        self.ended.release()


@contextlib.contextmanager
def serving(behaviour: Behaviour, unix: Path | None = None, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """A server for the time of a test."""
    server = Server(behaviour, unix, tls)
    try:
        yield server
    finally:
        server.close()


def read_request(connection: socket.socket) -> bytes:
    """One request, head and body; empty when the client has closed."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            return b""
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = next((int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), 0)
    while len(body) < length:
        body += connection.recv(65536)
    return head + b"\r\n\r\n" + body


def answer(status: int, body: bytes, *headers: bytes) -> bytes:
    """A complete answer."""
    head = [b"HTTP/1.1 %d Whatever" % status, b"Content-Length: %d" % len(body), *headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def always(*parts: bytes) -> Behaviour:
    """Answer every request on a connection with these bytes."""

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        while read_request(connection):
            for part in parts:
                connection.sendall(part)

    return behave


def once(*parts: bytes) -> Behaviour:
    """Answer one request with these bytes, then close."""

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        read_request(connection)
        for part in parts:
            connection.sendall(part)

    return behave


def routed(table: Sequence[tuple[str, bytes]], otherwise: bytes) -> Behaviour:
    """Answer by the beginning of the request's target; the first that fits."""

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        while request := read_request(connection):
            target = request.split(b" ")[1].decode()
            connection.sendall(next((reply for start, reply in table if target.startswith(start)), otherwise))

    return behave


def silent(connection: socket.socket, over: threading.Event) -> None:
    """Read, and never say anything."""
    read_request(connection)
    over.wait()


def dripping(data: bytes, before: bytes = b"") -> Behaviour:
    """Send `before` at once and then `data` byte by byte, much faster than the limit of silence, for ever slow in all."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(before)
        for index in range(len(data)):
            if over.wait(0.05):
                return
            connection.sendall(data[index : index + 1])

    return behave


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An address at which nothing listens: the port is taken, but not listened on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
