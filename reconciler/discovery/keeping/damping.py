"""Instances that come and go too often are left out until they are steady. Pure.

What is kept is bounded by what came within the window: an instance that came once and never again is forgotten with it.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime

from reconciler.discovery.keeping.doubt import Ident
from reconciler.model.discovered import Instance
from reconciler.model.discovery import Protection
from reconciler.model.services import Health

_Key = tuple[str, Ident]


class Damping:
    """The instances of one registry."""

    def __init__(self) -> None:
        self._came: deque[tuple[datetime, _Key]] = deque()
        self._often: Counter[_Key] = Counter()
        self._moved: dict[str, dict[Ident, datetime]] = {}

    def moved(
        self, host: str, *, came: Iterable[Ident], went: Iterable[Ident], now: datetime, protection: Protection
    ) -> bool:
        """Instances of a service appeared in, or disappeared from, what the registry lists; whether one begins to flap by that."""
        self._forget(now, protection)
        flapping = self._moved.get(host, {})
        began = False
        for key in came:
            self._came.append((now, (host, key)))
            self._often[host, key] += 1
            if key in flapping or self._often[host, key] > protection.flaps:
                began = began or key not in flapping
                flapping = self._moved.setdefault(host, {})
                flapping[key] = now
        for key in went:
            if key in flapping:
                flapping[key] = now
        return began

    def steady(self, host: str, listed: Mapping[Ident, Instance]) -> dict[Ident, Instance]:
        """What is listed without those that flap; all of it if no healthy one were left."""
        flapping = self._moved.get(host)
        if not flapping:
            return dict(listed)
        left = {key: each for key, each in listed.items() if key not in flapping}
        return left if any(each.health is Health.HEALTHY for each in left.values()) else dict(listed)

    def calmed(self, now: datetime, protection: Protection) -> set[str]:
        """Forget what has been steady for long enough; the services that it is of."""
        self._forget(now, protection)
        hosts = set()
        for host, flapping in list(self._moved.items()):
            left = {key: moved for key, moved in flapping.items() if moved + protection.flap_window > now}
            if len(left) < len(flapping):
                hosts.add(host)
            if left:
                self._moved[host] = left
            else:
                del self._moved[host]
        return hosts

    def due(self, protection: Protection) -> datetime | None:
        """When the next one will have been steady for long enough."""
        moved = [each for flapping in self._moved.values() for each in flapping.values()]
        return min(moved) + protection.flap_window if moved else None

    def flapping(self) -> Collection[_Key]:
        """Those that flap now, in a fixed order."""
        return sorted((host, key) for host, keys in self._moved.items() for key in keys)

    def _forget(self, now: datetime, protection: Protection) -> None:
        while self._came and self._came[0][0] + protection.flap_window <= now:
            _, key = self._came.popleft()
            self._often[key] -= 1
            if self._often[key] <= 0:
                del self._often[key]
