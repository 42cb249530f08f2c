"""Instances as endpoints of a service: which of its ports each one has, and why one can't be an endpoint.

Ports are told apart by number: registries and ServiceEntries may give one port different names. An address is not taken twice at
one port: the first that is offered counts, so who calls puts Git's own first and then registries in their order.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from reconciler.model.discovered import ANY_PORT, Instance
from reconciler.model.hosts import is_address
from reconciler.model.services import Endpoint, Port

_SOCKET = "unix://"

Ports = Mapping[str, int]
"""Of an endpoint, by name of the service's port."""


class Reason(StrEnum):
    """Why an instance is left out. NETWORK: it can't be reached. PORT: none of its ports is one of the service. ADDRESS: it is a name."""

    NETWORK = "network"
    PORT = "port"
    ADDRESS = "address"


@dataclass(frozen=True, slots=True)
class Offer:
    """Instances that one registry has for a service.

    Attributes:
        ports: Of the service, as this registry has them; none if it knows instances only.
        networks: Those that can be reached; all, if none is given.
        chosen: Whether a ServiceEntry selects them by labels: what they don't say of their ports, its target ports say (as Istio
            does for the pods that a ServiceEntry selects).
    """

    registry: str
    instances: tuple[Instance, ...]
    ports: tuple[Port, ...] = ()
    networks: frozenset[str] = frozenset()
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """Instances that are left out for one reason.

    Attributes:
        count: How many.
        registry: Who lists the first of them.
        first: The first of them.
    """

    count: int
    registry: str
    first: Instance


@dataclass(frozen=True, slots=True)
class Taken:
    """What of some offers becomes of a service."""

    endpoints: tuple[Endpoint, ...]
    left: Mapping[Reason, Left]


def take(offers: Iterable[Offer], ports: Sequence[Port], own: Iterable[Endpoint], *, named: bool) -> Taken:
    """The endpoints that instances make, in the order of the offers.

    Args:
        offers: The instances.
        ports: Of the service.
        own: What it has already: nothing that these have is taken once more.
        named: Whether instances may be host names, since their service is resolved by DNS.
    """
    taken = {(_shortest(item.address), name, number) for item in own for name, number in item.ports.items()}
    out: list[Endpoint] = []
    left: dict[Reason, Left] = {}
    for offer in offers:
        resolver = _Resolver(offer, ports)
        for instance in offer.instances:
            address = _shortest(instance.address)
            found = _judged(instance, address, offer, resolver, named=named)
            if isinstance(found, Reason):
                before = left.get(found)
                left[found] = (
                    Left(before.count + 1, before.registry, before.first)
                    if before
                    else Left(1, offer.registry, instance)
                )
                continue
            # No sets: nearly all have one port, of which there may be ten thousand.
            fresh = [item for item in found.items() if (address, *item) not in taken]
            if not fresh:
                continue
            for item in fresh:
                taken.add((address, *item))
            its_own = found if len(fresh) == len(found) else dict(fresh)
            out.append(_endpoint(instance, address, its_own, offer.registry))
    return Taken(tuple(out), left)


def _judged(instance: Instance, address: str, offer: Offer, resolver: _Resolver, *, named: bool) -> Ports | Reason:
    if instance.network and offer.networks and instance.network not in offer.networks:
        return Reason.NETWORK
    socket = address.startswith(_SOCKET)
    if not (socket or named or is_address(address)):
        return Reason.ADDRESS
    return resolver.ports(instance.ports, socket=socket) or Reason.PORT


def _endpoint(instance: Instance, address: str, ports: Ports, registry: str) -> Endpoint:
    return Endpoint(
        address=address,
        ports=ports,
        labels=instance.labels,
        weight=max(instance.weight, 1),
        locality=instance.locality,
        service_account=instance.service_account,
        health=instance.health,
        registry=registry,
    )


class _Resolver:
    """The ports of one offer's instances by the names that the service gives them; equal ones are one object."""

    def __init__(self, offer: Offer, ports: Sequence[Port]) -> None:
        theirs: dict[int, str] = {}
        for port in offer.ports:
            theirs.setdefault(port.number, port.name)
        shared = {name for number, name in theirs.items() if any(port.number == number for port in ports)}
        self._wanted = [
            (port, theirs.get(port.number) or (port.name if port.name not in shared else "")) for port in ports
        ]
        only = [port for port in ports if port.number in theirs] if len(theirs) == 1 else ports
        self._any = only[0].name if len(only) == 1 else ""
        self._alone = ports[0] if len(ports) == 1 else None
        self._chosen = offer.chosen
        self._known: dict[tuple[tuple[str, int], ...], Ports] = {}

    def ports(self, given: Mapping[str, int], *, socket: bool) -> Ports:
        """Those that the service has too; none if there are none."""
        if socket:  # it has no number, and serves one port
            return {self._alone.name: self._alone.target} if self._alone is not None else {}
        key = tuple(given.items())
        if key not in self._known:
            self._known[key] = dict(self._resolved(given))
        return self._known[key]

    def _resolved(self, given: Mapping[str, int]) -> Iterator[tuple[str, int]]:
        for port, name in self._wanted:
            number = given.get(name) if name else None
            if number is None and ANY_PORT in given:
                number = given[ANY_PORT] if port.name == self._any else None
            elif number is None and self._chosen:
                number = port.target
            if number is not None:
                yield port.name, number


def _shortest(address: str) -> str:
    """One form for each IPv6 address, so that it is known where it stands twice; others have but one."""
    if ":" not in address or address.startswith(_SOCKET):
        return address
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address
