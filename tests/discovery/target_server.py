"""A server of Prometheus's http_sd on a real socket, that can be in every mood."""

from __future__ import annotations

import contextlib
import hashlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from reconciler.discovery.conformance import Member, Mood
from reconciler.discovery.contract import Adapter
from reconciler.discovery.platforms.prometheus.http_sd import build
from reconciler.model.discovery import HttpSd
from tests.discovery.groups import AROUND, full, groups

TOKEN = "t0ken-of-a-test"  # noqa: S105 -- what nobody may see


class TargetServer:
    """Answers with target groups, to those who have the token.

    Attributes:
        answer: Instead of the list: does with a request what a test says.
        asked: Headers of each request, by name in lower case.
        statuses: Of each answer.
        etags: Whether it tells lists apart by ETag.
    """

    within = 5.0
    patience = 15.0
    alive = 5.0
    secrets = (TOKEN,)

    def __init__(self, folder: Path, *, tls: ssl.SSLContext | None = None) -> None:
        self.answer: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.asked: list[dict[str, str]] = []
        self.statuses: list[int] = []
        self.etags = True
        self.token_file = folder / "token"
        self.token_file.write_text(f"{TOKEN}\n")
        self.mood = Mood.WELL
        self._body = b"[]"
        self._tls = tls
        self._released = threading.Event()
        self._open: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self._listen()

    @property
    def url(self) -> str:
        return f"http{'s' if self._tls else ''}://127.0.0.1:{self.port}/targets?key=s3cret-of-the-query"

    def spec(self, **more: Any) -> HttpSd:
        fields: dict[str, Any] = {
            "url": self.url,
            "interval": timedelta(milliseconds=100),
            "token_file": str(self.token_file),
        }
        return HttpSd(**(fields | more))

    def adapter(self) -> Adapter:
        return build(self.spec(), AROUND)

    def host(self, service: str) -> str:
        return full(service)

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        self.say(groups(services))

    def say(self, document: Any) -> None:
        self._body = document if isinstance(document, bytes) else json.dumps(document).encode()

    def be(self, mood: Mood) -> None:
        was, self.mood = self.mood, mood
        if mood is Mood.WELL:
            self._released.set()
            if was is Mood.DOWN:
                self._listen()
        elif mood is Mood.DOWN:
            self._hang_up()
        else:
            self._released.clear()

    def restart(self) -> None:
        self._hang_up()
        self._listen()

    def close(self) -> None:
        self._released.set()
        if self.mood is not Mood.DOWN:
            self._hang_up()

    def serve(self, request: BaseHTTPRequestHandler) -> None:
        self.asked.append({name.lower(): value for name, value in request.headers.items()})
        if self.mood is Mood.PARTITIONED:
            self._released.wait()
            request.close_connection = True
            return
        if self.mood is Mood.SLOW:
            self._released.wait(1)
        if self.answer is not None:
            self.answer(request)
        elif self.mood is Mood.DENYING or request.headers.get("Authorization") != f"Bearer {TOKEN}":
            self.reply(request, 401)
        elif self.mood is Mood.GARBAGE:
            self.reply(request, 200, b'{"targets": "' + TOKEN.encode())
        else:
            tag = f'"{hashlib.sha256(self._body).hexdigest()[:8]}"' if self.etags else ""
            unchanged = bool(tag) and request.headers.get("If-None-Match") == tag
            self.reply(request, 304 if unchanged else 200, b"" if unchanged else self._body, etag=tag)

    def reply(self, request: BaseHTTPRequestHandler, status: int, body: bytes = b"", **headers: str) -> None:
        self.statuses.append(status)
        request.send_response(status)
        own = {"content-type": "application/json", "content-length": str(len(body))}
        for name, value in (own | {name.replace("_", "-"): value for name, value in headers.items()}).items():
            if value:
                request.send_header(name, value)
        request.end_headers()
        request.wfile.write(body)

    def _listen(self) -> None:
        platform = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                platform.serve(self)

            def log_message(self, *_: object) -> None:
                """Nothing."""

            def handle(self) -> None:
                platform._open.add(self.connection)
                with contextlib.suppress(OSError):
                    super().handle()
                platform._open.discard(self.connection)

        class Listener(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that goes away is no fault."""

        self._server = Listener(("127.0.0.1", self.port), Handler)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _hang_up(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        deadline = time.monotonic() + 5
        while self._open and time.monotonic() < deadline:
            time.sleep(0.005)
