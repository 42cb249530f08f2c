"""A plan in one line: counts for people, and the subject of the receipt it will get."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from reconciler.model.plan import Action, Cause, Change, FieldChange, Plan
from reconciler.model.resource import ResourceType
from reconciler.plan.groups import moves_by_proxy
from reconciler.plan.splits import Move
from reconciler.plan.words import count, percent, shorten, visible

_NAME = 60
_HEADS = {Cause.CHANGE: "", Cause.DRIFT: "repair drift: ", Cause.DISCOVERY: "discovery: "}


@dataclass(frozen=True, slots=True)
class Counts:
    """Resources, summed over all proxies, and the proxies that didn't answer."""

    create: int
    update: int
    delete: int
    unchanged: int
    unreachable: int


def counts(plan: Plan) -> Counts:
    """Count a plan."""
    actions = Counter(change.action for proxy in plan.proxies for change in proxy.changes)
    return Counts(
        actions[Action.CREATE],
        actions[Action.UPDATE],
        actions[Action.DELETE],
        sum(proxy.unchanged for proxy in plan.proxies),
        sum(not proxy.reachable for proxy in plan.proxies),
    )


def summary_line(plan: Plan) -> str:
    """The last line of a plan: `Plan: 1 to create, 2 to update, 0 to delete; 12 unchanged; 1 proxy unreachable.`."""
    found = counts(plan)
    what = f"{found.create} to create, {found.update} to update, {found.delete} to delete"
    down = f"; {count(found.unreachable, 'proxy')} unreachable" if found.unreachable else ""
    return f"Plan: {'no changes' if plan.empty else what}; {found.unchanged} unchanged{down}."


def subject_of(plan: Plan) -> str:
    """What a plan does, for the subject of a receipt, in one line; "" if it does nothing.

    A plan that moves the weights of one split, on however many proxies, is `reviews v2 5% -> 25%`: the shares that grow.
    Any other is counts, `2 created, 1 updated, 1 deleted`. Both follow `repair drift: ` if nothing but drift is repaired, and
    `discovery: ` if nothing but what registries say has changed.
    """
    changes = [change for proxy in plan.proxies for change in proxy.changes]
    if not changes:
        return ""
    causes = {change.cause for change in changes}
    same = len(causes) == 1
    head = _HEADS[changes[0].cause] if same else ""
    return head + ((same and move_subject(plan)) or _counted(plan))


def _counted(plan: Plan) -> str:
    found = counts(plan)
    parts = ((found.create, "created"), (found.update, "updated"), (found.delete, "deleted"))
    return ", ".join(f"{amount} {what}" for amount, what in parts if amount)


def move_subject(plan: Plan) -> str:
    """`reviews v2 5% -> 25%` if all that a plan does is to move the weights of one split alike, else ""."""
    if not all(_only_weights(change) for proxy in plan.proxies for change in proxy.changes):
        return ""
    phrases = {phrase for moved in moves_by_proxy(plan).values() for phrase in _phrases(moved) or [""]}
    return phrases.pop() if len(phrases) == 1 else ""


def _phrases(moved: tuple[Move, ...]) -> list[str]:
    by_route: dict[tuple[str, str], list[Move]] = {}
    for move in moved:
        by_route.setdefault((move.service, move.route), []).append(move)
    return [_phrase(found) for found in by_route.values()]


def _phrase(found: list[Move]) -> str:
    """What grows, once: a proxy may have one split in several route configurations."""
    parts = dict.fromkeys(
        f"{_name(move.destination)} {percent(move.before)} -> {percent(move.after)}"
        for move in found
        if move.after > move.before
    )
    return f"{_name(found[0].service)} {', '.join(parts)}"


def _name(text: str) -> str:
    return shorten(visible(text), _NAME)


def _only_weights(change: Change) -> bool:
    if change.action is not Action.UPDATE:
        return False
    return change.id.type is ResourceType.RUNTIME or (
        change.id.type is ResourceType.ROUTE and bool(change.fields) and all(map(_is_weight, change.fields))
    )


def _is_weight(item: FieldChange) -> bool:
    """Whether this is a destination's weight, or a destination that is nothing but its weight."""
    if "weighted_clusters[" not in item.path:
        return False
    whole = [value for value in (item.old, item.new) if isinstance(value, dict)]
    return all(value.keys() <= {"name", "weight"} for value in whole) if whole else item.path.endswith("].weight")
