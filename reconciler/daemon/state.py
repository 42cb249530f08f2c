"""What the daemon knows of itself and of the fleet: written by the loop, read by whoever answers questions.

A state is one frozen value that is replaced as a whole, so a reader on another thread never sees half of a change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.clock import Clock
from reconciler.cycle import Report
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind


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
class State:
    """The daemon at one instant.

    Attributes:
        started: Wall time, UTC.
        busy_since: When the loop began what it is doing now, by the clock that only grows; None while it waits.
        last: The newest pass over the whole fleet; None until the first one ended.
        verified: By proxy, for the proxies of the newest whole pass that had a plan, and for any that was asked for since.
        stopping: Whether it ends as soon as it can.
    """

    started: datetime
    busy_since: float | None = None
    last: LastPass | None = None
    verified: Mapping[Key, Verified] = field(default_factory=dict)
    stopping: bool = False


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
