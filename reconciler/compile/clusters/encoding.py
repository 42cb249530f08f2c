"""Load assignments as bytes, put together from encoded endpoints: one that comes or goes costs itself, not the thousands beside it.

The bytes are those of `resource(ENDPOINTS, assignment(...))`, which tests hold them against: fields are encoded in the order of
their numbers, and a repeated field is its items one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from envoy.config.endpoint.v3.endpoint_components_pb2 import LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from reconciler.compile.clusters.endpoints import fits, fitted, member
from reconciler.compile.clusters.localities import Spread, parts, rank, weights
from reconciler.model.endpoints import shortest
from reconciler.model.protos import encode
from reconciler.model.resource import Recipe, Resource, ResourceId, ResourceType, content_hash
from reconciler.model.services import Endpoint, Health, selected

_REMEMBERED = 100_000
"""Encoded endpoints, of about 0.3 KB each; those not used for longest go first, and cost 6 us to make again."""

_GROUPS = ClusterLoadAssignment.DESCRIPTOR.fields_by_name["endpoints"].number
_MEMBERS = LocalityLbEndpoints.DESCRIPTOR.fields_by_name["lb_endpoints"].number
_LENGTH_DELIMITED = 2
_SEVEN_BITS = 0x7F
_MORE = 0x80

Chosen = tuple[Endpoint, bytes]
"""An endpoint, and how it is encoded in its group."""


@lru_cache(maxsize=_REMEMBERED)
def _encoded(address: str, port: int, weight: int, health: Health, probed: int) -> tuple[bytes, bytes] | None:
    """An endpoint's place and all of it, encoded; None if load assignments can't have it."""
    if not address or not fits(address, named=False):
        return None
    message = member(shortest(address), port, weight=weight or 1, health=health, probed=probed)
    return encode(message.endpoint.address), encode(message)


def chosen(endpoints: Iterable[Endpoint], *, port: str, labels: Mapping[str, str], probed: int = 0) -> list[Chosen]:
    """The endpoints that have a port of this name and these labels; of several in one place the first.

    What is too much to stand in one load assignment weighs less, in the same proportions.

    Args:
        endpoints: In any order, the more important ones first.
        port: The service port's name. An endpoint that does not know it is left out.
        labels: The subset's; empty for all.
        probed: The port at which health checks ask each of them; 0 for its own.
    """
    out: list[Chosen] = []
    taken: set[bytes] = set()
    for endpoint in endpoints:
        number = endpoint.ports.get(port)
        if number is None or (labels and not selected(endpoint.labels, labels)):
            continue
        found = _encoded(endpoint.address, number, endpoint.weight, endpoint.health, probed)
        if found is not None and found[0] not in taken:
            taken.add(found[0])
            out.append((endpoint, found[1]))
    lighter = fitted([endpoint.weight or 1 for endpoint, _ in out])
    if lighter is None:
        return out
    items = (replace(endpoint, weight=weight) for (endpoint, _), weight in zip(out, lighter, strict=True))
    encoded = ((item, _encoded(item.address, item.ports[port], item.weight, item.health, probed)) for item in items)
    return [(item, known[1]) for item, known in encoded if known is not None]


def assembled(name: str, items: Iterable[Chosen], spread: Spread | None, recipe: Recipe | None = None) -> Resource:
    """A load assignment of these endpoints, each in a place of its own.

    Args:
        name: The cluster's.
        items: In any order.
        spread: How requests spread over localities.
        recipe: How it is made of other endpoints.
    """
    groups: dict[tuple[int, str], list[bytes]] = {}
    kept = list(items)
    shares = _shares(kept, spread)
    far = _distances(kept, spread)
    for endpoint, encoded in kept:
        place = endpoint.locality
        if shares is None or place in shares:
            groups.setdefault((far(endpoint), place), []).append(encoded)
    body = [encode(ClusterLoadAssignment(cluster_name=name))]
    for (priority, *_), (first, encoded_members) in sorted(_merged(groups).items()):
        weight = shares[first] if shares else 0
        body.append(_field(_GROUPS, _group(first, priority, weight, encoded_members)))
    whole = b"".join(body)
    # As `Resource.of`, with the recipe.
    version = content_hash(ResourceType.ENDPOINTS.encode(), name.encode(), whole)
    return Resource(ResourceId(ResourceType.ENDPOINTS, name), whole, version, recipe)


def _shares(items: Iterable[Chosen], spread: Spread | None) -> dict[str, int] | None:
    if spread is None or not spread.shares:
        return None
    sums: dict[str, int] = {}
    for endpoint, _ in items:
        sums[endpoint.locality] = sums.get(endpoint.locality, 0) + endpoint.weight
    return weights(spread, sums)


def _distances(items: Iterable[Chosen], spread: Spread | None) -> Callable[[Endpoint], int]:
    """Priorities, as `localities.priorities` has them; endpoints that look alike from here are looked at once."""
    if spread is None or spread.shares:
        return lambda _: 0
    names = [name for name, _ in spread.labels]

    def alike(endpoint: Endpoint) -> tuple[str | None, ...]:
        # Labels that carry a locality's name are in the locality otherwise.
        return (endpoint.locality, *(endpoint.labels.get(name) for name in names))

    ranks: dict[tuple[str | None, ...], tuple[int, int]] = {}
    for endpoint, _ in items:
        key = alike(endpoint)
        if key not in ranks:
            ranks[key] = rank(spread, endpoint)
    order = {value: number for number, value in enumerate(sorted(set(ranks.values())))}
    return lambda endpoint: order[ranks[alike(endpoint)]]


def _merged(
    groups: Mapping[tuple[int, str], list[bytes]],
) -> dict[tuple[int, str, str, str], tuple[str, list[bytes]]]:
    """Groups of one priority and place, in however many ways it is written, with the first of these ways."""
    merged: dict[tuple[int, str, str, str], tuple[str, list[bytes]]] = {}
    for (priority, place), found in sorted(groups.items()):
        merged.setdefault((priority, *parts(place)), (place, []))[1].extend(found)
    return merged


def _group(place: str, priority: int, weight: int, encoded_members: list[bytes]) -> bytes:
    head, tail = LocalityLbEndpoints(), LocalityLbEndpoints(priority=priority)
    if any(parts(place)):
        head.locality.region, head.locality.zone, head.locality.sub_zone = parts(place)
    if weight:
        tail.load_balancing_weight.value = weight
    encoded_members.sort()
    return b"".join([encode(head), *(_field(_MEMBERS, item) for item in encoded_members), encode(tail)])


def _field(number: int, content: bytes) -> bytes:
    """One item of a repeated field of messages."""
    return bytes((number << 3 | _LENGTH_DELIMITED,)) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > _SEVEN_BITS:
        out.append(value & _SEVEN_BITS | _MORE)
        value >>= 7
    out.append(value)
    return bytes(out)
