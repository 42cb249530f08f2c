"""Work that waits for other work, such as commits: beside the threads that answer everything else, and not more of it than is useful."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from reconciler.web.errors import BusyError

T = TypeVar("T")


class Turns:
    """So many at once; one more is told to come back.

    Args:
        most: At the same time, those included that wait for others. Used on the event loop only.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._running = 0
        self._limiter: CapacityLimiter | None = None

    async def take(self, work: Callable[[], T]) -> T:
        """Do it on a thread.

        Raises:
            BusyError: There are too many already.
        """
        if self._running >= self._most:
            raise BusyError(f"{self._running} requests are waiting already", hint="ask again when some have ended")
        self._limiter = self._limiter or CapacityLimiter(self._most)
        self._running += 1
        try:
            return await run_sync(work, limiter=self._limiter)
        finally:
            self._running -= 1
