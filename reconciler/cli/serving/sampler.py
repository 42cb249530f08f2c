"""Requests per second from callers to clusters, measured at the callers' Envoys while somebody looks, and not a moment longer.

One small reading of each caller every other second, on a thread of its own that ends when nobody has asked for a while. A caller that can't be
read is named; one that began anew counts from there.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.clock import Clock
from reconciler.model.key import Key
from reconciler.settings import AdminSettings

if TYPE_CHECKING:
    from reconciler.envoy.requests import RequestCounts, Sent

_PAUSE = 2.0
_IDLE = 20.0
_KEPT = 6
_MOST = 200
_WORKERS = 4


@dataclass(frozen=True, slots=True)
class Rate:
    """Requests from one proxy to one cluster.

    Attributes:
        total: Since the proxy started.
        requests: Per second, lately; None before there are two readings.
        errors: Of them, answered with 5xx.
    """

    total: int
    requests: float | None = None
    errors: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What was measured last.

    Attributes:
        rates: By proxy and cluster; only clusters that were ever called.
        silent: Proxies that can't be read, and why.
        left_out: How many proxies are not read, since there are too many.
    """

    rates: Mapping[Key, Mapping[str, Rate]] = field(default_factory=dict)
    silent: Mapping[Key, str] = field(default_factory=dict)
    left_out: int = 0


class Sampler:
    """Measures while it is looked at.

    Args:
        admins: Admin endpoints by proxy, at this instant.
        settings: How they are called.
        pause: Seconds between two readings.
        idle: Seconds after the last look until it ends.
    """

    def __init__(
        self,
        admins: Callable[[], Mapping[Key, str]],
        settings: AdminSettings,
        clock: Clock,
        *,
        pause: float = _PAUSE,
        idle: float = _IDLE,
    ) -> None:
        self._admins = admins
        self._settings = settings
        self._clock = clock
        self._pause = pause
        self._idle = idle
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._looked = 0.0
        self._closed = False
        self._latest = Sampled()

    def look(self) -> Sampled:
        """What was measured last; nothing at first, since measuring begins with it."""
        with self._changed:
            self._looked = self._clock.monotonic()
            if self._thread is None and not self._closed:
                self._latest = Sampled()
                self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
                self._thread.start()
            return self._latest

    @property
    def running(self) -> bool:
        """Whether it measures."""
        return self._thread is not None

    def close(self) -> None:
        """Measure no more. Waits for the callers that are being read, and not for those whose turn would be next."""
        with self._changed:
            self._closed = True
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        callers = _Callers(self._settings, over=lambda: self._closed)
        try:
            with ThreadPoolExecutor(_WORKERS, thread_name_prefix="traffic") as pool:
                while self._wanted():
                    measured = callers.measure(self._admins(), pool, self._clock)
                    with self._changed:
                        self._latest = measured
                        self._changed.wait_for(lambda: self._closed, self._pause)
        finally:
            callers.close()
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _wanted(self) -> bool:
        with self._changed:
            wanted = not self._closed and self._clock.monotonic() - self._looked < self._idle
            if not wanted:
                self._thread = None  # whoever looks from now on starts another
            return wanted


class _Callers:
    """The connections to callers, and their newest readings. Reads nobody any more once it is `over`."""

    def __init__(self, settings: AdminSettings, *, over: Callable[[], bool]) -> None:
        self._settings = settings
        self._over = over
        self._open: dict[Key, RequestCounts] = {}
        self._seen: dict[Key, deque[tuple[float, Mapping[str, Sent]]]] = {}

    def close(self) -> None:
        for connection in self._open.values():
            connection.close()
        self._open.clear()

    def measure(self, admins: Mapping[Key, str], pool: ThreadPoolExecutor, clock: Clock) -> Sampled:
        """Read all of them once."""
        asked = dict(sorted(admins.items())[:_MOST])
        self._connect(asked)
        silent: dict[Key, str] = {}
        for key, found in pool.map(self._read, list(self._open)):
            if isinstance(found, str):
                silent[key] = found
                self._seen.pop(key, None)
            else:
                self._seen.setdefault(key, deque(maxlen=_KEPT)).append((clock.monotonic(), found))
        rates = {key: _rates(readings) for key, readings in sorted(self._seen.items())}
        return Sampled(rates=rates, silent=silent, left_out=len(admins) - len(asked))

    def _connect(self, asked: Mapping[Key, str]) -> None:
        from reconciler.envoy.requests import RequestCounts
        from reconciler.errors import UsageError

        for key in [key for key, item in self._open.items() if asked.get(key) != item.address]:
            self._open.pop(key).close()
            self._seen.pop(key, None)
        for key, address in asked.items():
            if key not in self._open:
                try:
                    self._open[key] = RequestCounts(address, self._settings)
                except UsageError:
                    continue  # the pass says so

    def _read(self, key: Key) -> tuple[Key, Mapping[str, Sent] | str]:
        from reconciler.envoy import AdminError

        if self._over():
            return key, "nobody looks any more"
        try:
            return key, self._open[key].read()
        except AdminError as error:
            return key, error.message


def _rates(readings: deque[tuple[float, Mapping[str, Sent]]]) -> Mapping[str, Rate]:
    """Over the readings that are kept. Counts that fell are another process': what was read before says nothing of it."""
    newest_at, newest = readings[-1]
    while len(readings) > 1 and _fell(readings[0][1], newest):
        readings.popleft()
    oldest_at, oldest = readings[0]
    seconds = newest_at - oldest_at
    if len(readings) == 1 or seconds <= 0:
        return {name: Rate(sent.requests) for name, sent in newest.items()}
    rates = {}
    for name, sent in newest.items():
        before = oldest.get(name)
        requests, errors = (before.requests, before.errors) if before is not None else (0, 0)
        rates[name] = Rate(sent.requests, (sent.requests - requests) / seconds, max(0, sent.errors - errors) / seconds)
    return rates


def _fell(before: Mapping[str, Sent], now: Mapping[str, Sent]) -> bool:
    return any(name in now and sent.requests > now[name].requests for name, sent in before.items())
