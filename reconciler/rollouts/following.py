"""Following: what `main` says now, taken into the evidence. First thing in a turn.

Evidence follows `main`, never the other way round: a decision counts as carried out once `main` shows it. Where what `main` says
can't have come from the engine, a person was there, and a person has to say how it goes on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import MappingProxyType

from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.course import BACKGROUND, Course
from reconciler.rollouts.evidence import EMPTY, Evidence, Measured, Running, present
from reconciler.rollouts.facts import Facts, Touched


@dataclass(frozen=True, slots=True, kw_only=True)
class Followed:
    """Evidence that agrees with `main`.

    Attributes:
        evidence: It.
        noticed: Whether `main` says something new. Nothing is advanced in the turn that notices it, so that it is recorded first: what
            is on the record branch is never more than one step behind.
    """

    evidence: Evidence
    noticed: bool


def follow(course: Course, evidence: Evidence | None, facts: Facts) -> Followed:
    """Take in where `main` is, who else wrote there, and how far it is live."""
    status = course.status
    if evidence is not None and taken_back(course, evidence):
        return Followed(evidence=_taken_back(evidence, facts), noticed=False)
    if evidence is None or evidence.run != status.run:
        found = _fresh(status, evidence, facts.now)
        return Followed(evidence=_live(course, found, facts), noticed=bool(status.run))
    known = present(evidence, facts.now)
    moved = _moved(course, known, facts)
    noticed = (moved.phase, moved.step) != (known.phase, known.step) or facts.resumed
    return Followed(evidence=_live(course, moved, facts), noticed=noticed)


def taken_back(course: Course, evidence: Evidence) -> bool:
    """Whether `main` asks for a run that is known to have begun: somebody took its beginning back, by `git revert` for instance.

    It does not begin by itself a second time, and whether it had been aborted is not forgotten.
    """
    return course.starts and evidence.run == course.spec.run_name


def _taken_back(evidence: Evidence, facts: Facts) -> Evidence:
    known = present(evidence, facts.now)
    if not facts.applied:
        return known  # the commit that proxies are held at meanwhile may be older than the run
    phase = known.phase if known.phase.ended else Phase.PAUSED
    pausing = known.pausing or (_who(facts.touched) if facts.touched else "main was taken back to before the run began")
    return replace(known, phase=phase, verified=None, pausing=pausing)


def _fresh(status: RolloutStatus, before: Evidence | None, now: datetime) -> Evidence:
    """Nothing is known of this run. What people did before is settled: the run was begun, or gone on with, after it."""
    found = Evidence(run=status.run, phase=status.phase, step=status.step, entered=now)
    if before is None:
        return found
    return replace(found, seen=before.seen, proposal=before.proposal, notified=before.notified)


def _moved(course: Course, evidence: Evidence, facts: Facts) -> Evidence:
    status = course.status
    if not facts.applied and not status.phase.ended:
        return evidence  # of a commit that proxies are held at meanwhile: it may be older than what is known
    if status.phase is not Phase.PROGRESSING:
        return _stopped(evidence, status, facts)
    if evidence.phase is Phase.PAUSED or facts.resumed:
        found = _resumed(evidence, status, facts.now)
        return replace(found, pausing=_who(facts.touched)) if facts.touched else found
    pausing = evidence.pausing or _intervened(course, evidence, facts)
    if pausing:
        return replace(evidence, phase=Phase.PROGRESSING, pausing=pausing)
    return _at(evidence, status.step, facts.now)


def _at(evidence: Evidence, step: int, now: datetime) -> Evidence:
    if step == evidence.step:
        return evidence
    return replace(evidence, step=step, entered=now, verified=None)


def _stopped(evidence: Evidence, status: RolloutStatus, facts: Facts) -> Evidence:
    """Paused or ended. An abort stays until the commit that says so is what proxies are brought to."""
    found = replace(_at(evidence, max(evidence.step, status.step), facts.now), phase=status.phase, pausing="")
    if status.phase is Phase.ABORTED and facts.applied:
        found = replace(found, aborted=None)
    return replace(found, callers=EMPTY) if status.phase.ended else found


def _resumed(evidence: Evidence, status: RolloutStatus, now: datetime) -> Evidence:
    """The step is done anew, with all limits open again; what comparisons have seen stays, for their promise is one per run."""
    analyses = {name: _again(name, running, status.step, now) for name, running in evidence.analyses.items()}
    return replace(
        evidence,
        phase=Phase.PROGRESSING,
        step=status.step,
        entered=now,
        verified=None,
        pausing="",
        analyses=MappingProxyType(analyses),
    )


def _again(name: str, running: Running, step: int, now: datetime) -> Running:
    kind, _, index = name.partition("-")
    if name == BACKGROUND:
        return replace(running, metrics=_each(running.metrics, lambda item: replace(item, errors=0, inconclusive=0)))
    if kind == "step" and index.isdecimal() and int(index) < step:
        return running
    metrics = _each(running.metrics, lambda item: Measured(since=now, comparison=item.comparison))
    return Running(started=now, metrics=metrics)


def _each(metrics: Mapping[str, Measured], change: Callable[[Measured], Measured]) -> Mapping[str, Measured]:
    return MappingProxyType({name: change(item) for name, item in metrics.items()})


def _intervened(course: Course, evidence: Evidence, facts: Facts) -> str:
    """Why `main`, which says Progressing, was not brought here by the engine; "" if it may have been."""
    status, step = course.status, course.spec.step
    if facts.touched:
        return _who(facts.touched)
    if evidence.phase.ended:
        return f"the run had ended ({evidence.phase}) and was set going again"
    if status.step < evidence.step:
        return f"main went back from step {evidence.step + 1} to step {status.step + 1}"
    if status.step > evidence.step + 1 and (step is None or step < status.step):
        return f"main went on from step {evidence.step + 1} to step {status.step + 1} at once"
    return ""


def _who(touched: tuple[Touched, ...]) -> str:
    first, more = touched[0], len(touched) - 1
    others = f", and {more} more commit{'s' if more > 1 else ''}" if more else ""
    return f"{first.author} {first.what} ({first.commit[:10]} {first.subject}{others})"


def _live(course: Course, evidence: Evidence, facts: Facts) -> Evidence:
    """Start the step's clock when it is live; the deadline for that does not run while `main` can't be applied."""
    if evidence.phase is not Phase.PROGRESSING or evidence.verified is not None:
        return evidence
    if not facts.applied:
        return replace(evidence, entered=facts.now)
    verified = facts.verified
    if not verified.scope or len(verified.laggards) > course.spec.max_laggards:
        return evidence
    return replace(evidence, verified=min(verified.since or facts.now, facts.now))
