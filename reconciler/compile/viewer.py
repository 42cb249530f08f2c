"""Who a view is for: everything about a proxy that a policy's visibility and conditions can depend on.

Proxies with equal viewers share what is compiled for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.virtualservice import MESH_GATEWAY

MESH = frozenset({MESH_GATEWAY})
"""The gateways of routes that are for sidecars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Viewer:
    """What policies know of a proxy.

    Attributes:
        labels: Of its workload, or a gateway's own; sorted.
        locality: `region/zone/subzone`, or "" if unknown.
        gateway: Whether it is called by its own address, rather than an application's.
    """

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    locality: str = ""
    gateway: bool = False

    @classmethod
    def of(cls, proxy: Policy[Proxy], workload: Policy[WorkloadEntry] | None) -> Self:
        """A proxy as policies see it: a sidecar has its workload's labels and locality, a gateway its own."""
        spec = workload.spec if workload else proxy.spec
        return cls(
            namespace=proxy.key.namespace,
            labels=tuple(sorted(spec.labels.items())),
            locality=spec.locality,
            gateway=not proxy.spec.workload,
        )

    def carries(self, labels: dict[str, str]) -> bool:
        """Whether it has all of these labels; of none, it has all."""
        own = dict(self.labels)
        return all(own.get(name) == value for name, value in labels.items())


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where routes are for: what the static conditions of a match are held against.

    Attributes:
        port: The listener's.
        gateways: `mesh`, or the Gateways that open the port, as `namespace/name`.
        tls: Whether clients come by TLS that the listener ends.
    """

    viewer: Viewer
    port: int
    gateways: frozenset[str] = MESH
    tls: bool = False
