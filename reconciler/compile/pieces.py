"""What Envoy is asked about, taken apart, and put together again without the pieces that it refuses.

Envoy stops at the first thing that it refuses. To find all of them, and in them the part that is at fault, configurations are
taken apart into pieces: clusters, listeners, filter chains, route configurations, virtual hosts, routes. Any choice of pieces
makes a bootstrap: what is not chosen is absent, and where something chosen stands inside a refused piece, that one is replaced
by the least that Envoy accepts. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from reconciler.compile import standins
from reconciler.compile.offline import Offline, chains
from reconciler.model.key import Key
from reconciler.model.protos import encode


class Kind(StrEnum):
    """What a piece is."""

    CLUSTER = "cluster"
    ADMIN = "admin address"
    LISTENER = "listener"
    CHAIN = "filter chain"
    CONFIGURATION = "route configuration"
    VIRTUAL_HOST = "virtual host"
    ROUTE = "route"


@dataclass(frozen=True, slots=True)
class Piece:
    """Something that Envoy can refuse by itself.

    Attributes:
        path: Names and positions from the cluster or listener inwards; the same for the same piece of another compile.
        body: The message without the pieces that stand inside it. Shared: copy, never fill.
        name: Its own name; "" where it has none.
        parent: Position of the piece that it stands in, or None.
        place: Which filter of its chain a CONFIGURATION belongs to; 1 on the default filter chain; 0 otherwise.
        proxies: Who has it.
    """

    kind: Kind
    path: tuple[str | int, ...]
    body: Any = field(repr=False)
    name: str
    parent: int | None = None
    place: int = 0
    proxies: tuple[Key, ...] = ()

    @property
    def content(self) -> tuple[Kind, bytes]:
        """Equal for pieces that Envoy must judge alike."""
        return self.kind, encode(self.body)


@dataclass(slots=True)
class _Unit:
    message: Any
    proxies: list[Key]


class Batch:
    """Proxies whose configurations fit into one bootstrap: no two different clusters or listeners of one name or address.

    Each proxy's configuration is in there whole, so that what refers to another part of it still does.
    """

    def __init__(self) -> None:
        self._units: dict[tuple[Kind, str], _Unit] = {}
        self._content: dict[tuple[Kind, str], bytes] = {}
        self._addresses: dict[bytes, str] = {}
        self._admins: dict[Key, Any] = {}

    @property
    def proxies(self) -> tuple[Key, ...]:
        """Who is in it."""
        return tuple(self._admins)

    def add(self, proxy: Key, parts: Offline, admin: Any) -> bool:
        """Take a proxy in, with the address of its admin endpoint (or None), unless it doesn't fit."""
        items = [(Kind.CLUSTER, item.name, item) for item in parts.clusters]
        items += [(Kind.LISTENER, item.name, item) for item in parts.listeners]
        coded = [((kind, name), encode(item)) for kind, name, item in items]
        if any(self._content.get(key, content) != content for key, content in coded):
            return False
        if any(self._addresses.get(encode(item.address), item.name) != item.name for item in parts.listeners):
            return False
        for (key, content), (_, _, item) in zip(coded, items, strict=True):
            self._content[key] = content
            self._units.setdefault(key, _Unit(item, [])).proxies.append(proxy)
        self._addresses |= {encode(item.address): item.name for item in parts.listeners}
        self._admins[proxy] = admin
        return True

    def pieces(self) -> tuple[Piece, ...]:
        """Everything in it taken apart: clusters, admin addresses, then each listener followed by what stands in it."""
        out: list[Piece] = []
        for (kind, name), unit in self._units.items():
            if kind is Kind.CLUSTER:
                out.append(Piece(kind, (kind, name), unit.message, name, proxies=tuple(unit.proxies)))
        for proxy, address in self._admins.items():
            if address is not None:
                name = f"admin|{proxy}"
                out.append(Piece(Kind.ADMIN, (Kind.ADMIN, name), _at(name, address), name, proxies=(proxy,)))
        for (kind, _), unit in self._units.items():
            if kind is Kind.LISTENER:
                _take_apart(out, unit.message, tuple(unit.proxies))
        return tuple(out)


def batches(parts: Mapping[Key, Offline], admins: Mapping[Key, Any]) -> tuple[Batch, ...]:
    """All proxies, in as few batches as a first fit finds."""
    out: list[Batch] = []
    for proxy, item in parts.items():
        if not any(batch.add(proxy, item, admins.get(proxy)) for batch in out):
            batch = Batch()
            batch.add(proxy, item, admins.get(proxy))
            out.append(batch)
    return tuple(out)


def _at(name: str, address: Any) -> Any:
    cluster = Cluster(name=name, type=Cluster.STATIC)
    cluster.load_assignment.cluster_name = name
    cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.CopyFrom(address)
    return cluster


def _take_apart(out: list[Piece], listener: Any, proxies: tuple[Key, ...]) -> None:
    shell = Listener()
    shell.CopyFrom(listener)
    shell.ClearField("filter_chains")
    shell.ClearField("default_filter_chain")
    path: tuple[str | int, ...] = (Kind.LISTENER, listener.name)
    top = len(out)
    out.append(Piece(Kind.LISTENER, path, shell, listener.name, proxies=proxies))
    ordinary = len(listener.filter_chains)
    for number, chain in enumerate(chains(listener)):
        bare = FilterChain()
        bare.CopyFrom(chain)
        configurations = list(_configurations(bare))
        here = len(out)
        place = int(number >= ordinary)
        out.append(Piece(Kind.CHAIN, (*path, number), bare, chain.name, top, place, proxies))
        for position, configuration in configurations:
            _routes(out, configuration, (*path, number, position), here, position, proxies)


def _configurations(chain: Any) -> Iterator[tuple[int, Any]]:
    """Takes the route configurations out of a chain: each with the position of its filter."""
    for position, network_filter in enumerate(chain.filters):
        manager = HttpConnectionManager()
        if not network_filter.typed_config.Is(manager.DESCRIPTOR):
            continue
        network_filter.typed_config.Unpack(manager)
        if manager.HasField("route_config"):
            configuration = RouteConfiguration()
            configuration.CopyFrom(manager.route_config)
            manager.route_config.Clear()
            network_filter.typed_config.Pack(manager, deterministic=True)
            yield position, configuration


def _routes(
    out: list[Piece], configuration: Any, path: tuple[str | int, ...], parent: int, place: int, proxies: tuple[Key, ...]
) -> None:
    shell = RouteConfiguration()
    shell.CopyFrom(configuration)
    shell.ClearField("virtual_hosts")
    top = len(out)
    out.append(Piece(Kind.CONFIGURATION, path, shell, configuration.name, parent, place, proxies))
    for host in configuration.virtual_hosts:
        bare = VirtualHost()
        bare.CopyFrom(host)
        bare.ClearField("routes")
        here = len(out)
        out.append(Piece(Kind.VIRTUAL_HOST, (*path, host.name), bare, host.name, top, 0, proxies))
        for number, route in enumerate(host.routes):
            out.append(Piece(Kind.ROUTE, (*path, host.name, number), route, route.name, here, 0, proxies))


def referred(pieces: Sequence[Piece]) -> frozenset[int]:
    """The clusters whose names have to be there whenever a listener is: Envoy checks some references.

    Those of filters, which may be to gRPC services, and of routes if a route configuration wants `validate_clusters`, which
    is the default of those that were never pushed by themselves.
    """
    clusters = {number: piece.name.encode() for number, piece in enumerate(pieces) if piece.kind is Kind.CLUSTER}
    bodies = [piece.body for piece in pieces if piece.kind is Kind.CONFIGURATION]
    if any(not body.HasField("validate_clusters") or body.validate_clusters.value for body in bodies):
        return frozenset(clusters)
    text = b"".join(encode(piece.body) for piece in pieces if piece.kind in {Kind.LISTENER, Kind.CHAIN})
    return frozenset(number for number, name in clusters.items() if name in text)


def assemble(
    bootstrap: Any,
    pieces: Sequence[Piece],
    chosen: Collection[int],
    refused: Collection[int],
    *,
    named: Collection[int],
) -> Any:
    """A bootstrap with the chosen pieces.

    Pieces that chosen ones stand in come along. Of the clusters in `named` the name is kept where any listener is there, for
    what refers to it (see `referred`). What is in `refused` is never there itself; a stand-in is, where something needs it.
    """
    wanted = set(chosen) - set(refused)
    for number in sorted(wanted, reverse=True):
        parent = pieces[number].parent
        while parent is not None and parent not in wanted:
            wanted.add(parent)
            parent = pieces[parent].parent
    out = type(bootstrap)()
    out.CopyFrom(bootstrap)
    static = out.static_resources
    listening = any(pieces[number].kind is Kind.LISTENER for number in wanted)
    made: dict[int, Any] = {}
    for number, piece in enumerate(pieces):
        if number in wanted and number not in refused:
            body = piece.body
        elif number in wanted or (listening and number in named):
            body = _stand_in(piece, number)
        else:
            continue
        if piece.parent is None:
            group = static.listeners if piece.kind is Kind.LISTENER else static.clusters
            group.add().CopyFrom(body)
            made[number] = group[-1]
        else:
            made[number] = _fit_in(made[piece.parent], piece, body)
    _close(made, pieces)
    return out


def _fit_in(outer: Any, piece: Piece, body: Any) -> Any:
    if piece.kind is Kind.CHAIN:
        chain = outer.default_filter_chain if piece.place else outer.filter_chains.add()
        chain.CopyFrom(body)
        return _Chain(chain)
    if piece.kind is Kind.CONFIGURATION:
        configuration = outer.configuration(piece.place)
    else:
        configuration = outer.virtual_hosts.add() if piece.kind is Kind.VIRTUAL_HOST else outer.routes.add()
    configuration.CopyFrom(body)
    return configuration


class _Chain:
    """A chain whose connection managers are open; `_close` packs them again."""

    def __init__(self, chain: Any) -> None:
        self.chain = chain
        self.open: dict[int, Any] = {}

    def configuration(self, position: int) -> Any:
        """The route configuration of the manager at this position; of the only filter on a stand-in."""
        position = min(position, len(self.chain.filters) - 1)
        if position not in self.open:
            self.open[position] = HttpConnectionManager()
            self.chain.filters[position].typed_config.Unpack(self.open[position])
        return self.open[position].route_config


def _close(made: Mapping[int, Any], pieces: Sequence[Piece]) -> None:
    for number, item in made.items():
        if isinstance(item, _Chain):
            for position, manager in item.open.items():
                item.chain.filters[position].typed_config.Pack(manager, deterministic=True)
        elif pieces[number].kind is Kind.LISTENER and not item.filter_chains:
            item.filter_chains.add()  # Envoy wants one


def _stand_in(piece: Piece, number: int) -> Any:
    made: Mapping[Kind, Callable[[], Any]] = {
        Kind.CLUSTER: lambda: standins.cluster(piece.name),
        Kind.LISTENER: lambda: standins.listener(piece.name, number),
        Kind.CHAIN: lambda: standins.chain(number, default=bool(piece.place)),
        Kind.CONFIGURATION: lambda: standins.configuration(piece.name),
        Kind.VIRTUAL_HOST: lambda: standins.virtual_host(number),
    }
    return made[piece.kind]()
