"""A world to reconcile, and a daemon in a thread that does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from reconciler.clock import Clock, SystemClock
from reconciler.cycle import Ask, Report
from reconciler.daemon import Daemon, Schedule
from reconciler.errors import TransientError
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.receipt import Outcome, OutcomeKind

QUIET = Schedule(interval=timedelta(hours=1), drift_interval=timedelta(hours=1))
PATIENCE = 20.0
PROXY = Key("default", "a")


class Fleet:
    """A world to reconcile: a head that moves, and passes that can be slow or fail. Counts what was asked of it."""

    def __init__(self) -> None:
        self.commit = "c1"
        self.git_failures = 0
        self.faults = 0
        self.locked = 0
        self.meanwhile: Callable[[], None] = lambda: None
        self.outcome = OutcomeKind.APPLIED
        self.proof = Proof.NONE
        self.reverts: tuple[str, ...] = ()
        self.again: float | None = None
        self.passes: list[tuple[str, bool]] = []
        self.asks: list[tuple[Ask, int]] = []
        self.gate: threading.Event | None = None
        self.entered = threading.Event()
        self.changed = threading.Condition()

    def head(self) -> str:
        if self.git_failures:
            self.git_failures -= 1
            raise TransientError("the remote does not answer", code="git-unavailable")
        return self.commit

    def run(self, *, exact: bool) -> Report:
        self.entered.set()
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError("by\x1b[31m nought")
        if self.gate is not None:
            assert self.gate.wait(PATIENCE)
        with self.changed:
            self.passes.append((self.commit, exact))
            self.changed.notify_all()
        outcome = Outcome(proxy=PROXY, kind=self.outcome, proof=self.proof, detail="no answer", pushed=True)
        if self.locked:
            self.locked -= 1
            return Report(errors=TransientError("locked", code="git-locked").diagnostics, transient=True)
        self.meanwhile()
        seen = self.commit
        if self.reverts:
            self.commit = self.reverts[-1]
        done, self.reverts = self.reverts, ()
        return Report(head=seen, applied=seen, outcomes={PROXY: outcome}, reverted=done, again=self.again)

    def asked(self, ask: Ask) -> Report:
        self.asks.append((ask, threading.get_ident()))
        return self.run(exact=ask.exact)

    def wait(self, condition: Callable[[list[tuple[str, bool]]], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: condition(self.passes), PATIENCE), self.passes


class Hand(SystemClock):
    """Seconds go by when the test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def monotonic(self) -> float:
        return self.seconds


@contextmanager
def running(
    fleet: Fleet, schedule: Schedule = QUIET, *, clock: Clock | None = None, **options: Any
) -> Iterator[Daemon]:
    ready = threading.Event()
    daemon = Daemon(
        fleet,
        schedule=schedule,
        clock=clock or SystemClock(),
        logger=logging.getLogger("test"),
        on_ready=ready.set,
        **options,
    )
    thread = threading.Thread(target=daemon.run)
    thread.start()
    try:
        if fleet.gate is None and not fleet.git_failures:
            assert ready.wait(PATIENCE)
        yield daemon
    finally:
        daemon.stop()
        thread.join(PATIENCE)
        assert not thread.is_alive()
