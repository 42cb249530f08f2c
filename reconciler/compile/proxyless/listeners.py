"""Listeners for gRPC: of clients, one for each name that they can call; of servers, one for each address that they listen on.

Clients ask for `<host>:<port>` (gRFC A27), servers for what their bootstrap's template makes of their address (A36).
"""

from __future__ import annotations

from typing import Any

from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from reconciler.compile.listeners import rds
from reconciler.compile.routes.faults import FILTER as FAULTS
from reconciler.compile.sources import AdsSource
from reconciler.model.protos import encode
from reconciler.model.resource import Resource, ResourceType

SERVER = "grpc/server?xds.resource.listening_address="
"""What the names of servers' listeners begin with; the address as `ADDRESS:PORT` or `[ADDRESS]:PORT` follows."""

_ROUTER = "envoy.filters.http.router"
_MANAGER = "envoy.filters.network.http_connection_manager"


def called(name: str) -> Resource:
    """The listener of a client for what it calls `xds:///<name>`, with the route configuration of the same name.

    It has the fault filter whether a route asks for faults or not: a changed route must not change a listener.
    """
    manager = HttpConnectionManager(rds=rds(AdsSource(), name))
    manager.http_filters.add(name=FAULTS).typed_config.Pack(HTTPFault(), deterministic=True)
    manager.http_filters.add(name=_ROUTER).typed_config.Pack(Router(), deterministic=True)
    message = Listener(name=name)
    message.api_listener.api_listener.Pack(manager, deterministic=True)
    return Resource.of(ResourceType.LISTENER, name, encode(message))


def served(address: str, port: int, socket: Any) -> Resource:
    """The listener of a server: it takes every call by itself, with TLS if there is a `TransportSocket`."""
    place = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    message = Listener(name=f"{SERVER}{place}")
    message.address.socket_address.address = address
    message.address.socket_address.port_value = port
    host = VirtualHost(name=f"inbound|grpc|{port}", domains=["*"])
    route = host.routes.add(name="default")
    route.match.prefix = "/"
    route.non_forwarding_action.SetInParent()
    manager = HttpConnectionManager()
    manager.route_config.name = f"inbound|{port}||"
    manager.route_config.virtual_hosts.append(host)
    manager.http_filters.add(name=_ROUTER).typed_config.Pack(Router(), deterministic=True)
    chain = message.filter_chains.add(name="inbound")
    chain.filters.add(name=_MANAGER).typed_config.Pack(manager, deterministic=True)
    if socket is not None:
        chain.transport_socket.CopyFrom(socket)
    return Resource.of(ResourceType.LISTENER, message.name, encode(message))
