"""Windows of time by a schedule and a time zone: which are open at an instant, and when that changes. Asks no clock.

The schedule is read as Debian's cron reads it (by cronsim), also where clocks change. Durations are time that passes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from reconciler.model.freeze import Freeze, FreezeKind

_FIELDS = 5
_LOOKED_AT = 400
"""Beginnings that are compared for the shortest time between two: more than a year of days."""
_CHANGES = 1000
_SHIFT = timedelta(hours=3)
"""More than clocks are ever set forward or back at once."""
_SOME_DAY = datetime(2024, 1, 1, tzinfo=UTC)


class ScheduleError(ValueError):
    """No schedule or time zone can be written so."""


@dataclass(frozen=True, slots=True)
class Window:
    """One window of a freeze; `begins` belongs to it, `ends` does not. Both in UTC."""

    freeze: Freeze
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True)
class Frozen:
    """That nothing changes now.

    Attributes:
        windows: The open `Deny` windows; empty where it is for want of an `Allow` one.
        allowed: Then the freezes in one of whose windows things would change.
        until: When that ends, UTC; None if it does not within what was looked at.
    """

    windows: tuple[Window, ...]
    allowed: tuple[Freeze, ...]
    until: datetime | None


def zone(name: str) -> ZoneInfo:
    """A time zone by its name.

    Raises:
        ScheduleError: There is none of this name.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ScheduleError(f"there is no time zone {name!r}") from error


def shortest_period(schedule: str) -> timedelta | None:
    """The shortest time between two beginnings, where no clocks change; None if it begins at most once.

    Raises:
        ScheduleError: It is no schedule.
    """
    fields = len(schedule.split())
    if fields != _FIELDS:
        raise ScheduleError(f"{schedule!r} has {fields} fields, and a schedule has {_FIELDS}")
    try:
        beginnings = CronSim(schedule, _SOME_DAY)
    except CronSimError as error:
        raise ScheduleError(f"{schedule!r} is no schedule: {error}") from error
    found = [at for _, at in zip(range(_LOOKED_AT), beginnings, strict=False)]
    if not found:
        raise ScheduleError(f"{schedule!r} never comes")
    return min((later - earlier for earlier, later in pairwise(found)), default=None)


def windows(freeze: Freeze, *, since: datetime, until: datetime) -> Iterator[Window]:
    """The windows of which some part is in a time, in order."""
    where = zone(freeze.time_zone)
    start = (since - freeze.duration - _SHIFT).astimezone(where)
    for begins in CronSim(freeze.schedule, start):
        window = Window(freeze, begins.astimezone(UTC), begins.astimezone(UTC) + freeze.duration)
        if window.begins >= until:
            return
        if window.ends > since:
            yield window


def frozen(freezes: Sequence[Freeze], at: datetime) -> Frozen | None:
    """Whether nothing changes at an instant; None if things do. `Deny` wins over `Allow`."""
    found = _frozen(freezes, at)
    return None if found is None else Frozen(found.windows, found.allowed, _thaw(freezes, at))


def next_frozen(freezes: Sequence[Freeze], at: datetime, *, within: timedelta) -> tuple[datetime, Frozen] | None:
    """When nothing will change, beginning within a time from an instant at which things do; and why."""
    now = at
    while (later := _next_change(freezes, now, at + within)) is not None:
        found = frozen(freezes, later)
        if found is not None:
            return later, found
        now = later
    return None


def _frozen(freezes: Sequence[Freeze], at: datetime) -> Frozen | None:
    open_ = [window for freeze in freezes for window in windows(freeze, since=at, until=at + timedelta(microseconds=1))]
    denied = tuple(window for window in open_ if window.freeze.kind is FreezeKind.DENY)
    if denied:
        return Frozen(denied, (), None)
    allowing = tuple(freeze for freeze in freezes if freeze.kind is FreezeKind.ALLOW)
    if allowing and not any(window.freeze.kind is FreezeKind.ALLOW for window in open_):
        return Frozen((), allowing, None)
    return None


def _thaw(freezes: Sequence[Freeze], at: datetime) -> datetime | None:
    now = at
    for _ in range(_CHANGES):
        later = _next_change(freezes, now, None)
        if later is None:
            return None
        if _frozen(freezes, later) is None:
            return later
        now = later
    return None


def _next_change(freezes: Sequence[Freeze], after: datetime, before: datetime | None) -> datetime | None:
    """The next instant at which some window begins or ends."""
    times = [time for freeze in freezes for time in _edges(freeze, after)]
    return min((time for time in times if before is None or time < before), default=None)


def _edges(freeze: Freeze, after: datetime) -> Iterator[datetime]:
    """The end of what is open, and the next beginning."""
    where = zone(freeze.time_zone)
    for begins in CronSim(freeze.schedule, (after - freeze.duration - _SHIFT).astimezone(where)):
        start = begins.astimezone(UTC)
        end = start + freeze.duration
        if start > after:
            yield start
            return
        if end > after:
            yield end
