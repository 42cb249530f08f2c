"""The commit message of a decision: a pure function of it. Words of others are escaped and bounded, and never become trailers."""

from __future__ import annotations

from reconciler.clock import format_duration
from reconciler.model.rollout import Step
from reconciler.rollouts.course import Course
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.wording import points
from reconciler.rollouts.words import visible

ROLLOUT = "Rollout"
STEP = "Rollout-Step"
DECISION = "Rollout-Decision"

_NAME = 80
_LINE = 300
_SHOWN = 30


def message(decision: Decision, course: Course) -> str:
    """Subject, why, the measured values, and the trailers `Rollout`, `Rollout-Step` and `Rollout-Decision` at the end."""
    at = f"{position(decision.status.step, course)}/{len(course.steps)}"
    lines = [f"canary({visible(course.key.short(), _NAME)}): {_subject(decision, course, at)}"]
    if reason := visible(decision.reason, _LINE):
        lines += ["", f"{_sentence(reason)}."]
    if decision.measured:
        lines += ["", *(f"    {visible(line, _LINE)}" for line in decision.measured[:_SHOWN])]
        more = len(decision.measured) - _SHOWN
        lines += [f"    and {more} more"] if more > 0 else []
    lines += ["", f"{ROLLOUT}: {visible(str(course.key), _LINE)}", f"{STEP}: {at}", f"{DECISION}: {decision.move}", ""]
    return "\n".join(lines)


def _sentence(reason: str) -> str:
    """With a capital letter, unless it begins with a name, such as a metric's or a field's."""
    return reason[0].upper() + reason[1:] if reason.partition(" ")[0].isalpha() else reason


def position(step: int, course: Course) -> int:
    """A step as people count, from 1; the last one once all are done."""
    return min(step + 1, len(course.steps))


def _subject(decision: Decision, course: Course, at: str) -> str:
    canary, weight = visible(course.spec.canary, _NAME), points(decision.weight or 0.0)
    match decision.move:
        case Move.START:
            what = f"start {canary} at {weight}"
        case Move.ADVANCE:
            what = f"{canary} {_advance(decision, course, weight)}"
        case Move.RESUME:
            what = f"resume {canary} at {weight}"
        case Move.FINISH:
            what = f"{canary} has all traffic, succeeded"
        case Move.ABORT:
            what = f"abort, {canary} back to {weight}"
        case _:
            what = f"{decision.move} {canary}"
    return f"{what} (step {at})"


def _advance(decision: Decision, course: Course, weight: str) -> str:
    before = course.weight_at(decision.before.step)
    if decision.weight is not None and before != decision.weight:
        return f"{points(before)} -> {weight}"
    if decision.status.step >= len(course.steps):
        return f"at {weight}, last analysis"
    return f"at {weight}, {_does(course.steps[decision.status.step])}"


def _does(step: Step) -> str:
    """A step that moves no weight, in a word or two."""
    if step.pause is not None:
        return "pause" if step.pause.duration is None else f"pause {format_duration(step.pause.duration)}"
    if step.set_header_route is not None:
        return f"header route {visible(step.set_header_route.name, _NAME)}"
    if step.set_mirror_route is not None:
        return f"mirror {visible(step.set_mirror_route.name, _NAME)}"
    return "analysis" if step.analysis is not None else "the same weight"
