"""What of registries' instances is not used, in words: one note for each host and reason, however many instances there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.discovery.merging.offers import Left, Reason
from reconciler.errors import Severity
from reconciler.model.discovered import Listed
from reconciler.model.hosts import fqdn
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.serviceentry import ServiceEntry
from reconciler.model.services import Service


@dataclass(frozen=True, slots=True)
class Place:
    """Where a note about a host points: into its ServiceEntry; nowhere if there is none."""

    host: str
    entry: Policy[ServiceEntry] | None
    domain: str

    def note(self, code: str, message: str, hint: str, *path: str | int) -> Finding:
        """A warning; the path is below `spec`, and by default that of the host itself."""
        where: FieldPath = ("spec", *(path or self._host())) if self.entry is not None else ()
        return Finding(
            code=code,
            message=message,
            hint=hint,
            severity=Severity.WARNING,
            origin=self.entry.origin if self.entry is not None else None,
            path=where,
        )

    def _host(self) -> FieldPath:
        entry = self.entry
        hosts = entry.spec.hosts if entry is not None else ()
        namespace = entry.key.namespace if entry is not None else ""
        at = (n for n, host in enumerate(hosts) if fqdn(host, namespace=namespace, domain=self.domain) == self.host)
        return ("hosts", next(at, 0))


def no_ports(place: Place, listed: Iterable[Listed]) -> Finding:
    """Registries know instances of a host, and nobody its ports."""
    names = _names(item.registry for item in listed)
    message = f"{place.host}, which {names} lists, is no service: nothing says which ports it has"
    hint = "write a ServiceEntry with `resolution: STATIC` for it, or `ports` at the registry in Mesh.discovery"
    return place.note("discovery-no-ports", message, hint)


def not_static(place: Place, service: Service, registries: Iterable[str]) -> Finding:
    """A ServiceEntry finds its endpoints in another way."""
    message = f"{place.host} has resolution {service.resolution}, so the instances that {_names(registries)} lists are not used"
    return place.note("discovery-resolution", message, "write resolution STATIC to use them", "resolution")


def foreign(place: Place, service: Service, listed: Iterable[Listed], count: int) -> Finding:
    """A registry has the service in another namespace than Git, and selects WorkloadEntries there."""
    found = next(item for item in listed if item.found.selector and item.found.namespace != service.namespace)
    entries = "1 WorkloadEntry" if count == 1 else f"{count} WorkloadEntries"
    message = (
        f"{entries} of namespace {found.found.namespace} that {found.registry} selects for {place.host} "
        f"can't be endpoints of it, since it is in namespace {service.namespace}"
    )
    return place.note("discovery-namespace", message, "let its ServiceEntry be in the same namespace")


def left_out(place: Place, service: Service, left: Mapping[Reason, Left]) -> Iterator[Finding]:
    """Instances that can't be endpoints."""
    for reason in Reason:
        item = left.get(reason)
        if item is not None:
            yield _WORDS[reason](place, service, item)


def _network(place: Place, service: Service, left: Left) -> Finding:
    del service
    where = f"in the network {left.first.network}, which `networks` of {left.registry} does not list"
    hint = "list the network at the registry if its addresses can be reached from the proxies"
    return place.note("discovery-network", _message(place, left, where), hint)


def _port(place: Place, service: Service, left: Left) -> Finding:
    names = ", ".join(port.name for port in service.ports) or "none"
    given = ", ".join(f"{name or 'without a name'} {number}" for name, number in left.first.ports.items()) or "no port"
    where = f"which has {given}, listed by {left.registry}; the service's ports are {names}"
    hint = "give ports the same names on both sides; `port` at the registry names the one port of its targets"
    return place.note("discovery-port", _message(place, left, where), hint)


def _address(place: Place, service: Service, left: Left) -> Finding:
    where = f"no IP address, listed by {left.registry}; with resolution {service.resolution} no name is resolved"
    hint = "let the registry list addresses, or use the dns registry for names"
    return place.note("discovery-address", _message(place, left, where), hint)


_WORDS = {Reason.NETWORK: _network, Reason.PORT: _port, Reason.ADDRESS: _address}


def _message(place: Place, left: Left, where: str) -> str:
    if left.count == 1:
        return f"an instance of {place.host} is left out: {left.first.address}, {where}"
    return f"{left.count:,} instances of {place.host} are left out: the first is {left.first.address}, {where}"


def _names(registries: Iterable[str]) -> str:
    return " and ".join(dict.fromkeys(registries))
