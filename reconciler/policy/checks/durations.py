"""How long a duration may be: Istio's rule for every one of them (its CRDs and `ValidateDuration`), and the limit of 64 bits."""

from __future__ import annotations

from datetime import timedelta

from reconciler.policy.findings import Report

_MIN = timedelta(milliseconds=1)
_MAX = timedelta(hours=2_562_047)
"""What fits into 64 bits of nanoseconds: the limit of Go, and so of Istio, and of Envoy."""


def check_duration(value: timedelta | None, report: Report, *path: str | int) -> None:
    """Note a duration that is below a millisecond, finer than one, or too long; the last step of the path names it."""
    if value is None:
        return
    name = str(path[-1])
    if value < _MIN:
        report.error("duration", f"{name} must be at least 1ms", *path, hint="to have none, leave it out")
    elif value % _MIN:
        message = f"{name} must be whole milliseconds"
        report.error("duration", message, *path, hint="write it like 500ms, 10s or 1h30m")
    elif value > _MAX:
        hours = _MAX // timedelta(hours=1)
        report.error("duration", f"{name} must be at most {hours}h", *path, hint="to have no limit, leave it out")
