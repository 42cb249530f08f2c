"""Which HealthCheck holds for which cluster. Knows nothing of Envoy's messages; `clusters.healthchecks` makes them.

Where validation let two documents claim the same, the first by key has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from reconciler.compile.names import ClusterRef
from reconciler.model.healthcheck import HealthCheck
from reconciler.model.hosts import fqdn
from reconciler.model.mesh import Policy

Probe = Policy[HealthCheck]


@dataclass(frozen=True, slots=True)
class Probing:
    """The HealthChecks of a mesh, by full host; each sorted by key."""

    hosts: Mapping[str, tuple[Probe, ...]]

    @classmethod
    def of(cls, policies: Iterable[Probe], domain: str) -> Self:
        """Arrange them.

        Args:
            policies: In any order.
            domain: The mesh's, which completes short names.
        """
        hosts: dict[str, list[Probe]] = {}
        for policy in sorted(policies, key=lambda item: (item.key, item.origin.file, item.origin.document)):
            hosts.setdefault(fqdn(policy.spec.host, namespace=policy.key.namespace, domain=domain), []).append(policy)
        return cls({host: tuple(items) for host, items in hosts.items()})

    def of_cluster(self, ref: ClusterRef) -> Probe | None:
        """What holds for a port of a service, or for a subset of it."""
        for policy in self.hosts.get(ref.host, ()):
            ports, subsets = policy.spec.ports, policy.spec.subsets
            if (not ports or ref.port in ports) and (not subsets or ref.subset in subsets):
                return policy
        return None
