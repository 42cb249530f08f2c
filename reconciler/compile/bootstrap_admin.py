"""Where an Envoy opens its admin endpoint, and the listener through which others read it from elsewhere.

Envoy's admin endpoint knows no TLS and can end the process, so it never faces a network: a proxy whose admin address is `https://`
keeps it on a Unix socket, and a static listener (`listener-observer.yaml`) forwards what an observer reads.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.core.v3.base_pb2 import TrafficDirection

from reconciler.compile.bootstrap_tls import facing
from reconciler.errors import UsageError
from reconciler.model.hosts import is_address

LISTENER_NAME = "reconciler-observer"
CLUSTER_NAME = "reconciler-admin"

_UNIX = "unix://"
_TCP = re.compile(r"(?P<scheme>https?)://(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<four>[^:/\[\]]+)):(?P<port>\d{1,5})/?")
_OWNER_ONLY = 0o600
_LOOPBACK = "127.0.0.1"
_NEAREST = {"0.0.0.0": _LOOPBACK, "::": "::1"}  # noqa: S104 -- what is bound everywhere is reached by loopback
_LAST_PORT = 65535
_LONGEST_PATH = 107
_CONNECTIONS = 32


class AdminAddressError(UsageError):
    """An Envoy can't bind the admin address of its Proxy document."""

    default_code = "admin-address"


@dataclass(frozen=True, slots=True)
class AdminPlace:
    """What a proxy's admin address asks for.

    Attributes:
        path: Of the Unix socket; "" for an endpoint on TCP.
        host: IP address to bind: the admin endpoint's, or with a path the observer's listener's.
        port: To bind; 0 if there is nothing on TCP.
    """

    path: str = ""
    host: str = ""
    port: int = 0

    @property
    def observed(self) -> bool:
        """Whether a listener stands in front of it."""
        return bool(self.path and self.port)

    @property
    def exposed(self) -> bool:
        """Whether Envoy's own endpoint, without TLS, can be reached from other hosts."""
        return not self.path and self.port > 0 and not ipaddress.ip_address(self.host).is_loopback


def admin_place(who: str, admin: str, *, folder: str, bind: str = "") -> AdminPlace:
    """Read `Proxy.spec.admin`.

    Args:
        who: The proxy, for messages.
        admin: `unix:///path`, `http://ADDRESS:PORT` or `https://HOST:PORT`.
        folder: Where the socket goes that `https` keeps the real endpoint on.
        bind: IP address that the observer's listener binds, if not the one in `admin`.

    Raises:
        AdminAddressError: It can't be bound.
    """
    if admin.startswith(_UNIX):
        return AdminPlace(path=admin.removeprefix(_UNIX))
    found = _TCP.fullmatch(admin)
    https = found is not None and found["scheme"] == "https"
    host = (found["six"] or found["four"]) if found else ""
    host = _LOOPBACK if host == "localhost" else host
    host = (bind or host) if https else host
    port = int(found["port"]) if found else 0
    if not is_address(host) or not 0 < port <= _LAST_PORT:
        hint = (
            "write https://ADDRESS:PORT with an IP address, or give the address to bind with --admin-bind"
            if https
            else "write unix:///PATH, or http://ADDRESS:PORT with an IP address, 127.0.0.1 if possible"
        )
        raise AdminAddressError(f"{who} can't open its admin endpoint on {admin}", hint=hint)
    return AdminPlace(path=_socket(who, folder) if https else "", host=host, port=port)


def private_place(who: str, *, folder: str) -> AdminPlace:
    """Where the endpoint goes of a proxy without an admin address, for what stands in front of it.

    Raises:
        AdminAddressError: It can't be bound.
    """
    return AdminPlace(path=_socket(who, folder))


def _socket(who: str, folder: str) -> str:
    path = f"{folder}/admin.sock"
    if len(path.encode()) > _LONGEST_PATH:
        raise AdminAddressError(
            f"{who}: {path} is longer than the {_LONGEST_PATH} bytes that the path of a socket may have",
            hint="name a folder with a shorter path with --folder",
        )
    return path


def fill_address(address: Any, place: AdminPlace) -> None:
    """Write where Envoy opens its own endpoint."""
    if place.path:
        address.pipe.path = place.path
        address.pipe.mode = _OWNER_ONLY
    else:
        address.socket_address.address = place.host
        address.socket_address.port_value = place.port


def fill_listener(listener: Any, place: AdminPlace, *, clients: Iterable[str], folder: str) -> None:
    """Write name, address and TLS into a copy of `listener-observer.yaml`."""
    listener.name = LISTENER_NAME
    listener.traffic_direction = TrafficDirection.INBOUND
    listener.address.socket_address.address = place.host
    listener.address.socket_address.port_value = place.port
    for chain in listener.filter_chains:
        chain.transport_socket.CopyFrom(facing(clients, folder))


def admin_cluster(place: AdminPlace) -> Cluster:
    """The admin endpoint, as the listeners in front of it reach it; a few requests at a time."""
    cluster = Cluster(name=CLUSTER_NAME, type=Cluster.STATIC)
    cluster.connect_timeout.FromSeconds(1)
    cluster.load_assignment.cluster_name = CLUSTER_NAME
    address = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address
    if place.path:
        address.pipe.path = place.path
    else:
        address.socket_address.address = _NEAREST.get(place.host, place.host)
        address.socket_address.port_value = place.port
    limits = cluster.circuit_breakers.thresholds.add()
    for limit in (limits.max_connections, limits.max_pending_requests, limits.max_requests):
        limit.value = _CONNECTIONS
    return cluster
