"""Listeners, each with one HTTP connection manager: from the templates, with what the compiler decides filled in.

Where listeners are needed is decided by `outbound`, `inbound` and `gateways`; this module only knows how one looks.
"""

from __future__ import annotations

from enum import Enum
from typing import Any

from envoy.config.core.v3.base_pb2 import TrafficDirection
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
    Rds,
)

from reconciler.compile import names
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.sources import FilesSource
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType

_MANAGER = "envoy.filters.network.http_connection_manager"


class Direction(Enum):
    """Which side of a service a listener is on. A gateway's is outbound for Envoy's stats, as in Istio."""

    OUTBOUND = "outbound"
    INBOUND = "inbound"
    GATEWAY = "gateway"

    @property
    def label(self) -> str:
        """As in stat prefixes."""
        return "inbound" if self is Direction.INBOUND else "outbound"


def rds(source: FilesSource, name: str) -> Rds:
    """A reference to a route configuration that is pushed by itself."""
    return Rds(route_config_name=name, config_source=source.of(ResourceType.ROUTE, name))


def build(*, direction: Direction, address: str, port: int, routes: Any, prototypes: Prototypes) -> Resource:
    """A listener on an address and port; `routes` is an `Rds`, or a `RouteConfiguration` that becomes part of it."""
    message = Listener()
    message.CopyFrom(getattr(prototypes, f"listener_{direction.value}"))
    message.name = names.listener(address, port)
    message.address.socket_address.address = address
    message.address.socket_address.port_value = port
    inbound = direction is Direction.INBOUND
    message.traffic_direction = TrafficDirection.INBOUND if inbound else TrafficDirection.OUTBOUND
    manager = HttpConnectionManager()
    manager.CopyFrom(prototypes.http_connection_manager)
    manager.stat_prefix = f"{direction.label}_{message.name};"
    manager.use_remote_address.value = direction is Direction.GATEWAY
    if isinstance(routes, Rds):
        manager.rds.CopyFrom(routes)
    else:
        manager.route_config.CopyFrom(routes)
    if prototypes.access_log is not None:
        manager.access_log.add().CopyFrom(prototypes.access_log)
    network_filter = message.filter_chains.add().filters.add(name=_MANAGER)
    network_filter.typed_config.Pack(manager, deterministic=True)
    return resource(ResourceType.LISTENER, message)
