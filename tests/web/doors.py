"""A server with tokens, for tests: real HTTP over `World`."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.clock import SystemClock
from reconciler.web import Door, Offer, Rate, Role, TokenFile, WebServer, add_token, application, listen_tcp, mint
from tests.web.world import LOGGER, PATIENCE, World

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class HandClock(SystemClock):
    """A clock that stands still until a test turns it."""

    def __init__(self) -> None:
        self.since = timedelta()

    def now(self) -> datetime:
        return START + self.since

    def monotonic(self) -> float:
        return self.since.total_seconds()


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["errors"][0]["code"])


@dataclass
class House:
    """A server with a tokens file.

    Attributes:
        address: `host:port`.
        file: The tokens file.
        clock: What tokens, sessions and rates go by.
    """

    address: str
    file: Path
    clock: HandClock
    tls: ssl.SSLContext | None = None
    tokens: dict[str, str] = field(default_factory=dict)

    def token(self, *roles: Role, expires: datetime | None = None) -> str:
        shown, token = mint(name="Ada L", email="ada@x.test", roles=roles, created=START, expires=expires)
        add_token(self.file, token)
        return shown

    def ask(self, method: str, path: str, *, token: str = "", body: Any = None, **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["Authorization"] = f"Bearer {token}"
        data = body
        if body is not None and not isinstance(body, bytes):
            data = json.dumps(body).encode()
            sent.setdefault("content-type", "application/json")
        host, _, port = self.address.rpartition(":")
        plain = (
            http.client.HTTPSConnection(host, int(port), timeout=PATIENCE, context=self.tls)
            if self.tls
            else http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        )
        try:
            plain.request(method, path, data, sent)
            answer = plain.getresponse()
            found = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, found, answer.read())
        finally:
            plain.close()


@contextmanager
def house(
    folder: Path,
    *,
    world: World | None = None,
    tokens: bool = True,
    anonymous: bool = False,
    names: Collection[str] | None = None,
    rate: Rate | None = None,
    tls: ssl.SSLContext | None = None,
    trusted: ssl.SSLContext | None = None,
) -> Iterator[House]:
    clock, file, shown = HandClock(), folder / "tokens", world or World()
    if tokens and not file.exists():
        file.touch(mode=0o600)
    rate = rate or Rate(burst=200, per_second=50)
    door = Door(clock, tokens=TokenFile(file) if tokens else None, anonymous=anonymous, rate=rate)
    app = application(Offer(knowledge=shown, access=door, names=names, passes=shown.run), logger=LOGGER)
    server = WebServer(app, listen_tcp("127.0.0.1:0"), logger=LOGGER, tls=tls)
    server.start()
    try:
        yield House(server.address, file, clock, trusted)
    finally:
        server.stop()
