"""SIGTERM and SIGINT: the first ends after the pass that is running, the second at once. SIGHUP: look again."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHELL_OFFSET = 128


@contextmanager
def stop_on_signals(stop: Callable[[], None], *, again: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal and leave with the shell's exit code at the second. Main thread only.

    Args:
        stop: Ends the daemon.
        again: Called at SIGHUP, unless that was ignored when the process started, as under nohup.
    """
    seen = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os._exit(_SHELL_OFFSET + number)
        seen = True
        # The handler may have interrupted the very code that holds the lock which `stop` needs.
        threading.Thread(target=stop, daemon=True).start()

    def hear(_number: int, _frame: FrameType | None) -> None:
        threading.Thread(target=again, daemon=True).start()

    before: dict[signal.Signals, Any] = {number: signal.signal(number, handle) for number in _SIGNALS}
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, hear)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
