"""Who is told what passes did, as it happens: metrics, statuses of commits, whoever watches the page.

They are called on the loop's thread, between two passes, so they take no time worth mentioning; what takes longer goes to a thread
of the observer's own. One that fails is logged, and neither stops the loop nor keeps the next one from being told.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from reconciler.cycle import Report
from reconciler.daemon.log import log_fault
from reconciler.errors import ReconcilerError


class Observer(Protocol):
    """Is told of every pass that is no dry run, and of every look at Git."""

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:
        """A pass ended; `whole` says whether it was over the whole fleet."""

    def broken(self, error: Exception) -> None:
        """A pass ended by an exception nobody expects."""

    def git_asked(self, error: ReconcilerError | None) -> None:
        """Git was asked for its head, and failed by this error, or did not."""


class Observers:
    """Tells each of several, in turn."""

    def __init__(self, observers: Sequence[Observer], logger: logging.Logger) -> None:
        self._observers = tuple(observers)
        self._logger = logger

    def add(self, observer: Observer) -> None:
        """Tell one more, from the next thing on. Safe on any thread."""
        self._observers = (*self._observers, observer)

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:
        """A pass ended."""
        self._tell(lambda observer: observer.passed(report, reasons=reasons, whole=whole))

    def broken(self, error: Exception) -> None:
        """A pass ended by an exception nobody expects."""
        self._tell(lambda observer: observer.broken(error))

    def git_asked(self, error: ReconcilerError | None) -> None:
        """Git was asked."""
        self._tell(lambda observer: observer.git_asked(error))

    def _tell(self, say: Callable[[Observer], None]) -> None:
        for observer in self._observers:
            try:
                say(observer)
            except Exception as error:  # noqa: BLE001 -- whoever watches must not end the care for the fleet
                log_fault(self._logger, type(observer).__name__, error)
