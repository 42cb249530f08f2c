from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.rollouts.axes import number, time_axis, time_label, value_axis

START = datetime(2026, 3, 4, 23, 58, 30, tzinfo=UTC)
VALUES = st.lists(st.floats(min_value=0, max_value=1e6), min_size=1, max_size=20)


@given(VALUES)
def test_everything_fits_on_an_axis_and_keeps_its_order(values: list[float]) -> None:
    """Each value lies between the ends, greater ones further on, and the ends are ticks."""
    axis = value_axis(values, start=200, end=100)
    places = [axis.place(value) for value in sorted(values)]
    assert places == sorted(places, reverse=True)
    assert all(100 <= place <= 200 for place in places)
    tolerance = (axis.high - axis.low) * 1e-6
    assert axis.low - tolerance <= min(values)
    assert axis.high + tolerance >= max(values)
    assert (axis.ticks[0], axis.ticks[-1]) == (axis.low, axis.high)
    assert 2 <= len(axis.ticks) <= 7


@given(st.lists(st.floats(min_value=0, max_value=100), max_size=5))
def test_a_percentage_never_has_an_axis_beyond_what_there_is(values: list[float]) -> None:
    """Nothing below 0% and above 100% is promised, even where all values are equal."""
    axis = value_axis([*values, 100], start=0, end=1, floor=0, ceiling=100)
    assert axis.low >= 0
    assert axis.high == 100


def test_an_axis_without_values_is_an_axis() -> None:
    """What can't be drawn (no value, or no number) does not break the picture."""
    assert value_axis([], start=0, end=1).ticks == value_axis([math.nan, math.inf], start=0, end=1).ticks


@given(st.floats(min_value=0.5, max_value=3e7))
def test_ticks_of_time_are_round_and_few(seconds: float) -> None:
    """From a second to a year, between the ends, at most nine, and equally far apart."""
    axis = time_axis(START, START + timedelta(seconds=seconds), start=0, end=800)
    assert len(axis.ticks) <= 9
    assert all(axis.low <= tick <= axis.high for tick in axis.ticks)
    steps = {later - earlier for earlier, later in pairwise(axis.ticks)}
    assert len(steps) <= 1


@pytest.mark.parametrize(
    ("seconds", "labels"),
    [
        (60, ["23:58:30", "23:58:40", "23:58:50", "23:59:00", "23:59:10", "23:59:20", "23:59:30"]),
        (
            240,
            ["23:58:30", "23:59:00", "23:59:30", "Mar 5", "00:00:30", "00:01:00", "00:01:30", "00:02:00", "00:02:30"],
        ),
        (3600, ["Mar 5", "00:10", "00:20", "00:30", "00:40", "00:50"]),
        (5 * 86400, ["Mar 5", "Mar 6", "Mar 7", "Mar 8", "Mar 9"]),
        (40 * 86400, ["Mar 5", "Mar 12", "Mar 19", "Mar 26", "Apr 2", "Apr 9"]),
        (400 * 86400, None),
    ],
)
def test_times_are_written_as_exactly_as_the_run_is_long(seconds: int, labels: list[str] | None) -> None:
    """Seconds for minutes, minutes for hours, days for weeks; a new day says which."""
    axis = time_axis(START, START + timedelta(seconds=seconds), start=0, end=800)
    found = [time_label(axis, tick) for tick in axis.ticks]
    if labels is not None:
        assert found == labels
    else:
        assert 4 <= len(found) <= 9


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1, "1"), (0.25, "0.25"), (99.8765, "99.88"), (100, "100"), (1234.6, "1235"), (12345, "12345"), (0.01, "0.01"), (math.nan, "?")],
)  # fmt: skip
def test_numbers_are_as_people_write_them(value: float, text: str) -> None:
    """Four figures that matter, no exponent, no trailing zeros."""
    assert number(value) == text
