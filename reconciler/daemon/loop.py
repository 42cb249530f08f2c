"""The daemon's loop: triggers set flags, one thread runs passes.

A trigger during a pass means "again", however many there were. Git is polled often and cheaply; the proxies' content is read
on a slower clock of its own, so that a change made behind Git's back is found even when Git is quiet. What a pass could not
finish is tried again with growing patience; what a person has to mend is not tried again until they push. A Git that can't be
asked does not stop the care for the fleet: proxies that come and drift are served from the head that is known.

The scheduler counts in wall time: when the clock is set back, it would rest for as long. So the loop, which counts in
seconds that only grow, takes a trigger that is long overdue as given.

Somebody who waits for a pass of their own (`Daemon.ask`) gets it between two others, on the same thread.
"""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from apscheduler.schedulers.background import BackgroundScheduler

from reconciler.clock import Clock
from reconciler.cycle import Ask, Report
from reconciler.cycle.report import ExitCode
from reconciler.daemon.asking import Asked, Asks, stopping
from reconciler.daemon.log import PassLog, fault
from reconciler.daemon.lookagain import LookAgain
from reconciler.daemon.observers import Observer, Observers
from reconciler.daemon.state import Journal, State
from reconciler.daemon.triggers import EXACT, OFTEN, WITHOUT_GIT, WITHOUT_NEWS, Schedule, Trigger
from reconciler.errors import ReconcilerError
from reconciler.model.observation import Proof

_UNSURE = frozenset({Proof.SENT, Proof.CONFIRMED})
_JITTER = 0.1
_FIRST_RETRY = 1.0
_LONGEST_RETRY = 60.0
_CONNECT_PAUSE = 1.0
_OVERDUE = 2.0
"""Intervals after which a trigger that the scheduler owes is taken as given."""
_ASKED = "asked"


class Passes(Protocol):
    """What the loop drives; the command line builds it from `cycle`."""

    def head(self) -> str:
        """Fetch, and say which commit the policy branch names now; "" if there is no such branch, and the pass says why.

        Raises:
            ReconcilerError: Git can't be asked.
        """

    def run(self, *, exact: bool) -> Report:
        """One pass for the commit that `head` said last; `exact` reads every proxy's content."""

    def asked(self, ask: Ask) -> Report:
        """One pass as somebody asks for it."""


class Daemon:
    """Runs passes until it is stopped.

    Args:
        on_ready: Called after the first pass, whatever came of it.
        first_retry: Seconds until a pass that was not finished is tried again; doubles up to a minute.
        connect_pause: Seconds after a pass for proxies that connected, or services that changed, in which further ones are
            collected for the next.
        observers: Told of what passes do.
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
        connect_pause: float = _CONNECT_PAUSE,
        observers: Sequence[Observer] = (),
    ) -> None:
        self._passes = passes
        self._clock = clock
        self._log = PassLog(logger)
        self._observers = Observers(observers, logger)
        self._on_ready = on_ready
        self._wanted: set[Trigger] = {Trigger.START}
        self._changed = threading.Condition()
        self._asks = Asks(self._changed)
        self._journal = Journal(clock)
        self._stopping = False
        self._every = {
            Trigger.POLL: schedule.interval.total_seconds(),
            Trigger.DRIFT: schedule.drift_interval.total_seconds(),
        }
        self._woken = dict.fromkeys(self._every, clock.monotonic())
        self._head = ""
        self._exact = False
        self._unfinished = True
        self._connect_pause = connect_pause
        self._connect_from = clock.monotonic()
        self._retry_at: float | None = None
        self._rollout_at: float | None = None
        self._again = LookAgain()
        self._first_retry = self._patience = first_retry

    def wake(self, trigger: Trigger) -> None:
        """Ask for a pass; during one, for another after it."""
        with self._changed:
            self._wanted.add(trigger)
            self._woken[trigger] = self._clock.monotonic()
            if trigger is Trigger.WEBHOOK:
                self._again.told(self._woken[trigger], self._head)
            self._changed.notify_all()

    def ask(self, ask: Ask, *, timeout: float, wanted: Callable[[], bool] = lambda: True) -> Report:
        """Have one pass carried out on the loop's thread, and wait for it. Safe to call from any other thread.

        It is a pass of its own, with its own select, overrides and digest; those who ask are served in turn.

        Args:
            ask: What the pass has to do.
            timeout: Seconds until the asker gives up.
            wanted: Asked just before the pass begins; it is left out if nobody waits for it any more.

        Raises:
            DaemonStoppingError: The daemon ends before the pass could begin.
            AskTimeoutError: It did not end in time.
            BugError: It ended by a fault of our own.
        """
        return self._asks.put(ask, timeout=timeout, wanted=wanted)

    def watch(self, observer: Observer) -> None:
        """Tell one more of what passes do: somebody that needs the loop to be there first."""
        self._observers.add(observer)

    @property
    def state(self) -> State:
        """What the daemon knows, at this instant. Safe to read from any thread."""
        return replace(self._journal.state, stopping=self._stopping)

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
            while self._await():
                self._serve()
                if first:
                    first = False
                    self._on_ready()
        finally:
            scheduler.shutdown(wait=False)
            with self._changed:
                self._stopping = True
                self._asks.close()

    def _await(self) -> bool:
        """Wait for something to do; False when it is time to end."""
        with self._changed:
            while not self._stopping:
                now = self._clock.monotonic()
                due = {trigger: self._woken[trigger] + _OVERDUE * every for trigger, every in self._every.items()}
                if self._retry_at is not None:
                    due[Trigger.RETRY] = self._retry_at
                if self._rollout_at is not None:
                    due[Trigger.ROLLOUT] = self._rollout_at
                again = self._again.due(self._head)
                if again is not None:
                    due[Trigger.WEBHOOK] = again
                for trigger, at in due.items():
                    if at <= now:
                        self._wanted.add(trigger)
                        self._woken[trigger] = now
                self._again.looked(now)
                if self._due(now) or self._asks:
                    return True
                if self._wanted & OFTEN:
                    due[Trigger.CONNECT] = self._connect_from
                self._changed.wait(min(due.values()) - now)
            return False

    def _due(self, now: float) -> set[Trigger]:
        """What is wanted and need not wait. What comes and goes all the time must not keep passes going without a rest."""
        return self._wanted - OFTEN if now < self._connect_from else set(self._wanted)

    def _serve(self) -> None:
        """The triggers there are, in one pass; then one asker, so that neither keeps the other waiting."""
        with self._changed:
            wanted = self._due(self._clock.monotonic())
            self._wanted -= wanted
            asked = self._asks.take()
            if Trigger.RETRY in wanted:
                self._retry_at = None
            if Trigger.ROLLOUT in wanted:
                self._rollout_at = None
        self._journal.begin()
        try:
            if wanted:
                self._react(wanted)
            if asked is not None:
                self._answer(asked)
        finally:
            if wanted & OFTEN:
                self._connect_from = self._clock.monotonic() + self._connect_pause
            self._journal.rest()
            self._log.end()

    def _react(self, wanted: set[Trigger]) -> None:
        try:
            self._look(wanted)
        except Exception as error:  # noqa: BLE001 -- a fault of ours in one pass must not end the care for the fleet
            self._log.broken(error)
            self._observers.broken(error)
            self._try_later()

    def _answer(self, asked: Asked) -> None:
        if not asked.taken():
            return
        if self._stopping:
            asked.answer.set_exception(stopping())
            return
        self._log.begin(self._clock.now())
        try:
            report = self._passes.asked(asked.ask)
            if asked.ask.whole:
                self._log.passed(report, reasons=["asked"])
            else:
                self._log.asked(report)
            if not asked.ask.dry_run:  # what would be done is no state of the fleet
                whole = not asked.ask.select
                self._journal.passed(report, reasons=[_ASKED], whole=whole)
                self._observers.passed(report, reasons=[_ASKED], whole=whole)
            if report.reverted:
                self.wake(Trigger.POLL)
            self._due_again(report)
        except ReconcilerError as error:
            asked.answer.set_exception(error)
        except Exception as error:  # noqa: BLE001 -- as above; whoever asked is told
            self._log.broken(error)
            self._observers.broken(error)
            asked.answer.set_exception(fault(error))
        else:
            asked.answer.set_result(report)

    def _look(self, wanted: set[Trigger]) -> None:
        self._exact = self._exact or bool(wanted & EXACT)
        head = self._ask_git()
        if head is None:
            self._try_later()
            cared = wanted & WITHOUT_GIT or (Trigger.RETRY in wanted and self._unfinished)
            if not (self._head and cared):
                return
        elif head == self._head and not wanted & WITHOUT_NEWS:
            return
        self._log.begin(self._clock.now())
        report = self._passes.run(exact=self._exact)
        self._log.passed(report, reasons=sorted(wanted))
        self._journal.passed(report, reasons=sorted(wanted), whole=True)
        self._observers.passed(report, reasons=sorted(wanted), whole=True)
        # The branch may have moved since we looked; what the pass has seen is what the next look is compared with.
        self._head = report.head or head or self._head
        self._exact = self._exact and report.transient  # a reading that did not come about is still owed
        if report.reverted:
            self.wake(Trigger.POLL)  # the branch has moved, by us: what is live need not wait for the next look
        self._due_again(report)
        self._unfinished = _unfinished(report)
        if head is None:
            return  # a later try is on its way
        if self._unfinished:
            self._try_later()
        else:
            self._retry_at, self._patience = None, self._first_retry

    def _due_again(self, report: Report) -> None:
        """Rollouts fall due at a time of their own."""
        if report.again is not None:
            self._rollout_at = self._clock.monotonic() + report.again

    def _ask_git(self) -> str | None:
        """The head; None if Git can't be asked."""
        try:
            head = self._passes.head()
        except ReconcilerError as error:
            self._log.git_failed(error)
            self._journal.git(error)
            self._observers.git_asked(error)
            return None
        self._log.git_answered()
        self._journal.git(None)
        self._observers.git_asked(None)
        return head

    def _try_later(self) -> None:
        spread = random.uniform(1 - _JITTER, 1 + _JITTER)  # noqa: S311 -- jitter, not a secret
        self._retry_at = self._clock.monotonic() + self._patience * spread
        self._patience = min(self._patience * 2, _LONGEST_RETRY)


def _unfinished(report: Report) -> bool:
    """Whether trying again may help. An unusable head and a refusal wait for a person's next push instead.

    What was confirmed or sent, and then not seen to be all there (`exact`, `acked`), is looked at again soon, not only when drift
    is due.
    """
    code = report.exit_code()
    unsure = any(outcome.pushed and outcome.proof in _UNSURE for outcome in report.outcomes.values())
    return unsure or code == ExitCode.UNCONFIRMED or (code == ExitCode.ERROR and report.transient)
