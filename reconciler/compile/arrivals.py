"""Where the connections of a service arrive: the addresses on which sidecars wait for them, and what they are told apart by.

Without interception that is loopback for what carries its own name (the Host of HTTP, the server name of TLS), and a service's
`addresses`. With interception it is all addresses, and its `addresses` for connections that carry no name (Istio's
`listener.go`).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.compile.chains import cidr
from reconciler.compile.instances import own
from reconciler.model.services import Port, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One place at which connections for a port of a service arrive.

    Attributes:
        bind: Address of the listener.
        own: Whether that is the service's own address, so that nothing else is needed to know what is meant.
        prefixes: Destination addresses, in CIDR form, if they have to be looked at.
    """

    service: Service
    port: Port
    bind: str
    own: bool = False
    prefixes: tuple[str, ...] = ()


def places(service: Service) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The single addresses of a service in their shortest form, and its blocks of addresses; what is neither is left out.

    `0.0.0.0` and `::` are no addresses that anybody calls: Istio has them for none.
    """
    singles: dict[str, None] = {}
    blocks: dict[str, None] = {}
    for text in service.addresses:
        block = cidr(text)
        if not block:
            continue
        network = ipaddress.ip_network(block)
        if network.num_addresses == 1 and "/" not in text:
            if not network.network_address.is_unspecified:
                singles[str(network.network_address)] = None
        else:
            blocks[block] = None
    return tuple(singles), tuple(blocks)


def without_interception(service: Service, port: Port, loopback: str) -> Iterator[Arrival]:
    """Where listeners bind real ports: at the service's single addresses, and what carries its name on loopback too.

    Not where an endpoint that Git declares for the service itself is: the listener would take its place.
    """
    if not _nameless(port):
        yield Arrival(service=service, port=port, bind=loopback)
    taken = {(endpoint.address, endpoint.ports.get(port.name)) for endpoint in own(service)}
    singles, _ = places(service)
    for address in singles:
        if (address, port.number) not in taken and (address != loopback or _nameless(port)):
            yield Arrival(service=service, port=port, bind=address, own=True)


def with_interception(service: Service, port: Port, wildcard: str) -> Iterator[Arrival]:
    """Where iptables brings connections: HTTP on all addresses; others at single addresses, by block, or on all addresses."""
    if port.protocol.is_http:
        yield Arrival(service=service, port=port, bind=wildcard)
        return
    singles, blocks = places(service)
    for address in singles:
        yield Arrival(service=service, port=port, bind=address, own=True)
    if blocks or not singles:
        yield Arrival(service=service, port=port, bind=wildcard, prefixes=blocks)


def _nameless(port: Port) -> bool:
    return not (port.protocol.is_http or port.protocol.is_tls)


def by_place(arrivals: Iterable[Arrival]) -> dict[tuple[str, int], list[Arrival]]:
    """Grouped by address and port, sorted."""
    found: dict[tuple[str, int], list[Arrival]] = {}
    for item in arrivals:
        found.setdefault((item.bind, item.port.number), []).append(item)
    return {place: found[place] for place in sorted(found)}
