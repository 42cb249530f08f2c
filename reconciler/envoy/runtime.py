"""Runtime values: what overrides the configuration, and what is in effect on routes whose weights runtime may change."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.model.proxy import RuntimePush
from reconciler.model.resource import Resource, ResourceType

RUNTIME = "/runtime"
MODIFY = "/runtime_modify"

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_LARGEST = 2**64 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveWeightedRoute:
    """A split in the live configuration of an Envoy.

    Attributes:
        prefix: Its `runtime_key_prefix`, or ""; the keys are `<prefix>.<cluster>`.
        clusters: Configured weight by cluster, in order. Runtime values do not show here.
    """

    route_config: str
    virtual_host: str
    route: str
    prefix: str
    clusters: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RuntimeValues:
    """One answer to `RUNTIME`.

    Attributes:
        layers: Names, the strongest last.
        final: The value of each key after all layers, as it was written.
        by_layer: Values by key, "" where a layer has none, in the order of the layers.
    """

    layers: tuple[str, ...]
    final: Mapping[str, str]
    by_layer: Mapping[str, tuple[str, ...]]

    @classmethod
    def read(cls, body: bytes) -> RuntimeValues:
        """Parse the answer."""
        value = json.loads(body)
        entries = value["entries"]
        return cls(
            tuple(value["layers"]),
            {key: str(entry["final_value"]) for key, entry in entries.items()},
            {key: tuple(map(str, entry["layer_values"])) for key, entry in entries.items()},
        )


def overrides(values: RuntimeValues, layers: Iterable[Mapping[str, Any]]) -> tuple[Resource, ...]:
    """What was set through the admin endpoint, as RUNTIME resources.

    Args:
        values: What runtime has.
        layers: The bootstrap's, which alone say which of them is the admin layer.
    """
    admin = {str(layer.get("name", "")) for layer in layers if "admin_layer" in layer}
    at = [index for index, name in enumerate(values.layers) if name in admin]
    found = {key: by_layer[index] for key, by_layer in values.by_layer.items() for index in at if by_layer[index]}
    return tuple(_resource(key, found[key]) for key in sorted(found))


def in_effect(push: RuntimePush, values: RuntimeValues, routes: Iterable[LiveWeightedRoute]) -> tuple[Resource, ...]:
    """The weights that mapped routes run with, as RUNTIME resources under their keys.

    That is the final value where Envoy can use it as a number, and the configured weight otherwise, as
    `Snapshot::getInteger` has it. A key that no live route reads, and nobody has set, is absent. Where live routes with one
    prefix are configured differently, the value lists the weights, and equals no desired one.
    """
    keys = sorted({f"{route.prefix}.{cluster}" for route in push.routes for cluster in route.clusters.values()})
    configured: dict[str, dict[int, None]] = {}
    for route in routes:
        for cluster, weight in route.clusters.items():
            configured.setdefault(f"{route.prefix}.{cluster}", {})[weight] = None
    found: list[Resource] = []
    for key in keys:
        number = as_number(values.final.get(key, ""))
        if number is not None:
            found.append(_resource(key, str(number)))
        elif key in configured:
            found.append(_resource(key, ", ".join(map(str, configured[key]))))
    return tuple(found)


def as_number(text: str) -> int | None:
    """The integer that Envoy makes of a runtime value, or None where it falls back to the default.

    It reads a double and cuts off its fraction; a negative one counts as not set (`setNumberValue`).
    """
    if not _NUMBER.fullmatch(text.strip()):
        return None
    number = float(text)
    return int(number) if 0 <= number <= _LARGEST else None


def weighted_routes(configs: Iterable[Mapping[str, Any]]) -> tuple[LiveWeightedRoute, ...]:
    """The weighted routes of route configurations as they stand in a dump, in order."""
    found: list[LiveWeightedRoute] = []
    for config in configs:
        for host in config.get("virtual_hosts", ()):
            for route in _weighted(host):
                split = route["route"]["weighted_clusters"]
                weights = {item["name"]: int(item.get("weight", 0)) for item in split["clusters"] if "name" in item}
                found.append(
                    LiveWeightedRoute(
                        route_config=config.get("name", ""),
                        virtual_host=host.get("name", ""),
                        route=route.get("name", ""),
                        prefix=split.get("runtime_key_prefix", ""),
                        clusters=weights,
                    )
                )
    return tuple(found)


def _weighted(value: Any) -> Iterator[Mapping[str, Any]]:
    """Routes with a split, wherever they are inside a virtual host: in its list, or in a tree of matchers."""
    if isinstance(value, list):
        for item in value:
            yield from _weighted(item)
    elif isinstance(value, dict):
        action = value.get("route")
        if isinstance(action, dict) and "weighted_clusters" in action:
            yield value
        else:
            for part in value.values():
                yield from _weighted(part)


def _resource(key: str, value: str) -> Resource:
    return Resource.of(ResourceType.RUNTIME, key, value.encode())
