"""HTTP servers that answer with a status, when they are let; and waiting for what they see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Answering(BaseHTTPRequestHandler):
    """Answers with a status; once the gate is open, if there is one."""

    protocol_version = "HTTP/1.1"
    status = 200
    gate: threading.Event | None = None
    waiting: threading.Semaphore

    def do_GET(self) -> None:
        if self.gate is not None:
            self.waiting.release()
            self.gate.wait(10)
        self.send_response(self.status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """Nothing."""


@contextmanager
def answering(status: int, *, gate: threading.Event | None = None) -> Iterator[tuple[int, threading.Semaphore]]:
    """A server that answers with a status, once a gate is open; its port, and how many requests have come to the gate."""
    waiting = threading.Semaphore(0)
    handler = type("Handler", (Answering,), {"status": status, "gate": gate, "waiting": waiting})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1], waiting
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
