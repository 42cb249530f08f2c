"""Listeners: filter chains, each with an HTTP connection manager or a TCP proxy, from the templates.

Where listeners are needed and what their chains match is decided by `sidecars`, `inbound` and `gateways`; this module only
knows how one looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.extensions.filters.listener.tls_inspector.v3.tls_inspector_pb2 import TlsInspector
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    Rds,
)

from reconciler.compile import names, telemetry
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.sources import Source
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType

_MANAGER = "envoy.filters.network.http_connection_manager"
_TCP_PROXY = "envoy.filters.network.tcp_proxy"
_TLS_INSPECTOR = "envoy.filters.listener.tls_inspector"
_ORIGINAL_DST = "envoy.filters.listener.original_dst"
_HANDSHAKE = 15
"""Seconds that a client from outside has for its TLS handshake, as at Istio's gateways; Envoy alone waits for ever."""


class Direction(Enum):
    """Which side of a service a listener is on. A gateway's is outbound for Envoy's stats, as in Istio."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    GATEWAY = "gateway"

    @property
    def label(self) -> str:
        """As in stat prefixes."""
        return "inbound" if self is Direction.INBOUND else "outbound"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """One filter chain: which connections it takes, and what becomes of them.

    Attributes:
        name: Unique in its listener; "" for the only one.
        server_names: TLS server names, exact or `*.suffix`; none takes any.
        prefixes: Destination addresses in CIDR form; none takes any. Only meaningful with an original destination.
        port: Destination port, or 0; only meaningful with an original destination.
        transport: `tls`, `raw_buffer`, or "" for both.
        applications: ALPN protocols; none takes any.
        transport_socket: A `TransportSocket` that ends TLS, or None for connections that stay as they are.
        routes: An `Rds`, or a `RouteConfiguration` that becomes part of the listener: an HTTP connection manager.
        tcp: A `TcpProxy` message instead.
        before: Network `Filter`s before a TCP proxy.
        stats: What an HTTP connection manager counts under, in place of the listener's name.
    """

    name: str = ""
    server_names: tuple[str, ...] = ()
    prefixes: tuple[str, ...] = ()
    port: int = 0
    transport: str = ""
    applications: tuple[str, ...] = ()
    transport_socket: Any = None
    routes: Any = None
    tcp: Any = None
    before: tuple[Any, ...] = ()
    stats: str = ""

    @property
    def inspects_tls(self) -> bool:
        """Whether Envoy has to look at the beginning of a connection to choose it."""
        return bool(self.server_names or self.transport or self.applications)


def rds(source: Source, name: str) -> Rds:
    """A reference to a route configuration that is pushed by itself."""
    return Rds(route_config_name=name, config_source=source.of(ResourceType.ROUTE, name))


def build(
    *,
    direction: Direction,
    address: str,
    port: int,
    chains: Sequence[Chain],
    prototypes: Prototypes,
    name: str = "",
    default: Chain | None = None,
    bound: bool = True,
    free: bool = False,
    original_destination: bool = False,
    http_filters: Iterable[Any] = (),
) -> Resource:
    """A listener on an address and port.

    Args:
        direction: Chooses the template and the stat prefix.
        address: An IP address.
        port: A TCP port.
        chains: In order; Envoy takes the most specific match, whatever the order.
        prototypes: The templates in force.
        name: `<address>_<port>` by default.
        default: What happens to connections that no chain takes; they are closed without.
        bound: Whether it binds its port itself; otherwise another listener hands connections over.
        free: Whether it may bind an address that the machine does not have (yet), without any effect until it has.
        original_destination: Whether iptables sent the connections here, so that the kernel has to be asked where they were
            going; they are handed to the listener of that place if there is one.
        http_filters: `HttpFilter`s that every HTTP connection manager has before its router.
    """
    message = Listener()
    message.CopyFrom(getattr(prototypes, f"listener_{direction.value}"))
    message.name = name or names.listener(address, port)
    message.address.socket_address.address = address
    message.address.socket_address.port_value = port
    inbound = direction is Direction.INBOUND
    message.traffic_direction = TrafficDirection.INBOUND if inbound else TrafficDirection.OUTBOUND
    if not bound:
        message.bind_to_port.value = False
    if free:
        message.freebind.value = True
    if original_destination:
        message.use_original_dst.value = not inbound
        _listener_filter(message, _ORIGINAL_DST, OriginalDst())
    if any(chain.inspects_tls for chain in chains):
        _listener_filter(message, _TLS_INSPECTOR, TlsInspector())
        if direction is Direction.OUTBOUND:  # a server may have to speak first, as in Istio
            message.continue_on_listener_filters_timeout = True
    filters = tuple(http_filters)
    for chain in chains:
        _fill(message.filter_chains.add(), chain, message.name, direction, prototypes, filters)
    if default is not None:
        _fill(message.default_filter_chain, default, message.name, direction, prototypes, filters)
    return resource(ResourceType.LISTENER, message)


def _listener_filter(message: Any, name: str, config: Any) -> None:
    """A listener filter, unless the template has it."""
    if all(item.name != name for item in message.listener_filters):
        message.listener_filters.add(name=name).typed_config.Pack(config, deterministic=True)


def _fill(
    message: Any, chain: Chain, listener: str, direction: Direction, prototypes: Prototypes, filters: tuple[Any, ...]
) -> None:
    message.name = chain.name
    match = message.filter_chain_match
    match.server_names.extend(chain.server_names)
    match.transport_protocol = chain.transport
    match.application_protocols.extend(chain.applications)
    for prefix in chain.prefixes:
        address, _, length = prefix.partition("/")
        match.prefix_ranges.add(address_prefix=address).prefix_len.value = int(length)
    if chain.port:
        match.destination_port.value = chain.port
    if not match.ListFields():
        message.ClearField("filter_chain_match")
    if chain.transport_socket is not None:
        message.transport_socket.CopyFrom(chain.transport_socket)
        if direction is Direction.GATEWAY:
            message.transport_socket_connect_timeout.FromSeconds(_HANDSHAKE)
    message.filters.extend(chain.before)
    if chain.tcp is not None:
        message.filters.add(name=_TCP_PROXY).typed_config.Pack(_proxy(chain.tcp, prototypes), deterministic=True)
    else:
        manager = _manager(chain, listener, direction, prototypes, filters)
        message.filters.add(name=_MANAGER).typed_config.Pack(manager, deterministic=True)


def _manager(
    chain: Chain, listener: str, direction: Direction, prototypes: Prototypes, filters: tuple[Any, ...]
) -> Any:
    manager = HttpConnectionManager()
    manager.CopyFrom(prototypes.http_connection_manager)
    manager.stat_prefix = f"{direction.label}_{chain.stats or listener};"
    manager.use_remote_address.value = direction is Direction.GATEWAY
    if chain.transport_socket is not None:
        _tell_of_client(manager)
    if isinstance(chain.routes, Rds):
        manager.rds.CopyFrom(chain.routes)
    else:
        manager.route_config.CopyFrom(chain.routes)
    if filters:
        router = manager.http_filters.pop()
        manager.http_filters.extend([*filters, router])
    if prototypes.access_log is not None:
        manager.access_log.add().CopyFrom(prototypes.access_log)
    if direction is Direction.INBOUND:
        telemetry.name_inbound(manager)
    return manager


def _tell_of_client(manager: Any) -> None:
    """Where TLS ends, applications learn who the client is from `x-forwarded-client-cert`, and never from the client itself."""
    manager.forward_client_cert_details = HttpConnectionManager.SANITIZE_SET
    details = manager.set_current_client_cert_details
    details.subject.value = True
    details.dns = True
    details.uri = True


def _proxy(tcp: Any, prototypes: Prototypes) -> Any:
    message = type(tcp)()
    message.CopyFrom(tcp)
    if prototypes.access_log is not None:
        message.access_log.add().CopyFrom(prototypes.access_log)
    return message
