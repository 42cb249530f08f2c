"""What the daemon knows of itself and of the fleet: written by the loop, read by whoever answers questions.

A state is one frozen value that is replaced as a whole, so a reader on another thread never sees half of a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.clock import Clock
from reconciler.cycle import Report
from reconciler.errors import ReconcilerError
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind

STUCK = 300.0
"""Seconds after which what the loop does counts as hanging. Git may take one minute, a lock half of one, and every phase of a
push its `verifyDeadline`; nothing that is well takes five."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPass:
    """The newest pass over the whole fleet.

    Attributes:
        report: What it did.
        ended: Wall time, UTC.
        reasons: The triggers that asked for it, sorted.
    """

    report: Report
    ended: datetime
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """When a proxy was last proven to have what a commit asks for.

    Attributes:
        at: Wall time, UTC.
        commit: The policy commit.
        proof: The level that was reached.
    """

    at: datetime
    commit: str
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class GitState:
    """How the looks at Git go.

    Attributes:
        asked: When it was asked last, wall time, UTC; None before the first time.
        answered: When it answered last.
        problem: Why it did not, the last time; None if it did.
    """

    asked: datetime | None = None
    answered: datetime | None = None
    problem: ReconcilerError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The daemon at one instant.

    Attributes:
        started: Wall time, UTC.
        busy_since: When the loop began what it is doing now, by the clock that only grows; None while it waits.
        last: The newest pass over the whole fleet; None until the first one ended.
        verified: By proxy, for the proxies of the newest whole pass that had a plan, and for any that was asked for since.
        git: How the looks at Git go.
        stopping: Whether it ends as soon as it can.
    """

    started: datetime
    busy_since: float | None = None
    last: LastPass | None = None
    verified: Mapping[Key, Verified] = field(default_factory=dict)
    git: GitState = field(default_factory=GitState)
    stopping: bool = False

    def hanging(self, now: float) -> float:
        """Seconds for which the loop has been at one thing, if that is too long; 0 if it gets on, or waits for something to do.

        Args:
            now: By the clock that only grows.
        """
        busy = now - self.busy_since if self.busy_since is not None else 0.0
        return busy if busy > STUCK else 0.0


class Journal:
    """Keeps the state. One thread writes; any thread may read `state`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.state = State(started=clock.now())

    def begin(self) -> None:
        """The loop turns to something."""
        self.state = replace(self.state, busy_since=self._clock.monotonic())

    def rest(self) -> None:
        """The loop is done with it."""
        self.state = replace(self.state, busy_since=None)

    def git(self, problem: ReconcilerError | None) -> None:
        """Git was asked; it failed by this error, or answered."""
        now, before = self._clock.now(), self.state.git
        answered = now if problem is None else before.answered
        self.state = replace(self.state, git=GitState(asked=now, answered=answered, problem=problem))

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:
        """A pass ended.

        Args:
            report: What it did.
            reasons: What asked for it.
            whole: Whether it was about every proxy. Who is not in its plan has left the fleet.
        """
        now = self._clock.now()
        proven = {
            key: Verified(at=now, commit=report.applied, proof=outcome.proof)
            for key, outcome in report.outcomes.items()
            if outcome.kind is OutcomeKind.APPLIED
        }
        verified = {**self.state.verified, **proven}
        last = self.state.last
        if whole:
            last = LastPass(report=report, ended=now, reasons=tuple(sorted(reasons)))
            if report.plan is not None:
                members = {item.proxy for item in report.plan.proxies}
                verified = {key: value for key, value in verified.items() if key in members or key in proven}
        self.state = replace(self.state, last=last, verified=verified)
