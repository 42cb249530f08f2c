"""The daemon's loop: triggers set flags, one thread runs passes.

A trigger during a pass means "again", however many there were. Git is polled often and cheaply; the proxies' content is read
on a slower clock of its own, so that a change made behind Git's back is found even when Git is quiet. What a pass could not
finish is tried again with growing patience; what a person has to mend is not tried again until they push.

The scheduler counts in wall time: when the clock is set back, it would rest for as long. So the loop, which counts in
seconds that only grow, takes a trigger that is long overdue as given.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Protocol

from apscheduler.schedulers.background import BackgroundScheduler

from reconciler.clock import Clock
from reconciler.cycle import Report
from reconciler.cycle.report import ExitCode
from reconciler.daemon.log import PassLog
from reconciler.errors import ReconcilerError

_JITTER = 0.1
_FIRST_RETRY = 1.0
_LONGEST_RETRY = 60.0
_OVERDUE = 2.0
"""Intervals after which a trigger that the scheduler owes is taken as given."""


class Trigger(StrEnum):
    """Why a pass runs."""

    START = "start"
    POLL = "poll"
    DRIFT = "drift"
    RETRY = "retry"


class Passes(Protocol):
    """What the loop drives; the command line builds it from `cycle`."""

    def head(self) -> str:
        """Fetch, and say which commit the policy branch names now; "" if there is no such branch, and the pass says why.

        Raises:
            ReconcilerError: Git can't be asked.
        """

    def run(self, *, exact: bool) -> Report:
        """One pass for the commit that `head` said last; `exact` reads every proxy's content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When passes run.

    Attributes:
        interval: Between two looks at Git.
        drift_interval: Between two readings of every proxy's content.
    """

    interval: timedelta = timedelta(seconds=10)
    drift_interval: timedelta = timedelta(seconds=60)


class Daemon:
    """Runs passes until it is stopped.

    Args:
        on_ready: Called after the first pass, whatever came of it.
        first_retry: Seconds until a pass that was not finished is tried again; doubles up to a minute.
    """

    def __init__(
        self,
        passes: Passes,
        *,
        schedule: Schedule,
        clock: Clock,
        logger: logging.Logger,
        on_ready: Callable[[], None] = lambda: None,
        first_retry: float = _FIRST_RETRY,
    ) -> None:
        self._passes = passes
        self._clock = clock
        self._log = PassLog(logger)
        self._on_ready = on_ready
        self._wanted: set[Trigger] = {Trigger.START}
        self._changed = threading.Condition()
        self._stopping = False
        self._every = {
            Trigger.POLL: schedule.interval.total_seconds(),
            Trigger.DRIFT: schedule.drift_interval.total_seconds(),
        }
        self._woken = dict.fromkeys(self._every, clock.monotonic())
        self._head = ""
        self._exact = False
        self._retry_at: float | None = None
        self._first_retry = self._patience = first_retry

    def wake(self, trigger: Trigger) -> None:
        """Ask for a pass; during one, for another after it."""
        with self._changed:
            self._wanted.add(trigger)
            self._woken[trigger] = self._clock.monotonic()
            self._changed.notify_all()

    def stop(self) -> None:
        """End after the pass that is running. Safe to call from a signal handler's thread and more than once."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def run(self) -> None:
        """Run until `stop`."""
        scheduler = BackgroundScheduler(daemon=True)
        for trigger, seconds in self._every.items():
            scheduler.add_job(
                self.wake,
                "interval",
                args=[trigger],
                seconds=seconds,
                jitter=seconds * _JITTER,
                coalesce=True,
                max_instances=1,
                misfire_grace_time=None,  # late is better than never: by default, a second late is never
            )
        scheduler.start()
        try:
            first = True
            while wanted := self._next():
                self._serve(wanted)
                if first:
                    first = False
                    self._on_ready()
        finally:
            scheduler.shutdown(wait=False)

    def _next(self) -> set[Trigger]:
        """Wait for triggers; empty when it is time to end."""
        with self._changed:
            while True:
                if self._stopping:
                    return set()
                now = self._clock.monotonic()
                due = {trigger: self._woken[trigger] + _OVERDUE * every for trigger, every in self._every.items()}
                if self._retry_at is not None:
                    due[Trigger.RETRY] = self._retry_at
                for trigger, at in due.items():
                    if at <= now:
                        self._wanted.add(trigger)
                        self._woken[trigger] = now
                if self._wanted:
                    if Trigger.RETRY in self._wanted:
                        self._retry_at = None
                    wanted, self._wanted = self._wanted, set()
                    return wanted
                self._changed.wait(min(due.values()) - now)

    def _serve(self, wanted: set[Trigger]) -> None:
        try:
            self._look(wanted)
        except Exception as error:  # noqa: BLE001 -- a fault of ours in one pass must not end the care for the fleet
            self._log.broken(error)
            self._try_later()

    def _look(self, wanted: set[Trigger]) -> None:
        self._exact = self._exact or bool(wanted & {Trigger.START, Trigger.DRIFT})
        try:
            head = self._passes.head()
        except ReconcilerError as error:
            self._log.git_failed(error)
            self._try_later()
            return
        if head == self._head and not wanted & {Trigger.START, Trigger.DRIFT, Trigger.RETRY}:
            return
        report = self._passes.run(exact=self._exact)
        self._log.passed(report, reasons=sorted(wanted))
        # The branch may have moved since we looked; what the pass has seen is what the next look is compared with.
        self._head = report.head or head
        self._exact = self._exact and report.transient  # a reading that did not come about is still owed
        if self._unfinished(report):
            self._try_later()
        else:
            self._retry_at, self._patience = None, self._first_retry

    def _try_later(self) -> None:
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 -- jitter, not a secret
        self._retry_at = self._clock.monotonic() + self._patience * spread
        self._patience = min(self._patience * 2, _LONGEST_RETRY)

    @staticmethod
    def _unfinished(report: Report) -> bool:
        """Whether trying again may help. An unusable head and a refusal wait for a person's next push instead."""
        code = report.exit_code()
        return code == ExitCode.UNCONFIRMED or (code == ExitCode.ERROR and report.transient)
