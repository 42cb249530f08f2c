"""A real server with tokens over a real repository, as the daemon puts it together; only passes are the tests' own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.cli.serving.editing import editing_parts
from reconciler.cli.session import Session
from reconciler.gitrepo import CommitInfo, Repository
from reconciler.settings import GitSettings, Settings, Signing, TrustSettings
from reconciler.web import Door, Offer, Rate, Role, TokenFile, WebServer, add_token, application, listen_tcp, mint
from tests.cycle.editing.office import DAEMON, FILES
from tests.web.doors import HandClock, House, Reply
from tests.web.world import LOGGER, World

REVIEWS = "/v1/policies/VirtualService/default/reviews"
ROLLOUT = """\
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata: {name: reviews}
spec:
  target: {virtualService: {name: reviews, routes: [primary]}}
  stable: v1
  canary: v2
  steps:
  - setWeight: 20
  - pause: {}
  - setWeight: 100
status: {run: v1->v2, phase: Progressing, step: 1}
"""


@dataclass
class Premises:
    """What tests ask and look at.

    Attributes:
        house: The server and its tokens.
        repository: To look at what was written.
        world: What runs passes.
        written: Counts commits to the policy branch, as the daemon is told of them.
    """

    house: House
    repository: Repository
    world: World
    written: list[None]

    def ask(self, method: str, path: str, *, token: str, body: Any = None, **headers: str) -> Reply:
        return self.house.ask(method, path, token=token, body=body, **headers)

    def token(self, *roles: Role, name: str = "Ada L") -> str:
        shown, token = mint(name=name, email="ada@x.test", roles=roles, created=datetime(2026, 3, 1, tzinfo=UTC))
        add_token(self.house.file, token)
        return shown

    def file(self, name: str, ref: str = "main") -> str | None:
        found = self.repository.read(self.repository.resolve(ref), f"policies/{name}")
        return found.decode() if found is not None else None

    def tip(self, ref: str = "main") -> CommitInfo:
        return self.repository.commit_info(self.repository.resolve(ref))

    def put(self, path: str, text: str, token: str, *, query: str = "", **headers: str) -> Reply:
        sent = {"content_type": "application/yaml"} | headers
        return self.ask("PUT", path + query, token=token, body=text.encode(), **sent)

    def etag(self, token: str, path: str = REVIEWS) -> str:
        return self.ask("GET", path, token=token).headers["etag"]


@contextmanager
def premises(
    folder: Path,
    *,
    files: dict[str, str] | None = None,
    trust: TrustSettings | None = None,
    signing: Signing | None = None,
) -> Iterator[Premises]:
    bare = folder / "policies.git"
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(bare)], check=True)
    settings = Settings(
        repo=str(bare),
        git=GitSettings(author=DAEMON, cache=folder / "cache", signing=signing),
        trust=trust or TrustSettings(),
    )
    world, written = World(), list[None]()
    with Session(settings, quiet=True) as session:
        begin = files if files is not None else FILES | {"rollout.yaml": ROLLOUT}
        session.repository.commit(
            "main",
            expect=None,
            files={f"policies/{name}": text.encode() for name, text in begin.items()},
            message="begin\n",
            at=datetime(2026, 3, 1, tzinfo=UTC),
        )
        tokens = folder / "tokens"
        tokens.touch(mode=0o600)
        door = Door(HandClock(), tokens=TokenFile(tokens), rate=Rate(burst=1e9, per_second=1e9))
        with editing_parts(
            session, "main", record=lambda: "reconciler/record", written=lambda: written.append(None)
        ) as editing:
            offer = Offer(
                knowledge=world,
                access=door,
                passes=world.run,
                desk=editing.desk,
                commands=editing.commands,
                receipts=editing.receipts,
            )
            server = WebServer(application(offer, logger=LOGGER), listen_tcp("127.0.0.1:0"), logger=LOGGER)
            server.start()
            try:
                yield Premises(House(server.address, tokens, HandClock()), session.repository, world, written)
            finally:
                server.stop()
