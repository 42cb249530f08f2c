"""A rollout's life in a real repository: commits on `main` as people and the reconciler make them, and receipts beside them."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reconciler.gitrepo import open_repository
from reconciler.model.key import Key
from reconciler.model.reading import Counts, total
from reconciler.model.receipt import OutcomeKind, ProxyReceipt
from reconciler.model.rollout import Phase
from reconciler.record import Draft, Record
from reconciler.rollouts.evidence import Evidence, Measured, Outcome, Running, Seen
from reconciler.rollouts.evidence_plain import to_plain
from reconciler.settings import GitSettings, Identity

START = datetime(2026, 3, 4, 10, 0, tzinfo=UTC)
KEY = Key("default", "details")
PROXIES = tuple(Key("default", f"gateway-{number}") for number in range(3))

BASE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: details}
spec:
  hosts: [details.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: 9081}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {http: 9082}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: details}
spec:
  host: details
  subsets:
  - {name: v1, labels: {version: v1}}
  - {name: v2, labels: {version: v2}}
---
apiVersion: reconciler/v1alpha1
kind: AnalysisTemplate
metadata: {name: golden}
spec:
  metrics:
  - {name: request-success-rate, interval: 30s, count: 2, thresholdRange: {min: 99}, failureLimit: 1}
"""

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details}
spec:
  hosts: [details]
  http:
  - name: primary
    route:
    - {destination: {host: details, subset: v1}, weight: %(stable)d}
    - {destination: {host: details, subset: v2}, weight: %(canary)d}
"""

ROLLOUT = """\
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata: {name: details}
spec:
  target: {virtualService: {name: details, routes: [primary]}}
  stable: v1
  canary: v2
  steps:
  - setWeight: 5
  - pause: {duration: 10m}
  - setWeight: %(weight)d
  - analysis: {templates: [{templateName: golden}]}
  - pause: {}
  - setWeight: 100
%(spec)s"""


def rollout(status: str = "", *, spec: str = "", weight: int = 25) -> str:
    """The document, with a status of the flow form `phase: Progressing, step: 0`, and further lines of the spec."""
    lines = f"  {spec}\n" if spec else ""
    return ROLLOUT % {"spec": lines, "weight": weight} + (f"status: {{run: v1->v2, {status}}}\n" if status else "")


class Walk:
    """A repository in which time passes only by saying so."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = START
        self.commits: list[str] = []
        subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(path)], check=True)

    def after(self, **time: float) -> Walk:
        """Let time pass."""
        self.now += timedelta(**time)
        return self

    def main(self, files: Mapping[str, str | None], message: str, *, by: str = "envoy-reconciler") -> str:
        """A commit on `main`."""
        settings = GitSettings(author=Identity(name=by, email="x@example.com"))
        with open_repository(str(self.path), settings) as git:
            found = git.commit(
                "main",
                expect=git.branch("main"),
                files={f"policies/{name}": text.encode() if text is not None else None for name, text in files.items()},
                message=message,
                at=self.now,
            )
        self.commits.append(found)
        return found

    def step(self, status: str, canary: int, message: str = "", **options: Any) -> str:
        """A commit that moves status and weight."""
        by = str(options.pop("by", "envoy-reconciler"))
        files = {
            "rollout.yaml": rollout(status, **options),
            "service.yaml": SERVICE % {"stable": 100 - canary, "canary": canary},
        }
        return self.main(files, message or f"canary(details): {canary}%", by=by)

    def record(self, evidence: Evidence | None, *, applied: int = 3) -> str:
        """A receipt for the newest commit."""
        with open_repository(str(self.path), GitSettings()) as git:
            entries = {
                key: ProxyReceipt(
                    view="v", proof="exact", outcome=OutcomeKind.APPLIED if number < applied else OutcomeKind.LATE
                )
                for number, key in enumerate(PROXIES)
            }
            draft = Draft(
                policy_commit=self.commits[-1],
                plan_digest="",
                subject=f"live on {applied}/3 proxies",
                proxies=entries,
                rollouts={KEY: to_plain(evidence)} if evidence is not None else {},
            )
            receipt = Record(git, "reconciler/record", attempts=1).write(draft, at=self.now)
        assert receipt is not None
        return receipt.commit

    def evidence(self, step: int, *, phase: Phase = Phase.PROGRESSING, **fields: Any) -> Evidence:
        """Evidence of a step that begins now."""
        return Evidence(run="v1->v2", phase=phase, step=step, entered=self.now, **fields)


def counted(*windows: tuple[int, int, float]) -> Counts:
    """What a caller has counted: in each window so many requests, so many errors, all of about so many milliseconds."""
    return total(
        Counts(requests=requests, errors=errors, times={(time, time * 1.1): requests})
        for requests, errors, time in windows
    )


def callers(canary: Counts, stable: Counts) -> Mapping[Key, Seen]:
    """What one caller has counted."""
    return MappingProxyType({PROXIES[0]: Seen(epoch="1", canary=canary, stable=stable, share=5.0)})


def first_steps(walk: Walk) -> Evidence:
    """The rollout is written, begins, and comes to its analysis, which has one good measurement; returns the last evidence."""
    base = {"base.yaml": BASE, "service.yaml": SERVICE % {"stable": 100, "canary": 0}}
    walk.main(base | {"rollout.yaml": rollout()}, "Add a canary of details", by="Ann")
    walk.after(minutes=1).step("phase: Progressing, step: 0", 5, "canary(details): v2 0% -> 5% (step 1/6)")
    walk.record(walk.evidence(0), applied=2)
    walk.after(seconds=5).record(
        replace(walk.evidence(0, verified=walk.now), callers=callers(counted((100, 0, 10)), counted((1000, 1, 10))))
    )
    walk.after(seconds=5).step("phase: Progressing, step: 1", 5, "canary(details): pause (step 2/6)")
    walk.record(
        walk.evidence(
            1, verified=walk.now, callers=callers(counted((100, 0, 10), (100, 1, 20)), counted((2000, 2, 10)))
        )
    )
    walk.after(minutes=10).step(
        "phase: Progressing, step: 2",
        25,
        "canary(details): v2 5% -> 25% (step 3/6)\n\nVerified.\n\n    success rate 99.5%\n\nRollout-Decision: advance",
    )
    walk.record(
        walk.evidence(
            2,
            verified=walk.now,
            callers=callers(counted((100, 0, 10), (100, 1, 20), (100, 2, 30)), counted((3000, 3, 10))),
        )
    )
    walk.after(seconds=5).step("phase: Progressing, step: 3", 25, "canary(details): analysis (step 4/6)")
    evidence = walk.evidence(3, verified=walk.now)
    started = walk.now
    measured = Measured(
        since=walk.after(seconds=30).now, passed=1, value=99.5, outcome=Outcome.PASS, detail="success rate 99.5% >= 99%",
        canary=Counts(requests=40), stable=Counts(requests=120), waiting="40 of 100 requests",
    )  # fmt: skip
    running = Running(started=started, metrics=MappingProxyType({"golden/request-success-rate": measured}))
    evidence = replace(evidence, analyses=MappingProxyType({"step-3": running}), note="hold: waits for more requests")
    walk.record(evidence)
    return evidence
