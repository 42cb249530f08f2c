"""Freezes and suspensions at one time: what they hold, in words, and when that ends. What is held is decided by the guards.

What a mesh says counts for the commit that says it: whoever may merge a change may also merge that it is no time for changes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from reconciler.errors import Diagnostic, Severity
from reconciler.model.freeze import Freeze, Suspension
from reconciler.model.proxy import MeshSpec
from reconciler.plan import shorten, visible
from reconciler.policy.checks.freezes import until as end_of
from reconciler.policy.windows import Frozen, frozen, next_frozen, zone

_WORDS = 300
_AHEAD = timedelta(hours=24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What is held at one time.

    Attributes:
        frozen: Why no change is made, if a freeze says so; "" otherwise.
        suspended: The same of the suspension.
        rollouts: Why no rollout goes on; "" if they do.
        until: When something of that ends, UTC; None if nothing is held, or nobody knows.
        rollouts_until: The same for rollouts.
    """

    frozen: str = ""
    suspended: str = ""
    rollouts: str = ""
    until: datetime | None = None
    rollouts_until: datetime | None = None


def held(settings: MeshSpec, now: datetime) -> Held:
    """What a mesh holds at one time."""
    if not settings.freezes and settings.suspend is None:
        return Held()
    of_rollouts = tuple(item for item in settings.freezes if item.rollouts)
    changes, rollouts = frozen(settings.freezes, now), frozen(of_rollouts, now)
    suspended = settings.suspend if settings.suspend is not None and _lasts(settings.suspend, now) else None
    words = said_of(suspended) if suspended is not None else ""
    end = end_of(suspended) if suspended is not None else None
    return Held(
        frozen=_frozen(changes) if changes is not None else "",
        suspended=words,
        rollouts=words or (_frozen(rollouts) if rollouts is not None else ""),
        until=_first(end, changes.until if changes is not None else None),
        rollouts_until=_first(end, rollouts.until if rollouts is not None else None),
    )


def thaws_in(settings: MeshSpec, began: datetime, now: datetime) -> float | None:
    """Seconds until something that was held when a pass began is held no more; None if nothing was, or nobody knows.

    It may have ended since, after the pass had found that it holds: then nobody else would look again.
    """
    end = held(settings, began).until
    return max(0.0, (end - now).total_seconds()) if end is not None else None


def notes(settings: MeshSpec, now: datetime, *, opened: bool = False) -> tuple[Diagnostic, ...]:
    """What people should know: of a suspension that has ended, and of a freeze that begins within a day.

    Args:
        settings: Of the mesh.
        now: When they are told, UTC.
        opened: Also of what holds changes now, which a plan for live proxies says itself where it matters.
    """
    found = held(settings, now) if opened else Held()
    open_ = (
        Diagnostic(
            code="freeze-now",
            message=words,
            severity=Severity.WARNING,
            hint="what is merged waits for that, unless it is acknowledged",
        )
        for words in (found.suspended, found.frozen)
        if words
    )
    return (*open_, *_notes(settings, now))


def _notes(settings: MeshSpec, now: datetime) -> Iterator[Diagnostic]:
    if settings.suspend is not None and not _lasts(settings.suspend, now):
        yield Diagnostic(
            code="suspend-expired",
            message=f"Mesh.suspend has had no effect since {visible(settings.suspend.until)}",
            severity=Severity.WARNING,
            hint="remove it: reconcile resume",
        )
    if settings.freezes and (soon := next_frozen(settings.freezes, now, within=_AHEAD)) is not None:
        begins, found = soon
        if frozen(settings.freezes, now) is None:
            yield Diagnostic(
                code="freeze-ahead",
                message=f"from {_time(begins)} on, {_frozen(found)}",
                severity=Severity.WARNING,
                hint="what is not applied by then waits, unless it is acknowledged",
            )


def _lasts(suspension: Suspension, now: datetime) -> bool:
    end = end_of(suspension)
    return end is None or now < end


def said_of(suspension: Suspension) -> str:
    """What people are told of a suspension: by whom, until when and why."""
    by = f" by {_said(suspension.by)}" if suspension.by else ""
    return f"changes are suspended{by} {ends(suspension)}: {_said(suspension.reason)}"


def ends(suspension: Suspension) -> str:
    """When it ends, in words."""
    end = end_of(suspension)
    return f"until {_time(end)}" if end is not None else "until somebody resumes them"


def replaced(suspension: Suspension, now: datetime) -> str:
    """What one that comes instead takes the place of, in words; "" if it has ended already."""
    if not _lasts(suspension, now):
        return ""
    by = f" by {_said(suspension.by)}" if suspension.by else ""
    return f"replaces a suspension{by} {ends(suspension)} ({_said(suspension.reason)})"


def _frozen(found: Frozen) -> str:
    freezes = [window.freeze for window in found.windows] or list(found.allowed)
    until = f" until {_time(found.until, freezes)}" if found.until is not None else ""
    named = " and ".join(f"{_said(item.name)}{f' ({_said(item.reason)})' if item.reason else ''}" for item in freezes)
    if found.windows:
        return f"changes are frozen{until} by {named}"
    return f"changes are frozen{until}: they are made in the windows of {named} only"


def _time(at: datetime, freezes: Sequence[Freeze] = ()) -> str:
    """In UTC, and by the clocks of the freezes where these are others."""
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    zones = dict.fromkeys(item.time_zone for item in freezes if item.time_zone != "UTC")
    local = [f"{at.astimezone(zone(name)):%a %H:%M} {name}" for name in zones]
    return f"{text} ({', '.join(local)})" if local else text


def _said(text: str) -> str:
    return shorten(visible(text), _WORDS)


def _first(*times: datetime | None) -> datetime | None:
    return min((time for time in times if time is not None), default=None)
