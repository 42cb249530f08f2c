"""HTTP backends that say who they are and what they got, and misbehave when they are told to."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.behaviour.journal import GIVE, Journal, Seen

BACKEND = "x-backend"
"""The response header with the backend's name; in the body it is `backend`."""


def echo(seen: Seen, count: int) -> bytes:
    """The body of a backend's response."""
    return json.dumps({**asdict(seen), "count": count}).encode()


def given(seen: Seen) -> Iterator[tuple[str, str]]:
    """The response headers that a request asked for."""
    return ((name.removeprefix(GIVE), value) for name, value in seen.headers if name.startswith(GIVE))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet
    server: _Server
    _requests = 0  # on this connection
    proxy = ""

    def setup(self) -> None:
        """Take the PROXY header off first, where there is to be one."""
        super().setup()
        if self.server.proxied:
            self.proxy = proxy_header(self.rfile)

    def _any(self) -> None:
        self._requests += 1
        seen = Seen(
            backend=self.server.name,
            port=self.server.server_port,
            protocol=self.request_version,
            method=self.command,
            path=self.path,
            headers=[(name.lower(), value) for name, value in self.headers.items()],
            body=self._body(),
            nth=self._requests,
            proxy=self.proxy,
            **self._tls(),
        )
        step, count = self.server.journal.note(seen)
        if step.delay:
            time.sleep(step.delay)
        if step.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            return
        body = echo(seen, count)
        self.send_response_only(step.status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.send_header(BACKEND, seen.backend)
        for name, value in given(seen):
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_PURGE = _any  # noqa: N815 -- the base class's names

    def _body(self) -> str:
        if self.headers.get("transfer-encoding", "") == "chunked":
            out = b""
            while size := int(self.rfile.readline(), 16):
                out += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return out.decode()
        return self.rfile.read(int(self.headers.get("content-length", 0))).decode()

    def _tls(self) -> dict[str, str]:
        if not isinstance(self.connection, ssl.SSLSocket):
            return {}
        return {"sni": self.server.names.get(self.connection, ""), "client": common_name(self.connection)}

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """Nothing: the journal is read, not logs."""


class _Server(ThreadingHTTPServer):
    request_queue_size = 128
    daemon_threads = True
    block_on_close = False  # threads end with Envoy's connections
    handler = _Handler
    proxied = False

    def __init__(self, name: str, journal: Journal, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), self.handler)
        self.name, self.journal, self.context = name, journal, context
        self.names: dict[ssl.SSLSocket, str] = {}
        if context is not None:
            context.sni_callback = self._asked

    def _asked(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        assert isinstance(connection, ssl.SSLSocket)
        self.names[connection] = name or ""

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in its thread, with the handshake first."""
        if self.context is None:
            super().finish_request(request, client_address)
            return
        try:
            connection = self.context.wrap_socket(request, server_side=True)
        except (ssl.SSLError, OSError):
            return  # a client that doesn't trust us, which is what some rows are about
        try:
            super().finish_request(connection, client_address)
        finally:
            self.names.pop(connection, None)
            connection.close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: connections break off here on purpose."""


def common_name(connection: ssl.SSLSocket) -> str:
    """The name in the peer's certificate, or ""."""
    certificate: Any = connection.getpeercert() or {}
    return next((value for ((name, value),) in certificate.get("subject", ()) if name == "commonName"), "")


def proxy_header(file: Any) -> str:
    """The version of a PROXY header and the client's address, IPv4; "" if there is none."""
    start = file.read(6)
    if start == b"PROXY ":
        return f"v1 {file.readline().split()[1].decode()}"
    if start + file.read(6) != b"\r\n\r\n\0\r\nQUIT\n":
        return ""
    _, _, length = struct.unpack("!BBH", file.read(4))
    return f"v2 {socket.inet_ntoa(file.read(length)[:4])}"


class _Proxied(_Server):
    proxied = True


class _LocalHandler(_Handler):
    disable_nagle_algorithm = False  # which only TCP has


class _Local(_Server):
    """At a Unix socket in place of a port."""

    address_family = socket.AF_UNIX
    server_port = 0
    handler = _LocalHandler
    path = ""

    def server_bind(self) -> None:
        self.socket.bind(self.path)

    def get_request(self) -> tuple[Any, Any]:
        connection, _ = super().get_request()
        return connection, ("unix", 0)


@contextmanager
def http_backend(name: str, journal: Journal, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """An HTTP/1.1 server on 127.0.0.1, over TLS if there is a context; its port."""
    with _running(_Server(name, journal, context)) as server:
        yield server.server_port


@contextmanager
def proxied_backend(name: str, journal: Journal) -> Iterator[int]:
    """An HTTP/1.1 server whose clients begin with a PROXY header; its port."""
    with _running(_Proxied(name, journal)) as server:
        yield server.server_port


@contextmanager
def local_backend(name: str, journal: Journal, path: str) -> Iterator[None]:
    """An HTTP/1.1 server at a Unix socket."""
    with _running(type("At", (_Local,), {"path": path})(name, journal)):
        yield


@contextmanager
def _running(server: _Server) -> Iterator[_Server]:
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
