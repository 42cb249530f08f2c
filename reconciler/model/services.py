"""Services and endpoints, as in Istio: a host with ports, and the addresses behind it.

`declared` derives them from a mesh's ServiceEntries and WorkloadEntries. Adapters for platforms will add to them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from reconciler.model.hosts import fqdn
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.serviceentry import Location, Protocol, Resolution, ServiceEntry, WorkloadEntry
from reconciler.model.visibility import EVERYBODY, exported


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
        address: An IP address, a host name (resolution DNS), or `unix:///path`.
        ports: Address's port by service port name.
        labels: What subsets select on.
        weight: At least 1.
        workload: Name of the WorkloadEntry in the service's namespace, or "" for one written in a ServiceEntry.
        locality: `region/zone/subzone`, or "" if unknown.
        service_account: Of its identity, or "".
    """

    address: str
    ports: Mapping[str, int]
    labels: Mapping[str, str]
    weight: int = 1
    workload: str = ""
    locality: str = ""
    service_account: str = ""


@dataclass(frozen=True, slots=True)
class Service:
    """A host with its ports and endpoints; endpoints are sorted by address and port.

    Attributes:
        addresses: Where callers expect it: IP addresses and CIDR blocks.
        export_to: Namespaces that see it, in full: no `.`; `*` is everybody, none nobody.
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
            found.setdefault(name, _service(name, entry, ports, ordered))
    return tuple(found[name] for name in sorted(found))


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
    return Endpoint(
        address=entry.address,
        ports=dict(entry.ports),
        labels=dict(entry.labels),
        weight=entry.weight or 1,
        workload=workload,
        locality=entry.locality,
        service_account=entry.service_account,
    )


def _with_ports(endpoint: Endpoint, ports: tuple[Port, ...]) -> Endpoint:
    resolved = {port.name: endpoint.ports.get(port.name, port.target) for port in ports}
    return replace(endpoint, ports=resolved)
