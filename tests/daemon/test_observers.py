from __future__ import annotations

import logging
import threading
from collections.abc import Sequence

import pytest

from reconciler.clock import SystemClock
from reconciler.cycle import Report
from reconciler.daemon import Daemon, ReadyLine, Trigger
from reconciler.errors import ReconcilerError
from tests.daemon.world import PATIENCE, QUIET, Fleet

LOGGER = logging.getLogger("test.observers")


class Watcher:
    """Keeps what it is told, and can fail."""

    def __init__(self, *, fails: bool = False) -> None:
        self.told: list[str] = []
        self.changed = threading.Condition()
        self.fails = fails

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:
        self._keep(f"{report.head} {'+'.join(reasons)} {whole}")

    def broken(self, error: Exception) -> None:
        self._keep(type(error).__name__)

    def git_asked(self, error: ReconcilerError | None) -> None:
        self._keep(error.diagnostics[0].code if error is not None else "git")

    def _keep(self, what: str) -> None:
        with self.changed:
            self.told.append(what)
            self.changed.notify_all()
        if self.fails:
            raise LookupError("no such thing")

    def wait(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.told) >= count, PATIENCE), self.told


def test_observers_are_told_of_passes_of_faults_and_of_git(caplog: pytest.LogCaptureFixture) -> None:
    """One that fails is a line in the log; the loop and the other observers go on."""
    fleet, poor, good = Fleet(), Watcher(fails=True), Watcher()
    loop = Daemon(fleet, schedule=QUIET, clock=SystemClock(), logger=LOGGER, observers=(poor,))
    loop.watch(good)
    thread = threading.Thread(target=loop.run)
    with caplog.at_level(logging.ERROR):
        thread.start()
        try:
            good.wait(2)
            fleet.faults = 1
            loop.wake(Trigger.DRIFT)
            good.wait(4)
            fleet.git_failures = 1
            loop.wake(Trigger.POLL)
            good.wait(5)
        finally:
            loop.stop()
            thread.join(PATIENCE)
    assert good.told[:5] == ["git", "c1 start True", "git", "ZeroDivisionError", "git-unavailable"]
    assert poor.told == good.told
    assert "error[bug]: Watcher ended by LookupError" in caplog.text


def test_it_is_said_once_that_the_daemon_is_ready_and_not_before(caplog: pytest.LogCaptureFixture) -> None:
    """Where proxies have their streams here, something has to be served; elsewhere Envoys go on with what they have."""
    nothing, something = Report(head="b"), Report(head="c", applied="c")
    with caplog.at_level(logging.INFO):
        line = ReadyLine(LOGGER, streams=True)
        for report in (nothing, nothing, something, nothing, something):
            line.passed(report, reasons=[], whole=True)
        ReadyLine(LOGGER, streams=False).passed(nothing, reasons=[], whole=True)
    waiting = "not ready: no commit could be applied yet, so there is nothing to serve"
    assert [item.message for item in caplog.records] == [waiting, "ready", "ready"]
