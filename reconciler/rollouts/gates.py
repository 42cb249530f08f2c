"""Gates: what reality has to show before traffic is moved. They hold and never judge; an abort passes them all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from reconciler.model.key import Key
from reconciler.rollouts.course import Course, same_weight
from reconciler.rollouts.facts import Facts

_NAMED = 3
"""Proxies that a reason names; more are counted."""


def named(proxies: Mapping[Key, str]) -> str:
    """`web-1 (unreachable), web-2 (late) and 4 more`."""
    shown = [f"{key.short()} ({proxies[key]})" if proxies[key] else key.short() for key in sorted(proxies)]
    more = len(shown) - _NAMED
    return ", ".join(shown[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def not_live(course: Course, facts: Facts) -> str:
    """Why what `main` says is not live; "" if it is."""
    if not facts.applied:
        return "the head of main can't be applied"
    if not facts.verified.scope:
        return "no proxy carries the split"
    laggards = facts.verified.laggards
    if len(laggards) > course.spec.max_laggards:
        return f"not live on {len(laggards)} of {len(facts.verified.scope)} proxies: {named(laggards)}"
    return ""


def moves(course: Course, facts: Facts, step: int) -> bool:
    """Whether a step would move requests: by its weight, or by a header route that is not in force yet."""
    weighed = not facts.even or not same_weight(course.weight_at(step), facts.weight)
    here = () if course.starts else course.header_routes_at(course.status.step)
    return weighed or any(route not in here for route in course.header_routes_at(step))


def unhealthy(course: Course, facts: Facts, step: int) -> str:
    """Why requests must not be moved to where this step would have them: a caller has nobody to send them to; "" if they may."""
    weight = course.weight_at(step)
    rises = not facts.even or weight > facts.weight or same_weight(weight, facts.weight)
    side: Literal["canary", "stable"] = "canary" if rises else "stable"
    subset = course.spec.canary if rises else course.spec.stable
    if facts.reading is None or not (facts.reading.proxies or facts.reading.unread):
        return f"no caller was asked for healthy endpoints of {subset}"
    without = {
        key: "" if seen is not None else "it knows of none"
        for key, proxy in facts.reading.proxies.items()
        if key not in facts.verified.laggards
        and ((seen := proxy.canary if side == "canary" else proxy.stable) is None or seen.healthy < 1)
    }
    return f"no healthy endpoint of {subset} at {named(without)}" if without else ""
