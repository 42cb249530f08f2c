"""How things are called in an Envoy, after Istio (`pilot/pkg/model`), so that dashboards and habits keep working."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.key import Key

LOOPBACK = "127.0.0.1"
"""Where a sidecar's application calls, and is called."""

ANY_ADDRESS = "0.0.0.0"  # noqa: S104 -- a gateway is for everybody
"""Where a gateway listens unless it says otherwise."""

LOOPBACK_6 = "::1"
"""The same where connections come by IPv6."""

ANY_ADDRESS_6 = "::"
"""All addresses of IPv6."""

BLOCK_ALL = "block_all"
"""The virtual host for unknown hosts."""

BLACKHOLE = "blackhole"
"""The virtual host of a gateway's port that nothing is bound to."""

HTTP_PROXY = "http_proxy"
"""The route configuration of HTTP_PROXY listeners."""

ALLOW_ANY = "allow_any"
"""The virtual host that passes requests for unknown hosts on."""

PASSTHROUGH = "PassthroughCluster"
"""Wherever the caller wanted to go."""

BLACK_HOLE = "BlackHoleCluster"
"""Nowhere: connections are closed."""

INBOUND_PASSTHROUGH = "InboundPassthroughCluster"
"""The application, at the address and port that the caller asked for."""

VIRTUAL_OUTBOUND = "virtualOutbound"
"""The listener to which a workload's own connections are redirected."""

VIRTUAL_INBOUND = "virtualInbound"
"""The listener to which connections to a workload are redirected."""

PASSTHROUGH_CHAIN = "PassthroughFilterChain"
"""What takes connections that nothing else on an outbound listener takes."""

API_GROUP = "networking.istio.io/v1"


@dataclass(frozen=True, slots=True, order=True)
class ClusterRef:
    """One outbound cluster: a port of a host, or of a subset of it."""

    host: str
    port: int
    subset: str = ""

    @property
    def name(self) -> str:
        """`outbound|<port>|<subset>|<host>`."""
        return f"outbound|{self.port}|{self.subset}|{self.host}"

    @property
    def server_name(self) -> str:
        """`outbound_.<port>_.<subset>_.<host>`: what proxies ask each other for by TLS."""
        return f"outbound_.{self.port}_.{self.subset}_.{self.host}"


def inbound_cluster(port: int, bind: str = "") -> str:
    """`inbound|<port>||`; with the bind address where two ingress listeners of one sidecar share a port."""
    return f"inbound|{port}|{bind}|"


def listener(address: str, port: int) -> str:
    """`<address>_<port>`."""
    return f"{address}_{port}"


def gateway_routes(port: int, bind: str) -> str:
    """`http.<port>[.<bind>]`."""
    return f"http.{port}.{bind}" if bind else f"http.{port}"


def gateway_tls_routes(port: int, port_name: str, gateway: str, namespace: str, bind: str) -> str:
    """`https.<port>.<port name>.<gateway>.<namespace>[.bind]`: each server that ends TLS has routes of its own."""
    name = f"https.{port}.{port_name}.{gateway}.{namespace}"
    return f"{name}.{bind}" if bind else name


def virtual_host(host: str, port: int) -> str:
    """`<host>:<port>`."""
    return f"{host}:{port}"


def config_path(kind: str, key: Key) -> str:
    """Where a resource came from, as Istio writes it into metadata: `kind` in kebab-case (`virtual-service`)."""
    return f"/apis/{API_GROUP}/namespaces/{key.namespace}/{kind}/{key.name}"
