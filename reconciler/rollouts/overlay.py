"""What a rollout adds to its VirtualService beside the weights, which stand in the file: header routes, mirrors, an abort.

Stands between loading and compiling, and is worked out anew in every pass from (spec, status), so that nothing that a step asked
for can get lost while later steps are walked. A function of meshes: it reads no evidence, decides nothing, and writes no file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from reconciler.model.conjunction import both
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.rollout import Phase, Rollout, SetHeaderRoute, SetMirrorRoute
from reconciler.model.splits import Split, splits
from reconciler.model.virtualservice import (
    HTTPMatch,
    HTTPMirrorPolicy,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    VirtualService,
)
from reconciler.rollouts.course import course_of

_NOBODY: Mapping[Key, str] = {}


@dataclass(frozen=True, slots=True)
class _Effect:
    """What one rollout does to one rule."""

    split: Split
    headers: tuple[SetHeaderRoute, ...] = ()
    mirrors: tuple[SetMirrorRoute, ...] = ()
    aborted: bool = False


@dataclass(frozen=True, slots=True)
class _Made:
    """A VirtualService as it was made, and of what."""

    source: Policy[VirtualService]
    effects: tuple[_Effect, ...]
    result: Policy[VirtualService]


class Overlay:
    """Overlays one mesh after another: what is asked for again is the same object again, by which `compile` knows it.

    Not safe for use by several threads at once: one pass runs at a time.
    """

    def __init__(self) -> None:
        self._made: dict[Key, _Made] = {}
        self._last: tuple[Mesh, Mapping[Key, str], Mesh] | None = None

    def of(self, mesh: Mesh, *, aborted: Mapping[Key, str] = _NOBODY) -> Mesh:
        """As `overlaid`."""
        if self._last is not None and self._last[0] is mesh and self._last[1] == aborted:
            return self._last[2]
        effects = _effects(mesh, aborted)
        made = {
            policy.key: self._of(policy, effects[policy.key])
            for policy in mesh.virtual_services
            if policy.key in effects
        }
        self._made = made
        result = mesh
        if made:
            services = tuple(
                made[policy.key].result if policy.key in made else policy for policy in mesh.virtual_services
            )
            result = replace(mesh, virtual_services=services)
        self._last = (mesh, dict(aborted), result)
        return result

    def _of(self, policy: Policy[VirtualService], effects: tuple[_Effect, ...]) -> _Made:
        known = self._made.get(policy.key)
        if known is not None and known.source is policy and known.effects == effects:
            return known
        return _Made(policy, effects, _overlaid(policy, effects))


def overlaid(mesh: Mesh, *, aborted: Mapping[Key, str] = _NOBODY) -> Mesh:
    """A mesh with what its rollouts have in force.

    A run that is Progressing or Paused has the header and mirror routes of its steps so far; what they match goes before the
    target's rule, and what stands before that in the document is still asked first (in Istio the first match wins). A request is
    copied once at most, and not at all where a header route sends it to the canary.

    Args:
        mesh: A valid one, as one commit has it.
        aborted: By rollout, the run that is aborted though `main` does not say so yet: stable gets the canary's share.

    Returns:
        The same mesh if nothing is in force; documents that nothing is added to are the same objects.
    """
    return Overlay().of(mesh, aborted=aborted)


def _effects(mesh: Mesh, aborted: Mapping[Key, str]) -> dict[Key, tuple[_Effect, ...]]:
    """By VirtualService, what its rules get."""
    found: dict[Key, tuple[_Effect, ...]] = {}
    services: dict[Key, Policy[VirtualService]] = {}
    for policy in mesh.rollouts:
        bare = _effect(mesh, policy, aborted.get(policy.key))
        if bare is None:
            continue
        services = services or {item.key: item for item in mesh.virtual_services}
        service = services.get(policy.resolve(policy.spec.target.virtual_service.name))
        if service is not None:
            mine = splits(policy.spec, service, domain=mesh.settings.domain)
            found[service.key] = (
                *found.get(service.key, ()),
                *(replace(bare, split=split) for split in mine if not bare.aborted or _has_traffic(service, split)),
            )
    return {key: items for key, items in found.items() if items}


def _effect(mesh: Mesh, policy: Policy[Rollout], aborted: str | None) -> _Effect | None:
    """What a rollout does to each of its rules; None for nothing."""
    status, run, nowhere = policy.status, policy.spec.run_name, Split(0, 0, 0)
    mine = status is not None and status.run == run
    if aborted == run and not (mine and status is not None and status.phase.ended):
        return _Effect(nowhere, aborted=True)
    if status is None or not mine or status.phase not in {Phase.PROGRESSING, Phase.PAUSED}:
        return None
    course = course_of(mesh, policy)
    found = _Effect(nowhere, course.header_routes_at(status.step), course.mirror_routes_at(status.step))
    return found if found.headers or found.mirrors else None


def _has_traffic(service: Policy[VirtualService], split: Split) -> bool:
    return bool(service.spec.http[split.rule].route[split.canary].weight)


def _overlaid(policy: Policy[VirtualService], effects: tuple[_Effect, ...]) -> Policy[VirtualService]:
    by_rule = {effect.split.rule: effect for effect in effects}
    rules: list[HTTPRoute] = []
    places: list[int] = []
    for number, rule in enumerate(policy.spec.http):
        rules.extend(_rules(rule, by_rule[number]) if number in by_rule else (rule,))
        places.extend(number for _ in range(len(rules) - len(places)))
    more = len(rules) > len(policy.spec.http)
    spec = policy.spec.model_copy(update={"http": tuple(rules)})
    return replace(policy, spec=spec, made_from=tuple(places) if more else ())


def _rules(rule: HTTPRoute, effect: _Effect) -> list[HTTPRoute]:
    """A rule with what is put before it."""
    if effect.aborted:
        return [_given_back(rule, effect.split)]
    canary = rule.route[effect.split.canary]
    alone = (canary.model_copy(update={"weight": 100}),)
    before = []
    for header in effect.headers:
        wanted = {item.header_name: item.header_value for item in header.match}
        matches = _within(rule, (HTTPMatch(headers=wanted),))
        if matches:
            before.append(rule.model_copy(update={"name": _name(rule, header.name), "match": matches, "route": alone}))
    for mirror in effect.mirrors:
        if not mirror.match:
            return [*before, _copied(rule, mirror, canary)]
        matches = _within(rule, mirror.match)
        if matches:
            narrowed = rule.model_copy(update={"name": _name(rule, mirror.name), "match": matches})
            before.append(_copied(narrowed, mirror, canary))
    return [*before, rule]


def _given_back(rule: HTTPRoute, split: Split) -> HTTPRoute:
    shares = list(rule.route)
    together = shares[split.stable].weight + shares[split.canary].weight
    shares[split.stable] = shares[split.stable].model_copy(update={"weight": together})
    shares[split.canary] = shares[split.canary].model_copy(update={"weight": 0})
    return rule.model_copy(update={"route": tuple(shares)})


def _within(rule: HTTPRoute, matches: tuple[HTTPMatch, ...]) -> tuple[HTTPMatch, ...]:
    """What one of the rule's matches takes, and one of these; that it can be said is checked when the documents are loaded."""
    found = (both(outer, inner) for inner in matches for outer in rule.match or (HTTPMatch(),))
    return tuple(match for match in found if match is not None)


def _copied(rule: HTTPRoute, mirror: SetMirrorRoute, canary: HTTPRouteDestination) -> HTTPRoute:
    """A rule with one more who gets copies; the older form of its own goes into the list, where there can be several."""
    mirrors = rule.mirrors
    if rule.mirror is not None:
        share = rule.mirror_percentage
        if share is None and rule.mirror_percent is not None:
            share = Percent(value=rule.mirror_percent)
        mirrors = (HTTPMirrorPolicy(destination=rule.mirror, percentage=share),)
    share = Percent(value=mirror.percentage) if mirror.percentage is not None else None
    update = {
        "mirror": None,
        "mirror_percentage": None,
        "mirror_percent": None,
        "mirrors": (*mirrors, HTTPMirrorPolicy(destination=canary.destination, percentage=share)),
    }
    return rule.model_copy(update=update)


def _name(rule: HTTPRoute, name: str) -> str:
    return f"{rule.name}.{name}" if rule.name else name
