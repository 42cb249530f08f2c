"""A bare repository of policies with a desk over it, as the daemon puts it together."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from reconciler.clock import SystemClock
from reconciler.cycle import Compiler
from reconciler.cycle.editing import Desk, Judge, Pulls, Requester, Wish
from reconciler.gitrepo import CommitInfo, Repository, open_repository
from reconciler.model.key import Key
from reconciler.settings import GitSettings, Identity

DAEMON = Identity(name="daemon", email="daemon@x.test")
ADA = Requester(identity=Identity(name="Ada L", email="ada@x.test"), token="a1b2")  # noqa: S106 -- an id
KEY = Key("default", "reviews")

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: 9081}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {http: 9082}, labels: {version: v2}}
"""
RULE = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
"""
PROXY = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: client}
spec:
  labels: {edge: main}
  admin: http://127.0.0.1:9901
  push: {files: {directory: /var/lib/envoy/client}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {edge: main}
  servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]
"""


def split(canary: int, *, name: str = "reviews", comment: str = "") -> str:
    """A VirtualService with so much for v2."""
    return f"""\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: {name}}}
spec:
  hosts: [{name}]
  gateways: [edge]
  http:
  - name: primary{comment}
    route:
    - {{destination: {{host: reviews, subset: v1}}, weight: {100 - canary}}}
    - {{destination: {{host: reviews, subset: v2}}, weight: {canary}}}
"""


FILES = {
    "reviews.yaml": f"# Reviews: ask the reviews team\n{split(10, comment='  # the only rule')}# end\n---\n# as it was\n{RULE}",
    "service.yaml": SERVICE,
    "proxy.yaml": PROXY,
}


@dataclass
class Office:
    """What tests look at.

    Attributes:
        path: The repository, bare.
        repository: To read.
        written: Counts the calls after a commit.
    """

    path: Path
    repository: Repository
    desk: Desk
    written: list[None] = field(default_factory=list)

    def people(self, files: Mapping[str, str | None], *, branch: str = "main", message: str = "by hand\n") -> str:
        """A commit that somebody makes by hand."""
        settings = GitSettings(author=Identity(name="Bob", email="bob@x.test"))
        with open_repository(str(self.path), settings) as git:
            return git.commit(
                branch,
                expect=git.branch(branch),
                files={f"policies/{name}": text.encode() if text is not None else None for name, text in files.items()},
                message=message,
                at=SystemClock().now(),
            )

    def file(self, name: str) -> str | None:
        found = self.repository.read(self.repository.resolve("main"), f"policies/{name}")
        return found.decode() if found is not None else None

    def tip(self, branch: str = "main") -> CommitInfo:
        return self.repository.commit_info(self.repository.resolve(branch))

    def tag(self, kind: str = "VirtualService", key: Key = KEY) -> str:
        return self.desk.read(kind, key).tag

    def wish(self, text: str | None, **more: Any) -> Wish:
        made: dict[str, Any] = {"kind": "VirtualService", "key": KEY, "by": ADA} | more
        if "expect" not in made:
            made["expect"] = frozenset({self.tag(made["kind"], made["key"])})
        return Wish(text=text.encode() if text is not None else None, **made)


@contextmanager
def office(
    path: Path,
    files: Mapping[str, str] = FILES,
    *,
    between: Callable[[Office], None] = lambda _: None,
    attempts: int = 20,
) -> Iterator[Office]:
    """A desk; `between` runs in each write, after its head was read and before it commits."""
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)
    settings = GitSettings(author=DAEMON)

    @contextmanager
    def writer(by: Requester) -> Iterator[Repository]:
        identity = by.identity or DAEMON
        with open_repository(str(path), replace(settings, author=identity, committer=DAEMON)) as git:
            yield git

    class Interrupted(Judge):
        def judge(self, *args: Any, **more: Any) -> Any:
            found = super().judge(*args, **more)
            between(made)
            return found

    with open_repository(str(path), settings) as repository:
        written: list[None] = []
        desk = Desk(
            repository,
            writer,
            "main",
            judge=Interrupted(repository, Compiler(), announced=tuple),
            clock=SystemClock(),
            pulls=Pulls(SystemClock()),
            attempts=attempts,
            written=lambda: written.append(None),
        )
        made = Office(path, repository, desk, written)
        made.people(files, message="begin\n")
        yield made
