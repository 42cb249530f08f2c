"""What happens next to a rollout, and when, for who reads it: from what `main` and the evidence say. Pure; it decides nothing.

The engine decides in a pass, with what proxies say then; this is the same table read without them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.model.rollout import Phase
from reconciler.rollouts.axes import number
from reconciler.rollouts.chronicle import described
from reconciler.rollouts.course import Course, Planned, same_weight
from reconciler.rollouts.evidence import Evidence, Running
from reconciler.rollouts.resuming import resumption


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What comes next.

    Attributes:
        words: As a phrase: `step 4/6 (setWeight 50)`.
        due: Not before; None if it may be at once, or depends on people, proxies or traffic.
        verb: The verb of `reconcile rollout` by which a person goes on; "" if nobody has to.
    """

    words: str
    due: datetime | None = None
    verb: str = ""


def outlook(course: Course, evidence: Evidence | None, *, weight: float | None = None) -> Outlook:
    """What comes next.

    Args:
        course: The rollout as `main` has it.
        evidence: As last recorded; that of another run counts as none.
        weight: Percent that `main` gives the canary; None if that is not known.
    """
    run = course.status.run or course.spec.run_name
    known = evidence if evidence is not None and evidence.run == run else None
    if course.starts and not course.spec.abort:
        return Outlook(words=_beginning(course))
    return _standing(course, known, weight) or _walking(course, known)


def _beginning(course: Course) -> str:
    """Of a run that the spec asks for."""
    spec = course.spec
    if spec.paused:
        return f"the run {spec.run_name} does not begin while spec.paused is set"
    if course.status.run and spec.step:
        return f"the run {spec.run_name} begins when spec.step is 0 or gone: it is {spec.step}, which was meant for another run"
    return f"the run {spec.run_name} begins, with {spec.canary} at {number(course.weight_at(0))}%"


def _standing(course: Course, evidence: Evidence | None, weight: float | None) -> Outlook | None:
    """Of a run that does not walk, or is about to stop; None for one that walks."""
    spec, phase = course.spec, course.status.phase
    if phase.ended:
        return Outlook(words="nothing: the run has ended", verb="retry" if phase is Phase.ABORTED else "")
    if evidence is not None and evidence.aborted is not None:
        return Outlook(words="the abort is in force; the policy branch follows as soon as it can be moved")
    if spec.abort:
        return Outlook(words=f"the run is aborted: {spec.stable} gets all traffic")
    if phase is Phase.PAUSED:
        return Outlook(words=f"a person has to look{_resuming(course, weight)}", verb="resume")
    return Outlook(words="the run is paused, as spec.paused asks") if spec.paused else None


def _resuming(course: Course, weight: float | None) -> str:
    """What resuming does to the traffic, where it moves any."""
    if weight is None:
        return ""
    status, then = resumption(course, weight)
    if same_weight(then, weight):
        return ""
    return (
        f"; resuming sets {course.spec.canary} from {number(weight)}% to {number(then)}%, {_place(course, status.step)}"
    )


def _walking(course: Course, evidence: Evidence | None) -> Outlook:
    index = course.status.step
    if evidence is None or evidence.step != index:
        return Outlook(words=f"{_place(course, index)} has to be live on every proxy")
    if evidence.verified is None:
        due = evidence.entered + timedelta(seconds=course.spec.progress_deadline_seconds)
        return Outlook(words=f"{_place(course, index)} has to be live on every proxy, or the run is paused", due=due)
    if index >= len(course.steps):
        words = "the run succeeds" if course.post is None else "the analysis after the last step has to pass"
        return Outlook(words=words, due=None if course.post is None else _measures(course.post, evidence))
    following = _place(course, index + 1)
    if course.spec.step is not None and course.spec.step > index:
        return Outlook(words=f"{following}, as spec.step asks")
    return _verified(course, evidence, evidence.verified, following)


def _verified(course: Course, evidence: Evidence, since: datetime, following: str) -> Outlook:
    """Of a step that is live everywhere."""
    step = course.steps[evidence.step]
    if step.pause is not None and step.pause.duration is None:
        return Outlook(words="a person has to promote it", verb="promote")
    if step.pause is not None and step.pause.duration is not None:
        return Outlook(words=following, due=since + step.pause.duration)
    if step.analysis is not None:
        planned = course.analyses.get(evidence.step)
        due = _measures(planned, evidence) if planned is not None else None
        return Outlook(words=f"the analysis has to pass, then {following}", due=due)
    return Outlook(words=following)


def _place(course: Course, index: int) -> str:
    total = len(course.steps)
    if index >= total:
        return "the end" if course.post is None else "the analysis after the last step"
    return f"step {index + 1}/{total} ({described(course.steps[index])})"


def _measures(planned: Planned, evidence: Evidence) -> datetime | None:
    """When the next measurement of an analysis falls due; None before it has begun."""
    running = evidence.analyses.get(planned.id)
    return min(_due(planned, running), default=None) if running is not None else None


def _due(planned: Planned, running: Running) -> Iterator[datetime]:
    for metric in planned.metrics:
        measured = running.metrics.get(metric.name)
        if measured is not None and (metric.count is None or measured.taken < metric.count):
            first = metric.spec.initial_delay if not measured.begun else timedelta()
            yield measured.since + max(metric.interval, first)
