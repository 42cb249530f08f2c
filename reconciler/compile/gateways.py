"""A gateway's side of Gateway resources: which of them it opens, on which ports, and for which hosts (`gateway.go`).

Servers of several Gateways on one address and port are one door, and one listener: plain HTTP is one chain for all of them,
every server that ends TLS a chain of its own, and what is passed on has a chain for each server name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from reconciler.compile import names
from reconciler.compile.index import Index
from reconciler.compile.sockets import Fixed, Socket
from reconciler.compile.viewer import Place, Viewer
from reconciler.model.gateway import Gateway, Server, ServerTLSMode
from reconciler.model.hosts import covers, fqdn
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath
from reconciler.model.proxy import Proxy
from reconciler.model.services import selected
from reconciler.model.virtualservice import VirtualService
from reconciler.model.visibility import exported, visible

Bound = tuple[str, tuple[Policy[VirtualService], ...]]
"""A host, and the VirtualServices that route for it, sorted by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entrance:
    """One server of a Gateway.

    Attributes:
        path: Where it stands in the Gateway's document.
    """

    gateway: Policy[Gateway]
    path: FieldPath
    server: Server

    @property
    def passes_tls(self) -> bool:
        """Whether TLS is passed on as it is."""
        tls = self.server.tls
        return self.server.port.protocol.is_tls and (tls is None or tls.mode is ServerTLSMode.PASSTHROUGH)

    @property
    def ends_tls(self) -> bool:
        """Whether TLS ends here: on HTTPS and TLS ports, and on TCP ports that say so."""
        return self.server.tls is not None and not self.server.port.protocol.is_http and not self._passing

    @property
    def redirects(self) -> bool:
        """Whether it answers every request with a redirect to https."""
        return self.server.tls is not None and self.server.tls.https_redirect

    @property
    def _passing(self) -> bool:
        return self.server.tls is not None and self.server.tls.mode is ServerTLSMode.PASSTHROUGH

    def server_names(self, domain: str) -> tuple[str, ...]:
        """The server names that clients may ask for; none takes any."""
        found = [fqdn(_name(text), namespace=self.gateway.key.namespace, domain=domain) for text in self.server.hosts]
        return () if "*" in found else tuple(sorted(set(found)))


def _name(text: str) -> str:
    return text.rpartition("/")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One port that a gateway opens, with the servers of all Gateways that ask for it.

    Attributes:
        bind: Address, or "" for all.
    """

    bind: str
    port: int
    entrances: tuple[Entrance, ...]

    @property
    def address(self) -> str:
        """Where the listener binds."""
        return self.bind or names.ANY_ADDRESS

    @property
    def routes(self) -> str:
        """The name of the route configuration of its plain HTTP."""
        return names.gateway_routes(self.port, self.bind)

    def place(self, viewer: Viewer, entrances: Sequence[Entrance], *, tls: bool = False) -> Place:
        """Where routes behind some of its entrances are for."""
        opened = frozenset(str(item.gateway.key) for item in entrances)
        return Place(viewer=viewer, port=self.port, gateways=opened, tls=tls)


def doors(index: Index, proxy: Policy[Proxy]) -> list[Door]:
    """The ports that a gateway opens, sorted."""
    found: dict[tuple[str, int], list[Entrance]] = {}
    for gateway in index.gateways:
        if selected(proxy.spec.labels, gateway.spec.selector):
            for number, server in enumerate(gateway.spec.servers):
                bind = "" if server.bind == names.ANY_ADDRESS else server.bind
                entrance = Entrance(gateway=gateway, path=("spec", "servers", number), server=server)
                found.setdefault((bind, server.port.number), []).append(entrance)
    return [Door(bind=bind, port=port, entrances=tuple(found[bind, port])) for bind, port in sorted(found)]


def hosts(index: Index, entrances: Iterable[Entrance], viewer: Viewer) -> list[Bound]:
    """The hosts that entrances and the visible VirtualServices bound to their Gateways have in common, sorted."""
    found: dict[str, dict[str, Policy[VirtualService]]] = {}
    for entrance in entrances:
        for policy in bound(index, entrance, viewer):
            for host in common(index, entrance, policy):
                found.setdefault(host, {})[str(policy.key)] = policy
    return [(host, tuple(sorted(found[host].values(), key=lambda policy: policy.key))) for host in sorted(found)]


def redirected(index: Index, entrances: Iterable[Entrance]) -> list[str]:
    """The hosts whose every request is answered with a redirect to https, sorted."""
    found: set[str] = set()
    for entrance in entrances:
        if entrance.redirects:
            found.update(entrance.server_names(index.domain) or ("*",))
    return sorted(found)


def bound(index: Index, entrance: Entrance, viewer: Viewer) -> Iterator[Policy[VirtualService]]:
    """The VirtualServices that name an entrance's Gateway and that the proxy sees."""
    for policy in index.gateway_routes.get(entrance.gateway.key, ()):
        if visible(exported(policy.spec.export_to, policy.key.namespace), viewer.namespace):
            yield policy


def common(index: Index, entrance: Entrance, policy: Policy[VirtualService]) -> Iterator[str]:
    """The hosts that an entrance and a VirtualService have in common: of two that overlap the narrower."""
    gateway = entrance.gateway
    for text in entrance.server.hosts:
        place, slash, name = text.rpartition("/")
        namespace = gateway.key.namespace if place == "." else place
        if slash and namespace not in {"*", policy.key.namespace}:
            continue
        offered = fqdn(name, namespace=gateway.key.namespace, domain=index.domain)
        for host in (index.resolve(item, policy) for item in policy.spec.hosts):
            if covers(offered, host):
                yield host
            elif covers(host, offered):
                yield offered


def sockets(items: Iterable[Door], owner: str) -> Iterator[Socket]:
    """What a gateway binds."""
    for door in items:
        first = door.entrances[0]
        yield Socket(
            address=door.address,
            port=door.port,
            what=f"the listener of Gateway {first.gateway.key} on {owner}",
            listener=True,
            fixed=Fixed.WRITTEN,
            origin=first.gateway.origin,
            path=(*first.path, "port", "number"),
        )
