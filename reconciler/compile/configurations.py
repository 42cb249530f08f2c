"""Route configurations: the virtual hosts behind one listener, and every cluster that they can lead to.

For sidecars a virtual host for each service in scope (Istio's `httproute.go`), for gateways one for each host that a
server and a VirtualService have in common (`gateway.go`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from reconciler.compile import names
from reconciler.compile.clusters import Clusters
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.routes import Translated, Translations
from reconciler.compile.scope import Scope
from reconciler.compile.sidecars import Outbound, Unknown
from reconciler.compile.viewer import Place, Viewer
from reconciler.model.hosts import aliases, covers, is_address
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.services import Service
from reconciler.model.virtualservice import VirtualService
from reconciler.model.visibility import exported, visible

_DEFAULT_PORT = 80
"""HTTP's: where hosts that no service has are routed too, and the port that clients leave out of `Host`."""

_NO_ROUTES = Translated((), frozenset())


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
        redirected: Whether requests without TLS are sent to `https`.
    """

    name: str
    domains: tuple[str, ...]
    translated: Translated
    redirected: bool = False


class Configurations:
    """The route configurations of one mesh; proxies with equal ones share them."""

    def __init__(self, *, index: Index, prototypes: Prototypes, clusters: Clusters) -> None:
        self._index = index
        self._prototypes = prototypes
        self._clusters = clusters
        self._translations = Translations(index, prototypes)
        self._sidecars: dict[tuple[str, bool, int, Scope, Unknown, Viewer], Routed] = {}
        self._hosts: dict[tuple[object, ...], Any] = {}

    def sidecar(self, listener: Outbound, viewer: Viewer) -> Routed:
        """What a sidecar has behind an outbound listener."""
        key = (listener.routes, listener.proxying, listener.port, listener.scope, listener.unknown, viewer)
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

        Of several VirtualServices the one that names the host most exactly goes first, then the first by key. Without any
        host every request is a 404, answered by a virtual host that says so.

        Args:
            name: Of the route configuration.
            place: Where it is for.
            hosts: With the VirtualServices of each.
            redirected: Hosts, wildcards included, that answer everything with a redirect to https, whether any VirtualService
                routes for them or not.
        """
        routed = dict(hosts)
        found: list[_Host] = []
        for host in sorted({*routed, *redirected}):
            ranked = sorted(
                ((self._exactness(policy, host), policy) for policy in routed.get(host, ())),
                key=lambda item: (-item[0], item[1].key),
            )
            translated = self._translations.together(host, ranked, place) if ranked else _NO_ROUTES
            secured = any(covers(pattern, host) for pattern in redirected)
            found.append(_Host(names.virtual_host(host, place.port), (_in_header(host),), translated, secured))
        if not found:
            found.append(_Host(names.virtual_host(names.BLACKHOLE, place.port), ("*",), _NO_ROUTES))
        message = self._configuration(name)
        message.virtual_hosts.extend(self._virtual_host(item, item.domains) for item in sorted(found, key=_by_name))
        return _routed(message, found, ())

    def _sidecar(self, listener: Outbound, viewer: Viewer) -> Routed:
        services = [*self._visible(listener, viewer)]
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
            message.virtual_hosts.add().CopyFrom(self._rest(listener.unknown))
        offered = (ref for service, port in services for ref in self._clusters.of_service(service, port, viewer=viewer))
        return _routed(message, hosts, offered)

    def _visible(self, listener: Outbound, viewer: Viewer) -> Iterator[tuple[Service, int]]:
        """The services in scope whose requests are routed one by one, with the port that is meant.

        That is the listener's, or on an HTTP_PROXY each of theirs. Other protocols are routed by connection.
        """
        candidates = self._index.services.values() if listener.proxying else self._index.by_port.get(listener.port, ())
        for service in candidates:
            if not visible(service.export_to, viewer.namespace):
                continue
            if listener.scope.includes(service.namespace, service.host):
                ports = {port.number for port in service.ports if port.protocol.is_http}
                chosen = sorted(ports) if listener.proxying else sorted(ports & {listener.port})
                yield from ((service, port) for port in chosen)

    def _of_service(self, service: Service, port: int, listener: Outbound, viewer: Viewer) -> _Host:
        """A service's virtual host: with the default route, if no VirtualService has any that hold here, as in Istio."""
        place = Place(viewer=viewer, port=port)
        policies = self._virtual_services(service.host, listener.scope, viewer)
        translated = self._equals(service.host, policies, place)
        if not translated.routes:
            default = self._translations.default(ClusterRef(service.host, port), place)
            translated = replace(default, findings=translated.findings) if translated.findings else default
        domains = aliases(
            service.host, namespace=service.namespace, proxy_namespace=viewer.namespace, domain=self._index.domain
        )
        addresses = (item for item in service.addresses if is_address(item))
        spelled = _spelled((*domains, *addresses), port, listener)
        return _Host(names.virtual_host(service.host, port), tuple(dict.fromkeys(spelled)), translated)

    def _unknown_hosts(self, listener: Outbound, viewer: Viewer) -> Iterator[_Host]:
        """Hosts of VirtualServices that no service has; Istio has them on port 80 only."""
        place = Place(viewer=viewer, port=_DEFAULT_PORT)
        for host, candidates in self._index.mesh_routes:
            if host in self._index.services:
                continue
            policies = self._in_scope(host, candidates, listener.scope, viewer)
            translated = self._equals(host, policies, place)
            if not translated.routes:
                continue
            domains = aliases(
                host, namespace=policies[0].key.namespace, proxy_namespace=viewer.namespace, domain=self._index.domain
            )
            yield _Host(names.virtual_host(host, place.port), _spelled(domains, place.port, listener), translated)

    def _equals(self, host: str, policies: Sequence[Policy[VirtualService]], place: Place) -> Translated:
        return (
            self._translations.together(host, [(0, policy) for policy in policies], place) if policies else _NO_ROUTES
        )

    def _virtual_services(self, host: str, scope: Scope, viewer: Viewer) -> tuple[Policy[VirtualService], ...]:
        """The visible VirtualServices with the most specific host, sorted by key."""
        for pattern, policies in self._index.mesh_routes.matches(host):
            found = self._in_scope(pattern, policies, scope, viewer)
            if found:
                return found
        return ()

    def _in_scope(
        self, pattern: str, policies: Iterable[Policy[VirtualService]], scope: Scope, viewer: Viewer
    ) -> tuple[Policy[VirtualService], ...]:
        return tuple(policy for policy in self._seen(policies, viewer) if scope.includes(policy.key.namespace, pattern))

    @staticmethod
    def _seen(policies: Iterable[Policy[VirtualService]], viewer: Viewer) -> list[Policy[VirtualService]]:
        """Those that are exported to the proxy's namespace."""
        return [
            policy
            for policy in policies
            if visible(exported(policy.spec.export_to, policy.key.namespace), viewer.namespace)
        ]

    def _exactness(self, policy: Policy[VirtualService], host: str) -> int:
        """How exactly a VirtualService names a host: the length of its closest pattern."""
        patterns = (self._index.resolve(item, policy) for item in policy.spec.hosts)
        return max((len(pattern) for pattern in patterns if covers(pattern, host)), default=0)

    def _configuration(self, name: str) -> Any:
        message = RouteConfiguration()
        message.CopyFrom(self._prototypes.route_configuration)
        message.name = name
        return message

    def _virtual_host(self, host: _Host, domains: tuple[str, ...]) -> Any:
        """The message, built once for all configurations that have the same one."""
        key = (host.name, domains, host.redirected, *map(id, host.translated.routes))
        message = self._hosts.get(key)
        if message is None:
            message = self._hosts[key] = VirtualHost()
            message.CopyFrom(self._prototypes.virtual_host)
            message.name = host.name
            message.domains.extend(domains)
            message.routes.extend(host.translated.routes)
            if host.redirected:
                message.require_tls = VirtualHost.ALL
        return message

    def _rest(self, unknown: Unknown) -> Any:
        """For hosts that nobody has: passed on whole, or refused."""
        message = VirtualHost()
        if unknown.cluster:
            message.CopyFrom(self._prototypes.virtual_host)
            message.name = names.ALLOW_ANY
            message.domains.append("*")
            route = message.routes.add(name=names.ALLOW_ANY)
            route.match.prefix = "/"
            route.route.cluster = unknown.cluster
            route.route.timeout.SetInParent()
            return message
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
