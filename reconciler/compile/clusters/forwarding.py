"""Clusters that look up the host which each request asks for, and the filters that listeners in front of them need.

The filters leave requests for other clusters alone. Filter and cluster meet in one DNS cache, by its name and equal settings.
"""

from __future__ import annotations

from typing import Any

from envoy.config.listener.v3.listener_components_pb2 import Filter
from envoy.extensions.clusters.dynamic_forward_proxy.v3.cluster_pb2 import ClusterConfig
from envoy.extensions.filters.http.dynamic_forward_proxy.v3.dynamic_forward_proxy_pb2 import FilterConfig
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.filters.network.sni_dynamic_forward_proxy.v3.sni_dynamic_forward_proxy_pb2 import (
    FilterConfig as ServerNameConfig,
)

from reconciler.compile.clusters.loadbalancing import leave_to_cluster
from reconciler.compile.prototypes import Prototypes

_CACHE = "hosts"
_CLUSTER = "envoy.clusters.dynamic_forward_proxy"
_HTTP_FILTER = "envoy.filters.http.dynamic_forward_proxy"
_NETWORK_FILTER = "envoy.filters.network.sni_dynamic_forward_proxy"


def forward(message: Any, prototypes: Prototypes, *, unchecked: bool) -> None:
    """Let a cluster connect to the host that each request asks for.

    Args:
        message: The cluster.
        prototypes: The templates in force.
        unchecked: Whether hosts are not checked by their own names; Envoy refuses that unless told that it is meant.
    """
    leave_to_cluster(message)
    config = ClusterConfig(dns_cache_config=_cache(prototypes))
    config.allow_insecure_cluster_options = unchecked
    message.cluster_type.name = _CLUSTER
    message.cluster_type.typed_config.Pack(config, deterministic=True)


def http_filter(prototypes: Prototypes) -> Any:
    """The `HttpFilter` that looks up a request's `Host`, and its port: 80 without one, or 443 towards TLS."""
    found = HttpFilter(name=_HTTP_FILTER)
    found.typed_config.Pack(FilterConfig(dns_cache_config=_cache(prototypes)), deterministic=True)
    return found


def server_name_filter(prototypes: Prototypes, port: int) -> Any:
    """The network `Filter` before a TCP proxy that looks up a connection's TLS server name; it is called on this port."""
    config = ServerNameConfig(dns_cache_config=_cache(prototypes), port_value=port)
    found = Filter(name=_NETWORK_FILTER)
    found.typed_config.Pack(config, deterministic=True)
    return found


def _cache(prototypes: Prototypes) -> Any:
    config = type(prototypes.dns_cache)()
    config.CopyFrom(prototypes.dns_cache)
    config.name = _CACHE
    return config
