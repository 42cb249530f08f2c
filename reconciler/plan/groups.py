"""A fleet's plan without its repetitions: equal changes together, with the proxies they are on."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.plan import Change, Plan
from reconciler.plan.identity import compact
from reconciler.plan.splits import Move, moves

_ChangeKey = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Changes that all of these proxies need, and no other proxy."""

    proxies: tuple[Key, ...]
    changes: tuple[Change, ...]


def groups(plan: Plan) -> tuple[Group, ...]:
    """Every change of a plan exactly once, changes of many proxies first."""
    where: dict[_ChangeKey, list[Key]] = {}
    what: dict[_ChangeKey, Change] = {}
    for proxy in plan.proxies:
        for change in proxy.changes:
            key = _key(change)
            where.setdefault(key, []).append(proxy.proxy)
            what[key] = change
    found: dict[tuple[Key, ...], list[Change]] = {}
    for key, proxies in where.items():
        found.setdefault(tuple(proxies), []).append(what[key])
    return tuple(
        Group(proxies, tuple(sorted(changes, key=lambda item: item.id)))
        for proxies, changes in sorted(found.items(), key=lambda item: (-len(item[0]), item[0]))
    )


def said(plan: Plan) -> tuple[tuple[Diagnostic, tuple[Key, ...]], ...]:
    """Refusals, then warnings, then notes, each once, with the proxies of a note."""
    found: dict[Diagnostic, list[Key]] = {item: [] for item in (*plan.refused, *plan.warnings)}
    for proxy in plan.proxies:
        for note in proxy.notes:
            found.setdefault(note, []).append(proxy.proxy)
    return tuple((item, tuple(dict.fromkeys(proxies))) for item, proxies in found.items())


def moves_by_proxy(plan: Plan) -> dict[Key, tuple[Move, ...]]:
    """The weights that move on each proxy that changes."""
    # Reading the splits of thousands of routes is dear, and most of a fleet changes alike.
    seen: dict[tuple[_ChangeKey, ...], tuple[Move, ...]] = {}
    found: dict[Key, tuple[Move, ...]] = {}
    for proxy in plan.proxies:
        key = tuple(map(_key, proxy.changes))
        if key:
            seen[key] = found[proxy.proxy] = seen[key] if key in seen else moves(proxy.changes)
    return found


def fleet_moves(plan: Plan) -> dict[Move, tuple[Key, ...]]:
    """Every weight that a plan moves, with the proxies it moves on; in the order of proxies and routes."""
    found: dict[Move, list[Key]] = {}
    for proxy, moved in moves_by_proxy(plan).items():
        for move in dict.fromkeys(moved):
            found.setdefault(move, []).append(proxy)
    return {move: tuple(proxies) for move, proxies in found.items()}


def _key(change: Change) -> _ChangeKey:
    content = (
        (change.old.version if change.old else "", change.new.version if change.new else "")
        if change.old or change.new
        else (compact([[item.path, item.old, item.new] for item in change.fields]),)
    )
    return (change.id.type, change.id.name, change.action, change.cause, *content)
