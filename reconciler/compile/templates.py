"""The table of templates: which files there are, which Envoy message each one is, and what the compiler keeps for itself.

A field that the compiler sets is refused in a template: it would be overwritten, and a value that is silently without
effect is worse than an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.clusters.dns.v3.dns_cluster_pb2 import DnsCluster
from envoy.extensions.common.dynamic_forward_proxy.v3.dns_cache_pb2 import DnsCacheConfig
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.message import Message


@dataclass(frozen=True, slots=True)
class Template:
    """One file in `envoy-templates/`.

    Attributes:
        message: The Envoy message that it describes.
        decided: Fields that only the compiler sets, as paths of proto field names.
        optional: Whether the file may be empty and then means that there is none.
    """

    message: type[Message]
    decided: tuple[str, ...] = ()
    optional: bool = False


_LISTENER = (
    "name",
    "address",
    "traffic_direction",
    "filter_chains",
    "default_filter_chain",
    "bind_to_port",
    "use_original_dst",
    "api_listener",
)
_ACTION = ("route.cluster", "route.weighted_clusters", "route.cluster_header", "redirect", "direct_response")

TEMPLATES: Mapping[str, Template] = MappingProxyType(
    {
        "access-log.yaml": Template(AccessLog, optional=True),
        "bootstrap.yaml": Template(
            Bootstrap,
            (
                "node",
                "admin.address",
                "dynamic_resources.ads_config",
                "dynamic_resources.cds_config",
                "dynamic_resources.lds_config",
            ),
        ),
        "cluster.yaml": Template(Cluster, ("name", "type", "cluster_type", "eds_cluster_config", "load_assignment")),
        "cluster-ads.yaml": Template(Cluster, ("name", "type", "cluster_type", "load_assignment", "transport_socket")),
        "cluster-dns.yaml": Template(DnsCluster, ("all_addresses_in_single_endpoint",)),
        "cluster-http2.yaml": Template(HttpProtocolOptions),
        "cluster-inbound.yaml": Template(
            Cluster, ("name", "type", "cluster_type", "eds_cluster_config", "load_assignment")
        ),
        "dns-cache.yaml": Template(DnsCacheConfig, ("name",)),
        "http-connection-manager.yaml": Template(
            HttpConnectionManager,
            ("stat_prefix", "rds", "route_config", "scoped_routes", "use_remote_address", "access_log"),
        ),
        "listener-gateway.yaml": Template(Listener, _LISTENER),
        "listener-inbound.yaml": Template(Listener, _LISTENER),
        "listener-metrics.yaml": Template(
            Listener,
            ("name", "address", "traffic_direction", "filter_chains.transport_socket", "default_filter_chain"),
        ),
        "listener-observer.yaml": Template(
            Listener,
            ("name", "address", "traffic_direction", "filter_chains.transport_socket", "default_filter_chain"),
        ),
        "listener-outbound.yaml": Template(Listener, _LISTENER),
        "route.yaml": Template(Route, ("name", "match", *_ACTION)),
        "route-configuration.yaml": Template(RouteConfiguration, ("name", "virtual_hosts", "vhds")),
        "route-inbound.yaml": Template(Route, ("name", "match", *_ACTION)),
        "virtual-host.yaml": Template(VirtualHost, ("name", "domains", "routes")),
        "virtual-host-unknown.yaml": Template(VirtualHost, ("name", "domains")),
    }
)
"""By file name. A house default exists for each, so every compile has all of them."""


def decided_field(message: Message, template: Template) -> tuple[str, ...] | None:
    """The first field of a parsed template that is the compiler's to set, as a path, or None."""
    for path in template.decided:
        steps = tuple(path.split("."))
        if _is_set(message, steps):
            return steps
    return None


def _is_set(message: Message, steps: tuple[str, ...]) -> bool:
    head, rest = steps[0], steps[1:]
    value = next((value for field, value in message.ListFields() if field.name == head), None)
    if value is None or not rest:
        return value is not None
    return any(_is_set(item, rest) for item in ((value,) if isinstance(value, Message) else value))
