"""The least that Envoy accepts in the place of a piece of configuration that it refuses. Pure."""

from __future__ import annotations

from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_components_pb2 import FilterChain
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

_PORTS = 65535


def cluster(name: str) -> Any:
    """A cluster without endpoints."""
    return Cluster(name=name, type=Cluster.STATIC)


def listener(name: str, number: int) -> Any:
    """A listener on a loopback address of its own."""
    out = Listener(name=name)
    out.address.socket_address.address = f"127.{64 + (number >> 16)}.{(number >> 8) & 255}.{number & 255}"
    out.address.socket_address.port_value = 1
    return out


def chain(number: int, *, default: bool) -> Any:
    """One connection manager with a router; on a port of its own, since two chains may not match the same."""
    out = FilterChain()
    if not default:
        out.filter_chain_match.destination_port.value = number % _PORTS + 1
    manager = HttpConnectionManager(stat_prefix="stand-in")
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(Router())
    manager.route_config.SetInParent()
    out.filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    return out


def configuration(name: str) -> Any:
    """A route configuration without virtual hosts."""
    out = RouteConfiguration(name=name)
    out.validate_clusters.value = False
    return out


def virtual_host(number: int) -> Any:
    """A virtual host for a domain that nobody has."""
    return VirtualHost(name=f"stand-in-{number}", domains=[f"stand-in-{number}.invalid"])
