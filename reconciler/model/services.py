"""Services and endpoints, as in Istio: a host with ports, and the addresses behind it.

`declared` derives them from a mesh's ServiceEntries and WorkloadEntries. Adapters for platforms will add to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.model.hosts import fqdn
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.serviceentry import Protocol, ServiceEntry, WorkloadEntry


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a service."""

    number: int
    name: str
    protocol: Protocol
    target: int


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One instance of a service.

    Attributes:
        ports: Address's port by service port name.
        labels: What subsets select on.
        weight: At least 1.
        workload: Name of the WorkloadEntry in the service's namespace, or "" for one written in a ServiceEntry.
    """

    address: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    weight: int = 1
    workload: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A host with its ports and endpoints; endpoints are sorted by address and port."""

    host: str
    namespace: str
    ports: tuple[Port, ...]
    endpoints: tuple[Endpoint, ...]
    origin: Origin

    def port(self, number: int) -> Port | None:
        """The port of this number, if the service has it."""
        return next((port for port in self.ports if port.number == number), None)


def selected(labels: Mapping[str, str], selector: Mapping[str, str]) -> bool:
    """Whether labels include all of a selector's; an empty selector selects everything."""
    return all(labels.get(name) == value for name, value in selector.items())


def declared(mesh: Mesh) -> tuple[Service, ...]:
    """The services that a mesh's own documents declare, sorted by host; the first of two with one host is kept."""
    found: dict[str, Service] = {}
    for entry in mesh.service_entries:
        endpoints = tuple(_endpoints(entry, mesh.workload_entries))
        ports = tuple(
            Port(port.number, port.name, port.protocol, port.target_port or port.number) for port in entry.spec.ports
        )
        resolved = tuple(_with_ports(endpoint, ports) for endpoint in endpoints)
        ordered = tuple(sorted(resolved, key=lambda item: (item.address, sorted(item.ports.items()), item.workload)))
        for host in entry.spec.hosts:
            name = fqdn(host, namespace=entry.key.namespace, domain=mesh.settings.domain)
            found.setdefault(name, Service(name, entry.key.namespace, ports, ordered, entry.origin))
    return tuple(found[name] for name in sorted(found))


def _endpoints(entry: Policy[ServiceEntry], workloads: Iterable[Policy[WorkloadEntry]]) -> Iterable[Endpoint]:
    for endpoint in entry.spec.endpoints:
        yield _endpoint(endpoint, "")
    selector = entry.spec.workload_selector
    if selector is None:
        return
    for workload in workloads:
        if workload.key.namespace == entry.key.namespace and selected(workload.spec.labels, selector.labels):
            yield _endpoint(workload.spec, workload.key.name)


def _endpoint(entry: WorkloadEntry, workload: str) -> Endpoint:
    return Endpoint(entry.address, dict(entry.ports), dict(entry.labels), entry.weight or 1, workload)


def _with_ports(endpoint: Endpoint, ports: tuple[Port, ...]) -> Endpoint:
    resolved = {port.name: endpoint.ports.get(port.name, port.target) for port in ports}
    return Endpoint(endpoint.address, resolved, endpoint.labels, endpoint.weight, endpoint.workload)
