"""A view as a bootstrap that needs no other files: endpoints, routes and secrets beside what refers to them.

Every file that an Envoy watches takes an inotify instance, of which a user often has 128, and this table has hundreds of
clusters and many Envoys. What an Envoy does with a request is the same either way; pushing piece by piece is tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from reconciler.model.protos import decode, resource, to_dict
from reconciler.model.resource import Resource, ResourceType, View

_STATIC = {"clusters": ResourceType.CLUSTER, "listeners": ResourceType.LISTENER, "secrets": ResourceType.SECRET}


def whole(view: View, bootstrap: Bootstrap) -> dict[str, Any]:
    """The bootstrap, as JSON, with everything that the view has."""
    found = to_dict(bootstrap)
    found.pop("dynamic_resources")
    static = found.setdefault("static_resources", {})
    inlined = _inlined(view)
    for name, type_ in _STATIC.items():
        static.setdefault(name, []).extend(_at_hand(to_dict(decode(item))) for item in inlined.of_type(type_))
    return found


def _at_hand(value: Any) -> Any:
    """The value with references to secrets meaning those of the bootstrap."""
    if isinstance(value, dict):
        return {name: _at_hand(item) for name, item in value.items() if name != "sds_config"}
    return [_at_hand(item) for item in value] if isinstance(value, list) else value


def _inlined(view: View) -> View:
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
