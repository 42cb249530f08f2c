"""Walking: whether a step that is live has done what it is for, and what it waits for if not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.clock import format_duration
from reconciler.model.rollout import Pause
from reconciler.rollouts.analysing import beside, need, pending, uncompared, unmeasured
from reconciler.rollouts.counting import FULL
from reconciler.rollouts.course import Course, Planned
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.facts import Facts
from reconciler.rollouts.wording import points


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """What a step waits for.

    Attributes:
        reason: In words.
        until: When it may be over, UTC; None if no time ends it.
    """

    reason: str
    until: datetime | None = None


def promoted(course: Course) -> bool:
    """Whether `spec.step` asks for a step beyond this one, whatever this one waits for."""
    return course.spec.step is not None and course.spec.step > course.status.step


def full(course: Course) -> bool:
    """Whether `spec.step` asks for all steps."""
    return course.spec.step is not None and course.spec.step >= len(course.steps)


def last(course: Course) -> bool:
    """Whether nothing comes after what the run is at."""
    step = course.status.step
    return step >= len(course.steps) or (step == len(course.steps) - 1 and course.post is None)


def parts(course: Course) -> bool:
    """Whether the next step leaves nothing to compare the canary with."""
    now, then = (course.weight_at(index) for index in (course.status.step, course.status.step + 1))
    return 0 < now < FULL <= then


def own(course: Course) -> Planned | None:
    """The analysis that the step itself is, or the one after all steps."""
    step = course.status.step
    return course.post if step >= len(course.steps) else course.analyses.get(step)


def waits_for(course: Course, evidence: Evidence, facts: Facts) -> Wait | None:
    """What a step that is live still waits for; None if it is done."""
    if not promoted(course):
        wait = _step(course, evidence, facts)
        if wait is not None:
            return wait
        if reason := beside(course, evidence):
            return Wait(reason=f"held by {reason}")
        if parts(course) and (reason := uncompared(course, evidence)):
            return Wait(reason=f"stable is let go only once compared: {reason}", until=deadline(course, evidence))
    if last(course) and not full(course) and (reason := unmeasured(course, evidence)):
        return Wait(reason=f"nothing succeeds unmeasured: {reason}", until=deadline(course, evidence))
    return None


def _step(course: Course, evidence: Evidence, facts: Facts) -> Wait | None:
    analysis = own(course)
    if analysis is not None:
        running = evidence.analyses.get(analysis.id)
        if running is not None and running.passed:
            return None
        reason = pending(analysis, course, evidence) or f"{analysis.id} begins"
        return Wait(reason=reason, until=deadline(course, evidence))
    pause = pause_of(course)
    if pause is None:
        return None
    if pause.duration is None:
        return Wait(reason=f"waits for a person; spec.step: {course.status.step + 1} promotes it")
    end = (evidence.verified or facts.now) + pause.duration
    return Wait(reason=f"pauses for {format_duration(pause.duration)}", until=end) if end > facts.now else None


def pause_of(course: Course) -> Pause | None:
    """The pause that the step is."""
    return course.steps[course.status.step].pause if course.status.step < len(course.steps) else None


def deadline(course: Course, evidence: Evidence) -> datetime | None:
    """When an analysis without which the run does not go on has taken too long; None if it waits for none."""
    limit = course.progress_deadline
    if evidence.verified is None:
        return evidence.entered + limit
    analysis = own(course)
    if analysis is not None and not promoted(course):
        running = evidence.analyses.get(analysis.id)
        if running is None or not running.passed:
            return evidence.verified + need(analysis) + limit
    waited = _waited(course)
    if parts(course) and not promoted(course) and waited is not None and uncompared(course, evidence):
        return evidence.verified + waited + limit
    if last(course) and not full(course) and course.background is not None and unmeasured(course, evidence):
        return evidence.verified + need(course.background, once=True) + limit
    return None


def _waited(course: Course) -> timedelta | None:
    """What a step and the first measurements beside it need; None for a pause that only a person ends."""
    pause = pause_of(course)
    if pause is not None and pause.duration is None:
        return None
    beside_it = need(course.background, once=True) if course.background is not None else timedelta()
    return max(beside_it, pause.duration or timedelta()) if pause is not None else beside_it


def why_done(course: Course) -> str:
    """Why the run goes on from the step that it is at."""
    if promoted(course):
        return f"promoted by spec.step: {course.spec.step}"
    if own(course) is not None:
        return "the analysis passed"
    pause = pause_of(course)
    if pause is not None and pause.duration is not None:
        return f"paused for {format_duration(pause.duration)}"
    return f"{points(course.weight_at(course.status.step))} is live"
