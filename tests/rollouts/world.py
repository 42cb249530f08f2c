"""A world for one rollout: a `main` with a spec, a status and a weight, callers that count, a clock, and the engine in the middle.

Nothing of the engine is replaced: the world carries out what it decides, as a pass does, and tells it what came of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.model.analysis import AnalysisTemplate
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.reading import Bucket, Counts, ProxyReading, Reading, SubsetReading
from reconciler.model.rollout import Phase, Rollout, RolloutStatus
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.engine import Turn, turn
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.evidence_plain import from_plain, to_plain
from reconciler.rollouts.facts import Answer, Facts, Touched, Verified
from reconciler.rollouts.queries import Query, queries

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
KEY = Key("default", "reviews")
WEB = Key("default", "web")
API = Key("default", "api")
FAST: Bucket = (10.0, 11.0)
SLOW: Bucket = (1000.0, 1100.0)


def rollout(**spec: Any) -> Rollout:
    """A rollout from v1 to v2, with fields in YAML's spelling."""
    target = {"virtualService": {"name": "reviews"}}
    return Rollout.model_validate_json(json.dumps({"target": target, "stable": "v1", "canary": "v2", **spec}))


def policy(spec: Rollout, status: RolloutStatus | None = None) -> Policy[Rollout]:
    return Policy(kind="Rollout", key=KEY, spec=spec, origin=Origin("policies/r.yaml", 1), status=status)


def template(
    name: str, *metrics: Mapping[str, Any], args: Sequence[Mapping[str, str]] = ()
) -> Policy[AnalysisTemplate]:
    spec = AnalysisTemplate.model_validate_json(json.dumps({"metrics": metrics, "args": args}))
    return Policy(kind="AnalysisTemplate", key=Key("default", name), spec=spec, origin=Origin("policies/t.yaml", 1))


@dataclass
class Caller:
    """A proxy that calls: what it has counted since it started."""

    epoch: str = "1"
    canary: Counts = field(default_factory=Counts)
    stable: Counts = field(default_factory=Counts)
    healthy: int = 1
    stable_healthy: int = 1

    def serve(
        self, canary: int = 0, errors: int = 0, *, stable: int = 0, stable_errors: int = 0, bucket: Bucket = FAST
    ) -> None:
        """Count requests, all of one time at the canary."""
        self.canary = self.canary.plus(_counts(canary, errors, bucket))
        self.stable = self.stable.plus(_counts(stable, stable_errors, FAST))

    def restart(self) -> None:
        self.epoch, self.canary, self.stable = f"{self.epoch}'", Counts(), Counts()

    def reading(self) -> ProxyReading:
        return ProxyReading(
            epoch=self.epoch,
            canary=SubsetReading(counts=self.canary, healthy=self.healthy),
            stable=SubsetReading(counts=self.stable, healthy=self.stable_healthy),
        )


def _counts(requests: int, errors: int, bucket: Bucket) -> Counts:
    return Counts(requests=requests, errors=errors, times={bucket: requests} if requests else {})


@dataclass
class World:
    """Everything around the engine.

    Attributes:
        carry_out: Whether decisions become commits; a protected `main` doesn't let them.
        kept: Evidence as last recorded, as plain values.
        log: Decisions that were carried out.
    """

    spec: Rollout
    templates: tuple[Policy[AnalysisTemplate], ...] = ()
    status: RolloutStatus | None = None
    weight: float = 0.0
    even: bool = True
    stranded: str = ""
    now: datetime = START
    callers: dict[Key, Caller] = field(default_factory=lambda: {WEB: Caller()})
    unread: set[Key] = field(default_factory=set)
    laggards: dict[Key, str] = field(default_factory=dict)
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Query] = field(default_factory=list)
    touched: tuple[Touched, ...] = ()
    resumed: bool = False
    applied: bool = True
    reads: bool = True
    carry_out: bool = True
    evidence: Evidence | None = None
    kept: str | None = None
    log: list[Decision] = field(default_factory=list)
    turns: list[Turn] = field(default_factory=list)

    @property
    def course(self) -> Course:
        mesh = Mesh(rollouts=(policy(self.spec, self.status),), analysis_templates=self.templates)
        return course_of(mesh, mesh.rollouts[0])

    def phase(self) -> Phase:
        return self.course.status.phase

    @property
    def step(self) -> int:
        return self.course.status.step

    @property
    def reason(self) -> str:
        return self.course.status.reason

    def facts(self) -> Facts:
        reading = Reading(
            at=self.now,
            proxies={key: caller.reading() for key, caller in self.callers.items() if key not in self.unread},
            unread=dict.fromkeys(self.unread & set(self.callers), "connection refused"),
        )
        return Facts(
            now=self.now,
            weight=self.weight,
            even=self.even,
            stranded=self.stranded,
            verified=Verified(scope=frozenset(self.callers), laggards=dict(self.laggards)),
            reading=reading if self.reads else None,
            answers=self.answers,
            touched=self.touched,
            resumed=self.resumed,
            applied=self.applied,
        )

    def turn(self) -> Decision:
        """One pass: ask, turn, commit, record."""
        course = self.course
        self.asked = list(queries(course, self.evidence, self.now))
        found = turn(course, self.evidence, self.facts())
        self.touched, self.resumed = (), False
        self.turns.append(found)
        self.evidence = found.evidence
        if found.keep:
            self.kept = json.dumps(to_plain(found.evidence), allow_nan=False)
        decision = found.decision
        if decision.commits and self.carry_out:
            self.commit(decision)
        return decision

    def commit(self, decision: Decision) -> None:
        self.log.append(decision)
        self.status = decision.status
        if decision.weight is not None:
            self.weight, self.even = decision.weight, True

    def pass_time(self, **duration: float) -> None:
        self.now += timedelta(**duration)

    def settle(self, most: int = 40) -> Decision:
        """Turn until nothing more happens at this time."""
        for _ in range(most):
            decision = self.turn()
            if not decision.commits and (decision.due is None or decision.due > self.now):
                return decision
        raise AssertionError(f"still {decision.move} after {most} turns: {decision.reason}")

    def restart(self) -> None:
        """The daemon stops and comes back with what it had recorded in time."""
        if self.evidence is not None:
            self.evidence = from_plain(json.loads(json.dumps(to_plain(self.evidence), allow_nan=False)))

    def crash(self) -> None:
        """The daemon is killed, and comes back with what had to be recorded."""
        self.evidence = None if self.kept is None else from_plain(json.loads(self.kept))

    def edit(self, **spec: Any) -> None:
        """A person edits the spec: fields in YAML's spelling."""
        change = rollout(**spec)
        said = change.model_fields_set - ({"target", "stable", "canary"} - set(spec))
        self.spec = self.spec.model_copy(update={name: getattr(change, name) for name in said})

    def resume(self) -> None:
        """A person resumes a paused run, where it is."""
        assert self.status is not None
        self.status = self.status.model_copy(
            update={"phase": Phase.PROGRESSING, "reason": "", "steps": self.course.digest}
        )
        self.weight, self.even = self.course.weight_at(self.status.step), True
        self.resumed = True

    def moves(self) -> list[Move]:
        return [decision.move for decision in self.log]

    def weights(self) -> list[float]:
        return [decision.weight for decision in self.log if decision.weight is not None]


def touched(what: str = "moved the weight of reviews") -> Touched:
    return Touched(commit="0123456789abcdef", author="Ann", subject="Take v2 back", what=what)


def without(items: Mapping[Key, Caller], key: Key) -> dict[Key, Caller]:
    return {name: replace(caller) for name, caller in items.items() if name != key}
