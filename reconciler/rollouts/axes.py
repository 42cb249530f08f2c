"""Axes of a picture: from values to places, and round numbers to write beside them. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

_ROUND = (1, 2, 2.5, 5, 10)
_SECONDS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400, 172800, 604800)
_DAY = 86400
_SAME = 1e-6
_MINUTE = 60


@dataclass(frozen=True, slots=True)
class Axis:
    """A range of values along a range of places.

    Attributes:
        low: The smallest value.
        high: The greatest value; more than `low`.
        start: Place of the smallest value.
        end: Place of the greatest; on a screen, where places grow downwards, it may be the smaller number.
        ticks: Values that are written beside it.
    """

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...] = ()

    def place(self, value: float) -> float:
        """Where a value is; one beyond the ends is put at the end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def value_axis(
    values: Iterable[float],
    *,
    start: float,
    end: float,
    floor: float | None = None,
    ceiling: float | None = None,
    at_most: int = 4,
) -> Axis:
    """An axis with round ends around these values.

    Args:
        values: What has to fit on it; none gives 0 to 1.
        start: Place of the smallest value.
        end: Place of the greatest.
        floor: The least value that makes sense; the axis does not go below.
        ceiling: The greatest value that makes sense; the axis does not go above.
        at_most: How many steps from tick to tick.
    """
    found = [value for value in values if math.isfinite(value)] or [0.0, 1.0]
    low, high = min(found), max(found)
    least = max(abs(low), abs(high), 1) * _SAME
    if high - low < least:  # one value, as far as can be seen: some room around it
        room = abs(high) / 10 if abs(high) > least else 1.0
        low, high = low - room, high + room
    low = low if floor is None else max(low, floor)
    high = high if ceiling is None else min(high, ceiling)
    if high <= low:
        low, high = (high - 1, high) if ceiling is not None and high >= ceiling else (low, low + 1)
    step = _round_up((high - low) / at_most)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(number * step, 10) for number in range(first, last + 1))
    return Axis(ticks[0], ticks[-1], start, end, ticks)


def time_axis(first: datetime, last: datetime, *, start: float, end: float, at_most: int = 8) -> Axis:
    """An axis of seconds since 1970, with ticks at round times of the day in UTC. It begins and ends exactly where it is told."""
    low, high = first.timestamp(), max(last, first + timedelta(seconds=1)).timestamp()
    step = next((size for size in _SECONDS if (high - low) / size <= at_most), None)
    if step is None:
        step = math.ceil((high - low) / at_most / _DAY) * _DAY
    ticks = tuple(float(number * step) for number in range(math.ceil(low / step), math.floor(high / step) + 1))
    return Axis(low, high, start, end, ticks)


def time_label(axis: Axis, tick: float) -> str:
    """A tick of a time axis: days for long runs, seconds for short ones; the first tick of a day that is not the first has its date."""
    at = datetime.fromtimestamp(tick, UTC)
    step = axis.ticks[1] - axis.ticks[0] if len(axis.ticks) > 1 else axis.high - axis.low
    if step >= _DAY or (at.hour == at.minute == at.second == 0 and tick != axis.low):
        return f"{at:%b} {at.day}"
    return f"{at:%H:%M:%S}" if step < _MINUTE else f"{at:%H:%M}"


def number(value: float) -> str:
    """A number as people write it: at most four figures that matter, and no exponent."""
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else "?"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:.{min(digits, 6)}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _round_up(size: float) -> float:
    """The next round number: 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(factor * power for factor in _ROUND if factor * power >= size * (1 - 1e-9))
