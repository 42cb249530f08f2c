"""What a proxy needs for RateLimits apart from routes: filters that ask rate limit services, and the clusters of these.

A filter has its service, timeout and answer in itself, so there is one for each RateLimit with global limits, on proxies that the
RateLimit can concern. That depends on targets, never on rules: a changed rule must not change a listener.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from envoy.config.core.v3.config_source_pb2 import ApiVersion
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimit as Asking
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter

from reconciler.compile.index import Index
from reconciler.compile.limits import Limiting
from reconciler.compile.listeners import Chain, Direction
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.routes.ratelimits import Layer, answer_headers, global_filter, limit
from reconciler.compile.viewer import Viewer
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.ratelimit import GlobalLimits
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.services import selected
from reconciler.model.virtualservice import MESH_GATEWAY, VirtualService
from reconciler.model.visibility import exported, visible


def concerning(index: Index, viewer: Viewer, direction: Direction) -> Iterator[Limiting]:
    """The RateLimits that can concern requests on one side of a proxy, sorted by key."""
    limits = index.limits
    labels = dict(viewer.labels)
    found: list[Limiting] = []
    if direction is Direction.INBOUND:
        own = limits.of_workload(viewer.namespace, labels)
        found.extend([own] if own is not None else [])
    else:
        found.extend(policy for key in limits.rules if _carries_out(index, key, viewer) for policy in limits.rules[key])
    if direction is Direction.GATEWAY:
        for gateway in index.gateways:
            policy = limits.gateways.get(gateway.key)
            if policy is not None and selected(labels, gateway.spec.selector):
                found.append(policy)
    yield from sorted(found, key=lambda policy: policy.key)


def _carries_out(index: Index, key: Key, viewer: Viewer) -> bool:
    """Whether a proxy may carry out rules that are written in a VirtualService: it, or one that delegates to it."""
    policy = index.virtual_services.get(key)
    if policy is None:
        return False
    roots = [policy] if policy.spec.hosts else [*_delegating(index, key)]
    return any(_comes_to(root, viewer) for root in roots)


def _delegating(index: Index, key: Key) -> Iterator[Policy[VirtualService]]:
    for policy in index.virtual_services.values():
        for rule in policy.spec.http:
            delegate = rule.delegate
            if delegate is not None and Key(delegate.namespace or policy.key.namespace, delegate.name) == key:
                yield policy
                break


def _comes_to(policy: Policy[VirtualService], viewer: Viewer) -> bool:
    names = set(policy.spec.gateways or (MESH_GATEWAY,))
    sides = names - {MESH_GATEWAY} if viewer.gateway else names & {MESH_GATEWAY}
    return bool(sides) and visible(exported(policy.spec.export_to, policy.key.namespace), viewer.namespace)


def limited(chain: Chain, index: Index, workload: Policy[WorkloadEntry]) -> Chain:
    """A chain that leads to an application, with the limits of its workload."""
    policy = index.limits.of_workload(workload.key.namespace, workload.spec.labels)
    if policy is None or chain.routes is None:
        return chain
    routes = RouteConfiguration()
    routes.CopyFrom(chain.routes)
    limit(routes, policy, Layer.PLACE)
    return replace(chain, routes=routes)


def filters(index: Index, viewer: Viewer, direction: Direction, prototypes: Prototypes) -> tuple[Any, ...]:
    """The `HttpFilter`s that one side of a proxy has for its RateLimits before its router.

    Those that count locally stand in the house template, where they do nothing by themselves. A template without them gets them
    as soon as there is any RateLimit.
    """
    if not index.limits:
        return ()
    there = {item.name for item in prototypes.http_connection_manager.http_filters}
    asking = [
        _asking(policy, policy.spec.global_, index)
        for policy in concerning(index, viewer, direction)
        if policy.spec.global_ is not None
    ]
    return (*(_idle(layer) for layer in Layer if layer.value not in there), *asking)


def services(index: Index, viewer: Viewer, *directions: Direction) -> set[ClusterRef]:
    """The clusters of the services that these sides of a proxy ask."""
    return {
        _service(policy, policy.spec.global_, index)
        for direction in directions
        for policy in concerning(index, viewer, direction)
        if policy.spec.global_ is not None
    }


def _service(policy: Limiting, limits: GlobalLimits, index: Index) -> ClusterRef:
    host = index.resolve(limits.service.host, policy)
    if limits.service.port is not None:
        return ClusterRef(host, limits.service.port.number)
    service = index.services.get(host)
    return ClusterRef(host, service.ports[0].number if service and service.ports else 0)


def _idle(layer: Layer) -> Any:
    found = HttpFilter(name=layer.value)
    found.typed_config.Pack(LocalRateLimit(stat_prefix=layer.value), deterministic=True)
    return found


def _asking(policy: Limiting, limits: GlobalLimits, index: Index) -> Any:
    response = policy.spec.response
    message = Asking(
        domain=limits.domain,
        stat_prefix=f"{policy.key.namespace}.{policy.key.name}",
        failure_mode_deny=not limits.fail_open,
        rate_limited_as_resource_exhausted=True,
        enable_x_ratelimit_headers=int(response.rate_limit_headers),
        response_headers_to_add=answer_headers(response),
    )
    message.timeout.FromTimedelta(limits.timeout)
    message.rate_limited_status.code = response.status
    message.rate_limit_service.transport_api_version = ApiVersion.V3
    message.rate_limit_service.grpc_service.envoy_grpc.cluster_name = _service(policy, limits, index).name
    found = HttpFilter(name=global_filter(policy.key))
    found.typed_config.Pack(message, deterministic=True)
    return found
