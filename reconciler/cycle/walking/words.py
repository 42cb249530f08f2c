"""What the stage says of rollouts: subjects of commits on the record branch, and notes for people. Pure."""

from __future__ import annotations

from reconciler.errors import Diagnostic, ReconcilerError, Severity
from reconciler.model.rollout import Phase
from reconciler.rollouts.course import Course
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.engine import Turn
from reconciler.rollouts.messages import message


def subject(course: Course, turned: Turn) -> str:
    """What a commit of evidence says first: where the run is, and what has been found out about it."""
    evidence, steps = turned.evidence, len(course.steps)
    at = f"step {min(evidence.step + 1, steps)}/{steps}"
    told = f", {turned.decision.reason}" if turned.decision.move is Move.HOLD and turned.decision.reason else ""
    match evidence.phase:
        case Phase.SUCCEEDED:
            return f"{course.key.short()} has succeeded"
        case Phase.ABORTED:
            return f"{course.key.short()} was aborted at {at}"
        case Phase.PAUSED:
            return f"{course.key.short()} is paused at {at}"
        case _:
            live = "verified" if evidence.verified is not None else "not live everywhere yet"
            return f"{course.key.short()} at {at}, {live}{told}"


def unhealthy(decision: Decision) -> tuple[Diagnostic, ...]:
    """What nobody else tells people: proxies that are late are named by the pass."""
    if not decision.unhealthy:
        return ()
    return (
        _waiting(
            f"{decision.rollout.short()}: no weight is moved: {decision.reason}",
            "look at the subset's endpoints; it goes on when every proxy sees a healthy one",
        ),
    )


def held(decision: Decision) -> tuple[Diagnostic, ...]:
    """What would be done at another time."""
    if not decision.held:
        return ()
    return (
        _waiting(
            f"{decision.rollout.short()}: it stays where it is: {decision.reason}",
            "it goes on by itself when that ends; an abort is not held",
        ),
    )


def unsecured(decision: Decision, error: ReconcilerError) -> Diagnostic:
    """An abort can't be recorded, so it is not carried out."""
    return _waiting(
        f"{decision.rollout.short()}: its abort waits, because it can't be recorded: {error.message}",
        error.diagnostics[0].hint or "it is tried again in the next pass",
    )


def due(course: Course, decision: Decision) -> Diagnostic:
    """A dry run does not take a step, and what that moves is in no plan yet."""
    first = message(decision, course).partition("\n")[0]
    return Diagnostic(
        code="rollout-due",
        message=f"the next pass commits a step that this plan does not have: {first}",
        severity=Severity.WARNING,
        hint=f"`reconcile rollout show {course.key.short()}` says more; spec.paused holds it",
    )


def _waiting(message_: str, hint: str) -> Diagnostic:
    return Diagnostic(code="rollout-waiting", message=message_, severity=Severity.WARNING, hint=hint)
