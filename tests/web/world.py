"""A daemon's knowledge that tests turn by hand, and servers that show it."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from reconciler.web import (
    Listener,
    Offer,
    Owner,
    PassRequest,
    PassResult,
    WebServer,
    application,
    listen_tcp,
    listen_unix,
)
from reconciler.web.protocol import PatientProtocol

PATIENCE = 20.0
LOGGER = logging.getLogger("test.web")


class World:
    """What the server shows and starts.

    Attributes:
        gate: If set, passes wait for it.
        entered: Counts the passes that have begun.
    """

    def __init__(self) -> None:
        self.unwell = ""
        self.unready = ""
        self.document: Mapping[str, Any] = {"schema_version": 1, "proxies": []}
        self.inventory: Mapping[str, Any] = {"schema_version": 1, "services": []}
        self.error: Exception | None = None
        self.requests: list[PassRequest] = []
        self.gate: threading.Event | None = None
        self.entered = threading.Semaphore(0)
        self.wanted: Callable[[], bool] = lambda: True

    def health(self) -> str:
        return self.unwell

    def readiness(self) -> str:
        return self.unready

    def status(self) -> Mapping[str, Any]:
        if self.error is not None:
            raise self.error
        return self.document

    def services(self) -> Mapping[str, Any]:
        if self.error is not None:
            raise self.error
        return self.inventory

    def run(self, request: PassRequest, *, wanted: Callable[[], bool]) -> PassResult:
        self.requests.append(request)
        self.wanted = wanted
        self.entered.release()
        if self.gate is not None:
            assert self.gate.wait(PATIENCE)
        if self.error is not None:
            raise self.error
        return PassResult(stdout="done\n", stderr="", exit_code=2)


@contextmanager
def serving(
    world: World,
    listener: Listener,
    *,
    passes: bool = False,
    protocol: type[PatientProtocol] = PatientProtocol,
    **limits: Any,
) -> Iterator[WebServer]:
    drain = limits.pop("drain", 5)
    app = application(
        Offer(knowledge=world, access=Owner(), passes=world.run if passes else None), logger=LOGGER, **limits
    )
    server = WebServer(app, listener, logger=LOGGER, drain=drain, protocol=protocol)
    server.start()
    try:
        yield server
    finally:
        if world.gate is not None:
            world.gate.set()
        server.stop()


@contextmanager
def on_tcp(world: World, **options: Any) -> Iterator[str]:
    with serving(world, listen_tcp("127.0.0.1:0"), **options) as server:
        yield server.address


@contextmanager
def on_unix(world: World, path: Path, **options: Any) -> Iterator[str]:
    with serving(world, listen_unix(path), passes=True, **options) as server:
        yield server.address


def client(address: str) -> HttpClient:
    url = address if address.startswith("unix://") else f"http://{address}"
    return HttpClient(url, AdminSettings(read_timeout=PATIENCE))


def connect(address: str) -> socket.socket:
    """A plain connection."""
    if address.startswith("unix://"):
        plain = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        plain.settimeout(PATIENCE)
        try:
            plain.connect(address.removeprefix("unix://"))
        except OSError:
            plain.close()
            raise
        return plain
    host, _, port = address.rpartition(":")
    return socket.create_connection((host, int(port)), timeout=PATIENCE)


def said(plain: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """The answer on a connection that the server closes after it: status, headers, body; status 0 if there is none."""
    parts = []
    try:
        while part := plain.recv(1 << 16):
            parts.append(part)
    except ConnectionResetError:
        pass
    head, _, body = b"".join(parts).partition(b"\r\n\r\n")
    if not head:
        return 0, {}, b""
    first, *lines = head.decode().split("\r\n")
    return (
        int(first.split()[1]),
        {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)},
        body,
    )


def raw(address: str, request: bytes) -> tuple[int, dict[str, str], bytes]:
    with connect(address) as plain:
        plain.sendall(request)
        return said(plain)


def until(condition: Callable[[], bool]) -> None:
    """Until a condition holds."""
    ticking = threading.Event()
    for _ in range(int(PATIENCE * 100)):
        if condition():
            return
        ticking.wait(0.01)
    raise AssertionError(f"not within {PATIENCE:g} s")


def code(body: bytes) -> str:
    """The code of an answer that has to be one error in our form."""
    document = json.loads(body)
    assert set(document) == {"schema_version", "errors"}
    (error,) = document["errors"]
    assert {"code", "severity", "message", "hint"} <= set(error)
    return str(error["code"])
