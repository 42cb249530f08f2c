"""Counts as plain values: short, because there are two for each caller and they are written once a minute."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any

from reconciler.model.reading import Bucket, Counts
from reconciler.rollouts.fields import Fields

_NUMBERS = ("requests", "errors", "timeouts", "resets", "unhealthy")


def counts_to(counts: Counts) -> dict[str, Any]:
    """What is not 0; request times as `[from, to, requests]`, where no end is `null`."""
    plain: dict[str, Any] = {name: getattr(counts, name) for name in _NUMBERS if getattr(counts, name)}
    if counts.times:
        plain["times"] = [
            [low, None if math.isinf(high) else high, n] for (low, high), n in sorted(counts.times.items())
        ]
    return plain


def counts_from(fields: Fields | None) -> Counts:
    """Read back what `counts_to` gave; None is nothing counted."""
    if fields is None:
        return Counts()
    numbers = {name: fields.number(name) for name in _NUMBERS}
    times = dict(_time(fields, item) for item in fields.items("times"))
    fields.end()
    return Counts(**numbers, times=MappingProxyType(times))


def _time(fields: Fields, item: Any) -> tuple[Bucket, int]:
    match item:
        case [int() | float() as low, int() | float() | None as high, int() as count]:
            return (float(low), math.inf if high is None else float(high)), count
        case _:
            raise ValueError(f"{fields.name('times')}: {item!r} is not [from, to, requests]")
