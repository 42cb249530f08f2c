"""What callers counted: requests to the canary and to stable, cumulative or between two readings. Values; how they are read stands in `envoy`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType

from reconciler.model.key import Key

Bucket = tuple[float, float]
"""Lower and upper bound of request times, in milliseconds."""
_NONE: Mapping[Bucket, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Requests of one subset.

    Attributes:
        requests: That have ended.
        errors: Of these: answered with 5xx, or failed on the way (timeouts, resets, no healthy endpoint).
        timeouts: Of the errors, those that took too long.
        resets: Of the errors, connections that broke.
        unhealthy: Of the errors, those for which there was no healthy endpoint.
        times: How many requests took how long.
    """

    requests: int = 0
    errors: int = 0
    timeouts: int = 0
    resets: int = 0
    unhealthy: int = 0
    times: Mapping[Bucket, int] = field(default_factory=lambda: _NONE)

    def plus(self, other: Counts) -> Counts:
        """Both together."""
        return self._with(other, 1)

    def minus(self, other: Counts) -> Counts | None:
        """What came since `other`; None if any count is smaller, so that these are not later counts of one process."""
        found = self._with(other, -1)
        numbers = (found.requests, found.errors, found.timeouts, found.resets, found.unhealthy, *found.times.values())
        return None if min(numbers) < 0 else found

    def _with(self, other: Counts, sign: int) -> Counts:
        times = dict(self.times)
        for bucket, count in other.times.items():
            times[bucket] = times.get(bucket, 0) + sign * count
        return Counts(
            requests=self.requests + sign * other.requests,
            errors=self.errors + sign * other.errors,
            timeouts=self.timeouts + sign * other.timeouts,
            resets=self.resets + sign * other.resets,
            unhealthy=self.unhealthy + sign * other.unhealthy,
            times=MappingProxyType({bucket: times[bucket] for bucket in sorted(times) if times[bucket]}),
        )


def total(counts: Iterable[Counts]) -> Counts:
    """All together."""
    found = Counts()
    for item in counts:
        found = found.plus(item)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SubsetReading:
    """One subset, as one caller has counted it since it started.

    Attributes:
        counts: Cumulative.
        healthy: Endpoints that the caller would send to now.
    """

    counts: Counts
    healthy: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyReading:
    """One caller.

    Attributes:
        epoch: Another one means another process: its counts are not to be compared with those before.
        canary: None if it has no such cluster.
        stable: None if it has no such cluster.
    """

    epoch: str
    canary: SubsetReading | None = None
    stable: SubsetReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """All callers, once.

    Attributes:
        at: When, UTC.
        proxies: By caller; who could not be read is not here.
        unread: Callers that could not be read, and why.
    """

    at: datetime
    proxies: Mapping[Key, ProxyReading]
    unread: Mapping[Key, str] = field(default_factory=dict)
