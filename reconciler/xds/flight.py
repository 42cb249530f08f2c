"""How much may be on its way to all peers together, so that a fleet that comes back at once does not take the memory for all of it.

A response is only worked out when there is room. A peer that does not read gives its room back after a moment: what it takes from then
on is at most one response, and the others go on.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

ROOM = 16 * 1024 * 1024
"""Bytes that are being written; one response more may be on its way."""

COUNTED = 32 * 1024
"""Smaller responses are not counted: there is at most one for each stream."""

PATIENCE = 0.25
"""Seconds after which what a peer has not read does not count any more."""


class Flight:
    """Responses on their way, of all streams of one event loop."""

    def __init__(self) -> None:
        self._bytes = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    async def room(self) -> None:
        """Wait until there is room, in turn."""
        while self._bytes >= ROOM:
            turn = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                self._next()
                raise
        if self._queue:
            self._next()

    async def write(self, context: Any, data: bytes) -> None:
        """Write a response, which is on its way until the peer has taken it or has taken too long."""
        if len(data) < COUNTED:
            await context.write(data)
            return
        size = len(data)
        self._bytes += size

        def give() -> None:
            nonlocal size
            self._bytes -= size
            size = 0
            self._next()

        late = asyncio.get_running_loop().call_later(PATIENCE, give)
        try:
            await context.write(data)
        finally:
            late.cancel()
            give()

    def _next(self) -> None:
        while self._queue and self._bytes < ROOM:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
