"""Rules for `Mesh.freezes` and `Mesh.suspend`: schedules that can be read, in time zones that there are, and times."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from reconciler.clock import format_duration
from reconciler.model.freeze import Freeze, Suspension
from reconciler.policy.checks.shared import unique
from reconciler.policy.findings import Report
from reconciler.policy.windows import ScheduleError, shortest_period, zone

_SCHEDULE = "write minute, hour, day of the month, month and day of the week, as in 0 18 * * FRI"
_LONGEST = timedelta(days=366)


def check_freezes(freezes: Sequence[Freeze], report: Report) -> None:
    """Each with a name of its own, a schedule, a time zone, and windows that end before the next begins."""
    for number, freeze in enumerate(freezes):
        _check_freeze(freeze, report.below(number))
    unique(report, "the freeze", ((freeze.name, (number, "name")) for number, freeze in enumerate(freezes)))


def _check_freeze(freeze: Freeze, report: Report) -> None:
    try:
        zone(freeze.time_zone)
    except ScheduleError as error:
        report.error("time-zone", str(error), "timeZone", hint="write its name as in Europe/Berlin, or UTC")
    try:
        period = shortest_period(freeze.schedule)
    except ScheduleError as error:
        report.error("schedule", str(error), "schedule", hint=_SCHEDULE)
        return
    if freeze.duration < timedelta(minutes=1):
        report.error("duration", "a window is open for at least a minute", "duration", hint="write it like 60h")
    elif freeze.duration > min(period or _LONGEST, _LONGEST):
        longest = format_duration(min(period or _LONGEST, _LONGEST))
        message = (
            f"a window of {format_duration(freeze.duration)} is still open when the next one begins, after {longest}"
        )
        report.error("duration", message, "duration", hint="shorten it, or let them begin less often")


def check_suspension(suspension: Suspension, report: Report) -> None:
    """Its end is an instant."""
    if suspension.until and until(suspension) is None:
        message = f"{suspension.until!r} is no instant"
        report.error("value", message, "until", hint="write it like 2026-08-31T06:00:00Z")


def until(suspension: Suspension) -> datetime | None:
    """When it ends, UTC; None if it does not, or its end can't be read."""
    try:
        found = datetime.fromisoformat(suspension.until)
    except ValueError:
        return None
    return found.astimezone(UTC) if found.tzinfo is not None else None
