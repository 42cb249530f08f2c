"""Weights: which numbers in a VirtualService's file give the canary its percentage, and what they give it now.

Percent are of the traffic that stable and canary share; what other destinations of a rule get stays theirs. Pure; it works on
meshes as they are in the files, never on overlaid ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from reconciler.errors import InputError
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.splits import Split, splits
from reconciler.model.virtualservice import HTTPRoute, VirtualService
from reconciler.rollouts.course import Course, same_weight
from reconciler.rollouts.wording import points
from reconciler.yamldoc import Edit

FINEST = 100_000
"""The largest total of weights that a split is rescaled to."""

_FACTORS = (1, 10, 100, 1000)
_FULL = 100


class WeightError(InputError):
    """A split can't give the canary this percentage, or is not there."""

    default_code = "rollout-weight"


@dataclass(frozen=True, slots=True)
class Standing:
    """What `main` gives the canary.

    Attributes:
        percent: By the first of the target's rules; 0 where stable and canary have nothing to share, or there is no rule.
        even: Whether all of the target's rules give it the same.
    """

    percent: float
    even: bool


def standing(course: Course, mesh: Mesh) -> Standing:
    """What the weights in the files give the canary."""
    service = service_of(course, mesh)
    found = [] if service is None else [_percent(rule, split) for rule, split in _rules(course, mesh, service)]
    first = found[0] if found else 0.0
    return Standing(first, all(same_weight(first, other) for other in found))


def stranded(course: Course, mesh: Mesh) -> str:
    """What the canary of a run that was left in the middle still gets, in words; "" if nothing.

    A new run moves traffic between its own two subsets, and would leave a third one what it has for good.
    """
    status = course.status
    left = status.run.partition("->")[2].partition("#")[0]
    service = service_of(course, mesh)
    if not course.starts or status.phase.ended or service is None or left in {course.spec.stable, course.spec.canary}:
        return ""
    for rule, _ in _rules(course, mesh, service):
        has = sum(share.weight for share in rule.route if left and share.destination.subset == left)
        if has:
            total = sum(share.weight for share in rule.route)
            return f"{left} still has {points(float(Fraction(has * _FULL, total)))}"
    return ""


def service_of(course: Course, mesh: Mesh) -> Policy[VirtualService] | None:
    """The VirtualService that a rollout moves."""
    policy = next((item for item in mesh.rollouts if item.key == course.key), None)
    wanted = policy.resolve(course.spec.target.virtual_service.name) if policy else None
    return next((item for item in mesh.virtual_services if item.key == wanted), None)


def shares(course: Course, mesh: Mesh) -> dict[str, tuple[tuple[str, Fraction], ...]]:
    """By rule, what part of its requests each destination gets: equal for equal traffic, whatever the weights' total."""
    service = service_of(course, mesh)
    found: dict[str, tuple[tuple[str, Fraction], ...]] = {}
    for rule, split in _rules(course, mesh, service) if service else ():
        total = sum(share.weight for share in rule.route) or 1
        parts = ((str(share.destination), Fraction(share.weight, total)) for share in rule.route)
        found[rule.name or str(split.rule)] = tuple(parts)
    return found


def weight_edits(course: Course, mesh: Mesh, percent: float) -> tuple[Edit, ...]:
    """The numbers to change in the VirtualService's file so that every rule of the target gives the canary this percentage.

    Where it is no whole number of a rule's total, all weights of that rule are multiplied by 10, 100 or 1,000, the smallest that
    makes it one: 0.5% of 100 is 995 and 5 of 1,000. They are never divided again. A function of what the file says and of
    `percent`.

    Raises:
        WeightError: There is no such split; it has nothing to share; or the total would be more than `FINEST`.
    """
    service = service_of(course, mesh)
    rules = _rules(course, mesh, service) if service else []
    if service is None or not rules:
        name = course.spec.target.virtual_service.name
        raise WeightError(
            f"{name} has no split of {course.spec.stable} and {course.spec.canary}", hint="mend its rules"
        )
    out: list[Edit] = []
    for rule, split in rules:
        for place, weight in _weights(rule, split, percent, course.spec.canary).items():
            if weight != rule.route[place].weight:
                path = ("spec", "http", split.rule, "route", place, "weight")
                out.append(Edit(service.origin.document, path, weight))
    return tuple(out)


def _rules(course: Course, mesh: Mesh, service: Policy[VirtualService]) -> list[tuple[HTTPRoute, Split]]:
    found = splits(course.spec, service, domain=mesh.settings.domain)
    return [(service.spec.http[split.rule], split) for split in found]


def _percent(rule: HTTPRoute, split: Split) -> float:
    canary = rule.route[split.canary].weight
    shared = canary + rule.route[split.stable].weight
    return float(Fraction(canary * _FULL, shared)) if shared else 0.0


def _weights(rule: HTTPRoute, split: Split, percent: float, canary: str) -> dict[int, int]:
    """By place in the rule."""
    before = [share.weight for share in rule.route]
    shared, total = before[split.stable] + before[split.canary], sum(before)
    named = f"the rule {rule.name or split.rule}"
    if not shared:
        hint = "give one of them a weight above 0 by hand"
        raise WeightError(
            f"{named} gives neither {canary} nor stable anything, so there is nothing to share", hint=hint
        )
    wanted = Fraction(str(percent)) / _FULL
    for factor in _FACTORS:
        moved = wanted * shared * factor
        if moved.denominator == 1 and (factor == 1 or total * factor <= FINEST):
            found = {place: weight * factor for place, weight in enumerate(before)}
            return found | {split.canary: int(moved), split.stable: shared * factor - int(moved)}
    raise WeightError(
        f"{named} can't give {canary} {percent:g}%: that is no whole number of its total {total:,}, nor of up to {FINEST:,}",
        hint="write weights that add up to 100, 1,000, 10,000 or 100,000, and steps with up to three decimals",
    )
