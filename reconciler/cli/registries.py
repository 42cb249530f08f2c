"""How registries stand, for `reconcile status`, `reconcile services` and the daemon's HTTP: as JSON and in words. Pure.

What a registry no longer says for sure is shown as such: since when it does not answer, and which losses are not believed yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from reconciler.cli.tables import ago
from reconciler.model.discovered import Held, Knowledge, Standing

_LISTED = 5
"""Losses and instances that flap of one registry, in text, after which the rest is a number."""


def registry_document(item: Standing) -> dict[str, Any]:
    """One registry, as every JSON document has it."""
    return {
        "registry": item.registry,
        "kind": item.kind,
        "state": str(item.knowledge),
        "heard": _time(item.heard),
        "since": _time(item.since),
        "problem": item.problem.as_json() if item.problem is not None else None,
        "services": item.services,
        "instances": item.instances,
        "held": [_held(held) for held in item.held],
        "flapping": list(item.flapping),
    }


def _held(item: Held) -> dict[str, Any]:
    return {
        "host": item.host,
        "had": item.had,
        "has": item.has,
        "since": _time(item.since),
        "until": _time(item.until),
    }


def _time(at: datetime | None) -> str | None:
    return at.isoformat() if at is not None else None


def registry_rows(registries: Iterable[Mapping[str, Any]], *, now: str) -> list[tuple[str, ...]]:
    """A row a registry, with the names of columns first."""
    rows: list[tuple[str, ...]] = [("REGISTRY", "KIND", "STATE", "SERVICES", "INSTANCES", "WHY")]
    rows += [
        (
            item["registry"],
            item["kind"],
            standing_words(item, now=now),
            str(item["services"]),
            str(item["instances"]),
            _why(item),
        )
        for item in registries
    ]
    return rows


def standing_words(item: Mapping[str, Any], *, now: str) -> str:
    """`live`, `stale for 12m`, `silent for 5s`."""
    state = str(item["state"])
    if state == Knowledge.LIVE or item["since"] is None:
        return state
    return f"{state} for {ago(item['since'], now)}"


def _why(item: Mapping[str, Any]) -> str:
    """What speaks against relying on it, as one line."""
    parts = [str(item["problem"]["message"])] if item["problem"] is not None else []
    parts += [f"last heard {clock(item['heard'])}"] if item["state"] == Knowledge.STALE and item["heard"] else []
    held = item["held"]
    parts += [f"{_losses(len(held))} not believed yet"] if held else []
    parts += [f"{len(item['flapping'])} flapping"] if item["flapping"] else []
    return "; ".join(parts)


def _losses(number: int) -> str:
    return "1 loss" if number == 1 else f"{number} losses"


def doubt_lines(registries: Iterable[Mapping[str, Any]], *, full: bool = False) -> Iterator[str]:
    """What is held and what flaps, a line each; of much only the first, unless in `full`."""
    for item in registries:
        lines = [
            f"{item['registry']} lists {held['has']} {_whose(held)} where it listed {held['had']}: "
            f"the others stay in use until {clock(held['until'])}"
            for held in item["held"]
        ]
        yield from _some(lines, f"losses of {item['registry']}", full=full)
        lines = [f"{item['registry']}: {name} comes and goes, and is left out" for name in item["flapping"]]
        yield from _some(lines, f"instances of {item['registry']} that come and go", full=full)


def _some(lines: list[str], what: str, *, full: bool) -> list[str]:
    if full or len(lines) <= _LISTED:
        return lines
    return [*lines[:_LISTED], f"and {len(lines) - _LISTED} more {what}"]


def _whose(held: Mapping[str, Any]) -> str:
    return f"instances of {held['host']}" if held["host"] else "instances altogether"


def clock(at: str) -> str:
    """A time as people read it: `2026-01-31 12:00:00 UTC`."""
    return f"{datetime.fromisoformat(at).astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
