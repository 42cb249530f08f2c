"""A server that takes webhooks, and senders that sign as the real ones do."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

from reconciler.clock import SystemClock
from reconciler.web import Offer, WebServer, application, listen_tcp
from reconciler.web.webhooks import SENDERS, Receiver, Result
from tests.web.world import LOGGER, World, code, raw

SECRET = b"It's a Secret to Everybody"
PUSH: Mapping[str, object] = {"ref": "refs/heads/main", "before": "1" * 40, "after": "2" * 40}


class Hand(SystemClock):
    """Time that tests move."""

    def __init__(self) -> None:
        self.ahead = 0.0
        self._began = super().now()

    def now(self) -> datetime:
        return self._began + timedelta(seconds=self.ahead)

    def monotonic(self) -> float:
        return self.ahead


class Post:
    """A server with every kind of sender.

    Attributes:
        woken: How often it woke the daemon.
        counted: Deliveries by kind and result.
    """

    def __init__(self, folder: Path, logger: logging.Logger = LOGGER) -> None:
        self.files = {kind: folder / kind for kind in SENDERS}
        for file in self.files.values():
            file.write_bytes(SECRET + b"\n")
        self.woken = 0
        self.counted: Counter[tuple[str, Result]] = Counter()
        self.clock = Hand()
        self.address = ""
        self.receiver = Receiver(
            {kind: str(file) for kind, file in self.files.items()},
            branch="main",
            wake=self._wake,
            clock=self.clock,
            logger=logger,
            counted=self._count,
        )

    def send(self, kind: str, headers: Mapping[str, str], body: bytes) -> tuple[int, str]:
        """The status, and the result or the code of the refusal."""
        status, _, said = raw(self.address, request(kind, headers, body))
        document = json.loads(said)
        return status, document["result"] if "result" in document else code(said)

    def now(self) -> str:
        return str(int(self.clock.now().timestamp()))

    def _wake(self) -> None:
        self.woken += 1

    def _count(self, kind: str, result: Result) -> None:
        self.counted[kind, result] += 1


@contextmanager
def receiving(post: Post) -> Iterator[Post]:
    app = application(Offer(knowledge=World(), webhooks=post.receiver), logger=LOGGER)
    server = WebServer(app, listen_tcp("127.0.0.1:0"), logger=LOGGER, drain=5)
    server.start()
    post.address = server.address
    try:
        yield post
    finally:
        server.stop()


def request(kind: str, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close"}
    lines = [f"{name}: {value}" for name, value in (fields | dict(headers)).items()]
    return "\r\n".join([f"POST /v1/webhooks/{kind} HTTP/1.1", "host: localhost", *lines, "", ""]).encode() + body


def push(**changes: object) -> bytes:
    return json.dumps({**PUSH, **changes}).encode()


def digest(body: bytes, secret: bytes = SECRET) -> str:
    return hmac.new(secret, body, hashlib.sha256).hexdigest()


def github(body: bytes, *, event: str = "push", secret: bytes = SECRET) -> dict[str, str]:
    return {"x-github-event": event, "x-hub-signature-256": f"sha256={digest(body, secret)}"}


def gitea(body: bytes, *, event: str = "push", secret: bytes = SECRET) -> dict[str, str]:
    return {"x-gitea-event": event, "x-gitea-signature": digest(body, secret)}


def gitlab(token: str = SECRET.decode(), *, event: str = "Push Hook", number: str = "1") -> dict[str, str]:
    return {"x-gitlab-event": event, "x-gitlab-token": token, "idempotency-key": number}


def signed(body: bytes, stamp: str, *, key: bytes, number: str = "1", event: str = "Push Hook") -> dict[str, str]:
    """As GitLab signs, and Standard Webhooks."""
    proof = base64.b64encode(hmac.new(key, f"{number}.{stamp}.".encode() + body, hashlib.sha256).digest()).decode()
    return {
        "x-gitlab-event": event,
        "webhook-id": number,
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{proof}",
    }


def plain(body: bytes, stamp: str, *, secret: bytes = SECRET) -> dict[str, str]:
    proof = digest(f"{stamp}.".encode() + body, secret)
    return {"x-reconcile-timestamp": stamp, "x-reconcile-signature": f"sha256={proof}"}
