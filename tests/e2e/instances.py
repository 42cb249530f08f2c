"""Instances of services for tests: each a server in this process, at an address of its own, that notes when it was asked for what.

Unlike the demo's applications they can be slow on request, and may end while the rest goes on.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_LONGEST = 20.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: when, by `time.monotonic`, and its path."""

    at: float
    path: str


class Instance:
    """One that serves until it is closed.

    Args:
        name: What it calls itself in its answers.
        address: On this machine.
        port: There; any by default.

    Attributes:
        arrivals: All requests so far but slow ones, which ask for a path that ends with `/slow`.
        slow: Set when such a one has come; it is answered once `release` is set.
        failing: Whether it answers 503.
    """

    def __init__(self, name: str, address: str = "127.0.0.1", port: int = 0) -> None:
        self.name = name
        self.address = address
        self.arrivals: list[Arrival] = []
        self.slow = threading.Event()
        self.release = threading.Event()
        self.failing = False
        self._open: set[socket.socket] = set()
        handler = type("Own", (_Handler,), {"instance": self})
        self._server = _Server((address, port), handler)
        self._server.sockets = self._open
        self.port = int(self._server.server_address[1])
        self._thread: threading.Thread | None = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def since(self, at: float, path: str = "/") -> list[float]:
        """When requests came after an instant, for paths that begin like this."""
        return [item.at for item in self.arrivals[:] if item.at >= at and item.path.startswith(path)]

    def close(self) -> None:
        """Listen no more, and cut all connections."""
        thread, self._thread = self._thread, None
        if thread is None:
            return
        self.release.set()
        self._server.shutdown()
        thread.join()
        self._server.server_close()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128
    sockets: set[socket.socket]

    def process_request(self, request: Any, client_address: Any) -> None:
        self.sockets.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self.sockets.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Proxies leave whenever they like."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    instance: Instance

    def do_GET(self) -> None:
        own = self.instance
        if self.path.endswith("/slow"):
            own.slow.set()
            own.release.wait(_LONGEST)
        else:
            own.arrivals.append(Arrival(time.monotonic(), self.path))
        body = json.dumps({"app": "b", "version": own.name}).encode()
        self.send_response(503 if own.failing else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def until(condition: Callable[[], bool], what: str, *, within: float = 10.0, told: Callable[[], str] = str) -> None:
    """Wait until a condition holds, closely."""
    deadline = time.monotonic() + within
    while not condition():
        assert time.monotonic() < deadline, f"not within {within:g} s: {what}\n{told()}"
        time.sleep(0.005)
