"""Resources, views and observations to plan with, built from the dicts that Envoy's own protobufs read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.observation import Observation
from reconciler.model.plan import Cause, Plan, ProxyPlan
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.plan import compare_views

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
GATEWAY = Key("default", "gateway")
HOST = "reviews.default.svc.cluster.local"
V1, V2, V3 = (f"outbound|9080|{subset}|{HOST}" for subset in ("v1", "v2", "v3"))


def build(type_: ResourceType, value: Mapping[str, Any]) -> Resource:
    """A resource of what a dict describes."""
    return protos.resource(type_, protos.from_dict(type_, value))


def runtime(name: str, value: str | int) -> Resource:
    """A runtime key."""
    return Resource.of(ResourceType.RUNTIME, name, str(value).encode())


def route(
    weights: Mapping[str, int] | str, *, name: str = "primary", prefix: str = "/", **extra: Any
) -> dict[str, Any]:
    """A route to one cluster or to a split, as Istio's route with metadata that names its VirtualService."""
    if isinstance(weights, str):
        action: dict[str, Any] = {"cluster": weights}
    else:
        clusters = [{"name": cluster, "weight": weight} for cluster, weight in weights.items()]
        action = {"weighted_clusters": {"clusters": clusters}}
    config = "/apis/networking.istio.io/v1/namespaces/default/virtual-service/reviews"
    metadata = {"filter_metadata": {"istio": {"config": config}}}
    named = {"name": name} if name else {}
    return {**named, "match": {"prefix": prefix}, "route": {**action, **extra}, "metadata": metadata}


def routes(*found: dict[str, Any], config: str = "9080", host: str = HOST) -> Resource:
    """A RouteConfiguration with one virtual host."""
    virtual_host = {"name": f"{host}:9080", "domains": [host], "routes": list(found)}
    return build(ResourceType.ROUTE, {"name": config, "virtual_hosts": [virtual_host]})


def canary(v2: int, *, total: int = 100, config: str = "9080") -> Resource:
    """Routes whose only split gives `v2` of `total` to reviews v2."""
    return routes(route({V1: total - v2, V2: v2}), config=config)


def cluster(name: str, **extra: Any) -> Resource:
    """An EDS cluster."""
    return build(ResourceType.CLUSTER, {"name": name, "type": "EDS", **extra})


def endpoints(name: str, *addresses: str, health: str = "UNKNOWN") -> Resource:
    """A cluster's endpoints on port 9080."""
    found = [
        {
            "endpoint": {"address": {"socket_address": {"address": address, "port_value": 9080}}},
            "health_status": health,
        }
        for address in addresses
    ]
    return build(ResourceType.ENDPOINTS, {"cluster_name": name, "endpoints": [{"lb_endpoints": found}]})


def backend(name: str, *addresses: str) -> tuple[Resource, Resource]:
    """A cluster and its endpoints."""
    return cluster(name), endpoints(name, *addresses)


def view(*resources: Resource, proxy: Key = GATEWAY) -> View:
    """A view of these resources."""
    return View.of(proxy, resources)


def observe(
    *resources: Resource, proxy: Key = GATEWAY, error: Diagnostic | None = None, foreign: Iterable[ResourceId] = ()
) -> Observation:
    """What a proxy that has these resources shows."""
    live = {item.id: item for item in resources}
    return Observation(proxy=proxy, at=AT, resources=live, error=error, foreign=frozenset(foreign))


def shown(fields: Sequence[Any]) -> list[str]:
    """Field changes as `path: old -> new`."""
    return [f"{item.path}: {item.old} -> {item.new}" for item in fields]


def plan(*proxies: ProxyPlan, commit: str = "c0ffee", **extra: Any) -> Plan:
    """A plan of these proxies, sorted as plans are."""
    return Plan(commit=commit, proxies=tuple(sorted(proxies, key=lambda item: item.proxy)), **extra)


def move(old: Resource, new: Resource, *names: str, cause: Cause = Cause.CHANGE) -> Plan:
    """A plan in which proxies of these names get one resource updated."""
    return plan(*(turn([old], [new], name=name, cause=cause) for name in names or ("gateway",)))


def turn(
    old: Sequence[Resource], new: Sequence[Resource], *, name: str = "gateway", cause: Cause = Cause.CHANGE
) -> ProxyPlan:
    """The plan of one proxy that has some resources and should have others."""
    key = Key("default", name)
    found = compare_views(view(*old, proxy=key), view(*new, proxy=key))
    return replace(found, changes=tuple(replace(change, cause=cause) for change in found.changes))
