"""Which splits a rollout moves: the rules of its VirtualService, and in each the shares of stable and canary."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.hosts import fqdn
from reconciler.model.mesh import Policy
from reconciler.model.rollout import Rollout
from reconciler.model.virtualservice import HTTPRoute, VirtualService


@dataclass(frozen=True, slots=True)
class Split:
    """One rule that a rollout moves.

    Attributes:
        rule: Index of the rule among `http`.
        stable: Index of stable's share in the rule's `route`.
        canary: Index of the canary's.
    """

    rule: int
    stable: int
    canary: int


def targeted(spec: Rollout, service: VirtualService) -> tuple[int, ...]:
    """Indices of the rules that a rollout names, in order; without names the only rule, and none if there are several."""
    names = spec.target.virtual_service.routes
    if not names:
        return (0,) if len(service.http) == 1 else ()
    return tuple(number for number, rule in enumerate(service.http) if rule.name in names)


def splits(spec: Rollout, service: Policy[VirtualService], *, domain: str) -> tuple[Split, ...]:
    """The splits that a rollout moves; rules that lack one of the two shares are left out (validation has refused them).

    Args:
        spec: The rollout.
        service: The VirtualService that it names.
        domain: What short names are completed with.
    """
    found = (split_of(spec, service, number, domain=domain) for number in targeted(spec, service.spec))
    return tuple(item for item in found if item is not None)


def split_of(spec: Rollout, service: Policy[VirtualService], rule: int, *, domain: str) -> Split | None:
    """The two shares of one rule: the first of each subset that are of one host and port; None if there are no two such."""
    route = service.spec.http[rule].route
    namespace = service.key.namespace
    for stable in _of_subset(service.spec.http[rule], spec.stable):
        for canary in _of_subset(service.spec.http[rule], spec.canary):
            one, other = route[stable].destination, route[canary].destination
            hosts = {fqdn(item.host, namespace=namespace, domain=domain) for item in (one, other)}
            if len(hosts) == 1 and one.port == other.port:
                return Split(rule, stable, canary)
    return None


def _of_subset(rule: HTTPRoute, subset: str) -> list[int]:
    return [number for number, share in enumerate(rule.route) if share.destination.subset == subset]
