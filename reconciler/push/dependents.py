"""What has to wait for something that a proxy refused: who would refer to what is not there. Pure.

Envoy takes a route to a cluster that it does not know, and answers every request with 503; a listener whose routes are missing
warms for ever. So what would refer to a refused resource stays as it serves, and is not made if it does not serve yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from reconciler.model.protos import decode, to_dict
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.model.secrets import referenced
from reconciler.push.phases import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Spared:
    """A state in which nothing new refers to what is not there.

    Attributes:
        state: What can be sent.
        because: What is not as it was to be, and what it would have referred to.
    """

    state: State
    because: Mapping[ResourceId, ResourceId] = field(default_factory=lambda: MappingProxyType({}))


def spare(after: State, *, live: State, absent: frozenset[ResourceId]) -> Spared:
    """Leave what would newly refer to something absent as it serves.

    Args:
        after: What was to be.
        live: What serves.
        absent: What was refused and does not serve in any version; it may be in `after`, where it stays.
    """
    if not absent:
        return Spared(state=after)
    result, because = dict(after), dict[ResourceId, ResourceId]()
    changed = {id_: item for id_, item in after.items() if live.get(id_) != item and id_ not in absent}
    asked = {id_: references(item) for id_, item in changed.items()}
    missing = set(absent)
    while found := {id_: min(names & missing) for id_, names in asked.items() if names & missing}:
        for id_, cause in found.items():
            because[id_] = cause
            del asked[id_]
            if id_ in live:
                result[id_] = live[id_]
            else:
                del result[id_]
                missing.add(id_)
    return Spared(state=MappingProxyType(result), because=MappingProxyType(because))


def references(item: Resource) -> frozenset[ResourceId]:
    """What a resource needs beside itself: clusters, endpoints, route configurations and secrets, by name."""
    if item.id.type is ResourceType.RUNTIME:
        return frozenset()
    value = to_dict(decode(item))
    found = {ResourceId(ResourceType.SECRET, name) for name in referenced(value)}
    if item.id.type is ResourceType.CLUSTER:
        if value.get("type") == "EDS":
            name = value.get("eds_cluster_config", {}).get("service_name") or item.id.name
            found.add(ResourceId(ResourceType.ENDPOINTS, name))
        return frozenset(found)
    if item.id.type in {ResourceType.LISTENER, ResourceType.ROUTE}:
        found.update(_named(value))
    return frozenset(found)


def _named(value: Any) -> Iterator[ResourceId]:
    """Clusters and route configurations, wherever they are named: in routes, mirrors, TCP proxies and filters."""
    if isinstance(value, list):
        for item in value:
            yield from _named(item)
    elif isinstance(value, dict):
        for key, part in value.items():
            if key in {"cluster", "cluster_name"} and isinstance(part, str):
                yield ResourceId(ResourceType.CLUSTER, part)
            elif key == "weighted_clusters" and isinstance(part, dict):
                names = (item.get("name", "") for item in part.get("clusters", ()))
                yield from (ResourceId(ResourceType.CLUSTER, name) for name in names)
            elif key == "rds" and isinstance(part, dict):
                yield ResourceId(ResourceType.ROUTE, part.get("route_config_name", ""))
            yield from _named(part)
