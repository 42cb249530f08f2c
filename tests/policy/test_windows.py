"""Windows of time: when they are open, in which order kinds count, and what clocks that change do to them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.freeze import Freeze, FreezeKind
from reconciler.policy.windows import ScheduleError, frozen, next_frozen, shortest_period, windows, zone

DAY = timedelta(days=1)


def freeze(schedule: str, hours: float, where: str = "UTC", *, allow: bool = False, name: str = "night") -> Freeze:
    return Freeze(
        name=name,
        kind=FreezeKind.ALLOW if allow else FreezeKind.DENY,
        schedule=schedule,
        duration=timedelta(hours=hours),
        time_zone=where,
    )


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(freezes: list[Freeze], now: str) -> str | None:
    """When it thaws; "" if nothing is frozen."""
    found = frozen(freezes, at(now))
    if found is None:
        return ""
    return found.until.strftime("%Y-%m-%dT%H:%M") if found.until is not None else None


def test_a_window_begins_with_its_first_instant_and_ends_before_its_last() -> None:
    """From Friday evening to Monday morning, over midnights."""
    weekend = [freeze("0 18 * * FRI", 60)]
    assert until(weekend, "2026-08-28T17:59:59") == ""
    assert until(weekend, "2026-08-28T18:00") == "2026-08-31T06:00"
    assert until(weekend, "2026-08-30T00:00") == "2026-08-31T06:00"
    assert until(weekend, "2026-08-31T05:59:59") == "2026-08-31T06:00"
    assert until(weekend, "2026-08-31T06:00") == ""


def test_a_schedule_is_read_by_the_clocks_of_its_time_zone() -> None:
    """Ten at night in Berlin is eight in UTC in summer, and nine in winter."""
    night = [freeze("0 22 * * *", 1, "Europe/Berlin")]
    assert until(night, "2026-08-28T20:00") == "2026-08-28T21:00"
    assert until(night, "2026-08-28T21:00") == ""
    assert until(night, "2026-01-28T20:30") == ""
    assert until(night, "2026-01-28T21:00") == "2026-01-28T22:00"


def test_deny_wins_over_allow_and_with_any_allow_the_rest_is_frozen() -> None:
    """As in Argo CD; and of several allowing windows one is enough."""
    office, late = freeze("0 9 * * *", 8, allow=True, name="office"), freeze("0 20 * * *", 1, allow=True, name="late")
    lunch = freeze("0 12 * * *", 1, name="lunch")
    assert until([office], "2026-08-28T08:00") == "2026-08-28T09:00"
    assert until([office, late], "2026-08-28T10:00") == ""
    assert until([office, late], "2026-08-28T20:30") == ""
    assert until([office, lunch], "2026-08-28T12:30") == "2026-08-28T13:00"
    found = frozen([office, lunch], at("2026-08-28T12:30"))
    assert found is not None
    assert [window.freeze.name for window in found.windows] == ["lunch"]
    outside = frozen([office, late], at("2026-08-28T18:00"))
    assert outside is not None
    assert [item.name for item in outside.allowed] == ["office", "late"]
    assert outside.until == at("2026-08-28T20:00")


def test_windows_that_overlap_or_touch_are_one() -> None:
    """It thaws when the last of them ends, and a denying window may hide an allowing one for good."""
    assert until([freeze("0 1 * * *", 2), freeze("0 2 * * *", 3), freeze("0 5 * * *", 1)], "2026-08-28T01:30") == (
        "2026-08-28T06:00"
    )
    assert until([freeze("0 1 * * *", 1, allow=True), freeze("0 0 * * *", 24)], "2026-08-28T01:30") is None


def test_a_window_over_clocks_that_are_set_forward_is_as_long_in_time_that_passes() -> None:
    """Berlin, 29 March 2026: from Friday 18:00 for 60 hours ends on Monday at 07:00 by the clock."""
    weekend = [freeze("0 18 * * FRI", 60, "Europe/Berlin")]
    assert until(weekend, "2026-03-28T00:00") == "2026-03-30T05:00"  # 07:00 in summer time
    gap = [freeze("30 2 * * *", 1, "Europe/Berlin")]  # there is no half past two on that day
    assert until(gap, "2026-03-29T00:59") == ""
    assert until(gap, "2026-03-29T01:00") == "2026-03-29T02:00"


def test_a_window_over_clocks_that_are_set_back_is_as_long_and_opens_once() -> None:
    """Berlin, 25 October 2026: half past two comes twice, and counts the first time; the weekend ends at 05:00."""
    weekend = [freeze("0 18 * * FRI", 60, "Europe/Berlin")]
    assert until(weekend, "2026-10-25T12:00") == "2026-10-26T04:00"  # 05:00 in winter time
    twice = freeze("30 2 * * *", 1, "Europe/Berlin")
    opened = list(windows(twice, since=at("2026-10-25T00:00"), until=at("2026-10-25T12:00")))
    assert [window.begins for window in opened] == [at("2026-10-25T00:30")]


def test_what_begins_soon_is_known() -> None:
    """Of what begins within a day, the first; nothing of what is later."""
    weekend = [freeze("0 18 * * FRI", 60)]
    found = next_frozen(weekend, at("2026-08-28T06:00"), within=DAY)
    assert found is not None
    assert (found[0], found[1].until) == (at("2026-08-28T18:00"), at("2026-08-31T06:00"))
    assert next_frozen(weekend, at("2026-08-26T06:00"), within=DAY) is None
    closing = [freeze("0 9 * * *", 8, allow=True)]
    found = next_frozen(closing, at("2026-08-28T10:00"), within=DAY)
    assert found is not None
    assert found[0] == at("2026-08-28T17:00")


@pytest.mark.parametrize(
    ("schedule", "period"),
    [
        ("0 18 * * FRI", 7 * DAY),
        ("*/5 9-17 * * *", timedelta(minutes=5)),
        ("0 0 1 * *", 28 * DAY),
        ("0 9,17 * * *", DAY / 3),
    ],
)
def test_the_shortest_time_between_two_beginnings_bounds_a_duration(schedule: str, period: timedelta) -> None:
    """Otherwise a window would still be open when the next one begins, and nobody could say when it ends."""
    assert shortest_period(schedule) == period


@pytest.mark.parametrize("schedule", ["", "* * * *", "60 * * * *", "0 0 30 2 *", "@daily", "0 0 * * * 2026"])
def test_what_is_no_schedule_is_refused(schedule: str) -> None:
    """Also what never comes."""
    with pytest.raises(ScheduleError):
        shortest_period(schedule)


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "../UTC", "/etc/localtime", "Europe"])
def test_what_is_no_time_zone_is_refused(name: str) -> None:
    """Nothing outside of the database of time zones is read."""
    with pytest.raises(ScheduleError):
        zone(name)


@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    length=st.integers(1, 23 * 60),
    where=st.sampled_from(["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]),
    now=st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)),  # noqa: DTZ001 -- hypothesis wants them without
    allow=st.booleans(),
)
def test_it_thaws_exactly_when_it_says(
    minute: int, hour: int, length: int, where: str, now: datetime, *, allow: bool
) -> None:
    """A moment before it is frozen still, and then it is not."""
    item = Freeze(
        name="x",
        kind=FreezeKind.ALLOW if allow else FreezeKind.DENY,
        schedule=f"{minute} {hour} * * *",
        duration=timedelta(minutes=length),
        time_zone=where,
    )
    found = frozen([item], now.replace(tzinfo=UTC))
    if found is not None:
        assert found.until is not None
        assert frozen([item], found.until) is None
        assert frozen([item], found.until - timedelta(seconds=1)) is not None
