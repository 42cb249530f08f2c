"""Ctrl-C, SIGTERM and SIGHUP as one exception that never arrives while something is being started or taken down.

The first signal raises `Interrupted` in the main thread, at once or when the shield is lowered. Later ones do nothing: the
work of clearing up must not be cut short by an impatient second Ctrl-C.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """A person or the system asked this process to end.

    Attributes:
        signum: Which signal.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


class Interrupts:
    """The handlers, while installed. In a thread other than the main one this does nothing: signals never arrive there."""

    def __init__(self) -> None:
        self._before: dict[int, Any] = {}
        self._shields = 0
        self._pending: int | None = None
        self._raised = False

    def install(self) -> None:
        """Take over the signals, but for those that are ignored on purpose, as under `nohup`."""
        if threading.current_thread() is not threading.main_thread():
            return
        for signum in _SIGNALS:
            if signal.getsignal(signum) is not signal.SIG_IGN:
                self._before[signum] = signal.signal(signum, self._handle)

    def restore(self) -> None:
        """Give them back to whoever had them."""
        while self._before:
            signal.signal(*self._before.popitem())

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Hold signals back inside; one that came is raised at the end of the outermost shield."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if not self._shields:
            self.check()

    def refuse(self) -> None:
        """Hold signals back for good: everything is being taken down."""
        self._shields += 1

    def check(self) -> None:
        """Raise the signal that was held back, if there is one.

        Raises:
            Interrupted: There is.
        """
        if self._pending is not None and not self._raised:
            self._raised = True
            raise Interrupted(self._pending)

    def _handle(self, signum: int, _frame: FrameType | None) -> None:
        if self._pending is None:
            self._pending = signum
        if not self._shields:
            self.check()
