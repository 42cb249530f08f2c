"""A view that needs no files beside its two sets: endpoints and routes written into what refers to them.

Every file that an Envoy watches takes an inotify instance, of which a user often has 128, and this table has hundreds of
clusters. What an Envoy does with a request is the same either way; pushing piece by piece is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from reconciler.model.protos import decode, resource
from reconciler.model.resource import Resource, ResourceType, View


def whole(view: View) -> View:
    """The view without endpoints and routes by themselves; secrets stay files, which is how Envoys renew them."""
    endpoints = {item.id.name: decode(item) for item in view.of_type(ResourceType.ENDPOINTS)}
    routes = {item.id.name: decode(item) for item in view.of_type(ResourceType.ROUTE)}
    clusters = [_cluster(decode(item), endpoints) for item in view.of_type(ResourceType.CLUSTER)]
    listeners = [_listener(decode(item), routes) for item in view.of_type(ResourceType.LISTENER)]
    return View.of(view.proxy, [*clusters, *listeners, *view.of_type(ResourceType.SECRET)])


def _cluster(cluster: Any, endpoints: Mapping[str, Any]) -> Resource:
    if cluster.WhichOneof("cluster_discovery_type") == "type" and cluster.HasField("eds_cluster_config"):
        name = cluster.eds_cluster_config.service_name or cluster.name
        cluster.ClearField("eds_cluster_config")
        cluster.type = cluster.DiscoveryType.Value("STATIC")
        cluster.load_assignment.CopyFrom(endpoints[name])
    return resource(ResourceType.CLUSTER, cluster)


def _listener(listener: Any, routes: Mapping[str, Any]) -> Resource:
    chains = [*listener.filter_chains]
    if listener.HasField("default_filter_chain"):
        chains.append(listener.default_filter_chain)
    for chain in chains:
        for item in chain.filters:
            if item.typed_config.type_url.endswith(".HttpConnectionManager"):
                _manager(item.typed_config, routes)
    return resource(ResourceType.LISTENER, listener)


def _manager(config: Any, routes: Mapping[str, Any]) -> None:
    manager = HttpConnectionManager()
    config.Unpack(manager)
    if manager.WhichOneof("route_specifier") == "rds":
        found = routes[manager.rds.route_config_name]
        manager.route_config.CopyFrom(found)
        config.Pack(manager, deterministic=True)
