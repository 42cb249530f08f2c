"""A server as the daemon's, whose documents a test turns by hand; the page, its API, tokens and sessions are the real ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.clock import SystemClock
from reconciler.errors import InputError, ReconcilerError
from reconciler.model.key import Key
from reconciler.web import (
    Door,
    Notices,
    Offer,
    Role,
    TokenFile,
    UnknownPathError,
    WebServer,
    add_token,
    application,
    listen_tcp,
    mint,
)
from tests.web.page import documents
from tests.web.world import LOGGER, World

KINDS = ("hello", "pass", "rollout", "proxy", "discovery")


@dataclass
class Daemon(World):
    """What it says, and what was asked of it.

    Attributes:
        said: Documents by name.
        asked: Commands that reached it.
        no: What it answers commands with.
    """

    address: str = ""
    tokens: Path | None = None
    said: dict[str, Any] = field(default_factory=dict)
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    no: ReconcilerError | None = None
    notices: Notices = field(default_factory=lambda: Notices(KINDS))

    def __post_init__(self) -> None:
        World.__init__(self)
        self.said = {
            "rollouts": documents.rollouts(), "rollout": documents.rollout(), "plan": documents.plan(),
            "traffic": documents.traffic(), "timeline": documents.timeline(), "commit": documents.commit(documents.HEAD),
        }  # fmt: skip
        self.document = documents.status()

    def rollouts(self) -> Mapping[str, Any]:
        return dict(self.said["rollouts"])

    def rollout(self, namespace: str, name: str) -> Mapping[str, Any]:
        if (namespace, name) != ("default", self.said["rollout"]["rollout"]["name"]):
            raise UnknownPathError(f"there is no rollout {name}", code="rollout-unknown")
        return dict(self.said["rollout"])

    def timeline(self, *, before: str, limit: int) -> Mapping[str, Any]:
        del limit
        return documents.timeline(before=before) if before else dict(self.said["timeline"])

    def commit(self, commit: str) -> Mapping[str, Any]:
        if commit == "0" * 40:
            raise InputError("that is no commit", code="commit-unknown")
        return {**self.said["commit"], "commit": commit}

    def plan(self) -> Mapping[str, Any]:
        return dict(self.said["plan"])

    def traffic(self) -> Mapping[str, Any]:
        return dict(self.said["traffic"])

    def command(self, command: str, key: Key, **options: Any) -> Mapping[str, Any]:
        if self.no is not None:
            raise self.no
        self.asked.append((str(command), str(key), options["by"].identity.name))
        return {"schema_version": 1, "commit": documents.HEAD, "errors": []}

    def token(self, *roles: Role) -> str:
        assert self.tokens is not None
        shown, token = mint(name="Ada L", email="ada@x.test", roles=roles, created=datetime.now(UTC), expires=None)
        add_token(self.tokens, token)
        return shown


@contextmanager
def serving(daemon: Daemon, *, at: str = "127.0.0.1:0", anonymous: bool = True, watchers: int = 64) -> Iterator[Daemon]:
    """Serve it; with a tokens file if it has one."""
    daemon.notices = Notices(KINDS, most=watchers)
    file = TokenFile(daemon.tokens) if daemon.tokens is not None else None
    door = Door(SystemClock(), tokens=file, anonymous=anonymous)
    offer = Offer(
        knowledge=daemon, access=door, views=daemon, notices=daemon.notices, page=True, commands=daemon.command
    )
    server = WebServer(application(offer, logger=LOGGER), listen_tcp(at), logger=LOGGER, drain=1)
    daemon.address = server.start()
    try:
        yield daemon
    finally:
        daemon.notices.close()
        server.stop()
