"""The engine: one turn of one rollout, from (course, evidence, facts) to (evidence, decision). Pure, a fold.

The pass calls it between load and compile, carries the decision out (`writing`, a commit), and records the evidence. What is
decided is never remembered as done: the next turn reads from `main` whether it was.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from reconciler.model.rollout import Phase
from reconciler.rollouts.analysing import begun, failure, fed, judged, said, takings
from reconciler.rollouts.counting import came, read
from reconciler.rollouts.course import BACKGROUND, Course
from reconciler.rollouts.deciding import Situation, decide
from reconciler.rollouts.decision import Decision
from reconciler.rollouts.evidence import EMPTY, Aborted, Evidence, Measured, Running
from reconciler.rollouts.facts import Facts
from reconciler.rollouts.following import follow
from reconciler.rollouts.judgement import finished


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came out of one turn.

    Attributes:
        evidence: What is known now; goes into the next turn, and to the record branch.
        decision: What happens now.
        keep: Whether the evidence has to be recorded before the next turn (an abort: before anything else), because a step, a verdict
            or a count changed. Otherwise once a minute is enough.
    """

    evidence: Evidence
    decision: Decision
    keep: bool


def turn(course: Course, evidence: Evidence | None, facts: Facts) -> Turn:
    """What one rollout does now.

    Args:
        course: From the mesh of the commit that `main` is at; of the last one that can be applied where `main` can't.
        evidence: From the last turn or from the record branch; None if there is none.
        facts: The world now.
    """
    followed = follow(course, evidence, facts)
    counted = came(course, followed.evidence, facts)
    found = fed(course, followed.evidence, counted, noticed=followed.noticed)
    found = judged(course, begun(course, found, facts.now), facts)
    found = _aborting(course, found, facts.now)
    found = _read(course, found, facts)
    decision = decide(Situation(course=course, evidence=found, facts=facts, noticed=followed.noticed))
    found = replace(found, note=f"{decision.move}: {decision.reason}" if decision.reason else str(decision.move))
    return Turn(evidence=found, decision=decision, keep=_essence(found) != _essence(evidence))


def _aborting(course: Course, evidence: Evidence, now: datetime) -> Evidence:
    """Evidence, or a person, aborts a run that is not over; once said, it stays said until `main` says it too."""
    if evidence.aborted is not None or evidence.phase not in {Phase.PROGRESSING, Phase.PAUSED}:
        return evidence
    reason = failure(course, evidence) or ("spec.abort is set" if course.spec.abort else "")
    if not reason:
        return evidence
    return replace(evidence, aborted=Aborted(reason=reason, at=now, measured=said(course, evidence)))


def _read(course: Course, evidence: Evidence, facts: Facts) -> Evidence:
    open_ = [
        item.metric
        for item in takings(course, evidence)
        if item.metric.spec.envoy is not None and not finished(item.metric, item.measured)
    ]
    timed = any(metric.kind == "duration" for metric in open_)
    return read(course, evidence, facts, wanted=bool(open_), timed=timed)


def _essence(evidence: Evidence | None) -> Evidence | None:
    """What must not be lost: where the run stands, verdicts and counts of measurements. Not windows, waits and words."""
    if evidence is None or not evidence.run:
        return None
    analyses = {name: _essential(name, running) for name, running in evidence.analyses.items()}
    return replace(evidence, analyses=analyses, entered=_NEVER, timed=False, callers=EMPTY, note="")


_NEVER = datetime.min.replace(tzinfo=UTC)


def _essential(name: str, running: Running) -> Running:
    """In the background only the first good measurement tells anything new: the record grows with decisions, not with time."""
    enough = 1 if name == BACKGROUND else None
    metrics = {
        name: Measured(
            since=_NEVER,
            passed=item.passed if enough is None else min(item.passed, enough),
            failed=item.failed,
            inconclusive=item.inconclusive,
            errors=item.errors,
            outcome=item.outcome,
        )
        for name, item in running.metrics.items()
    }
    return replace(running, metrics=metrics)
