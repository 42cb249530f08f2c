"""The stage decide, in order: evidence, facts, the engine's turn, and what comes of its decision."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler.clock import Clock, SteadyClock
from reconciler.cycle.ask import Ask
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.fleet import Fleet
from reconciler.cycle.herald import Herald
from reconciler.cycle.notifier import Notifier
from reconciler.cycle.report import Stage, Stopwatch, Taken
from reconciler.cycle.trust import Trust
from reconciler.cycle.walking.landing import Landing, Outcome
from reconciler.cycle.walking.memory import Memory
from reconciler.cycle.walking.turning import Setting, Turned, Turner
from reconciler.cycle.walking.words import due, held, subject, unhealthy, unsecured
from reconciler.errors import Diagnostic, ReconcilerError
from reconciler.gitrepo import BranchNameError, Repository
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.receipt import Receipt
from reconciler.model.rollout import Phase, Rollout
from reconciler.record import Record
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.evidence import Evidence

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
        trust: Says which commits count.
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
        trust: Trust,
    ) -> None:
        self._repository = repository
        self._trust = trust
        self._compiler = compiler
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._turner = Turner(repository, compiler, fleet, self._steady, patience=max(_PATIENCE, settle))
        self._landing = Landing(
            repository, clock, attempts=attempts, patience=max(_FORGE_PATIENCE, 2 * settle), own_key=trust.own_key
        )
        self._herald = Herald(repository, notifier)
        self._notifier = notifier
        self._settle = settle
        self._memory = Memory(clock)
        self._due: datetime | None = None
        self._turned: list[Turned] = []  # decided in this pass, and not committed
        self.aborted: Mapping[Key, str] = {}

    def close(self) -> None:
        """Ask nobody any more."""
        self._turner.close()
        self._landing.close()

    def decide(
        self,
        ask: Ask,
        desired: Desired,
        record: Record,
        last: Receipt | None,
        watch: Stopwatch,
        *,
        applied: bool,
        able: bool = True,
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
            able: Whether this process can push to all proxies; what it can't carry out it does not begin.

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
        setting = Setting(ask=ask, record=record, last=last, watch=watch, applied=applied)
        if ask.previews and self._on_branch(ask.ref):
            steps = tuple(self._due_next(desired, setting))
            return Decided(desired=desired, notes=(*notes, *steps), pending=bool(steps))
        if not ask.whole or not able or not self._on_branch(ask.ref):
            return Decided(desired=desired, notes=tuple(notes))
        with watch.stage(Stage.DECIDE):
            return self._walk(desired, setting, notes)

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
        for item in self._turned:
            outcome = self._landing.propose(ask, item.course, item.turn, desired)
            notes += outcome.notes
            if outcome.evidence is not None:
                words = subject(item.course, item.turn)
                self._memory.put(item.course.key, outcome.evidence, keep=True, subject=words)
            if outcome.again:  # and not at once: a forge may go on to say what Git does not show
                self._look_again(self._steady.now() + timedelta(seconds=_SOON))
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
            plain = self._memory.plain()
            record.note(plain, subject=self._memory.subject, policy_commit=desired.commit, at=self._clock.now())
            self._memory.recorded(plain)

    def again(self, *, moved: bool) -> float | None:
        """Seconds until a rollout falls due; None if none waits for time.

        Args:
            moved: Whether the pass has found or done something that a rollout may have waited for.
        """
        if self._due is None:
            return None
        return 0.0 if moved else max(0.0, (self._due - self._steady.now()).total_seconds())

    def _walk(self, desired: Desired, setting: Setting, notes: list[Diagnostic]) -> Decided:
        taken: list[Taken] = []
        done: set[Key] = set()
        while waiting := [item for item in desired.source.rollouts if item.key not in done]:
            key = waiting[0].key
            course = course_of(desired.source, waiting[0])
            if self._resting(course):
                done.add(key)
                continue
            before = self._memory[key]
            turned = self._turn(course, desired, setting)
            decision = turned.turn.decision
            self._memory.put(key, turned.turn.evidence, keep=turned.turn.keep, subject=subject(course, turned.turn))
            if decision.move is Move.ABORT:
                try:
                    self._secure(decision, desired, setting.record)
                except ReconcilerError as error:
                    # Git must not be behind traffic: what can't be recorded is not done, and tried again.
                    self._memory.restore(key, before)
                    notes.append(unsecured(decision, error))
                    self._fall_due(decision, moved=False)
                    done.add(key)
                    continue
                desired = self._overlaid(desired, setting.watch)
            notes += (*unhealthy(decision), *held(decision))
            outcome = Outcome()
            if decision.commits:
                outcome = self._landing.land(setting.ask, course, turned.turn, desired, applied=setting.applied)
                notes += outcome.notes
            if outcome.commit and outcome.commit != desired.commit:
                self._trust.require(outcome.commit)  # somebody else may have been faster
                desired = self._compiler.desired(self._repository.tree(outcome.commit), setting.watch)
                self._memory.load(setting.last, [item.key for item in desired.source.rollouts])
            if outcome.again:
                continue
            done.add(key)
            self._fall_due(decision, moved=outcome.landed)
            if outcome.landed:
                taken.append(Taken(decision=decision, commit=outcome.commit, subject=outcome.subject))
                desired = self._overlaid(desired, setting.watch)
            elif setting.applied:
                self._turned.append(turned)
        return Decided(desired=desired, taken=tuple(taken), notes=tuple(notes))

    def _due_next(self, desired: Desired, setting: Setting) -> Iterator[Diagnostic]:
        """The commits that the next pass makes."""
        for policy in desired.source.rollouts:
            course = course_of(desired.source, policy)
            if self._resting(course):
                continue
            decision = self._turn(course, desired, setting).turn.decision
            if decision.commits:
                yield due(course, decision)
            yield from held(decision)

    def _turn(self, course: Course, desired: Desired, setting: Setting) -> Turned:
        turned = self._turner.turn(course, self._memory[course.key], desired, setting)
        if turned.late:  # on its way, and worth another pass as soon as it may be there
            self._look_again(self._steady.now() + timedelta(seconds=_SOON))
        return turned

    def _secure(self, decision: Decision, desired: Desired, record: Record) -> None:
        """An abort is on the record before anything is done about it.

        Raises:
            ReconcilerError: It can't be recorded.
        """
        plain = self._memory.plain()
        words = f"{decision.rollout.short()} aborted: {decision.reason}"
        record.note(plain, subject=words, policy_commit=desired.commit, at=self._clock.now())
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

    def _resting(self, course: Course) -> bool:
        """Whether nothing can happen to a rollout but by a new run, that it has ended is known, and no proposal of it is left."""
        evidence = self._memory[course.key]
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


def _unfinished_abort(policy: Policy[Rollout], evidence: Evidence) -> bool:
    status = policy.status
    said = status is not None and status.run == evidence.run and status.phase is Phase.ABORTED
    another = status is not None and status.run != evidence.run
    return evidence.aborted is not None and not said and not another
