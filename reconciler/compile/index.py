"""A mesh, arranged for looking things up: built once for a compile, the same whatever the order of its input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Generic, Self, TypeVar

from reconciler.compile.instances import own
from reconciler.compile.limits import Limits
from reconciler.compile.probing import Probing
from reconciler.compile.viewer import Viewer
from reconciler.model.destinationrule import DestinationRule, Subset
from reconciler.model.gateway import Gateway
from reconciler.model.hosts import covers, fqdn
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy, S_co
from reconciler.model.origin import FieldPath, Origin
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.services import Endpoint, Service
from reconciler.model.sidecar import Sidecar
from reconciler.model.trafficpolicy import TrafficPolicy
from reconciler.model.virtualservice import MESH_GATEWAY, VirtualService
from reconciler.model.visibility import exported, visible

K = TypeVar("K")
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The DestinationRules of one namespace for one host that a proxy sees.

    Attributes:
        key: The first of them.
        traffic_policy: The first one's that has any, as in Istio.
        subsets: By name; the first of two with one name.
        sources: Where each subset is written, by name, and under "" what holds the traffic policy: document and path.
    """

    key: Key
    traffic_policy: TrafficPolicy | None
    subsets: Mapping[str, Subset]
    sources: Mapping[str, tuple[Origin, FieldPath]]

    @classmethod
    def merged(cls, policies: Sequence[Policy[DestinationRule]]) -> Self:
        """Several rules for one host as one, in order."""
        subsets: dict[str, Subset] = {}
        speaking = next((policy for policy in policies if policy.spec.traffic_policy), policies[0])
        sources: dict[str, tuple[Origin, FieldPath]] = {"": (speaking.origin, ("spec",))}
        for policy in policies:
            for number, subset in enumerate(policy.spec.subsets):
                subsets.setdefault(subset.name, subset)
                sources.setdefault(subset.name, (policy.origin, ("spec", "subsets", number)))
        return cls(key=policies[0].key, traffic_policy=speaking.spec.traffic_policy, subsets=subsets, sources=sources)


class Rules:
    """All DestinationRules of one namespace for one host; merged once for each set of them that somebody sees."""

    def __init__(self, policies: tuple[Policy[DestinationRule], ...]) -> None:
        self._policies = [(policy, exported(policy.spec.export_to, policy.key.namespace)) for policy in policies]
        self._merged: dict[tuple[Key, ...], Rule] = {}

    def is_of(self, policies: tuple[Policy[DestinationRule], ...]) -> bool:
        """Whether these are the very documents that it was made from."""
        mine = [policy for policy, _ in self._policies]
        return len(mine) == len(policies) and all(one is other for one, other in zip(mine, policies, strict=True))

    def seen_by(self, viewer: Viewer) -> Rule | None:
        """What a proxy sees of them: those that select its workload in its own namespace, else those that select nobody.

        Its own namespace's rules a proxy sees whatever their `exportTo`, unless that is `~`.
        """
        seen = [
            policy
            for policy, to in self._policies
            if visible(to, viewer.namespace) or (to and policy.key.namespace == viewer.namespace)
        ]
        selecting = [policy for policy in seen if _selects(policy, viewer)]
        chosen = selecting or [policy for policy in seen if policy.spec.workload_selector is None]
        if not chosen:
            return None
        key = tuple(policy.key for policy in chosen)
        if key not in self._merged:
            self._merged[key] = Rule.merged(chosen)
        return self._merged[key]


def _selects(policy: Policy[DestinationRule], viewer: Viewer) -> bool:
    selector = policy.spec.workload_selector
    if selector is None or policy.key.namespace != viewer.namespace:
        return False
    return viewer.carries(dict(selector.match_labels))


@dataclass(frozen=True, slots=True)
class HostTable(Generic[T]):
    """Values by host or wildcard.

    Attributes:
        wildcards: Most specific first.
    """

    exact: Mapping[str, T]
    wildcards: tuple[tuple[str, T], ...]

    @classmethod
    def of(cls, values: Mapping[str, T]) -> HostTable[T]:
        """A table of these patterns."""
        ordered = sorted(values.items(), key=lambda item: (-len(item[0]), item[0]))
        return cls(
            {host: value for host, value in ordered if not host.startswith("*")},
            tuple((host, value) for host, value in ordered if host.startswith("*")),
        )

    def matches(self, host: str) -> Iterator[tuple[str, T]]:
        """The patterns that include a host, most specific first."""
        if host in self.exact:
            yield host, self.exact[host]
        for pattern, value in self.wildcards:
            if covers(pattern, host):
                yield pattern, value

    def __iter__(self) -> Iterator[tuple[str, T]]:
        yield from sorted(self.exact.items())
        yield from self.wildcards


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A mesh and its services.

    Attributes:
        services: By host, sorted.
        by_port: The services that have a port of this number.
        at: The services that have an endpoint of Git's own at an address and port.
        workloads: WorkloadEntries by key.
        memberships: By WorkloadEntry, the services it is an endpoint of.
        sidecars: By namespace, sorted by name.
        rules: By namespace, then by host.
        virtual_services: By key; what delegates are looked up in.
        mesh_routes: VirtualServices for sidecars, by host.
        gateway_routes: VirtualServices by the Gateway that they name.
        gateways: Sorted by key.
        limits: The RateLimits, by what they limit.
        probing: The HealthChecks, by host.
    """

    domain: str
    services: Mapping[str, Service]
    by_port: Mapping[int, tuple[Service, ...]]
    at: Mapping[tuple[str, int], tuple[Service, ...]]
    workloads: Mapping[Key, Policy[WorkloadEntry]]
    memberships: Mapping[Key, tuple[tuple[Service, Endpoint], ...]]
    sidecars: Mapping[str, tuple[Policy[Sidecar], ...]]
    rules: Mapping[str, HostTable[Rules]]
    virtual_services: Mapping[Key, Policy[VirtualService]]
    mesh_routes: HostTable[tuple[Policy[VirtualService], ...]]
    gateway_routes: Mapping[Key, tuple[Policy[VirtualService], ...]]
    gateways: tuple[Policy[Gateway], ...]
    limits: Limits
    probing: Probing

    @classmethod
    def of(cls, mesh: Mesh, services: Sequence[Service], *, before: Index | None = None) -> Self:
        """Arrange a mesh; of two services with one host the first by namespace and origin is kept.

        What DestinationRules come to is taken over from an index of another mesh where the documents are the very same.
        """
        domain = mesh.settings.domain
        found: dict[str, Service] = {}
        for service in sorted(services, key=_service_order):
            found.setdefault(service.host, service)
        ports = sorted({port.number for service in found.values() for port in service.ports})
        by_port: dict[int, list[Service]] = {number: [] for number in ports}
        for service in found.values():
            for number in {port.number for port in service.ports}:
                by_port[number].append(service)
        virtual_services = _ordered(mesh.virtual_services)
        return cls(
            domain=domain,
            services=found,
            by_port={number: tuple(items) for number, items in by_port.items()},
            at=_places(found.values()),
            workloads={policy.key: policy for policy in _ordered(mesh.workload_entries)},
            memberships=_memberships(found.values()),
            sidecars=_grouped((policy.key.namespace, policy) for policy in _ordered(mesh.sidecars)),
            rules=_rules(_ordered(mesh.destination_rules), domain, before.rules if before else {}),
            virtual_services={policy.key: policy for policy in reversed(virtual_services)},
            mesh_routes=_mesh_routes(virtual_services, domain),
            gateway_routes=_grouped(
                (policy.resolve(name), policy)
                for policy in virtual_services
                for name in sorted(set(policy.spec.gateways) - {MESH_GATEWAY})
            ),
            gateways=tuple(_ordered(mesh.gateways)),
            limits=Limits.of(mesh.rate_limits),
            probing=Probing.of(mesh.health_checks, domain),
        )

    def edited(self, policies: Mapping[Key, Policy[VirtualService]]) -> Self:
        """The same with other rules in some VirtualServices; their hosts, gateways and visibility are as they were."""
        exact = dict(self.mesh_routes.exact)
        for policy in policies.values():
            for host in (self.resolve(item, policy) for item in policy.spec.hosts):
                if host in exact:
                    exact[host] = _exchanged(exact[host], policies)
        wildcards = tuple((host, _exchanged(items, policies)) for host, items in self.mesh_routes.wildcards)
        gateways = dict(self.gateway_routes)
        for key in {policy.resolve(name) for policy in policies.values() for name in policy.spec.gateways}:
            if key in gateways:
                gateways[key] = _exchanged(gateways[key], policies)
        return replace(
            self,
            virtual_services={**self.virtual_services, **policies},
            mesh_routes=HostTable(exact, wildcards),
            gateway_routes=gateways,
        )

    def rule(self, host: str, viewer: Viewer) -> Rule | None:
        """The DestinationRule for a host: the proxy's namespace first, then the service's own; most specific host first."""
        service = self.services.get(host)
        for namespace in dict.fromkeys((viewer.namespace, service.namespace if service else viewer.namespace)):
            if namespace in self.rules:
                for _, rules in self.rules[namespace].matches(host):
                    rule = rules.seen_by(viewer)
                    if rule is not None:
                        return rule
        return None

    def resolve(self, host: str, policy: Policy[S_co]) -> str:
        """A host written in a policy, in full."""
        return fqdn(host, namespace=policy.key.namespace, domain=self.domain)


def _exchanged(
    items: tuple[Policy[VirtualService], ...], policies: Mapping[Key, Policy[VirtualService]]
) -> tuple[Policy[VirtualService], ...]:
    return tuple(policies.get(item.key, item) for item in items)


def _service_order(service: Service) -> tuple[str, str, str, int]:
    return (service.host, service.namespace, service.origin.file, service.origin.document)


def _ordered(policies: Iterable[Policy[S_co]]) -> list[Policy[S_co]]:
    return sorted(policies, key=lambda policy: (policy.key, policy.origin.file, policy.origin.document))


def _grouped(pairs: Iterable[tuple[K, T]]) -> dict[K, tuple[T, ...]]:
    out: dict[K, list[T]] = {}
    for key, value in pairs:
        out.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in out.items()}


def _places(services: Iterable[Service]) -> dict[tuple[str, int], tuple[Service, ...]]:
    out: dict[tuple[str, int], dict[str, Service]] = {}
    for service in services:
        for endpoint in own(service):
            for port in endpoint.ports.values():
                out.setdefault((endpoint.address, port), {})[service.host] = service
    return {place: tuple(found.values()) for place, found in out.items()}


def _memberships(services: Iterable[Service]) -> dict[Key, tuple[tuple[Service, Endpoint], ...]]:
    return _grouped(
        (Key(service.namespace, endpoint.workload), (service, endpoint))
        for service in services
        for endpoint in own(service)
        if endpoint.workload
    )


def _rules(
    policies: Iterable[Policy[DestinationRule]], domain: str, before: Mapping[str, HostTable[Rules]]
) -> dict[str, HostTable[Rules]]:
    out: dict[str, HostTable[Rules]] = {}
    for namespace, group in _grouped((policy.key.namespace, policy) for policy in policies).items():
        known = dict(before[namespace]) if namespace in before else {}
        found: dict[str, Rules] = {}
        for host, items in _grouped((_host(item, domain), item) for item in group).items():
            last = known.get(host)
            found[host] = last if last is not None and last.is_of(items) else Rules(items)
        out[namespace] = HostTable.of(found)
    return out


def _host(policy: Policy[DestinationRule], domain: str) -> str:
    return fqdn(policy.spec.host, namespace=policy.key.namespace, domain=domain)


def _mesh_routes(
    policies: Iterable[Policy[VirtualService]], domain: str
) -> HostTable[tuple[Policy[VirtualService], ...]]:
    return HostTable.of(
        _grouped(
            (fqdn(host, namespace=policy.key.namespace, domain=domain), policy)
            for policy in policies
            if not policy.spec.gateways or MESH_GATEWAY in policy.spec.gateways
            for host in dict.fromkeys(policy.spec.hosts)
        )
    )
