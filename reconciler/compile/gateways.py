"""A gateway's side of Gateway resources: which of them it opens, on which ports, and for which hosts (`gateway.go`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.compile import names
from reconciler.compile.index import Index
from reconciler.compile.sockets import Fixed, Socket
from reconciler.compile.viewer import Place, Viewer
from reconciler.model.gateway import Gateway, Server
from reconciler.model.hosts import covers, fqdn
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath
from reconciler.model.proxy import Proxy
from reconciler.model.services import selected
from reconciler.model.virtualservice import VirtualService

Bound = tuple[str, tuple[Policy[VirtualService], ...]]
"""A host, and the VirtualServices that route for it, sorted by key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One port that a gateway opens, with the servers of all Gateways that ask for it.

    Attributes:
        bind: Address, or "" for all.
        servers: With the Gateway and the path of each.
    """

    bind: str
    port: int
    servers: tuple[tuple[Policy[Gateway], FieldPath, Server], ...]

    @property
    def address(self) -> str:
        """Where the listener binds."""
        return self.bind or names.ANY_ADDRESS

    @property
    def routes(self) -> str:
        """The name of its route configuration."""
        return names.gateway_routes(self.port, self.bind)

    def place(self, viewer: Viewer) -> Place:
        """Where its routes are for."""
        opened = frozenset(str(gateway.key) for gateway, _, _ in self.servers)
        return Place(viewer=viewer, port=self.port, gateways=opened)


def doors(index: Index, proxy: Policy[Proxy]) -> list[Door]:
    """The ports that a gateway opens, sorted: servers of several Gateways on one address and port are one door."""
    found: dict[tuple[str, int], list[tuple[Policy[Gateway], FieldPath, Server]]] = {}
    for gateway in index.gateways:
        if selected(proxy.spec.labels, gateway.spec.selector):
            for number, server in enumerate(gateway.spec.servers):
                bind = "" if server.bind == names.ANY_ADDRESS else server.bind
                found.setdefault((bind, server.port.number), []).append((gateway, ("spec", "servers", number), server))
    return [Door(bind=bind, port=port, servers=tuple(found[bind, port])) for bind, port in sorted(found)]


def hosts(index: Index, door: Door) -> list[Bound]:
    """The hosts that the door's servers and the VirtualServices bound to their Gateways have in common, sorted."""
    found: dict[str, dict[str, Policy[VirtualService]]] = {}
    for gateway, _, server in door.servers:
        for policy in index.gateway_routes.get(gateway.key, ()):
            for host in _common(index, gateway, server, policy):
                found.setdefault(host, {})[str(policy.key)] = policy
    return [(host, tuple(sorted(found[host].values(), key=lambda policy: policy.key))) for host in sorted(found)]


def _common(index: Index, gateway: Policy[Gateway], server: Server, policy: Policy[VirtualService]) -> Iterator[str]:
    for text in server.hosts:
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
        gateway, path, _ = door.servers[0]
        yield Socket(
            address=door.address,
            port=door.port,
            what=f"the listener of Gateway {gateway.key} on {owner}",
            listener=True,
            fixed=Fixed.WRITTEN,
            origin=gateway.origin,
            path=(*path, "port", "number"),
        )
