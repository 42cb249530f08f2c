"""Applications that say who they are, ports for listeners, and constant load."""

from __future__ import annotations

import http.client
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@contextmanager
def reserved() -> Iterator[int]:
    """A port of 127.0.0.1 that nobody else gets while an Envoy of ours may bind it."""
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield int(holder.getsockname()[1])


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body = getattr(self.server, "says", b"")
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    says = b""

    def handle_error(self, *_: Any) -> None:
        """An Envoy that is killed drops its connections; that is no news."""


@contextmanager
def backend(says: str) -> Iterator[int]:
    """An application that answers with its name; yields its port."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.says = says.encode()
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


def ask(port: int) -> str:
    """What a listener answers: the backend's name, or the status if it isn't 200, or why there is none."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        body = answer.read().decode()
    except OSError as error:
        return type(error).__name__
    finally:
        connection.close()
    return body if answer.status == 200 else str(answer.status)


class Load:
    """Requests on one kept connection, back to back, until told to stop; counts who answered."""

    def __init__(self, port: int) -> None:
        self.answers: Counter[str] = Counter()
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def wait(self, requests: int) -> None:
        """Until so many more requests were answered."""
        goal = self.answers.total() + requests
        while self.answers.total() < goal and self._thread.is_alive():
            self._stop.wait(0.002)

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=5)
        while not self._stop.is_set():
            try:
                connection.request("GET", "/")
                answer = connection.getresponse()
                body = answer.read().decode()
                self.answers[body if answer.status == 200 else str(answer.status)] += 1
            except (OSError, http.client.HTTPException) as error:
                self.answers[type(error).__name__] += 1
                connection.close()
        connection.close()
