"""What the forges on this machine have in common: a server that can misbehave, go away and come back, and that notes its calls."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was answered."""

    method: str
    target: str
    status: int
    document: Any = None


@dataclass(slots=True)
class Fault:
    """A way to misbehave, for some calls.

    Attributes:
        status: What is answered.
        body: Bytes as they are, or a JSON document.
        headers: Added to the answer.
        method: Only for this one; "" for all.
        times: For how many calls.
        after: Whether the call has had its effect by then.
        path: Only for targets that have this in them.
    """

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = ""
    times: int = 1
    after: bool = False
    path: str = ""


@dataclass(eq=False)
class Answer(Exception):  # noqa: N818 -- every refusal is an answer
    """What is answered; raised where it is a refusal."""

    status: int
    document: Any
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request."""

    method: str
    target: str
    headers: Mapping[str, str]
    sent: bytes

    @property
    def path(self) -> str:
        """Without the query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """The query, the first value of each name."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.target).query).items()}


class Machine:
    """A forge. Use it as a context.

    Attributes:
        calls: What was asked, in order.
        delay: Seconds before each answer.
    """

    prefix = ""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.lock = threading.RLock()
        self.over = threading.Event()
        self.delay = 0.0
        self._faults: list[Fault] = []
        self._server: _Server | None = None
        self._port = 0

    def answer(self, asked: Asked) -> Answer:
        """What is answered, by this kind of forge."""
        raise NotImplementedError

    @property
    def api(self) -> str:
        """The address of the API."""
        return f"http://127.0.0.1:{self._port}{self.prefix}"

    @property
    def writes(self) -> list[str]:
        """The methods and paths that were to change something."""
        return [
            f"{call.method} {call.target}"
            for call in self.calls
            if call.method != "GET" and not call.target.endswith("/graphql")
        ]

    def fail(self, status: int, body: Any = None, **how: Any) -> None:
        """Misbehave in the next calls; see `Fault`."""
        self._faults.append(Fault(status, body, **how))

    def heal(self) -> None:
        """Behave again."""
        self._faults.clear()
        self.delay = 0.0

    def down(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    def up(self) -> None:
        """Listen again, at the same address."""
        self._server = _Server(("127.0.0.1", self._port), self)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def __enter__(self) -> Self:
        self.up()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.down()

    def fault(self, method: str, target: str, *, after: bool) -> Fault | None:
        """The next fault that fits, taken."""
        for fault in self._faults:
            if fault.method in {"", method} and fault.after == after and fault.path in target:
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
                return fault
        return None


def paged(
    found: Sequence[Any], query: Mapping[str, str], address: str, *, size: int, most: int
) -> tuple[list[Any], dict[str, str]]:
    """One page of a list, and the header that says where the next one is."""
    size, page = min(int(query.get("per_page", str(size))), most), int(query.get("page", "1"))
    headers: dict[str, str] = {}
    if len(found) > size * page:
        rest = "&".join(f"{name}={value}" for name, value in query.items() if name != "page")
        start = f"{address}?{rest}&page="
        headers["Link"] = f'<{start}{page + 1}>; rel="next", <{start}{-(-len(found) // size)}>; rel="last"'
    return list(found[size * (page - 1) : size * page]), headers


class _Server(ThreadingHTTPServer):
    daemon_threads = False  # joined when it is closed
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], machine: Machine) -> None:
        self.machine = machine
        self.connections: set[socket.socket] = set()
        super().__init__(address, _Handler)

    def stop(self) -> None:
        self.shutdown()
        for connection in tuple(self.connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(self, *_: Any) -> None:
        """Nothing: a client that goes away is what tests do."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def setup(self) -> None:
        super().setup()
        self.server.connections.add(self.connection)

    def finish(self) -> None:
        with suppress(OSError):
            super().finish()
        self.server.connections.discard(self.connection)

    def log_message(self, *_: Any) -> None:
        """Nothing: tests read `calls`."""

    def do_GET(self) -> None:
        self._handle()

    def do_POST(self) -> None:
        self._handle()

    def do_PATCH(self) -> None:
        self._handle()

    def do_PUT(self) -> None:
        self._handle()

    def do_DELETE(self) -> None:
        self._handle()

    def _handle(self) -> None:
        machine = self.server.machine
        sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if machine.delay:
            machine.over.wait(machine.delay)
        with machine.lock:
            fault = machine.fault(self.command, self.path, after=False)
            if fault:
                answer = Answer(fault.status, fault.body, fault.headers)
            else:
                answer = machine.answer(Asked(self.command, self.path, dict(self.headers.items()), sent))
            late = machine.fault(self.command, self.path, after=True)
            if late:
                answer = Answer(late.status, late.body, late.headers)
            machine.calls.append(Call(self.command, self.path, answer.status, _document(sent)))
        self._send(answer)

    def _send(self, answer: Answer) -> None:
        body = answer.document if isinstance(answer.document, bytes) else json.dumps(answer.document).encode()
        body = b"" if answer.status in {204, 304} else body
        self.send_response(answer.status)
        for name, value in {"Content-Type": "application/json; charset=utf-8", **answer.headers}.items():
            self.send_header(name, value)
        if answer.status not in {204, 304}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _document(sent: bytes) -> Any:
    try:
        return json.loads(sent)
    except ValueError:
        return None
