"""A world in which a rollout walks: real passes and real Git, Envoys that somebody else configures, people, and a clock of its own."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from reconciler.cli.options import settings
from reconciler.cli.progress import Line
from reconciler.cli.session import Session
from reconciler.cycle import Ask, Reconciler, Report
from reconciler.cycle.report import Stage
from reconciler.gitrepo import Repository, open_repository
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.policy import load
from reconciler.record import Record
from reconciler.rollouts.commands import Commanded, CommandError
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.evidence_plain import from_plain
from reconciler.settings import GitSettings, Identity
from tests.cycle.mapped import CLUSTERS, PREFIX, Mapped
from tests.e2e.rig import SERVICE, git

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ROLLOUT, ROUTES, BROKEN = "policies/rollout.yaml", "policies/routes.yaml", "policies/broken.yaml"
KEY = Key("default", "details")
RECORD = "reconciler/record"

MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {verifyDeadline: 1s}
"""

SPLIT = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details}
spec:
  hosts: [details]
  http:
  - name: primary
    timeout: 10s
    route:
    - destination: {host: details, subset: v1}
      weight: 100
    - destination: {host: details, subset: v2}
      weight: 0
"""

PROXY = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: %(name)s}
spec:
  admin: http://127.0.0.1:%(port)d
  push: {runtime: {routes: [{virtualService: default/details, route: primary, prefix: %(prefix)s, clusters: %(clusters)s}]}}
"""

WALK = """\
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata: {name: details}
spec:
  target: {virtualService: {name: details, routes: [primary]}}
  stable: v1
  canary: v2
  steps:
  - setWeight: 10
  - pause: {duration: 60s}
  - setWeight: 40
  - pause: {}
  - setWeight: 100
  analysis: {templates: [{templateName: good}]}
---
apiVersion: reconciler/v1alpha1
kind: AnalysisTemplate
metadata: {name: good}
spec:
  metrics:
  - name: request-success-rate
    interval: 30s
    minRequests: 10
    thresholdRange: {min: 90}
"""


class Hands:
    """A clock that goes on when it is told to, or slept by."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.set = 0.0

    def now(self) -> datetime:
        """By the wall, which somebody may have set."""
        return START + timedelta(seconds=self.passed + self.set)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        self.passed += max(0.0, seconds)


class _Between(Line):
    """Does what has to come between a pass' reading of `main` and its writing there."""

    def __init__(self, acts: list[Callable[[], object]]) -> None:
        self._acts = acts

    def __call__(self, stage: Stage, detail: str) -> None:
        del detail
        while stage is Stage.DECIDE and self._acts:
            self._acts.pop()()


@dataclass
class World:
    """All of it. Passes are made by `turn`; what people do is a commit each.

    Attributes:
        between: Done once, after the next pass has read `main` and before it writes there.
        given: What is wrong with weights that proxies were given.
    """

    folder: Path
    envoys: dict[str, Mapped] = field(default_factory=dict)
    clock: Hands = field(default_factory=Hands)
    between: list[Callable[[], object]] = field(default_factory=list)
    given: list[str] = field(default_factory=list)
    stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        self.repo = self.folder / "r.git"
        git("init", "-q", "--bare", "-b", "main", str(self.repo))
        people = GitSettings(author=Identity(name="Pat", email="pat@example.com"), cache=self.folder / "cache")
        self.people = self.stack.enter_context(open_repository(str(self.repo), people))
        for name in ("edge-1", "edge-2"):
            self.envoys[name] = Mapped(self._look)
            self.stack.enter_context(self.envoys[name].serving())
        clusters = str(CLUSTERS).replace("'", "")
        files = {
            "policies/mesh.yaml": MESH,
            "policies/details.yaml": SERVICE % {"v1": 81, "v2": 82},
            ROUTES: SPLIT,
            ROLLOUT: WALK,
        }
        for name, envoy in self.envoys.items():
            text = PROXY % {"name": name, "port": envoy.port, "prefix": PREFIX, "clusters": clusters}
            files[f"policies/{name}.yaml"] = text
        self.people.commit(
            "main", expect=None, files={path: text.encode() for path, text in files.items()}, message="Start", at=START
        )
        self.session: Session | None = None
        return self

    def __exit__(self, *_: object) -> None:
        self.restart()
        self.stack.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # Passes

    def restart(self) -> None:
        """The process ends; the next pass is another's, which knows what is in Git."""
        if self.session is not None:
            self.session.__exit__()
        self.session = None

    def start(self, session: Session) -> None:
        """A new process."""
        self.session = session
        session.clock = self.clock
        session.progress = _Between(self.between)
        self.reconciler: Reconciler = session.reconciler(settle=0)

    def turn(self) -> Report:
        """One pass."""
        if self.session is None:
            self.start(Session(settings(repo=str(self.repo), ref="main", admin_timeout="2s"), quiet=True))
        self.clock.passed += 0.01
        return self.reconciler.run(Ask())

    # What is in Git

    @property
    def head(self) -> str:
        return self.people.branch("main") or ""

    def mesh(self, commit: str = "") -> Mesh | None:
        return load(self.people.tree(commit or self.head)).mesh

    def course(self, commit: str = "") -> Course:
        """The rollout on `main`, or in the commit; of the newest commit that can be read."""
        for info in self.people.log(commit or self.head, first_parent=True):
            mesh = self.mesh(info.id)
            if mesh is not None:
                return course_of(mesh, mesh.rollouts[0])
        raise AssertionError(commit)

    @property
    def status(self) -> RolloutStatus:
        return self.course().status

    def text(self, path: str, commit: str = "") -> str:
        return (self.people.read(commit or self.head, path) or b"").decode()

    def weight(self, commit: str = "") -> int:
        """What the canary has there."""
        _, canary = re.findall(r"weight: (\d+)", self.text(ROUTES, commit))
        return int(canary)

    def evidence(self) -> Evidence | None:
        """What the record says of the rollout."""
        receipt = Record(self.people, RECORD, attempts=1).latest()
        said = receipt.rollouts.get(KEY) if receipt is not None else None
        return from_plain(said) if said is not None else None

    # People

    def land(self, files: Mapping[str, bytes | None], message: str) -> str:
        """Commit."""
        return self.people.commit("main", expect=self.head, files=files, message=message, at=self.clock.now())

    def edit(self, path: str, pattern: str, new: str) -> str:
        """Replace a text; "" if it is not there, or is that already."""
        old = self.text(path)
        text = re.sub(pattern, new, old, count=1)
        return self.land({path: text.encode()}, f"Edit {path}") if text != old else ""

    def give(self, weight: int) -> None:
        """A person's weight."""
        texts = iter([100 - weight, weight])
        text = re.sub(r"weight: \d+", lambda _: f"weight: {next(texts)}", self.text(ROUTES))
        self.land({ROUTES: text.encode()}, f"Give v2 {weight}%")

    def command(self, made: Callable[[Course, Mesh, Callable[[str], bytes]], Commanded]) -> bool:
        """What `reconcile rollout` does; False where it refuses."""
        mesh, head = self.mesh(), self.head
        if mesh is None:
            return False
        try:
            done = made(course_of(mesh, mesh.rollouts[0]), mesh, lambda path: self.people.read(head, path) or b"")
        except CommandError:
            return False
        self.land(dict(done.files), done.message)
        return True

    def revert(self) -> None:
        """`git revert HEAD`."""
        info = self.people.commit_info(self.head)
        if info.parents:
            undone = self.people.reversal(self.head, onto=self.head)
            self.people.revert("main", undone, message=f'Revert "{info.subject}"', at=self.clock.now())

    def _look(self, weight: int) -> None:
        """Whatever a proxy is given stands on `main`, or in the commit that is the last good one; an abort, on the record."""
        show = ["git", "-C", str(self.repo), "show"]
        committed = [self._percent([*show, f"main:{ROUTES}"])]
        tip = subprocess.run(
            ["git", "-C", str(self.repo), "log", "-1", "--format=%(trailers:key=Policy-Commit,valueonly)", RECORD],
            capture_output=True, text=True, check=False,
        ).stdout.strip()  # fmt: skip
        if tip:
            committed.append(self._percent([*show, f"{tip}:{ROUTES}"]))
        said = subprocess.run(
            [*show, f"{RECORD}:rollouts/default/details.yaml"], capture_output=True, text=True, check=False
        ).stdout
        if weight not in committed and not (weight == 0 and "\naborted:" in said):
            self.given.append(f"{weight}%, with {committed} committed and {said!r}")

    @staticmethod
    def _percent(command: list[str]) -> int:
        text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return int(re.findall(r"weight: (\d+)", text)[1])


__all__ = ["Phase", "Repository", "World"]
