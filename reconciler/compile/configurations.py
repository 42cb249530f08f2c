"""Route configurations: the virtual hosts behind one listener, and every cluster that they can lead to.

For sidecars a virtual host for each service in scope (Istio's `httproute.go`), for gateways one for each host that a
server and a VirtualService have in common (`gateway.go`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from reconciler.compile import names
from reconciler.compile.assembled import Assembled, Piece, encoded
from reconciler.compile.clusters import Clusters
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.routes import Translated, Translations
from reconciler.compile.routes.ratelimits import Layer, limit
from reconciler.compile.scope import Scope
from reconciler.compile.sidecars import Outbound, Unknown
from reconciler.compile.viewer import Place, Viewer
from reconciler.compile.virtualhosts import DEFAULT_PORT, Host, by_name, claims, in_header, spelled
from reconciler.model.hosts import aliases, covers, is_address
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.services import Service
from reconciler.model.virtualservice import VirtualService
from reconciler.model.visibility import exported, visible

_NO_ROUTES = Translated((), frozenset())


class Configurations:
    """The route configurations of one mesh; proxies with equal ones share them.

    Args:
        index: The mesh.
        prototypes: The templates in force.
        clusters: Its clusters.
        kept: Configurations that are as in `last`.
        last: Those of another mesh with the same settings, templates and RateLimits, to take over what is the same.
    """

    def __init__(
        self,
        *,
        index: Index,
        prototypes: Prototypes,
        clusters: Clusters,
        kept: Mapping[object, Assembled] | None = None,
        last: Configurations | None = None,
    ) -> None:
        self._index = index
        self._prototypes = prototypes
        self._clusters = clusters
        self.translations: Translations = Translations(index, prototypes, last=last.translations if last else None)
        self._kept: dict[object, Assembled] = dict(kept or {})
        self._hosts: dict[tuple[object, ...], tuple[tuple[object, ...], bytes]] = {}
        self._known = last.encoded_hosts() if last else {}
        self._patterns: dict[Key, frozenset[str]] = {}

    def encoded_hosts(self) -> dict[tuple[object, ...], tuple[tuple[object, ...], bytes]]:
        """Virtual hosts by all that they are made from, with the routes, whose identity is part of that."""
        return {**self._known, **self._hosts}

    def forget(self) -> None:
        """Let go of what was there to be taken over."""
        self._known = {}
        self.translations.forget()

    def __getitem__(self, key: object) -> Assembled:
        """What a key stands for."""
        return self._kept[key]

    def edited(self, index: Index, policies: Collection[Key]) -> Configurations | None:
        """The same for a mesh in which nothing differs but the `http` rules of some VirtualServices.

        None if these lead to other clusters than before, or if there is another virtual host: then more than routes changes.
        """
        other = Configurations(
            index=index, prototypes=self._prototypes, clusters=self._clusters, kept=self._kept, last=self
        )
        for key, assembled in self._kept.items():
            if not assembled.absent.isdisjoint(policies):
                return None
            pieces: dict[int, Piece] = {}
            for number in assembled.positions(policies):
                before = assembled.pieces[number]
                host: Host = before.recipe.again(other)
                if not host.translated.routes or host.translated.clusters != before.clusters:
                    return None
                pieces[number] = other._piece(replace(host, domains=before.recipe.domains))
            if pieces:
                other._kept[key] = assembled.exchanged(pieces)
        return other

    def sidecar(self, listener: Outbound, viewer: Viewer) -> object:
        """What a sidecar has behind an outbound listener: the key that stands for it here."""
        key = (listener.routes, listener.proxying, listener.port, listener.scope, listener.unknown, viewer)
        if key not in self._kept:
            self._kept[key] = self._sidecar(listener, viewer)
        return key

    def gateway(
        self,
        name: str,
        place: Place,
        hosts: Iterable[tuple[str, tuple[Policy[VirtualService], ...]]],
        *,
        redirected: Collection[str] = (),
    ) -> object:
        """What a gateway has behind a port, as the key that stands for it here: for each host the routes of its VirtualServices, those that match all last.

        Of several VirtualServices the one that names the host most exactly goes first, then the first by key. A host for which
        none of them has a rule that holds here is left to the wildcards around it, as in Istio. Without any host every request is
        a 404, answered by a virtual host that says so.

        Args:
            name: Of the route configuration.
            place: Where it is for.
            hosts: With the VirtualServices of each.
            redirected: Hosts, wildcards included, that answer everything with a redirect to https, whether any VirtualService
                routes for them or not.
        """
        routed = dict(hosts)
        policies = tuple((host, tuple(policy.key for policy in items)) for host, items in sorted(routed.items()))
        key = (name, place, policies, tuple(sorted(redirected)))
        if key not in self._kept:
            keys = dict(policies)
            every = [
                self.of_host(host, keys.get(host, ()), place, redirected=redirected)
                for host in sorted({*routed, *redirected})
            ]
            found = [item for item in every if item.says]
            absent = frozenset(key for item in every if not item.says for key in item.policies)
            if not found:
                found.append(Host(names.virtual_host(names.BLACKHOLE, place.port), ("*",), _NO_ROUTES))
            pieces = [self._piece(item) for item in sorted(found, key=by_name)]
            frame = self._configuration(name)
            limiting = self._index.limits.of_gateways(place.gateways)
            if limiting is not None:
                limit(frame, limiting, Layer.PLACE)
            self._kept[key] = Assembled(frame, tuple(pieces), absent=absent)
        return key

    def of_host(self, host: str, keys: tuple[Key, ...], place: Place, *, redirected: Collection[str]) -> Host:
        """A host at a gateway, with the rules of these VirtualServices."""
        policies = [self._index.virtual_services[key] for key in keys]
        ranked = sorted(
            ((self._exactness(policy, host), policy) for policy in policies), key=lambda item: (-item[0], item[1].key)
        )
        return Host(
            name=names.virtual_host(host, place.port),
            domains=(in_header(host),),
            translated=self.translations.together(host, ranked, place) if ranked else _NO_ROUTES,
            redirected=any(covers(pattern, host) for pattern in redirected),
            policies=keys,
            again=lambda other: other.of_host(host, keys, place, redirected=redirected),
        )

    def _sidecar(self, listener: Outbound, viewer: Viewer) -> Assembled:
        absent: set[Key] = set()
        services = [*self._visible(listener, viewer)]
        hosts = [self.of_service(service, port, listener, viewer) for service, port in services]
        if listener.proxying or listener.port == DEFAULT_PORT:
            unknown = [*self._unknown_hosts(listener, viewer)]
            hosts.extend(item for item in unknown if item.translated.routes)
            absent.update(key for item in unknown if not item.translated.routes for key in item.policies)
        hosts.sort(key=by_name)
        frame = self._configuration(listener.routes)
        if listener.proxying:
            frame.ignore_port_in_host_matching = False
        claimed = claims(hosts)
        pieces = [self._piece(replace(item, domains=domains)) for item, domains in claimed if domains]
        if not any("*" in domains for _, domains in claimed):
            pieces.append(Piece(encoded(self._rest(listener.unknown)), frozenset()))
        offered = {ref for service, port in services for ref in self._clusters.of_service(service, port, viewer=viewer)}
        for item in (item for item, domains in claimed if not domains):
            offered.update(item.translated.clusters)
            absent.update(item.policies)
        return Assembled(frame, tuple(pieces), frozenset(offered), frozenset(absent))

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

    def of_service(self, service: Service, port: int, listener: Outbound, viewer: Viewer) -> Host:
        """A service's virtual host: with the default route, if no VirtualService has any that hold here, as in Istio."""
        place = Place(viewer=viewer, port=port)
        policies = self._virtual_services(service.host, listener.scope, viewer)
        translated = self._equals(service.host, policies, place)
        if not translated.routes:
            default = self.translations.default(ClusterRef(service.host, port), place)
            translated = replace(default, findings=translated.findings) if translated.findings else default
        domains = aliases(
            service.host, namespace=service.namespace, proxy_namespace=viewer.namespace, domain=self._index.domain
        )
        addresses = (item for item in service.addresses if is_address(item))
        written = spelled((*domains, *addresses), port, proxying=listener.proxying)
        return Host(
            name=names.virtual_host(service.host, port),
            domains=tuple(dict.fromkeys(written)),
            translated=translated,
            policies=tuple(policy.key for policy in policies),
            again=lambda other: other.of_service(service, port, listener, viewer),
        )

    def _unknown_hosts(self, listener: Outbound, viewer: Viewer) -> Iterator[Host]:
        """Hosts of VirtualServices that no service has; Istio has them on port 80 only."""
        for host, candidates in self._index.mesh_routes:
            if host not in self._index.services:
                policies = self._in_scope(host, candidates, listener.scope, viewer)
                if policies:
                    yield self.of_unknown(host, tuple(policy.key for policy in policies), listener, viewer)

    def of_unknown(self, host: str, keys: tuple[Key, ...], listener: Outbound, viewer: Viewer) -> Host:
        """A host that no service has, with the rules of these VirtualServices."""
        place = Place(viewer=viewer, port=DEFAULT_PORT)
        domains = aliases(
            host, namespace=keys[0].namespace, proxy_namespace=viewer.namespace, domain=self._index.domain
        )
        return Host(
            name=names.virtual_host(host, place.port),
            domains=spelled(domains, place.port, proxying=listener.proxying),
            translated=self._equals(host, [self._index.virtual_services[key] for key in keys], place),
            policies=keys,
            again=lambda other: other.of_unknown(host, keys, listener, viewer),
        )

    def _equals(self, host: str, policies: Sequence[Policy[VirtualService]], place: Place) -> Translated:
        return self.translations.together(host, [(0, policy) for policy in policies], place) if policies else _NO_ROUTES

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
        patterns = self._patterns.get(policy.key)
        if patterns is None:
            patterns = frozenset(self._index.resolve(item, policy) for item in policy.spec.hosts)
            self._patterns[policy.key] = patterns
        if host in patterns:
            return len(host)  # no pattern that covers it is longer
        return max((len(pattern) for pattern in patterns if covers(pattern, host)), default=0)

    def _configuration(self, name: str) -> Any:
        message = RouteConfiguration()
        message.CopyFrom(self._prototypes.route_configuration)
        message.name = name
        return message

    def _piece(self, host: Host) -> Piece:
        """A virtual host, encoded once for all configurations that have the same one."""
        key = (host.name, host.domains, host.redirected, *map(id, host.translated.routes))
        found = self._hosts.get(key) or self._known.get(key)
        if found is None:
            message = VirtualHost()
            message.CopyFrom(self._prototypes.virtual_host)
            message.name = host.name
            message.domains.extend(host.domains)
            message.routes.extend(host.translated.routes)
            if host.redirected:
                message.require_tls = VirtualHost.ALL
            found = (
                host.translated.routes,
                encoded(message),
            )  # the routes too: they keep the identity that the key has
        _, body = self._hosts[key] = found
        return Piece(body, host.translated.clusters, host.translated.findings, host.policies, host)

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
