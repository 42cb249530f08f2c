"""Thin notices for whoever watches: what kind of thing happened, never what it says, so that nothing is told that may not be read.

Told from any thread, and never waits for a watcher: what a slow one has not taken yet is replaced by what is newer of its kind.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any
from weakref import WeakSet

from reconciler.web.errors import BusyError

_MOST = 64
_MOST_OF_ONE = 16
_LASTS = 600.0
_HEARTBEAT = 15.0
_RETRY = 2000
"""Milliseconds after which a browser connects again."""


class Notices:
    """Tells those who watch at the moment.

    Args:
        kinds: What can be told; anything else is a fault of ours.
        most: Watchers at the same time.
        of_one: Of one peer, likewise.
        heartbeat: Seconds of silence after which a comment shows that the connection lives, and after which it is asked again whether
            somebody may watch.
        lasts: Seconds after which watching ends: a page begins again by itself, and what nobody looks at does not.
    """

    def __init__(
        self,
        kinds: Iterable[str],
        *,
        most: int = _MOST,
        of_one: int = _MOST_OF_ONE,
        heartbeat: float = _HEARTBEAT,
        lasts: float = _LASTS,
    ) -> None:
        self._kinds = frozenset(kinds)
        self._most = most
        self._of_one = of_one
        self._lasts = lasts
        self._heartbeat = heartbeat
        self._lock = threading.Lock()
        # Weak, since events that nobody begins to read never come to their end: the reader went away before the answer began.
        self._watchers: WeakSet[_Watcher] = WeakSet()
        self._closed = False

    def tell(self, kind: str, said: Mapping[str, Any]) -> None:
        """Something happened. Safe on any thread.

        Raises:
            ValueError: There is no such kind.
        """
        if kind not in self._kinds:
            raise ValueError(f"{kind!r} is not among {sorted(self._kinds)}")
        with self._lock:
            for watcher in self._watchers:
                watcher.put(kind, said)

    def close(self) -> None:
        """End all that is being watched, and let nobody watch any more."""
        with self._lock:
            self._closed = True
            for watcher in self._watchers:
                watcher.end()

    @property
    def watchers(self) -> int:
        """How many there are."""
        with self._lock:
            return len(self._watchers)

    def watch(self, peer: str = "", *, allowed: Callable[[], bool] = lambda: True) -> AsyncIterator[bytes]:
        """Server-sent events until `close`; the first asks whoever reads them to look at everything. Call it on the loop that reads.

        Who asks has a place from this call on, until the events are read to their end or thrown away, even unread.

        Args:
            peer: Who that is; "" for somebody without a limit of their own.
            allowed: Whether they may watch at this instant.

        Raises:
            BusyError: There are as many watchers as are served, or we are stopping.
        """
        watcher = _Watcher(asyncio.get_running_loop(), peer)
        with self._lock:  # nobody waits for it: it is held for as long as it takes to look
            if self._closed or len(self._watchers) >= self._most:
                raise BusyError(f"{len(self._watchers)} watch already", hint="close a page, or ask now and then")
            if peer and sum(other.peer == peer for other in self._watchers) >= self._of_one:
                raise BusyError(f"{self._of_one} watch from this address already", hint="close a page")
            self._watchers.add(watcher)
        return self._events(watcher, allowed)

    async def _events(self, watcher: _Watcher, allowed: Callable[[], bool]) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        asked, end = loop.time(), loop.time() + self._lasts
        try:
            yield f"retry: {_RETRY}\nevent: hello\ndata: {{}}\n\n".encode()
            while not watcher.ended and (left := end - loop.time()) > 0:
                said = await watcher.take(min(self._heartbeat, left))
                if loop.time() - asked >= self._heartbeat:
                    asked = loop.time()
                    if not allowed():
                        return
                if said:
                    yield b"".join(_event(kind, data) for kind, data in said.items())
                elif not watcher.ended:
                    yield b": still here\n\n"
        finally:
            with self._lock:
                self._watchers.discard(watcher)


class _Watcher:
    """What one of them has not taken yet: the newest of each kind."""

    def __init__(self, loop: asyncio.AbstractEventLoop, peer: str) -> None:
        self._loop = loop
        self.peer = peer
        self._lock = threading.Lock()
        self._waiting: dict[str, Mapping[str, Any]] = {}
        self._something = asyncio.Event()
        self.ended = False

    def put(self, kind: str, said: Mapping[str, Any]) -> None:
        with self._lock:
            self._waiting[kind] = said
        self._wake()

    def end(self) -> None:
        self.ended = True
        self._wake()

    async def take(self, patience: float) -> dict[str, Mapping[str, Any]]:
        """All that waits; nothing if nothing comes in time."""
        try:
            async with asyncio.timeout(patience):
                await self._something.wait()
        except TimeoutError:
            return {}
        self._something.clear()
        with self._lock:
            taken, self._waiting = self._waiting, {}
        return taken

    def _wake(self) -> None:
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._something.set)


def _event(kind: str, said: Mapping[str, Any]) -> bytes:
    return f"event: {kind}\ndata: {json.dumps(said)}\n\n".encode()
