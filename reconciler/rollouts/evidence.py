"""Evidence: what a run has shown so far, everything that the engine remembers between two turns.

It goes to the record branch and comes back from there (`evidence_plain`), so that a new daemon goes on where the last one was.
Values only; `engine.turn` folds facts into it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from reconciler.model.key import Key
from reconciler.model.reading import Counts
from reconciler.model.rollout import Phase
from reconciler.rollouts.comparison import State

EMPTY: Mapping[Any, Any] = MappingProxyType({})


class Outcome(StrEnum):
    """What one measurement said.

    PASS and FAIL: good enough, or not. INCONCLUSIVE: there was an answer, and nothing follows from it. ERROR: there was none.
    """

    PASS = "pass"  # noqa: S105 -- a verdict
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"
    ERROR = "error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """How far one metric of a running analysis is.

    Attributes:
        since: When the current wait began: the analysis' start, or the last measurement.
        passed: Measurements that were good enough.
        failed: Measurements that were not.
        inconclusive: Measurements from which nothing followed.
        errors: Times in a row that there was no answer; counted up to one more than are put up with.
        canary: Requests in the window that the next measurement looks at.
        stable: Likewise.
        value: What was measured last; None before, and where there was no number.
        outcome: What it said; None before.
        detail: The last measurement in words: `success rate 94.1% < 99% (1,204 requests)`.
        waiting: What a measurement that is due waits for: `37 of 100 requests`; "" otherwise.
        comparison: What the comparison with stable has seen; None where nothing is compared.
    """

    since: datetime
    passed: int = 0
    failed: int = 0
    inconclusive: int = 0
    errors: int = 0
    canary: Counts = field(default_factory=Counts)
    stable: Counts = field(default_factory=Counts)
    value: float | None = None
    outcome: Outcome | None = None
    detail: str = ""
    waiting: str = ""
    comparison: State | None = None

    @property
    def taken(self) -> int:
        """Measurements that count: those that said yes or no."""
        return self.passed + self.failed

    @property
    def begun(self) -> bool:
        """Whether there was any measurement at all, one without an answer included."""
        return self.outcome is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One analysis that has begun; it stays here when it is done.

    Attributes:
        started: When it began.
        metrics: By name, see `Metric.name`.
        passed: Whether it is done and good; of one that goes on as long as the run, never.
    """

    started: datetime
    metrics: Mapping[str, Measured] = field(default_factory=lambda: EMPTY)
    passed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One caller's counters when they were last read.

    Attributes:
        epoch: The process that counted.
        canary: Cumulative; None without such a cluster.
        stable: Likewise.
        share: Percent that this caller was proven to give the canary, all the time since; None if that is not known.
    """

    epoch: str
    canary: Counts | None = None
    stable: Counts | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Aborted:
    """A run whose traffic goes to stable whatever `main` says.

    Attributes:
        reason: Why.
        at: Since when.
        measured: Measured values behind it, a line each.
    """

    reason: str
    at: datetime
    measured: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one run has shown.

    Attributes:
        run: Which run, see `RolloutStatus.run`.
        phase: What `main` said when the engine last looked.
        step: The step that it has reached.
        entered: When the engine first saw that step.
        verified: Since when that step is live on every proxy that has to have it; None before.
        timed: Whether the counters in `callers` have request times.
        callers: Counters as last read; none while nothing is measured.
        analyses: By `Planned.id`: those that run, and those that are done.
        aborted: Set from the moment of an abort until `main` says so and is applied.
        pausing: Why a person has to look, until `main` says so.
        seen: The commit of `main` up to which commits were told apart; kept by the pass.
        proposal: The open proposal of a step, where steps are proposed; kept by the pass.
        notified: What was last told to people; kept by who tells them.
        note: The last decision in words.
    """

    run: str
    phase: Phase
    step: int
    entered: datetime
    verified: datetime | None = None
    timed: bool = False
    callers: Mapping[Key, Seen] = field(default_factory=lambda: EMPTY)
    analyses: Mapping[str, Running] = field(default_factory=lambda: EMPTY)
    aborted: Aborted | None = None
    pausing: str = ""
    seen: str = ""
    proposal: Mapping[str, Any] = field(default_factory=lambda: EMPTY)
    notified: str = ""
    note: str = ""


def present(evidence: Evidence, now: datetime) -> Evidence:
    """The same, with every time that lies in the future counting as now: what an unsteady clock wrote down holds nothing up."""

    def measured(item: Measured) -> Measured:
        return replace(item, since=min(item.since, now))

    def running(item: Running) -> Running:
        metrics = MappingProxyType({name: measured(metric) for name, metric in item.metrics.items()})
        return replace(item, started=min(item.started, now), metrics=metrics)

    aborted = evidence.aborted
    return replace(
        evidence,
        entered=min(evidence.entered, now),
        verified=None if evidence.verified is None else min(evidence.verified, now),
        analyses=MappingProxyType({name: running(item) for name, item in evidence.analyses.items()}),
        aborted=None if aborted is None else replace(aborted, at=min(aborted.at, now)),
    )
