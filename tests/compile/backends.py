"""Servers that say who they are as soon as somebody connects, with or without TLS; and the other side of such connections."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 10.0


class _Greeter(socketserver.BaseRequestHandler):
    name = b""
    context: ssl.SSLContext | None = None

    def handle(self) -> None:
        """Say the name, and everything that comes back; a client that goes away is no news."""
        with contextlib.suppress(OSError):
            stream: socket.socket = self.request
            stream.settimeout(_PATIENCE)
            if self.context is not None:
                stream = self.context.wrap_socket(stream, server_side=True)
            with stream:
                stream.sendall(self.name.replace(b"PEER", self.client_address[0].encode()) + b"\n")
                while data := stream.recv(4096):
                    stream.sendall(data)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = False
    allow_reuse_address = True


@contextmanager
def greeter(name: str, *, context: ssl.SSLContext | None = None, address: str = "127.0.0.1") -> Iterator[int]:
    """A TCP server that sends its name and a line feed to whoever connects, and then echoes; its port.

    `PEER` in the name is replaced by the client's address.
    """
    handler = type("Handler", (_Greeter,), {"name": name.encode(), "context": context})
    with _Server((address, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def greeting(
    address: str,
    port: int,
    *,
    context: ssl.SSLContext | None = None,
    server_name: str = "",
    destination: tuple[str, int] | None = None,
    first: bytes = b"",
) -> str:
    """Who answers at an address: its first line, or "" if the connection is closed without one.

    Args:
        address: Where to connect.
        port: Where to connect.
        context: TLS, if any.
        server_name: Of TLS.
        destination: Where the connection was going before it was redirected: told by a PROXY protocol header.
        first: Sent before anything is read.
    """
    with socket.create_connection((address, port), timeout=_PATIENCE) as plain:
        if destination is not None:
            plain.sendall(proxy_header(destination))
        try:
            if context is None:
                return _line(plain, first)
            with context.wrap_socket(plain, server_hostname=server_name) as stream:
                return _line(stream, first)
        except (ConnectionError, ssl.SSLEOFError, ssl.SSLZeroReturnError):
            return ""


def _line(stream: Any, first: bytes) -> str:
    if first:
        stream.sendall(first)
    with stream.makefile("rb") as reader:
        line: bytes = reader.readline()
    return line.decode().rstrip("\n")


def proxy_header(destination: tuple[str, int], source: str = "192.0.2.77") -> bytes:
    """A PROXY protocol header of version 1: what a redirected connection's original destination is told by in tests."""
    address, port = destination
    family = "TCP6" if ":" in address else "TCP4"
    sender = "2001:db8::77" if family == "TCP6" else source
    return f"PROXY {family} {sender} {address} 40000 {port}\r\n".encode()
