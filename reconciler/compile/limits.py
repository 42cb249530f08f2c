"""Which RateLimits concern what: workloads, the servers of Gateways, the rules of VirtualServices, and the proxies of all these.

Knows nothing of Envoy's messages; `routes.ratelimits` and `ratelimits` make them. Where validation let two documents claim the
same requests, the first by key has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.ratelimit import RateLimit
from reconciler.model.services import selected

Limiting = Policy[RateLimit]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The RateLimits of a mesh, by target; each sorted by key.

    Attributes:
        workloads: By namespace.
        gateways: By Gateway.
        rules: By VirtualService.
    """

    workloads: Mapping[str, tuple[Limiting, ...]]
    gateways: Mapping[Key, Limiting]
    rules: Mapping[Key, tuple[Limiting, ...]]

    @classmethod
    def of(cls, policies: Iterable[Limiting]) -> Self:
        """Arrange them."""
        workloads: dict[str, list[Limiting]] = {}
        gateways: dict[Key, Limiting] = {}
        rules: dict[Key, list[Limiting]] = {}
        ordered = sorted(policies, key=lambda item: (item.key, item.origin.file, item.origin.document))
        for policy in ordered:
            target = policy.spec.target
            if target.workloads is not None:
                workloads.setdefault(policy.key.namespace, []).append(policy)
            elif target.gateway:
                gateways.setdefault(policy.resolve(target.gateway), policy)
            elif target.virtual_service is not None:
                rules.setdefault(policy.resolve(target.virtual_service.name), []).append(policy)
        return cls(
            workloads={namespace: tuple(items) for namespace, items in workloads.items()},
            gateways=gateways,
            rules={key: tuple(items) for key, items in rules.items()},
        )

    def __bool__(self) -> bool:
        return bool(self.workloads or self.gateways or self.rules)

    def of_workload(self, namespace: str, labels: Mapping[str, str]) -> Limiting | None:
        """What limits requests to a workload."""
        for policy in self.workloads.get(namespace, ()):
            selector = policy.spec.target.workloads
            if selector is not None and selected(labels, selector.labels):
                return policy
        return None

    def of_gateways(self, keys: Iterable[str]) -> Limiting | None:
        """What limits requests at a port that these Gateways (`namespace/name`) open."""
        found = [self.gateways[key] for key in map(Key.parse, sorted(keys)) if key in self.gateways]
        return min(found, key=lambda policy: policy.key, default=None)

    def of_rule(self, owner: Key, name: str) -> Limiting | None:
        """What limits requests that a rule takes, by the VirtualService in which it is written, and its name there."""
        for policy in self.rules.get(owner, ()):
            target = policy.spec.target.virtual_service
            if target is not None and (not target.routes or name in target.routes):
                return policy
        return None
