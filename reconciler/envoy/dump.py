"""Reading the parts of `/config_dump`: what serves, what can't be changed, what was refused.

One section of the dump per request, or one list of a section: the whole dump has 100 KB of Envoy's own extensions in it,
and neither a mask nor a resource can span sections. Only what is active counts: a warming cluster or listener does not
serve yet, a draining listener does no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

from reconciler.envoy.secrets import as_written
from reconciler.http import Reply
from reconciler.model.observation import Rejection
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.model.secrets import referenced

CLUSTERS = "/config_dump?mask=dynamic_active_clusters,static_clusters"
LISTENERS = "/config_dump?mask=dynamic_listeners,static_listeners"
ROUTES = "/config_dump?resource=dynamic_route_configs"
INLINE_ROUTES = "/config_dump?resource=static_route_configs"
ENDPOINTS = "/config_dump?include_eds&resource=dynamic_endpoint_configs"
WARMING = "/config_dump?resource=dynamic_warming_clusters&mask=cluster.name"
SECRETS = "/config_dump?resource=dynamic_active_secrets"
BOOTSTRAP = "/config_dump?mask=bootstrap.layered_runtime&name_regex=%5E%24"

_ABSENT = (404, "not found in config dump")


class Reader(Protocol):
    """Makes resources of the parts of a dump: `normalise.Normaliser`, or one that expects something."""

    def resource(self, type_: ResourceType, value: Mapping[str, Any], version: str = "") -> Resource:
        """The resource that a part describes, whose `version_info` is this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One section of a dump, read.

    Attributes:
        resources: What serves, canonical.
        foreign: What the bootstrap defines.
        rejections: What Envoy refused and has not replaced since.
        refers: Names of the resources that this section's subscribe to: endpoints of clusters, routes of listeners.
        open: Whether it may subscribe to more than `refers` says (scoped routes are found at run time).
        secrets: Names of the secrets that this section's resources subscribe to.
    """

    resources: tuple[Resource, ...] = ()
    foreign: frozenset[ResourceId] = frozenset()
    rejections: tuple[Rejection, ...] = ()
    refers: frozenset[str] = frozenset()
    open: bool = False
    secrets: frozenset[str] = frozenset()


def absent(reply: Reply) -> bool:
    """Whether this answer says that the Envoy has no such section: one without HTTP listeners has never had routes."""
    status, words = _ABSENT
    return reply.status == status and reply.text.strip().endswith(words)


def epoch(body: bytes) -> str:
    """When the process read its bootstrap, from an answer to `readings.EPOCH`."""
    found = next((str(part["last_updated"]) for part in _items(body) if "last_updated" in part), "")
    if not found:
        raise ValueError("the dump does not say when the bootstrap was read")
    return found


def clusters(body: bytes, normaliser: Reader) -> Section:
    """The section of clusters, from an answer to `CLUSTERS`."""
    section = _section(body)
    dynamic = section.get("dynamic_active_clusters", ())
    active = [item["cluster"] for item in dynamic]
    static = [item["cluster"] for item in section.get("static_clusters", ())]
    eds = [item for item in active if item.get("type") == "EDS"]
    return Section(
        resources=tuple(
            normaliser.resource(ResourceType.CLUSTER, item["cluster"], item.get("version_info", "")) for item in dynamic
        ),
        foreign=frozenset(ResourceId(ResourceType.CLUSTER, item["name"]) for item in static),
        refers=frozenset(item.get("eds_cluster_config", {}).get("service_name") or item["name"] for item in eds),
        secrets=frozenset(
            name
            for item in active
            for part in ("transport_socket", "transport_socket_matches")
            for name in referenced(item.get(part))
        ),
    )


def listeners(body: bytes, normaliser: Reader) -> Section:
    """The section of listeners, from an answer to `LISTENERS`."""
    section = _section(body)
    dynamic, static = section.get("dynamic_listeners", ()), section.get("static_listeners", ())
    states = [item["active_state"] for item in dynamic if "active_state" in item]
    active = [item["listener"] for item in states]
    warming = [item["warming_state"]["listener"] for item in dynamic if "warming_state" in item]
    bootstrap = [item["listener"] for item in static]
    subscribed = list(_subscriptions([*active, *warming, *bootstrap]))
    return Section(
        resources=tuple(
            normaliser.resource(ResourceType.LISTENER, item["listener"], item.get("version_info", ""))
            for item in states
        ),
        foreign=frozenset(ResourceId(ResourceType.LISTENER, item.get("name", "")) for item in bootstrap),
        rejections=tuple(dict.fromkeys(_rejection(item) for item in dynamic if "error_state" in item)),
        refers=frozenset(name for name in subscribed if name is not None),
        open=None in subscribed,
        secrets=frozenset(referenced([*active, *warming])),
    )


def routes(body: bytes, normaliser: Reader) -> Section:
    """The section of routes that are subscribed to, from an answer to `ROUTES`."""
    found = [item for item in _items(body) if "route_config" in item]
    return Section(
        resources=tuple(
            normaliser.resource(ResourceType.ROUTE, item["route_config"], item.get("version_info", ""))
            for item in found
        )
    )


def endpoints(body: bytes, normaliser: Reader) -> Section:
    """The section of endpoints of clusters that came by CDS, EDS clusters or not, from an answer to `ENDPOINTS`."""
    found = [item["endpoint_config"] for item in _items(body)]
    return Section(resources=tuple(normaliser.resource(ResourceType.ENDPOINTS, item) for item in found))


def secrets(body: bytes, normaliser: Reader) -> Section:
    """The section of secrets that name files, from an answer to `SECRETS`."""
    found = [as_written(item) for item in _items(body)]
    return Section(
        resources=tuple(normaliser.resource(ResourceType.SECRET, item) for item in found if item is not None)
    )


def warming_clusters(body: bytes) -> frozenset[str]:
    """Names of the clusters that don't serve yet, from an answer to `WARMING`."""
    return frozenset(item["cluster"]["name"] for item in _items(body))


def route_configs(body: bytes) -> tuple[Mapping[str, Any], ...]:
    """Route configurations as they stand in an answer to `ROUTES` or `INLINE_ROUTES`."""
    return tuple(item["route_config"] for item in _items(body) if "route_config" in item)


def runtime_layers(body: bytes) -> tuple[Mapping[str, Any], ...]:
    """The layers of runtime that the bootstrap defines, from an answer to `BOOTSTRAP`."""
    return tuple(_section(body).get("bootstrap", {}).get("layered_runtime", {}).get("layers", ()))


SECTIONS: Mapping[ResourceType, tuple[str, Callable[[bytes, Reader], Section]]] = MappingProxyType(
    {
        ResourceType.CLUSTER: (CLUSTERS, clusters),
        ResourceType.ENDPOINTS: (ENDPOINTS, endpoints),
        ResourceType.LISTENER: (LISTENERS, listeners),
        ResourceType.ROUTE: (ROUTES, routes),
        ResourceType.SECRET: (SECRETS, secrets),
    }
)
"""What to ask for, and how to read the answer, by type."""


def needed(
    types: Collection[ResourceType], versions: Mapping[tuple[ResourceType, str], str], *, draining: bool
) -> Iterator[ResourceType]:
    """What has to be read to know these types.

    Which routes belong to listeners that are going, only the listeners say. Which secrets are in use, the clusters say too; a
    proxy whose stats have none need not be asked.

    Args:
        types: What to know.
        versions: As in `Versions`.
        draining: Whether any listener is going.
    """
    also: set[ResourceType] = set()
    if draining and ResourceType.ROUTE in types:
        also.add(ResourceType.LISTENER)
    secret = ResourceType.SECRET in types and any(type_ is ResourceType.SECRET for type_, _ in versions)
    if secret:
        also |= {ResourceType.CLUSTER, ResourceType.LISTENER}
    for type_ in SECTIONS:
        if secret if type_ is ResourceType.SECRET else type_ in types or type_ in also:
            yield type_


def keep_subscribed(
    found: dict[ResourceType, Section], versions: Mapping[tuple[ResourceType, str], str], *, draining: bool
) -> None:
    """Leave out what is in a dump and is nobody's subscription.

    Endpoints of clusters that are not EDS clusters are part of their cluster; without the clusters, the stats tell which
    are. Routes and secrets of listeners that are going stay in the dump until the last connection is drained. A secret that
    never got a version was refused when it came (a key of another certificate): the dump shows it, and nothing uses it.

    Args:
        found: Sections by type; changed in place.
        versions: As in `Versions`.
        draining: Whether any listener is going.
    """
    endpoints_, routes_ = found.get(ResourceType.ENDPOINTS), found.get(ResourceType.ROUTE)
    if endpoints_ is not None:
        clusters_ = found.get(ResourceType.CLUSTER)
        kept = tuple(
            item
            for item in endpoints_.resources
            if (item.id.name in clusters_.refers if clusters_ else _shown(item, versions))
        )
        found[ResourceType.ENDPOINTS] = Section(resources=kept)
    listeners_ = found.get(ResourceType.LISTENER)
    if routes_ is not None and listeners_ is not None and draining and not listeners_.open:
        kept = tuple(item for item in routes_.resources if item.id.name in listeners_.refers)
        found[ResourceType.ROUTE] = Section(resources=kept)
    secrets_ = found.get(ResourceType.SECRET)
    if secrets_ is not None:
        used = frozenset().union(*(section.secrets for section in found.values()))
        kept = tuple(item for item in secrets_.resources if item.id.name in used and _shown(item, versions))
        found[ResourceType.SECRET] = Section(resources=kept)


def _shown(item: Resource, versions: Mapping[tuple[ResourceType, str], str]) -> bool:
    return (item.id.type, item.id.name) in versions


def _section(body: bytes) -> Mapping[str, Any]:
    merged: dict[str, Any] = {}
    for part in _items(body):
        merged |= part
    return merged


def _items(body: bytes) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(body).get("configs", [])
    return items


def _rejection(item: Mapping[str, Any]) -> Rejection:
    """Envoy lists one refusal twice, with the listener's name and without; the refused configuration has it in both."""
    state = item["error_state"]
    name = item.get("name") or state.get("failed_configuration", {}).get("name", "")
    return Rejection(ResourceType.LISTENER, name, " ".join(str(state.get("details", "")).split()))


def _subscriptions(value: Any) -> Iterator[str | None]:
    """Names of the route configurations that listeners subscribe to; None where only run time tells."""
    if isinstance(value, list):
        for item in value:
            yield from _subscriptions(item)
    elif isinstance(value, dict):
        if isinstance(value.get("rds"), dict):
            yield value["rds"].get("route_config_name", "")
        if "scoped_routes" in value:
            yield None
        for part in value.values():
            yield from _subscriptions(part)
