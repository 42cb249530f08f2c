"""All policies of one commit, validated together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from typing import Any, Generic, TypeVar

from reconciler.model.analysis import AnalysisTemplate
from reconciler.model.destinationrule import DestinationRule
from reconciler.model.gateway import Gateway
from reconciler.model.healthcheck import HealthCheck
from reconciler.model.key import Key
from reconciler.model.origin import Origin
from reconciler.model.proxy import MeshSpec, Proxy
from reconciler.model.ratelimit import RateLimit
from reconciler.model.rollout import Rollout, RolloutStatus
from reconciler.model.serviceentry import ServiceEntry, WorkloadEntry
from reconciler.model.sidecar import Sidecar
from reconciler.model.spec import Spec
from reconciler.model.virtualservice import VirtualService

S_co = TypeVar("S_co", bound=Spec, covariant=True)


@dataclass(frozen=True, slots=True)
class Policy(Generic[S_co]):
    """One YAML document under `policies/`.

    Attributes:
        kind: `VirtualService`, ...
        labels: From `metadata.labels`.
        status: Of a Rollout: what the reconciler has written there; None if nothing.
        made_from: Of a VirtualService with rules that a rollout has put in: for each `http` rule the index, in the document, of the
            one that it is made from; () where all of them stand in the document. A rule stands after those made from it.
    """

    kind: str
    key: Key
    spec: S_co
    origin: Origin
    labels: dict[str, str] = field(default_factory=dict)
    status: RolloutStatus | None = None
    made_from: tuple[int, ...] = ()

    def place(self, rule: int) -> int:
        """Where in the document an `http` rule stands, or the one that it is made from."""
        return self.made_from[rule] if self.made_from else rule

    def put_in(self, rule: int) -> bool:
        """Whether an `http` rule is one that a rollout has put in."""
        return self.place(rule) in self.made_from[rule + 1 :]

    def resolve(self, name: str) -> Key:
        """A reference in this document: `name` in its own namespace, or `namespace/name`."""
        return Key.parse(name, self.key.namespace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mesh:
    """What one commit says. Each tuple is sorted by key, so equal commits give equal meshes whatever the file order."""

    settings: MeshSpec = field(default_factory=MeshSpec)
    virtual_services: tuple[Policy[VirtualService], ...] = ()
    destination_rules: tuple[Policy[DestinationRule], ...] = ()
    service_entries: tuple[Policy[ServiceEntry], ...] = ()
    workload_entries: tuple[Policy[WorkloadEntry], ...] = ()
    gateways: tuple[Policy[Gateway], ...] = ()
    sidecars: tuple[Policy[Sidecar], ...] = ()
    rate_limits: tuple[Policy[RateLimit], ...] = ()
    health_checks: tuple[Policy[HealthCheck], ...] = ()
    rollouts: tuple[Policy[Rollout], ...] = ()
    analysis_templates: tuple[Policy[AnalysisTemplate], ...] = ()
    proxies: tuple[Policy[Proxy], ...] = ()

    def policies(self) -> Iterator[Policy[Any]]:
        """Every document but the Mesh document."""
        for item in fields(self):
            if item.name != "settings":
                yield from getattr(self, item.name)

    def proxy(self, key: Key) -> Policy[Proxy] | None:
        """The fleet member of this name, if there is one."""
        return next((proxy for proxy in self.proxies if proxy.key == key), None)
