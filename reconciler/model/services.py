"""Services and endpoints, as in Istio: a host with ports, and the addresses behind it.

`declared` derives them from a mesh's ServiceEntries and WorkloadEntries. Adapters for platforms will add to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.hosts import fqdn
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Location, Resolution, ServiceEntry, WorkloadEntry
from reconciler.model.visibility import EVERYBODY, exported


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service."""

    number: int
    name: str
    protocol: Protocol
    target: int


class Health(StrEnum):
    """What is known of an instance. UNHEALTHY gets no requests; DRAINING gets no new ones, and ends those that it has."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance of a service.

    Attributes:
        address: An IP address, a host name (resolution DNS), or `unix:///path`.
        ports: Address's port by service port name.
        labels: What subsets select on.
        weight: At least 1.
        workload: Name of the WorkloadEntry in the service's namespace, or "" for one written in a ServiceEntry.
        locality: `region/zone/subzone`, or "" if unknown.
        service_account: Of its identity, or "".
        health: What its platform says of it.
        registry: The registry that lists it, or "" for one that Git declares.
    """

    address: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    weight: int = 1
    workload: str = ""
    locality: str = ""
    service_account: str = ""
    health: Health = Health.HEALTHY
    registry: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A host with its ports and endpoints: those that Git declares sorted by address and port, then those of registries.

    Attributes:
        addresses: Where callers expect it: IP addresses and CIDR blocks.
        export_to: Namespaces that see it, in full: no `.`; `*` is everybody, none nobody.
        discovered: Whether registries list it: then its endpoints come and go without a commit.
        accounts: Service accounts that instances found by registries have, or have had lately: they are part of clusters (whom
            callers trust in mutual TLS), so another one is another service, not only another endpoint. Those of Git's endpoints
            are not here.
    """

    host: str
    namespace: str
    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]
    origin: Origin
    resolution: Resolution = Resolution.STATIC
    location: Location = Location.MESH_INTERNAL
    addresses: tuple[str, ...] = ()
    export_to: frozenset[str] = EVERYBODY
    subject_alt_names: tuple[str, ...] = ()
    discovered: bool = False
    accounts: frozenset[str] = frozenset()

    def port(self, number: int) -> Port | None:
        """The port of this number, if the service has it."""
        return next((port for port in self.ports if port.number == number), None)


def selected(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether labels include all of a selector's; an empty selector selects everything."""
    return all(labels.get(name) == value for name, value in selector.items())


class Workloads:
    """The WorkloadEntries of a mesh, by what selects them."""

    def __init__(self, entries: Iterable[Policy[WorkloadEntry]]) -> None:
        self._namespaces: dict[str, list[Policy[WorkloadEntry]]] = {}
        self._labelled: dict[tuple[str, str, str], list[Policy[WorkloadEntry]]] = {}
        for entry in entries:
            namespace = entry.key.namespace
            self._namespaces.setdefault(namespace, []).append(entry)
            for name, value in entry.spec.labels.items():
                self._labelled.setdefault((namespace, name, value), []).append(entry)

    def selected(self, namespace: str, labels: Mapping[str, str]) -> tuple[Policy[WorkloadEntry], ...]:
        """Those of a namespace that carry all these labels, in the order in which they were given."""
        lists = [self._labelled.get((namespace, name, value), []) for name, value in labels.items()]
        fewest = min(lists, key=len) if lists else self._namespaces.get(namespace, [])
        return tuple(entry for entry in fewest if selected(entry.spec.labels, labels))


def declared(mesh: Mesh) -> tuple[Service, ...]:
    """The services that a mesh's own documents declare, sorted by host; the first of two with one host is kept."""
    workloads = Workloads(mesh.workload_entries)
    return one_per_host(
        service
        for entry in mesh.service_entries
        for service in services_of(entry, behind(entry, workloads), domain=mesh.settings.domain)
    )


def one_per_host(services: Iterable[Service]) -> tuple[Service, ...]:
    """Sorted by host; the first of two with one host is kept."""
    found: dict[str, Service] = {}
    for service in services:
        found.setdefault(service.host, service)
    return tuple(found[host] for host in sorted(found))


def behind(entry: Policy[ServiceEntry], workloads: Workloads) -> tuple[Policy[WorkloadEntry], ...]:
    """The WorkloadEntries that a ServiceEntry selects; none without a selector."""
    selector = entry.spec.workload_selector
    return () if selector is None else workloads.selected(entry.key.namespace, selector.labels)


def services_of(
    entry: Policy[ServiceEntry], workloads: Iterable[Policy[WorkloadEntry]], *, domain: str
) -> tuple[Service, ...]:
    """One for each host of a ServiceEntry, with its own endpoints and those of the workloads behind it."""
    spec = entry.spec
    ports = tuple(Port(port.number, port.name, port.protocol, port.target_port or port.number) for port in spec.ports)
    targets = {port.name: port.target for port in ports}
    found = [endpoint_of(endpoint, "", targets) for endpoint in spec.endpoints]
    found += [endpoint_of(workload.spec, workload.key.name, targets) for workload in workloads]
    found.sort(key=lambda item: (item.address, sorted(item.ports.items()), item.workload))
    endpoints = tuple(found)
    hosts = [fqdn(host, namespace=entry.key.namespace, domain=domain) for host in spec.hosts]
    return tuple(_service(host, entry, ports, endpoints) for host in hosts)


def _service(
    host: str, entry: Policy[ServiceEntry], ports: tuple[Port, ...], endpoints: tuple[Endpoint, ...]
) -> Service:
    spec = entry.spec
    return Service(
        host=host,
        namespace=entry.key.namespace,
        ports=ports,
        endpoints=endpoints,
        origin=entry.origin,
        resolution=spec.resolution,
        location=spec.location,
        addresses=spec.addresses,
        export_to=exported(spec.export_to, entry.key.namespace),
        subject_alt_names=spec.subject_alt_names,
    )


def endpoint_of(entry: WorkloadEntry, workload: str, targets: Mapping[str, int]) -> Endpoint:
    """An endpoint. What is the same for all of them is one object: a large mesh has more endpoints than anything else.

    Args:
        entry: What it is.
        workload: The entry's name, or "" for one that is written in a ServiceEntry.
        targets: Of the service's ports, by name.
    """
    own = entry.ports
    return Endpoint(
        address=entry.address,
        ports={name: own.get(name, target) for name, target in targets.items()} if own else targets,
        labels=entry.labels,
        weight=entry.weight or 1,
        workload=workload,
        locality=entry.locality,
        service_account=entry.service_account,
    )
