"""What a service is that registries list: its ports, addresses and resolution, and what Git itself has behind it.

Git's ServiceEntry says it if there is one. (Istio lets a Kubernetes Service go before a ServiceEntry of its host, so that nobody
takes it over by writing one; here whoever can write to Git decides, and a registry is what fills in.) Otherwise the first registry
that knows ports says it, and the others add ports of other numbers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from reconciler.model.discovered import Found, Listed
from reconciler.model.mesh import Policy
from reconciler.model.origin import Origin
from reconciler.model.serviceentry import Resolution, WorkloadEntry
from reconciler.model.services import Endpoint, Port, Service, Workloads, endpoint_of

NOWHERE = Origin("", 0)
"""Of what no document declares."""


@dataclass(frozen=True, slots=True)
class Behind:
    """WorkloadEntries that a registry's service selects.

    Attributes:
        foreign: Those that can't be used, since the service itself is in another namespace than the registry says.
    """

    entries: tuple[Policy[WorkloadEntry], ...] = ()
    foreign: int = 0


def define(declared: Service | None, listed: Sequence[Listed]) -> Service | None:
    """The service, with the endpoints that Git declares; None if nobody knows its ports.

    Args:
        declared: By Git.
        listed: By registries, in their order.
    """
    if declared is not None:
        return declared
    knowing = [item.found for item in listed if item.found.ports]
    if not knowing:
        return None
    first = knowing[0]
    return Service(
        host=first.host,
        namespace=first.namespace,
        ports=_ports(knowing),
        endpoints=(),
        origin=NOWHERE,
        resolution=first.resolution,
        addresses=first.addresses,
    )


def _ports(knowing: Iterable[Found]) -> tuple[Port, ...]:
    """By number, as the first has it. Of two that have one name the later is renamed: endpoints have ports by name."""
    out: dict[int, Port] = {}
    names: set[str] = set()
    for port in (port for found in knowing for port in found.ports):
        if port.number in out:
            continue
        name = port.name if port.name not in names else f"{port.name}-{port.number}"
        names.add(name)
        out[port.number] = port if name == port.name else replace(port, name=name)
    return tuple(out.values())


def behind(service: Service, listed: Iterable[Listed], workloads: Workloads) -> Behind:
    """What the registries' selectors select, each once; with those that the service has by its own selector already."""
    found: dict[str, Policy[WorkloadEntry]] = {}
    foreign = 0
    for item in listed:
        if item.found.selector:
            selected = workloads.selected(item.found.namespace, item.found.selector)
            if item.found.namespace == service.namespace:
                found.update((entry.key.name, entry) for entry in selected)
            else:
                foreign += len(selected)
    return Behind(tuple(found.values()), foreign)


def with_workloads(service: Service, entries: Iterable[Policy[WorkloadEntry]]) -> Service:
    """The service with these WorkloadEntries among its endpoints, as if its ServiceEntry selected them."""
    targets = {port.name: port.target for port in service.ports}
    known = {item.workload for item in service.endpoints}
    more = [endpoint_of(entry.spec, entry.key.name, targets) for entry in entries if entry.key.name not in known]
    if not more or service.resolution is not Resolution.STATIC:
        return service
    return replace(service, endpoints=tuple(sorted((*service.endpoints, *more), key=_place)))


def _place(item: Endpoint) -> tuple[str, list[tuple[str, int]], str]:
    return item.address, sorted(item.ports.items()), item.workload
