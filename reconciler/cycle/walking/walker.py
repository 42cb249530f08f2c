"""The stage decide, in order: evidence, facts, the engine's turn, and what comes of its decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from typing import Any

from reconciler.clock import Clock, SteadyClock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.fleet import Fleet
from reconciler.cycle.herald import Herald
from reconciler.cycle.notifier import Notifier
from reconciler.cycle.report import Stage, Stopwatch, Taken
from reconciler.cycle.walking.asking import Asker
from reconciler.cycle.walking.landed import Landed, landed
from reconciler.cycle.walking.landing import Landing, Outcome
from reconciler.cycle.walking.memory import Memory
from reconciler.cycle.walking.reading import read
from reconciler.cycle.walking.scope import scope, verified
from reconciler.errors import Diagnostic, ReconcilerError, Severity
from reconciler.gitrepo import BranchNameError, Repository
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.receipt import Receipt
from reconciler.model.rollout import Phase, Rollout
from reconciler.record import Record
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.engine import Turn, turn
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.facts import Facts
from reconciler.rollouts.following import taken_back
from reconciler.rollouts.messages import message
from reconciler.rollouts.queries import queries
from reconciler.rollouts.weights import standing

_PATIENCE = 0.25
"""Seconds that a pass waits for a Prometheus, which is usually there in a few milliseconds."""
_FORGE_PATIENCE = 2.0
"""Seconds that a pass waits for an answer of a forge; proxies have what they are to have by then, and the next commit waits."""
_SOON = 1.0
"""Seconds after which a rollout that says "now" without anything having come of it is looked at again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What the stage came to.

    Attributes:
        desired: What the pass goes on with: the head after the steps that were taken, or as it was.
        taken: What became a commit.
        notes: What people should know.
        pending: Whether steps are due that a dry run does not take.
    """

    desired: Desired
    taken: tuple[Taken, ...] = ()
    notes: tuple[Diagnostic, ...] = ()
    pending: bool = False


class Walker:
    """Walks rollouts, a turn in each pass. One for each process: what it remembers between passes saves commits, and decides nothing.

    Args:
        attempts: How often a step that lost its race is decided again.
        notifier: Tells people.
        settle: Seconds to wait until they are told: for a process that ends after its pass.
    """

    def __init__(
        self,
        *,
        repository: Repository,
        compiler: Compiler,
        fleet: Fleet,
        clock: Clock,
        attempts: int,
        notifier: Notifier,
        settle: float,
    ) -> None:
        self._repository = repository
        self._compiler = compiler
        self._fleet = fleet
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._landing = Landing(repository, clock, attempts=attempts, patience=max(_FORGE_PATIENCE, 2 * settle))
        self._asker = Asker(patience=max(_PATIENCE, settle))
        self._herald = Herald(repository, notifier)
        self._notifier = notifier
        self._settle = settle
        self._memory = Memory(clock)
        self._due: datetime | None = None
        self._turned: list[tuple[Course, Turn]] = []  # decided in this pass, and not committed
        self.aborted: Mapping[Key, str] = {}

    def close(self) -> None:
        """Ask nobody any more."""
        self._asker.close()
        self._landing.close()

    def decide(
        self, ask: Ask, desired: Desired, record: Record, last: Receipt | None, watch: Stopwatch, *, applied: bool
    ) -> Decided:
        """Go one step on where the time has come, by commits on the policy branch; and lay aborts over what is compiled.

        Passes that are not about the whole fleet, and dry runs, take no step; aborts hold for them too. A dry run says which are due.

        Args:
            ask: What the pass has to do.
            desired: The head, or the last good commit where the head can't be used.
            record: Where evidence is recorded.
            last: The newest receipt.
            watch: For the time it takes.
            applied: Whether `desired` is the head, and not refused.

        Raises:
            ReconcilerError: What was committed can't be read back.
        """
        self._due = None
        self._turned = []
        notes = list(self._memory.load(last, [item.key for item in desired.source.rollouts]))
        if not desired.source.rollouts:
            self.aborted = {}
            self._compiler.overlay({})
            return Decided(desired=desired, notes=tuple(notes))
        desired = self._overlaid(desired, watch)
        if ask.previews and self._on_branch(ask.ref):
            due = tuple(self._due_next(desired, record, last, applied=applied))
            return Decided(desired=desired, notes=(*notes, *due), pending=bool(due))
        if not ask.whole or not self._on_branch(ask.ref):
            return Decided(desired=desired, notes=tuple(notes))
        with watch.stage(Stage.DECIDE):
            return self._walk(ask, desired, record, last, watch, notes, applied=applied)

    def plain(self) -> Mapping[Key, Mapping[str, Any]]:
        """The evidence that a receipt of this pass is to carry."""
        return self._memory.plain()

    @property
    def owed(self) -> str:
        """The subject of a commit for evidence that has to be recorded; "" if none has to be."""
        return self._memory.subject

    def recorded(self, written: Mapping[Key, Mapping[str, Any]]) -> None:
        """The record has this evidence now."""
        self._memory.recorded(written)

    def finish(self, ask: Ask, desired: Desired, record: Record) -> tuple[Diagnostic, ...]:
        """Propose steps, and tell people where rollouts stand: all that may be slow, and that no proxy waits for.

        Returns:
            What people should know.
        """
        if not ask.whole:
            return ()
        notes: list[Diagnostic] = []
        for course, turned in self._turned:
            outcome = self._landing.propose(ask, course, turned, desired)
            notes += outcome.notes
            if outcome.evidence is not None:
                subject = _subject(course, turned)
                self._memory.put(course.key, outcome.evidence, keep=True, subject=subject)
            if outcome.again:
                # Not at once: a forge may go on to say what Git does not show.
                soon = self._steady.now() + timedelta(seconds=_SOON)
                self._due = soon if self._due is None else min(self._due, soon)
        for key, known in self._memory.left.items():
            outcome = self._landing.retract(ask, key, desired, known)
            notes += outcome.notes
            if not outcome.again:
                self._memory.settle(key)
        try:
            self._tell(desired, record)
        except ReconcilerError as error:
            notes += [item.demoted() for item in error.diagnostics]
        return tuple(notes)

    def _tell(self, desired: Desired, record: Record) -> None:
        known = {item.key: self._memory.get(item.key) for item in desired.source.rollouts}
        evidence = {key: found for key, found in known.items() if found is not None}
        told = dict(self._herald.tell(desired.source, evidence, commit=desired.commit, now=self._clock.now()))
        if self._settle and self._notifier.wait(self._settle):
            told |= self._herald.tell(desired.source, evidence, commit=desired.commit, now=self._clock.now())
        for key, found in told.items():
            self._memory.put(key, found, keep=True, subject=f"{key.short()}: people were told that it is {found.phase}")
        if told:
            plain, subject = self._memory.plain(), self._memory.subject
            record.note(plain, subject=subject, policy_commit=desired.commit, at=self._clock.now())
            self._memory.recorded(plain)

    def again(self, *, moved: bool) -> float | None:
        """Seconds until a rollout falls due; None if none waits for time.

        Args:
            moved: Whether the pass has found or done something that a rollout may have waited for.
        """
        if self._due is None:
            return None
        return 0.0 if moved else max(0.0, (self._due - self._steady.now()).total_seconds())

    def _walk(
        self,
        ask: Ask,
        desired: Desired,
        record: Record,
        last: Receipt | None,
        watch: Stopwatch,
        notes: list[Diagnostic],
        *,
        applied: bool,
    ) -> Decided:
        taken: list[Taken] = []
        done: set[Key] = set()
        while waiting := [item for item in desired.source.rollouts if item.key not in done]:
            policy = waiting[0]
            course = course_of(desired.source, policy)
            if self._resting(course, self._memory[policy.key]):
                done.add(policy.key)
                continue
            before = self._memory[policy.key]
            turned = self._turn(course, desired, record, last, applied=applied)
            self._memory.put(policy.key, turned.evidence, keep=turned.keep, subject=_subject(course, turned))
            if turned.decision.move is Move.ABORT:
                try:
                    self._secure(turned.decision, desired, record)
                except ReconcilerError as error:
                    # Git must not be behind traffic: what can't be recorded is not done, and tried again.
                    self._memory.restore(policy.key, before)
                    notes += _unsecured(turned.decision, error)
                    self._fall_due(turned.decision, moved=False)
                    done.add(policy.key)
                    continue
                desired = self._overlaid(desired, watch)
            outcome = Outcome()
            notes += _unhealthy(turned.decision)
            if turned.decision.commits:
                outcome = self._landing.land(ask, course, turned, desired, applied=applied)
                notes += outcome.notes
            if outcome.commit != desired.commit and outcome.commit:
                desired = self._compiler.desired(self._repository.tree(outcome.commit), watch)
                self._memory.load(last, [item.key for item in desired.source.rollouts])
            if outcome.again:
                continue
            done.add(policy.key)
            if applied and not outcome.landed:
                self._turned.append((course, turned))
            self._fall_due(turned.decision, moved=outcome.landed)
            if outcome.landed:
                taken.append(Taken(decision=turned.decision, commit=outcome.commit, subject=outcome.subject))
                desired = self._overlaid(desired, watch)
        return Decided(desired=desired, taken=tuple(taken), notes=tuple(notes))

    def _due_next(
        self, desired: Desired, record: Record, last: Receipt | None, *, applied: bool
    ) -> Iterator[Diagnostic]:
        """The commits that the next pass makes, as warnings: what they move is in no plan yet."""
        for policy in desired.source.rollouts:
            course = course_of(desired.source, policy)
            if self._resting(course, self._memory[policy.key]):
                continue
            decision = self._turn(course, desired, record, last, applied=applied).decision
            if decision.commits:
                subject = message(decision, course).partition("\n")[0]
                yield Diagnostic(
                    code="rollout-due",
                    message=f"the next pass commits a step that this plan does not have: {subject}",
                    severity=Severity.WARNING,
                    hint=f"`reconcile rollout show {policy.key.short()}` says more; spec.paused holds it",
                )

    def _turn(self, course: Course, desired: Desired, record: Record, last: Receipt | None, *, applied: bool) -> Turn:
        evidence = self._memory[course.key]
        where = scope(desired, course)
        now = self._steady.now()
        has = standing(course, desired.source)
        seen = evidence.seen if evidence is not None else ""
        walks = not course.starts and course.status.phase is Phase.PROGRESSING
        watched = applied and (walks or (evidence is not None and taken_back(course, evidence)))
        asked = queries(course, evidence, now)
        answers = self._asker.answers(course.key, asked)
        if len(answers) < len(asked):  # on its way, and worth another pass as soon as it may be there
            self._look_again(now + timedelta(seconds=_SOON))
        people = self._landed(course.key, since=seen, head=desired.commit) if watched else Landed()
        receipts = _receipts(record, last, deep=evidence is None or evidence.verified is None)
        facts = Facts(
            now=now,
            weight=has.percent,
            even=has.even,
            verified=verified(desired, course, where, receipts),
            reading=read(self._fleet, desired.mesh, where, at=now),
            answers=answers,
            touched=people.touched,
            resumed=people.resumed,
            applied=applied,
        )
        turned = turn(course, evidence, facts)
        return replace(turned, evidence=replace(turned.evidence, seen=desired.commit if applied else seen))

    def _landed(self, key: Key, *, since: str, head: str) -> Landed:
        return landed(self._repository, self._compiler, key, since=since, head=head)

    def _secure(self, decision: Decision, desired: Desired, record: Record) -> None:
        """An abort is on the record before anything is done about it.

        Raises:
            ReconcilerError: It can't be recorded.
        """
        plain = self._memory.plain()
        subject = f"{decision.rollout.short()} aborted: {decision.reason}"
        record.note(plain, subject=subject, policy_commit=desired.commit, at=self._clock.now())
        self._memory.recorded(plain)

    def _overlaid(self, desired: Desired, watch: Stopwatch) -> Desired:
        """What is compiled with the aborts that the evidence knows of and the head does not show yet."""
        self.aborted = {
            item.key: evidence.run
            for item in desired.source.rollouts
            if (evidence := self._memory[item.key]) is not None and _unfinished_abort(item, evidence)
        }
        self._compiler.overlay(self.aborted)
        return self._compiler.desired(self._repository.tree(desired.commit), watch) if desired.commit else desired

    @staticmethod
    def _resting(course: Course, evidence: Evidence | None) -> bool:
        """Whether nothing can happen to a rollout but by a new run, that it has ended is known, and no proposal of it is left."""
        ended = course.status.phase.ended and not course.starts
        return ended and (evidence is None or (evidence.phase is course.status.phase and not evidence.proposal))

    def _fall_due(self, decision: Decision, *, moved: bool) -> None:
        if decision.due is None:
            return
        self._look_again(decision.due if moved else max(decision.due, self._steady.now() + timedelta(seconds=_SOON)))

    def _look_again(self, due: datetime) -> None:
        self._due = due if self._due is None else min(self._due, due)

    def _on_branch(self, ref: str) -> bool:
        try:
            return self._repository.branch(ref.removeprefix("refs/heads/")) is not None
        except BranchNameError:
            return False


def _subject(course: Course, turned: Turn) -> str:
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


def _unhealthy(decision: Decision) -> tuple[Diagnostic, ...]:
    """What nobody else tells people: proxies that are late are named by the pass."""
    if not decision.unhealthy:
        return ()
    return (
        Diagnostic(
            code="rollout-waiting",
            message=f"{decision.rollout.short()}: no weight is moved: {decision.reason}",
            severity=Severity.WARNING,
            hint="look at the subset's endpoints; it goes on when every proxy sees a healthy one",
        ),
    )


def _unsecured(decision: Decision, error: ReconcilerError) -> tuple[Diagnostic, ...]:
    return (
        Diagnostic(
            code="rollout-waiting",
            message=f"{decision.rollout.short()}: its abort waits, because it can't be recorded: {error.message}",
            severity=Severity.WARNING,
            hint=error.diagnostics[0].hint or "it is tried again in the next pass",
        ),
    )


def _unfinished_abort(policy: Policy[Rollout], evidence: Evidence) -> bool:
    status = policy.status
    said = status is not None and status.run == evidence.run and status.phase is Phase.ABORTED
    another = status is not None and status.run != evidence.run
    return evidence.aborted is not None and not said and not another


def _receipts(record: Record, last: Receipt | None, *, deep: bool) -> chain[Receipt]:
    """The newest receipt, and the ones before it where it matters since when they say so."""
    if last is None:
        return chain()
    older = islice(record.history(datetime.fromtimestamp(0, UTC)), 1, None) if deep else iter(())
    return chain([last], older)
