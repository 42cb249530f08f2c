"""One turn of one rollout: gathers what the engine has to know, and asks it. Changes nothing, so that a dry run may do it too."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import chain, islice

from reconciler.clock import SteadyClock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.fleet import Fleet
from reconciler.cycle.report import Stopwatch
from reconciler.cycle.standstill import held
from reconciler.cycle.walking.asking import Asker
from reconciler.cycle.walking.landed import Landed, landed
from reconciler.cycle.walking.reading import read
from reconciler.cycle.walking.scope import scope, verified
from reconciler.gitrepo import Repository
from reconciler.model.receipt import Receipt
from reconciler.model.rollout import Phase
from reconciler.record import Record
from reconciler.rollouts.course import Course
from reconciler.rollouts.engine import Turn, turn
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.facts import Facts
from reconciler.rollouts.following import taken_back
from reconciler.rollouts.queries import queries
from reconciler.rollouts.weights import standing, stranded


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What is the same for all rollouts of a pass.

    Attributes:
        ask: What the pass has to do.
        record: Where evidence is recorded.
        last: The newest receipt when the pass began.
        watch: For the time it takes.
        applied: Whether it is about the head, and that is not refused.
    """

    ask: Ask
    record: Record
    last: Receipt | None
    watch: Stopwatch
    applied: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turned:
    """What came of a turn.

    Attributes:
        course: The rollout.
        turn: What the engine says.
        late: Whether a Prometheus has yet to answer.
    """

    course: Course
    turn: Turn
    late: bool


class Turner:
    """Takes turns.

    Args:
        patience: Seconds that a pass waits for a Prometheus.
    """

    def __init__(
        self, repository: Repository, compiler: Compiler, fleet: Fleet, steady: SteadyClock, *, patience: float
    ) -> None:
        self._repository = repository
        self._compiler = compiler
        self._fleet = fleet
        self._steady = steady
        self._asker = Asker(patience=patience)

    def close(self) -> None:
        """Ask nobody any more."""
        self._asker.close()

    def turn(self, course: Course, evidence: Evidence | None, desired: Desired, setting: Setting) -> Turned:
        """What one rollout does now."""
        where, now, has = scope(desired, course), self._steady.now(), standing(course, desired.source)
        asked = queries(course, evidence, now)
        answers = self._asker.answers(course.key, asked)
        people = self._people(course, evidence, desired, setting)
        receipts = _receipts(setting, deep=evidence is None or evidence.verified is None)
        standstill = held(desired.source.settings, now)
        facts = Facts(
            now=now,
            weight=has.percent,
            even=has.even,
            stranded=stranded(course, desired.source),
            verified=verified(desired, course, where, receipts),
            reading=read(self._fleet, desired.mesh, where, at=now),
            answers=answers,
            touched=people.touched,
            resumed=people.resumed,
            applied=setting.applied,
            held=standstill.rollouts,
            held_until=standstill.rollouts_until,
        )
        found = turn(course, evidence, facts)
        seen = desired.commit if setting.applied else evidence.seen if evidence is not None else ""
        known = replace(found.evidence, seen=seen)
        return Turned(course=course, turn=replace(found, evidence=known), late=len(answers) < len(asked))

    def _people(self, course: Course, evidence: Evidence | None, desired: Desired, setting: Setting) -> Landed:
        """What people did since the last turn, where it matters: to a run that walks, or whose beginning was taken back."""
        walks = not course.starts and course.status.phase is Phase.PROGRESSING
        if not setting.applied or evidence is None or not (walks or taken_back(course, evidence)):
            return Landed()
        return landed(self._repository, self._compiler, course.key, since=evidence.seen, head=desired.commit)


def _receipts(setting: Setting, *, deep: bool) -> chain[Receipt]:
    """The newest receipt, and the ones before it where it matters since when they say so."""
    if setting.last is None:
        return chain()
    older = islice(setting.record.history(datetime.fromtimestamp(0, UTC)), 1, None) if deep else iter(())
    return chain([setting.last], older)
