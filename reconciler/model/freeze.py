"""When changes are held: freezes, which come again by a schedule, and one suspension, which somebody asked for. Part of `Mesh`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from reconciler.model.spec import Duration, Spec


class FreezeKind(StrEnum):
    """DENY: nothing changes in these windows. ALLOW: with any of these, things change in one of them only."""

    DENY = "Deny"
    ALLOW = "Allow"


class Freeze(Spec):
    """Windows of time, as Argo CD's sync windows are: an open `Deny` wins over whatever is allowed.

    Attributes:
        name: What people call it.
        kind: `Deny` or `Allow`.
        schedule: When windows begin, as cron has it: minute, hour, day of the month, month, day of the week. Where clocks are set
            forward over a beginning, the window begins right then; where they are set back, it begins once.
        duration: How long each stays open, in time that passes; at most as long as it is to the next one.
        time_zone: Whose clocks the schedule is read by, as in `Europe/Berlin`.
        rollouts: Whether it holds the steps of rollouts too. Aborts are never held.
        reason: What people are told.
    """

    name: Annotated[str, Field(min_length=1)]
    kind: FreezeKind = FreezeKind.DENY
    schedule: Annotated[str, Field(min_length=1)]
    duration: Duration
    time_zone: str = "UTC"
    rollouts: bool = True
    reason: str = ""


class Suspension(Spec):
    """Nothing changes until somebody says otherwise, or for a time. `reconcile suspend` and `resume` write it.

    Attributes:
        reason: What people are told.
        until: When it ends by itself, as in `2026-08-31T06:00:00Z`; "" if it does not.
        by: Who asked for it.
    """

    reason: Annotated[str, Field(min_length=1)]
    until: str = ""
    by: str = ""
