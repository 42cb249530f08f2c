"""SIGTERM and SIGINT: the first ends after the pass that is running, the second at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_SHELL_OFFSET = 128


@contextmanager
def stop_on_signals(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at the first signal and leave with the shell's exit code at the second. Main thread only."""
    seen = False

    def handle(number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        if seen:
            os._exit(_SHELL_OFFSET + number)
        seen = True
        # The handler may have interrupted the very code that holds the lock which `stop` needs.
        threading.Thread(target=stop, daemon=True).start()

    before = {number: signal.signal(number, handle) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
