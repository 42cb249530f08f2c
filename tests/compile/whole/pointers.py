"""What the resources of a view name, by kind, so that a test can hold it against what is there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from reconciler.model.protos import decode, to_dict
from reconciler.model.resource import ResourceType, View

_LISTENERS_AND_ROUTES = (ResourceType.LISTENER, ResourceType.ROUTE)


def names(view: View, type_: ResourceType) -> set[str]:
    """The resources of one type."""
    return {item.id.name for item in view.of_type(type_)}


def clusters_named(view: View) -> set[str]:
    """By routes, splits, mirrors, TCP proxies and gRPC services."""
    return set(_all(view, _LISTENERS_AND_ROUTES, _clusters))


def routes_named(view: View) -> set[str]:
    """Route configurations that listeners wait for."""
    return set(_all(view, (ResourceType.LISTENER,), lambda found: _texts(found, "route_config_name")))


def secrets_named(view: View) -> set[str]:
    """Secrets that clusters and listeners wait for."""
    return set(_all(view, (ResourceType.CLUSTER, ResourceType.LISTENER), _secrets))


def endpoints_named(view: View) -> set[str]:
    """Assignments that clusters wait for: their own name, or the one they say."""
    return set(_all(view, (ResourceType.CLUSTER,), _assignments))


def _all(view: View, types: tuple[ResourceType, ...], find: Any) -> Iterator[str]:
    for type_ in types:
        for item in view.of_type(type_):
            for found in _objects(to_dict(decode(item))):
                yield from find(found)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for item in value.values():
            yield from _objects(item)
    elif isinstance(value, list):
        for item in value:
            yield from _objects(item)


def _texts(found: dict[str, Any], field: str) -> Iterator[str]:
    if isinstance(found.get(field), str):
        yield found[field]


def _clusters(found: dict[str, Any]) -> Iterator[str]:
    yield from _texts(found, "cluster")
    yield from (item["name"] for item in found.get("weighted_clusters", {}).get("clusters", []))
    if isinstance(found.get("envoy_grpc"), dict):
        yield from _texts(found["envoy_grpc"], "cluster_name")


def _secrets(found: dict[str, Any]) -> Iterator[str]:
    if "sds_config" in found:
        yield found["name"]


def _assignments(found: dict[str, Any]) -> Iterator[str]:
    if found.get("type") == "EDS":
        yield found.get("eds_cluster_config", {}).get("service_name", found["name"])
