"""Route configurations: the virtual hosts behind one listener, and every cluster that they can lead to.

For sidecars a virtual host for each service in scope (Istio's `httproute.go`), for gateways one for each host that a
server and a VirtualService have in common (`gateway.go`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from reconciler.compile import names
from reconciler.compile.clusters import Clusters
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.routes import Translated, Translations, is_catch_all
from reconciler.compile.scope import Scope
from reconciler.compile.sidecars import Outbound
from reconciler.compile.viewer import Place, Viewer
from reconciler.model.hosts import aliases, covers
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.services import Service
from reconciler.model.virtualservice import VirtualService

_DEFAULT_PORT = 80
"""HTTP's: where hosts that no service has are routed too, and the port that clients leave out of `Host`."""


@dataclass(frozen=True, slots=True)
class Routed:
    """A route configuration, the clusters it needs, and what is wrong with it."""

    resource: Resource
    clusters: frozenset[ClusterRef]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class _Host:
    """A virtual host to be.

    Attributes:
        domains: Its own name first.
    """

    name: str
    domains: tuple[str, ...]
    translated: Translated


class Configurations:
    """The route configurations of one mesh; proxies with equal ones share them."""

    def __init__(self, *, index: Index, prototypes: Prototypes, clusters: Clusters) -> None:
        self._index = index
        self._prototypes = prototypes
        self._clusters = clusters
        self._translations = Translations(index, prototypes)
        self._sidecars: dict[tuple[str, bool, int, Scope, Viewer], Routed] = {}

    def sidecar(self, listener: Outbound, viewer: Viewer) -> Routed:
        """What a sidecar has behind an outbound listener."""
        key = (listener.routes, listener.proxying, listener.port, listener.scope, viewer)
        if key not in self._sidecars:
            self._sidecars[key] = self._sidecar(listener, viewer)
        return self._sidecars[key]

    def gateway(
        self,
        name: str,
        place: Place,
        hosts: Iterable[tuple[str, tuple[Policy[VirtualService], ...]]],
        *,
        redirected: Collection[str] = (),
    ) -> Routed:
        """What a gateway has behind a port: for each host the routes of its VirtualServices, those that match all last.

        Without any host every request is a 404, answered by a virtual host that says so. Redirected hosts, wildcards included,
        answer everything with a redirect to https, whether any VirtualService routes for them or not.
        """
        found: list[_Host] = []
        for host, policies in hosts:
            parts = [self._translations.of(policy, place) for policy in policies]
            routes = sorted((route for part in parts for route in part.routes), key=is_catch_all)
            clusters = frozenset(ref for part in parts for ref in part.clusters)
            findings = tuple(finding for part in parts for finding in part.findings)
            domains = (_in_header(host),)
            found.append(
                _Host(names.virtual_host(host, place.port), domains, Translated(tuple(routes), clusters, findings))
            )
        known = {host.domains for host in found}
        found.extend(
            _Host(names.virtual_host(host, place.port), (_in_header(host),), Translated((), frozenset()))
            for host in sorted(set(redirected))
            if (_in_header(host),) not in known
        )
        if not found:
            found.append(_Host(names.virtual_host(names.BLACKHOLE, place.port), ("*",), Translated((), frozenset())))
        message = self._configuration(name)
        for item in sorted(found, key=_by_name):
            host = message.virtual_hosts.add()
            host.CopyFrom(self._virtual_host(item, item.domains))
            if any(covers(pattern, item.domains[0]) for pattern in redirected):
                host.require_tls = VirtualHost.ALL
        return _routed(message, found, ())

    def _sidecar(self, listener: Outbound, viewer: Viewer) -> Routed:
        services = [*self._visible(listener)]
        hosts = [self._of_service(service, port, listener, viewer) for service, port in services]
        if listener.proxying or listener.port == _DEFAULT_PORT:
            hosts.extend(self._unknown_hosts(listener, viewer))
        hosts.sort(key=_by_name)
        message = self._configuration(listener.routes)
        if listener.proxying:
            message.ignore_port_in_host_matching = False
        claimed = _claims(hosts)
        message.virtual_hosts.extend(self._virtual_host(item, domains) for item, domains in claimed if domains)
        if not any("*" in domains for _, domains in claimed):
            message.virtual_hosts.add().CopyFrom(self._block_all())
        offered = (ref for service, port in services for ref in self._clusters.of_service(service, port, viewer=viewer))
        return _routed(message, hosts, offered)

    def _visible(self, listener: Outbound) -> Iterator[tuple[Service, int]]:
        """The services in scope, with the port that is meant: the listener's, or on an HTTP_PROXY each of theirs."""
        candidates = self._index.services.values() if listener.proxying else self._index.by_port.get(listener.port, ())
        for service in candidates:
            if listener.scope.includes(service.namespace, service.host):
                ports = sorted({port.number for port in service.ports}) if listener.proxying else (listener.port,)
                yield from ((service, port) for port in ports)

    def _of_service(self, service: Service, port: int, listener: Outbound, viewer: Viewer) -> _Host:
        policy = self._virtual_service(service.host, listener.scope)
        translated = (
            self._translations.of(policy, Place(viewer=viewer, port=port))
            if policy
            else self._translations.default(ClusterRef(service.host, port))
        )
        domains = aliases(
            service.host, namespace=service.namespace, proxy_namespace=viewer.namespace, domain=self._index.domain
        )
        return _Host(names.virtual_host(service.host, port), _spelled(domains, port, listener), translated)

    def _unknown_hosts(self, listener: Outbound, viewer: Viewer) -> Iterator[_Host]:
        """Hosts of VirtualServices that no service has; Istio has them on port 80 only."""
        port = _DEFAULT_PORT
        for host, policies in self._index.mesh_routes:
            policy = next((item for item in policies if listener.scope.includes(item.key.namespace, host)), None)
            if policy is None or host in self._index.services:
                continue
            domains = aliases(
                host, namespace=policy.key.namespace, proxy_namespace=viewer.namespace, domain=self._index.domain
            )
            translated = self._translations.of(policy, Place(viewer=viewer, port=port))
            yield _Host(names.virtual_host(host, port), _spelled(domains, port, listener), translated)

    def _virtual_service(self, host: str, scope: Scope) -> Policy[VirtualService] | None:
        """The visible VirtualService with the most specific host; the first by key of several."""
        for pattern, policies in self._index.mesh_routes.matches(host):
            for policy in policies:
                if scope.includes(policy.key.namespace, pattern):
                    return policy
        return None

    def _configuration(self, name: str) -> Any:
        message = RouteConfiguration()
        message.CopyFrom(self._prototypes.route_configuration)
        message.name = name
        return message

    def _virtual_host(self, host: _Host, domains: Iterable[str]) -> Any:
        message = VirtualHost()
        message.CopyFrom(self._prototypes.virtual_host)
        message.name = host.name
        message.domains.extend(domains)
        message.routes.extend(host.translated.routes)
        return message

    def _block_all(self) -> Any:
        message = VirtualHost()
        message.CopyFrom(self._prototypes.virtual_host_unknown)
        message.name = names.BLOCK_ALL
        message.domains.append("*")
        return message


def _by_name(host: _Host) -> str:
    return host.name


def _spelled(domains: Iterable[str], port: int, listener: Outbound) -> tuple[str, ...]:
    """Domains as `Host` headers have them: on an HTTP_PROXY with the port, which clients leave out if it is 80."""
    bare = [_in_header(domain) for domain in domains]
    if not listener.proxying:
        return tuple(bare)
    with_port = [f"{domain}:{port}" if domain != "*" else domain for domain in bare]
    return tuple(dict.fromkeys([*bare, *with_port] if port == _DEFAULT_PORT else with_port))


def _in_header(domain: str) -> str:
    """A domain as a `Host` header has it: IPv6 addresses stand in brackets."""
    return f"[{domain}]" if ":" in domain else domain


def _claims(hosts: Iterable[_Host]) -> list[tuple[_Host, tuple[str, ...]]]:
    """Each virtual host with the domains that are its own: Envoy refuses a domain that two virtual hosts have.

    Full names go first, so that a service never loses its name to another's short form; then the first by name wins.
    """
    ordered = list(hosts)
    owner: dict[str, str] = {}
    for host in ordered:
        owner.setdefault(host.domains[0].lower(), host.name)
    for host in ordered:
        for domain in host.domains:
            owner.setdefault(domain.lower(), host.name)
    return [(host, tuple(item for item in host.domains if owner[item.lower()] == host.name)) for host in ordered]


def _routed(message: Any, hosts: Iterable[_Host], offered: Iterable[ClusterRef]) -> Routed:
    parts = [host.translated for host in hosts]
    used = (ref for part in parts for ref in part.clusters)
    findings = tuple(finding for part in parts for finding in part.findings)
    return Routed(resource(ResourceType.ROUTE, message), frozenset((*used, *offered)), findings)
