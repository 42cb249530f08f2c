"""One request through real sockets, and all that came back. Knows nothing of expectations."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, ResponseReceived, StreamEnded, StreamReset

from tests.behaviour.backends import BACKEND, common_name
from tests.behaviour.journal import TOKEN
from tests.compile.backends import proxy_header

_PATIENCE = 30.0
_CHUNK = 65536


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What is sent and where, with every name filled in.

    Attributes:
        place: Address and port to connect to.
        headers: `host` among them.
        context: Speaks TLS with it and asks for `sni`.
        source: The address to connect from, or "".
        to: Where the application connected to, if the connection was redirected: told by a PROXY header.
    """

    place: tuple[str, int]
    method: str
    target: str
    headers: Sequence[tuple[str, str]] = ()
    body: str = ""
    sni: str = ""
    context: ssl.SSLContext | None = None
    protocol: str = ""
    source: str = ""
    to: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of a call.

    Attributes:
        token: Under which backends noted it.
        status: 0 if there was no response.
        error: Why there was none.
        certificate: The name in the server's certificate.
    """

    token: str
    status: int = 0
    headers: Sequence[tuple[str, str]] = ()
    body: str = ""
    seconds: float = 0
    error: str = ""
    certificate: str = ""

    def header(self, name: str) -> str | None:
        """The value of a header, or all of them with commas; None if there is none."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return ",".join(values) if values else None

    @property
    def backend(self) -> str:
        """Who answered, or "" if it was no backend."""
        named = self.header(BACKEND)
        if named is not None:
            return named
        try:
            return str(json.loads(self.body)["backend"])
        except (ValueError, KeyError, TypeError):
            return ""


def send(call: Call, token: str) -> Reply:
    """Make a call on a connection of its own."""
    started = time.monotonic()
    try:
        with _connect(call) as connection:
            found = common_name(connection) if isinstance(connection, ssl.SSLSocket) else ""
            exchange = _tcp if call.method == "TCP" else _http2 if call.protocol == "h2" else _http1
            status, headers, body = exchange(connection, call, token)
    except (OSError, HTTPException) as error:
        said = f"{type(error).__name__}: {error}"
        return Reply(token=token, error=said, seconds=time.monotonic() - started)
    seconds = time.monotonic() - started
    return Reply(token=token, status=status, headers=headers, body=body, seconds=seconds, certificate=found)


def _connect(call: Call) -> socket.socket:
    source = (call.source, 0) if call.source else None
    plain = socket.create_connection(call.place, timeout=_PATIENCE, source_address=source)
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if call.to is not None:
        plain.sendall(proxy_header(call.to))
    if call.context is None:
        return plain
    try:
        return call.context.wrap_socket(plain, server_hostname=call.sni)
    except BaseException:
        plain.close()
        raise


_Response = tuple[int, list[tuple[str, str]], str]


def _http1(connection: socket.socket, call: Call, token: str) -> _Response:
    http = HTTPConnection("")
    http.sock = connection
    http.putrequest(call.method, call.target, skip_host=True, skip_accept_encoding=True)
    for name, value in (*call.headers, (TOKEN, token)):
        http.putheader(name, value)
    if call.body:
        http.putheader("content-length", str(len(call.body.encode())))
    http.endheaders(call.body.encode() or None)
    with http.getresponse() as response:
        return response.status, response.getheaders(), response.read().decode()


def _http2(connection: socket.socket, call: Call, token: str) -> _Response:
    state = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    state.initiate_connection()
    authority = next(value for name, value in call.headers if name == "host")
    scheme = "https" if call.context else "http"
    pseudo = [(":method", call.method), (":path", call.target), (":scheme", scheme), (":authority", authority)]
    rest = [(name, value) for name, value in call.headers if name != "host"]
    state.send_headers(1, [*pseudo, *rest, (TOKEN, token)], end_stream=not call.body)
    if call.body:
        state.send_data(1, call.body.encode(), end_stream=True)
    headers: list[tuple[str, str]] = []
    body, done = b"", False
    while not done:
        connection.sendall(state.data_to_send())
        data = connection.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("closed before the end of the response")
        for event in state.receive_data(data):
            if isinstance(event, ResponseReceived):
                headers = [(str(name), str(value)) for name, value in event.headers]
            elif isinstance(event, DataReceived):
                body += event.data
            elif isinstance(event, StreamReset):
                raise ConnectionResetError("the stream was reset")
            done = done or isinstance(event, StreamEnded)
    found: Any = dict(headers)
    return int(found[":status"]), [item for item in headers if not item[0].startswith(":")], body.decode()


def _tcp(connection: socket.socket, call: Call, _: str) -> _Response:
    connection.sendall(call.target.encode() + b"\n")
    with connection.makefile("rb") as file:
        line = file.readline()
    if not line:
        raise ConnectionResetError("closed without an answer")
    name, _, text = line.decode().rstrip("\n").partition(": ")
    return 200, [(BACKEND, name)], text
