"""Deciding: from what is known to the one thing that happens now. Last but one in a turn; counts and measures nothing.

The order is the law: an abort before everything, people before evidence, gates before weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.analysing import next_due, said
from reconciler.rollouts.course import WEIGHT_TOLERANCE, Course, same_weight
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.facts import Facts
from reconciler.rollouts.following import taken_back
from reconciler.rollouts.gates import moves, not_live, unhealthy
from reconciler.rollouts.judgement import RETRY
from reconciler.rollouts.pausing import why_pause
from reconciler.rollouts.resuming import resumption
from reconciler.rollouts.walking import Wait, last, waits_for, why_done
from reconciler.rollouts.wording import points

PAUSED_BY_SPEC = "spec.paused is set"
"""The one reason for a pause that the engine ends by itself: when it no longer holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """All that a decision is made from.

    Attributes:
        course: The rollout.
        evidence: What is known, this turn's facts included.
        facts: The world now.
        noticed: Whether `main` says something that has yet to be recorded: then nothing goes forward.
    """

    course: Course
    evidence: Evidence
    facts: Facts
    noticed: bool


def decide(at: Situation) -> Decision:
    """What happens now."""
    phase, aborted = at.course.status.phase, at.evidence.aborted
    if taken_back(at.course, at.evidence):
        return _taken_back(at)
    if aborted is not None and phase is not Phase.ABORTED:
        status = at.course.status.model_copy(update={"phase": Phase.ABORTED, "reason": aborted.reason})
        return _moves(at, Move.ABORT, status, weight=0.0, reason=aborted.reason, measured=aborted.measured)
    if at.course.starts:
        return _start(at)
    match phase:
        case Phase.PAUSED:
            return _paused(at)
        case Phase.PROGRESSING:
            return _progressing(at)
        case _:
            return _hold(at, at.course.status.reason)


def _taken_back(at: Situation) -> Decision:
    """A run that had begun waits for a person where `main` no longer says so; one that was aborted stays aborted."""
    course, evidence = at.course, at.evidence
    if not at.facts.applied:
        return _hold(at, "the head of main can't be applied", due=_soon(at))
    status = RolloutStatus(phase=Phase.PAUSED, run=evidence.run, steps=course.digest, reason=evidence.pausing)
    if evidence.aborted is None:
        return _moves(at, Move.PAUSE, status, reason=evidence.pausing)
    reason, measured = evidence.aborted.reason, evidence.aborted.measured
    status = status.model_copy(update={"phase": Phase.ABORTED, "reason": reason})
    return _moves(at, Move.ABORT, status, weight=0.0, reason=reason, measured=measured)


def _start(at: Situation) -> Decision:
    """Begin the run that the spec asks for, unless the canary has more than its first step gives it."""
    course, facts = at.course, at.facts
    spec, weight = course.spec, course.weight_at(0)
    status = RolloutStatus(phase=Phase.PROGRESSING, step=0, run=spec.run_name, steps=course.digest)
    if spec.abort or spec.paused:
        return _hold(
            at, f"{'spec.abort' if spec.abort else PAUSED_BY_SPEC.removesuffix(' is set')} is set, so no run begins"
        )
    if course.status.run and spec.step:
        return _hold(at, f"spec.step is {spec.step}, which was meant for another run: remove it, or set it to 0")
    if not facts.applied:
        return _hold(at, "the head of main can't be applied", due=_soon(at))
    if reason := _unready(at, weight):
        return _moves(
            at, Move.PAUSE, status.model_copy(update={"phase": Phase.PAUSED, "reason": reason}), reason=reason
        )
    if held := _held(at, 0):
        return _gated(at, held)
    return _moves(at, Move.START, status, weight=weight, reason=f"run {spec.run_name} begins")


def _unready(at: Situation, weight: float) -> str:
    """Why the split is not one that a run may begin with; "" if it is."""
    course, facts = at.course, at.facts
    if not facts.even or facts.weight > weight + WEIGHT_TOLERANCE:
        has = points(facts.weight) if facts.even else "not the same on all routes"
        return f"{course.spec.canary} already has more than the first step's {points(weight)}: {has}"
    if facts.stranded:
        return f"{facts.stranded} from the run {course.status.run}, which had not ended: take that away, then resume"
    return ""


def _paused(at: Situation) -> Decision:
    course, facts = at.course, at.facts
    if course.status.reason != PAUSED_BY_SPEC or course.spec.paused:
        return _hold(at, course.status.reason, due=_next(at))
    if not facts.applied or at.noticed:
        return _hold(at, "spec.paused is gone", due=_soon(at) if not at.noticed else facts.now)
    status, weight = resumption(course, facts.weight)
    if held := _held(at, status.step):
        return _gated(at, held)
    return _moves(at, Move.RESUME, status, weight=weight, reason="spec.paused is gone")


def _progressing(at: Situation) -> Decision:
    course, evidence, facts = at.course, at.evidence, at.facts
    if facts.applied and (reason := _must_pause(at)):
        status = course.status.model_copy(update={"phase": Phase.PAUSED, "reason": reason})
        return _moves(at, Move.PAUSE, status, reason=reason, measured=said(course, evidence))
    wait = _waits(at)
    if wait is not None:
        return _hold(at, wait.reason, due=wait.until)
    step = course.status.step + 1
    weight = course.weight_at(step)
    if held := _held(at, step):
        return _gated(at, held)
    reason, measured = why_done(course), said(course, evidence)
    if last(course):
        status = course.status.model_copy(update={"phase": Phase.SUCCEEDED, "step": len(course.steps)})
        return _moves(at, Move.FINISH, status, weight=weight, reason=reason, measured=measured)
    status = course.status.model_copy(update={"step": step})
    return _moves(at, Move.ADVANCE, status, weight=weight, reason=reason, measured=measured)


def _must_pause(at: Situation) -> str:
    course, evidence, facts = at.course, at.evidence, at.facts
    status = course.status
    if evidence.pausing:
        return evidence.pausing
    if course.spec.paused:
        return PAUSED_BY_SPEC
    if status.steps != course.digest:
        return "the steps were edited while the run walks them"
    weight = course.weight_at(status.step)
    if not facts.even:
        return f"the target's routes do not give {course.spec.canary} the same weight"
    if not same_weight(facts.weight, weight):
        return f"main gives {course.spec.canary} {points(facts.weight)}, and step {status.step + 1} {points(weight)}"
    return why_pause(course, evidence, facts)


def _waits(at: Situation) -> Wait | None:
    """What the step waits for; at the latest it is looked at again when a measurement or a deadline is due."""
    if reason := not_live(at.course, at.facts):
        return Wait(reason=reason, until=_soon(at))
    wait = waits_for(at.course, at.evidence, at.facts)
    if at.noticed or at.evidence.verified is None:
        reason = wait.reason if wait is not None else f"step {at.course.status.step + 1} was reached"
        return Wait(reason=reason, until=at.facts.now)
    if wait is None:
        return None
    times = [time for time in (wait.until, _next(at)) if time is not None]
    return Wait(reason=wait.reason, until=min(times, default=None))


def _held(at: Situation, step: int) -> str:
    """What keeps requests from being moved to where a step would have them: whoever gets more has to be live and healthy.

    And it must be a time for changes.
    """
    if at.facts.held:
        return at.facts.held
    if not moves(at.course, at.facts, step):
        return ""
    return not_live(at.course, at.facts) or unhealthy(at.course, at.facts, step)


def _gated(at: Situation, reason: str) -> Decision:
    if at.facts.held:
        return replace(_hold(at, reason, due=at.facts.held_until), held=True)
    return replace(_hold(at, reason, due=_soon(at)), unhealthy=not not_live(at.course, at.facts))


def _next(at: Situation) -> datetime | None:
    return next_due(at.course, at.evidence, at.facts.now, RETRY)


def _soon(at: Situation) -> datetime:
    return at.facts.now + RETRY


def _hold(at: Situation, reason: str, *, due: datetime | None = None) -> Decision:
    status = at.course.status
    return Decision(
        rollout=at.course.key,
        move=Move.HOLD,
        before=status,
        status=status,
        reason=reason,
        measured=said(at.course, at.evidence),
        due=due,
    )


def _moves(
    at: Situation,
    move: Move,
    status: RolloutStatus,
    *,
    weight: float | None = None,
    reason: str,
    measured: tuple[str, ...] = (),
) -> Decision:
    return Decision(
        rollout=at.course.key,
        move=move,
        before=at.course.status,
        status=status,
        weight=weight,
        reason=reason,
        measured=measured,
        due=at.facts.now,
    )
