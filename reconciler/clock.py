"""Time as the product reads it: clocks that are passed in, and durations as Go and Istio write them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_UNITS = {"h": 3_600_000_000, "m": 60_000_000, "s": 1_000_000, "ms": 1_000, "us": 1, "µs": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(h|ms|m|us|µs|s)")


class Clock(Protocol):
    """What the product needs of time. Tests pass their own."""

    def now(self) -> datetime:
        """Wall time, in UTC: what receipts and messages show."""

    def monotonic(self) -> float:
        """Seconds that only grow: what deadlines and durations are measured in."""

    def sleep(self, seconds: float) -> None:
        """Wait."""


class SystemClock:
    """The machine's own clocks."""

    def now(self) -> datetime:
        """Wall time, in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds since an arbitrary point."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; a negative or zero time returns at once."""
        if seconds > 0:
            time.sleep(seconds)


class SteadyClock:
    """Wall time that neither jumps nor runs backwards: the wall is read once, and carried on by the clock that only grows.

    What lasts longer than a process has to be written down as wall time; within one, somebody who sets the clock must not
    shorten what is being waited for.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._wall = clock.now()
        self._since = clock.monotonic()

    def now(self) -> datetime:
        """Steady wall time, UTC."""
        return self._wall + timedelta(seconds=self._clock.monotonic() - self._since)


def rfc3339(at: datetime, *, timespec: str = "seconds") -> str:
    """Write a time as `2026-01-31T09:00:00Z`: in UTC, as Git's commits, tokens, the log and the API show it.

    Args:
        at: Any time that knows its zone.
        timespec: Down to what: as for `datetime.isoformat`.
    """
    return at.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def parse_duration(text: str) -> timedelta:
    """Read a duration as Go's `time.ParseDuration` writes it: `500ms`, `10s`, `1h30m`, `0s`.

    Resolution is one microsecond (Go's nanoseconds have no use here). A bare `0` is valid, as in Go.

    Raises:
        ValueError: The text is not such a duration, is negative, or is finer than a microsecond.
    """
    if text == "0":
        return timedelta()
    position, micros = 0, 0.0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None:
            break
        micros += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not text or position != len(text):
        raise ValueError(f"{text!r} is not a duration; write it like 500ms, 10s or 1h30m")
    if micros != int(micros):
        raise ValueError(f"{text!r} is finer than a microsecond")
    try:
        return timedelta(microseconds=int(micros))
    except OverflowError:
        raise ValueError(f"{text!r} is too long a duration") from None


def format_duration(value: timedelta) -> str:
    """Write a duration the way `parse_duration` reads it, in the largest units that are exact: `1h30m`, `1.5s`, `40ms`."""
    micros = value // timedelta(microseconds=1)
    if micros == 0:
        return "0s"
    if micros % 1_000_000:
        for unit in ("s", "ms", "us"):
            amount = micros / _UNITS[unit]
            if amount >= 1:
                return f"{amount:.6f}".rstrip("0").rstrip(".") + unit
    out = ""
    for unit in ("h", "m", "s"):
        amount, micros = divmod(micros, _UNITS[unit])
        if amount:
            out += f"{amount}{unit}"
    return out
