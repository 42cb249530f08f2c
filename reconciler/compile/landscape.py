"""The places at which a sidecar's default listeners wait: every service in scope, looked at once for all sidecars of a namespace."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from reconciler.compile.arrivals import Arrival, by_place, places, with_interception, without_interception
from reconciler.compile.index import Index
from reconciler.compile.scope import Scope
from reconciler.compile.viewer import Viewer
from reconciler.errors import Severity
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.services import Port, Service


@dataclass(frozen=True, slots=True)
class Ground:
    """Where default listeners listen for what.

    Attributes:
        bound: Whether they open their ports themselves.
    """

    bind: str
    bound: bool
    scope: Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One place, and what arrives there.

    Attributes:
        http: Whether plain HTTP does.
        arrivals: The others.
        count: Of all.
    """

    bind: str
    port: int
    http: bool
    arrivals: tuple[Arrival, ...]
    count: int
    first: Arrival

    @classmethod
    def of(cls, bind: str, port: int, group: Sequence[Arrival]) -> Self:
        """What arrives at an address and port."""
        others = tuple(item for item in group if not item.port.protocol.is_http)
        http = len(others) < len(group)
        return cls(bind=bind, port=port, http=http, arrivals=others, count=len(group), first=group[0])

    @property
    def path(self) -> FieldPath:
        """What puts a listener there, in the document of the first service."""
        if self.first.own:
            return ("spec", "addresses")
        position = next(place for place, item in enumerate(self.first.service.ports) if item.number == self.port)
        return ("spec", "ports", position, "number")


@dataclass(frozen=True, slots=True)
class Landscape:
    """All places, sorted, and what is wrong with the services that have none, by host."""

    sites: tuple[Site, ...]
    findings: tuple[tuple[str, Finding], ...]


class Landscapes:
    """The landscapes of one mesh."""

    def __init__(self, index: Index) -> None:
        self._index = index
        self._known: dict[tuple[Ground, str], Landscape] = {}

    def of(self, ground: Ground, viewer: Viewer) -> Landscape:
        """Where connections arrive as a proxy sees it, which differs between namespaces only."""
        key = (ground, viewer.namespace)
        if key not in self._known:
            arrivals: list[Arrival] = []
            findings: list[tuple[str, Finding]] = []
            for service in self._index.services.values():
                if ground.scope.sees(service, viewer):
                    for port in service.ports:
                        found = [*_arrivals(service, port, ground)]
                        arrivals.extend(found)
                        if ground.bound:
                            findings.extend((service.host, item) for item in _unreachable(service, port, found))
            sites = tuple(Site.of(bind, port, group) for (bind, port), group in by_place(arrivals).items())
            self._known[key] = Landscape(sites, tuple(findings))
        return self._known[key]


def _arrivals(service: Service, port: Port, ground: Ground) -> Iterator[Arrival]:
    arriving = without_interception if ground.bound else with_interception
    return arriving(service, port, ground.bind)


def _unreachable(service: Service, port: Port, found: Sequence[Arrival]) -> Iterator[Finding]:
    """What of a service's addresses no listener can be at, as far as it matters to its callers."""
    _, blocks = places(service)
    if not found:
        yield Finding(
            code="tcp-without-address",
            message=f"port {port.number} of {service.host} is {port.protocol}, and there is no address at which sidecars "
            "could take connections for it",
            hint="give it `addresses` with an IP address that none of its endpoints has; or give its callers a Sidecar with "
            "an `egress` listener (`port` with protocol TCP, `bind`, `hosts`); or set Mesh.interception to REDIRECT",
            severity=Severity.WARNING,
            origin=service.origin,
            path=("spec", "addresses"),
        )
    elif blocks:
        yield Finding(
            code="address-block",
            message=f"connections to {', '.join(blocks)} do not come to sidecars, which can't listen on blocks of addresses",
            hint="write single addresses, or set Mesh.interception to REDIRECT",
            severity=Severity.WARNING,
            origin=service.origin,
            path=("spec", "addresses"),
        )
