"""What a pass did: data for the command line, the daemon's log and the exit code."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.plan import Plan
from reconciler.model.receipt import Outcome, OutcomeKind, Receipt
from reconciler.rollouts.decision import Decision


class Stage(StrEnum):
    """The stages of a pass, in order."""

    CHECKOUT = "checkout"
    LOAD = "load"
    DISCOVER = "discover"
    DECIDE = "decide"
    COMPILE = "compile"
    OBSERVE = "observe"
    PLAN = "plan"
    GUARD = "guard"
    PUSH = "push"
    VERIFY = "verify"
    RECORD = "record"


class ExitCode:
    """The contract of section 6 of the design; the first that applies."""

    DONE = 0
    ERROR = 1
    PENDING = 2
    REFUSED = 3
    UNCONFIRMED = 4


_UNCONFIRMED = frozenset({OutcomeKind.REJECTED, OutcomeKind.UNREACHABLE, OutcomeKind.LATE, OutcomeKind.FAILED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A step of a rollout that became a commit.

    Attributes:
        decision: What was decided.
        commit: Its id on the policy branch.
        subject: Its first line.
    """

    decision: Decision
    commit: str
    subject: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One pass, ended.

    Attributes:
        head: The commit that the branch named, "" for a work tree.
        applied: The commit that was carried out: the head, or the last good one if the head is unusable.
        plan: What was found to do; for an unusable head, for `applied`.
        errors: Why the head is unusable, or what else went wrong.
        outcomes: How each proxy ended; empty for a dry run.
        last: The newest receipt before this pass.
        receipt: What was written on the record branch, if it said anything new.
        reverted: Reverts that were committed on the policy branch for what proxies refused; the next pass applies them.
        taken: What rollouts did: a commit each, on the policy branch.
        again: Seconds until a rollout falls due, or what holds changes ends; None if nothing waits for time.
        pending: Whether something that differs was left as it is.
        transient: Whether the errors may go away by themselves.
        seconds: By stage.
    """

    head: str = ""
    applied: str = ""
    plan: Plan | None = None
    errors: tuple[Diagnostic, ...] = ()
    outcomes: Mapping[Key, Outcome] = field(default_factory=dict)
    last: Receipt | None = None
    receipt: Receipt | None = None
    reverted: tuple[str, ...] = ()
    taken: tuple[Taken, ...] = ()
    again: float | None = None
    pending: bool = False
    transient: bool = False
    seconds: Mapping[Stage, float] = field(default_factory=dict)

    def exit_code(self, *, pending_matters: bool = False) -> int:
        """What the process should say; `pending_matters` is `--exit-code`.

        A dry run that could ask no proxy at all has nothing to say, which is an error.
        """
        if self.errors:
            return ExitCode.ERROR
        asked = [proxy.reachable for proxy in self.plan.proxies] if self.plan else []
        if asked and not any(asked) and not self.outcomes:
            return ExitCode.ERROR
        if self.plan is not None and self.plan.refused:
            return ExitCode.REFUSED
        if not all(asked) or any(outcome.kind in _UNCONFIRMED for outcome in self.outcomes.values()):
            return ExitCode.UNCONFIRMED
        return ExitCode.PENDING if pending_matters and self.pending else ExitCode.DONE


Progress = Callable[[Stage, str], None]
"""Told at the start of each stage, and of steps inside it. Only for people to watch; tests end a process from it."""


def silent(_stage: Stage, _detail: str) -> None:
    """Nobody watches."""


class Stopwatch:
    """Seconds by stage. Durations are of this machine and never decide anything, so they take no clock."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: dict[Stage, float] = {}

    @contextmanager
    def stage(self, stage: Stage, detail: str = "") -> Iterator[None]:
        """Add the time spent inside to a stage."""
        self.progress(stage, detail)
        started = time.perf_counter()
        try:
            yield
        finally:
            self.add(stage, time.perf_counter() - started)

    def add(self, stage: Stage, seconds: float) -> None:
        """Add time that was measured elsewhere."""
        self.seconds[stage] = self.seconds.get(stage, 0.0) + seconds
