"""Waking the streams of an event loop from other threads: one call into the loop for however many are to wake.

A pass publishes to thousands of proxies in a row. A call for each would cost a system call, and hand the interpreter to and fro.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from functools import partial


class Wakers:
    """Makes functions that set events of one loop, for any thread to call. Made on the thread of that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._ours = threading.get_ident()
        self._due: deque[asyncio.Event] = deque()
        self._called = False

    def waker(self, event: asyncio.Event) -> Callable[[], None]:
        """What sets this event; never blocks, and does nothing once the loop is closed."""
        return partial(self._wake, event)

    def _wake(self, event: asyncio.Event) -> None:
        if threading.get_ident() == self._ours:
            event.set()
            return
        self._due.append(event)
        # Whoever sees the flag set has appended before it is taken back, which is before anything is taken out.
        if not self._called and not self._loop.is_closed():
            self._called = True
            self._loop.call_soon_threadsafe(self._set)

    def _set(self) -> None:
        self._called = False
        while self._due:
            self._due.popleft().set()
