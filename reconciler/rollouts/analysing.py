"""Analysing: which analyses run, what they are fed, and what they say together. The middle of a turn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from reconciler.model.key import Key
from reconciler.model.rollout import Phase
from reconciler.rollouts.counting import Came, added, besides
from reconciler.rollouts.course import BACKGROUND, Course, Planned
from reconciler.rollouts.evidence import Evidence, Measured, Outcome, Running
from reconciler.rollouts.facts import Answer, Facts
from reconciler.rollouts.judgement import broken, doubtful, due_at, finished, fresh, measure
from reconciler.rollouts.metric import Metric

_SHORTEST_LOOK = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Taking:
    """One metric that is being measured.

    Attributes:
        rollout: Of which rollout.
        planned: Of which analysis.
        metric: What is measured.
        measured: How far it is.
    """

    rollout: Key
    planned: Planned
    metric: Metric
    measured: Measured

    @property
    def id(self) -> str:
        """Under which its answers are handed in: `<namespace>/<rollout>/<analysis>/<metric>`, of which there is one in a mesh."""
        return f"{self.rollout}/{self.planned.id}/{self.metric.name}"


def current(course: Course, evidence: Evidence) -> tuple[Planned, ...]:
    """Analyses that may measure now: the background's while the run is not over, a step's own while it walks and is live."""
    if evidence.phase not in {Phase.PROGRESSING, Phase.PAUSED}:
        return ()
    planned = course.planned_at(course.status.step)
    walks = evidence.phase is Phase.PROGRESSING and evidence.verified is not None
    return tuple(item for item in planned if walks or (item.id == BACKGROUND and item.id in evidence.analyses))


def takings(course: Course, evidence: Evidence) -> Iterator[Taking]:
    """All metrics of analyses that have begun and may measure now, the finished ones too, in order."""
    for planned in current(course, evidence):
        running = evidence.analyses.get(planned.id)
        for metric in planned.metrics if running is not None else ():
            if running is not None and metric.name in running.metrics:
                yield Taking(course.key, planned, metric, running.metrics[metric.name])


def fed(course: Course, evidence: Evidence, came: Came, *, noticed: bool) -> Evidence:
    """Windows and comparisons with what callers counted since the last turn.

    A step that `main` has only now come to, or gone on with, gets nothing of it: that was before.
    """
    new = {
        (item.planned.id, item.metric.name): added(item.metric, item.measured, came)
        for item in takings(course, evidence)
        if item.metric.spec.envoy is not None
        and not finished(item.metric, item.measured)
        and (item.planned.id == BACKGROUND or not noticed)
    }
    return _with(evidence, new)


def begun(course: Course, evidence: Evidence, now: datetime) -> Evidence:
    """Analyses whose time has come begin; those of a step that was done anew begin anew when it is live."""
    analyses = dict(evidence.analyses)
    for planned in current(course, evidence):
        running = analyses.get(planned.id)
        if running is None:
            running = Running(started=now)
        elif planned.id != BACKGROUND and evidence.verified is not None and running.started < evidence.verified:
            running = _anew(running, now)
        known = running.metrics
        metrics = {metric.name: known.get(metric.name) or fresh(metric, now) for metric in planned.metrics}
        analyses[planned.id] = replace(running, metrics=MappingProxyType(metrics))
    return replace(evidence, analyses=MappingProxyType(analyses))


def _anew(running: Running, now: datetime) -> Running:
    metrics = {name: Measured(since=now, comparison=item.comparison) for name, item in running.metrics.items()}
    return Running(started=now, metrics=MappingProxyType(metrics))


def judged(course: Course, evidence: Evidence, facts: Facts) -> Evidence:
    """Measurements that are due are taken, and analyses that are done and good say so."""
    new = {
        (item.planned.id, item.metric.name): _judged(course, item, facts.now, facts.answers)
        for item in takings(course, evidence)
    }
    found = _with(evidence, new)
    analyses = dict(found.analyses)
    for planned in current(course, found):
        running = analyses[planned.id]
        analyses[planned.id] = replace(running, passed=all(_good(metric, running) for metric in planned.metrics))
    return replace(found, analyses=MappingProxyType(analyses))


def _judged(course: Course, item: Taking, now: datetime, answers: Mapping[str, Answer]) -> Measured:
    found = measure(item.metric, item.measured, now, answers.get(item.id))
    if found.waiting and item.metric.spec.compares and besides(course):
        return replace(
            found, waiting=f"{found.waiting}; nothing is compared while a header or mirror route is in force"
        )
    return found


def _good(metric: Metric, running: Running) -> bool:
    measured = running.metrics[metric.name]
    return finished(metric, measured) and not broken(metric, measured) and not doubtful(metric, measured)


def _with(evidence: Evidence, new: Mapping[tuple[str, str], Measured]) -> Evidence:
    if not new:
        return evidence
    analyses = dict(evidence.analyses)
    for (analysis, name), measured in new.items():
        metrics = {**analyses[analysis].metrics, name: measured}
        analyses[analysis] = replace(analyses[analysis], metrics=MappingProxyType(metrics))
    return replace(evidence, analyses=MappingProxyType(analyses))


def failure(course: Course, evidence: Evidence) -> str:
    """Why evidence aborts the run; "" if it doesn't."""
    found = ((item.metric, broken(item.metric, item.measured)) for item in takings(course, evidence))
    return next((f"{metric.name} failed: {why}" for metric, why in found if why), "")


def doubt(course: Course, evidence: Evidence) -> str:
    """Why a person has to look at what was measured; "" if nobody has."""
    found = ((item.metric, doubtful(item.metric, item.measured)) for item in takings(course, evidence))
    return next((f"{metric.name}: {why}" for metric, why in found if why), "")


def beside(course: Course, evidence: Evidence) -> str:
    """What in the background holds the run: a metric whose last measurement failed or had no answer; "" if nothing does."""
    for item in takings(course, evidence):
        held = item.measured.outcome in {Outcome.FAIL, Outcome.ERROR}
        if item.planned.id == BACKGROUND and held and not finished(item.metric, item.measured):
            return f"{item.metric.name}: {item.measured.detail}"
    return ""


def unmeasured(course: Course, evidence: Evidence) -> str:
    """What in the background has never said anything, without which nothing has succeeded; "" if all has."""
    for item in takings(course, evidence):
        if item.planned.id == BACKGROUND and not item.measured.taken:
            return waits(item)
    return ""


def uncompared(course: Course, evidence: Evidence) -> str:
    """What in the background was to be compared with stable and never was; "" if all was."""
    for item in takings(course, evidence):
        if item.planned.id == BACKGROUND and item.metric.spec.compares and not item.measured.taken:
            return waits(item)
    return ""


def pending(planned: Planned, course: Course, evidence: Evidence) -> str:
    """What an analysis still waits for; "" if it has not begun."""
    for item in takings(course, evidence):
        if item.planned.id == planned.id and not finished(item.metric, item.measured):
            return waits(item)
    return ""


def waits(item: Taking) -> str:
    """What one metric waits for: `golden/request-success-rate: 37 of 100 requests`."""
    measured, count = item.measured, item.metric.count
    if measured.waiting:
        return f"{item.metric.name}: {measured.waiting}"
    if measured.outcome in {Outcome.ERROR, Outcome.INCONCLUSIVE}:
        return f"{item.metric.name}: {measured.detail}"
    return f"{item.metric.name}: measurement {measured.taken + 1}" + (f" of {count}" if count is not None else "")


def said(course: Course, evidence: Evidence) -> tuple[str, ...]:
    """The last measurement of each metric, a line each."""
    return tuple(
        f"{item.metric.name}: {item.measured.detail}" for item in takings(course, evidence) if item.measured.detail
    )


def need(planned: Planned, *, once: bool = False) -> timedelta:
    """How long an analysis takes if nothing holds it up; or the first measurement of each metric."""
    times = (
        metric.spec.initial_delay + metric.interval * (1 if once or metric.count is None else metric.count)
        for metric in planned.metrics
    )
    return max(times, default=timedelta())


def next_due(course: Course, evidence: Evidence, now: datetime, look: timedelta) -> datetime | None:
    """When a measurement is due, or counters have to be looked at again; None if nothing is measured.

    Args:
        course: The rollout.
        evidence: What is known of it.
        now: Wall time, UTC.
        look: How long something that may change at any time is left alone; a metric with a shorter interval is looked at as often
            as it is measured.
    """
    times = [
        _due(item.metric, item.measured, now, _look(item.metric, look))
        for item in takings(course, evidence)
        if not finished(item.metric, item.measured)
    ]
    return min(times, default=None)


def _due(metric: Metric, measured: Measured, now: datetime, look: timedelta) -> datetime:
    due = due_at(metric, measured)
    if due <= now:
        return now + look  # what is due already waits: for traffic, or an answer
    return due if metric.spec.envoy is None else min(due, now + look)


def _look(metric: Metric, longest: timedelta) -> timedelta:
    return max(_SHORTEST_LOOK, min(longest, metric.interval)) if metric.interval else longest
