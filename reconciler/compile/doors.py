"""A gateway's door as a listener: the chains of its servers, the route configurations behind them, and what clashes.

Of two servers on one port that can't both be had (HTTP beside TCP, one server name twice) the first by Gateway stays, and the
other is reported: Envoy would refuse the listener with both, and with it everything else on that port.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from reconciler.compile import connections, gateways, names
from reconciler.compile.gateways import Bound, Door, Entrance
from reconciler.compile.index import Index
from reconciler.compile.listeners import Chain, rds
from reconciler.compile.names import ClusterRef
from reconciler.compile.tls import Secured, Site, downstream
from reconciler.compile.viewer import Place, Viewer
from reconciler.model.origin import Finding
from reconciler.model.secrets import Certificate, Root

_HTTP_ALPN = ("h2", "http/1.1")


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """A route configuration to be.

    Attributes:
        redirected: Hosts whose every request is answered with a redirect to https.
    """

    name: str
    place: Place
    hosts: tuple[Bound, ...]
    redirected: tuple[str, ...] = ()


@dataclass(slots=True)
class Opened:
    """What a door needs: built up server by server."""

    chains: list[Chain] = field(default_factory=list)
    behind: list[Behind] = field(default_factory=list)
    clusters: set[ClusterRef] = field(default_factory=set)
    secrets: set[Certificate | Root] = field(default_factory=set)
    findings: list[Finding] = field(default_factory=list)


def opened(index: Index, door: Door, *, viewer: Viewer, site: Site) -> Opened:
    """The chains of a door, and what is behind them."""
    out = Opened()
    plain = [item for item in door.entrances if item.server.port.protocol.is_http]
    claims = _Claims(index, door, out)
    for entrance in door.entrances:
        if entrance.server.port.protocol.is_http:
            claims.reserve(plain[0])
        elif entrance.ends_tls:
            _end_tls(index, door, entrance, viewer=viewer, site=site, claims=claims)
        elif entrance.passes_tls:
            _pass_tls(index, door, entrance, viewer=viewer, claims=claims)
        else:
            _pass_tcp(index, door, entrance, viewer=viewer, claims=claims)
    if plain and claims.plain(plain[0], Chain(routes=rds(site.source, door.routes))):
        place = door.place(viewer, plain)
        hosts = tuple(gateways.hosts(index, plain, viewer))
        redirected = tuple(gateways.redirected(index, plain))
        out.behind.append(Behind(name=door.routes, place=place, hosts=hosts, redirected=redirected))
    return out


class _Claims:
    """Who has which connections of a door: Envoy refuses a listener in which two chains match the same."""

    def __init__(self, index: Index, door: Door, out: Opened) -> None:
        self._index = index
        self._door = door
        self._taken: dict[str, Entrance] = {}
        self._plain: set[str] = set()
        self.out = out

    def reserve(self, entrance: Entrance) -> None:
        """Keep all connections without TLS for a server whose chain comes last, if nobody before it has them."""
        self._taken.setdefault(_predicate(()), entrance)

    def plain(self, entrance: Entrance, chain: Chain) -> bool:
        """Add a chain for connections without TLS; beside chains for TLS it has to say so. False if another server has them."""
        predicate = _predicate(chain.prefixes)
        other = self._taken.setdefault(predicate, entrance)
        if other is not entrance or predicate in self._plain:
            self.clash(entrance, other, f"{other.server.port.protocol} of {other.server.port.name}")
            return False
        self._plain.add(predicate)
        beside = bool(self.out.chains)
        self.out.chains.append(
            replace(
                chain,
                name=chain.name or (self._door.routes if beside else ""),
                transport="raw_buffer" if beside else "",
            )
        )
        return True

    def tls(self, entrance: Entrance, chain: Chain) -> bool:
        """Add a chain for some server names, without the ones that an earlier one has. False if that leaves none."""
        wanted = chain.server_names or ("*",)
        free = tuple(name for name in wanted if f"tls {name}" not in self._taken)
        for name in wanted:
            other = self._taken.setdefault(f"tls {name}", entrance)
            if name not in free and other is not entrance:
                self.clash(entrance, other, f"the server name {name}")
        if free:
            self.out.chains.append(replace(chain, server_names=() if free == ("*",) else free, transport="tls"))
        return bool(free)

    def clash(self, entrance: Entrance, other: Entrance, what: str) -> None:
        """Report that two servers can't have the same connections."""
        self.out.findings.append(
            Finding(
                code="gateway-conflict",
                message=f"port {self._door.port} of Gateway {entrance.gateway.key} can't be opened for this server: "
                f"Gateway {other.gateway.key} has {what} there",
                hint="use another port, or other hosts",
                origin=entrance.gateway.origin,
                path=entrance.path,
            )
        )


def _predicate(prefixes: Iterable[str]) -> str:
    """What chains for connections without TLS are told apart by."""
    return f"plain {','.join(prefixes)}"


def _end_tls(index: Index, door: Door, entrance: Entrance, *, viewer: Viewer, site: Site, claims: _Claims) -> None:
    tls = entrance.server.tls
    http = entrance.server.port.protocol == "HTTPS"
    secured = downstream(tls, site=site, applications=_HTTP_ALPN if http else ()) if tls else None
    if secured is None:
        claims.out.findings.append(_without_certificate(entrance))
        return
    name = names.gateway_tls_routes(
        door.port, entrance.server.port.name, str(entrance.gateway.key.name), entrance.gateway.key.namespace, door.bind
    )
    if http:
        if _add_ended(claims, entrance, Chain(routes=rds(site.source, name)), name, secured, index):
            place = door.place(viewer, (entrance,), tls=True)
            hosts = tuple(gateways.hosts(index, (entrance,), viewer))
            claims.out.behind.append(Behind(name=name, place=place, hosts=hosts))
        return
    for chain in _tcp(index, door, entrance, viewer=viewer, claims=claims):
        _add_ended(claims, entrance, chain, name, secured, index)


def _add_ended(claims: _Claims, entrance: Entrance, chain: Chain, name: str, secured: Secured, index: Index) -> bool:
    """Add a chain that ends TLS, and the secrets that this takes; False if other servers have all of its names."""
    wanted = entrance.server_names(index.domain)
    added = claims.tls(entrance, replace(chain, name=name, server_names=wanted, transport_socket=secured.socket))
    if added:
        claims.out.secrets.update(secured.secrets)
    return added


def _without_certificate(entrance: Entrance) -> Finding:
    return Finding(
        code="no-certificate",
        message="this server can't end TLS: ISTIO_MUTUAL needs the proxy's own certificate, and none is named",
        hint="name certificateChain, privateKey and rootCertificate in `certificates` of the Proxy or the Mesh",
        origin=entrance.gateway.origin,
        path=(*entrance.path, "tls"),
    )


def _pass_tls(index: Index, door: Door, entrance: Entrance, *, viewer: Viewer, claims: _Claims) -> None:
    place = door.place(viewer, (entrance,))
    for policy in gateways.bound(index, entrance, viewer):
        within = tuple(dict.fromkeys(gateways.common(index, entrance, policy)))
        found = connections.tls_chains(index, (policy,), place, hosts=within)
        claims.out.clusters.update(found.clusters)
        claims.out.findings.extend(found.findings)
        for chain in found.chains:
            claims.tls(entrance, chain)


def _pass_tcp(index: Index, door: Door, entrance: Entrance, *, viewer: Viewer, claims: _Claims) -> None:
    for chain in _tcp(index, door, entrance, viewer=viewer, claims=claims):
        claims.plain(entrance, chain)


def _tcp(index: Index, door: Door, entrance: Entrance, *, viewer: Viewer, claims: _Claims) -> Iterator[Chain]:
    place = door.place(viewer, (entrance,))
    policies = tuple(
        policy
        for policy in gateways.bound(index, entrance, viewer)
        if policy.spec.tcp and any(True for _ in gateways.common(index, entrance, policy))
    )
    found = connections.tcp_chains(index, policies, place)
    claims.out.clusters.update(found.clusters)
    claims.out.findings.extend(found.findings)
    yield from found.chains
