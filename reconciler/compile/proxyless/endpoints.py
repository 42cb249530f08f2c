"""Endpoints as gRPC clients take them: their localities always have weights there, and endpoints in one have none.

gRPC passes over a locality without a weight, and its round robin over the weights in a locality (gRFC A27). So a locality weighs
what its endpoints weigh together, which is how Envoy sees it; and where they differ, those of one weight are a locality of their
own.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from math import ceil, lcm
from typing import Any

from envoy.config.core.v3.health_check_pb2 import HEALTHY, UNKNOWN
from envoy.config.endpoint.v3.endpoint_components_pb2 import LocalityLbEndpoints
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

_LARGEST = 2**32 - 1
"""gRPC's limit for the sum of the weights of one priority's localities."""

_SERVING = frozenset({UNKNOWN, HEALTHY})


def assignment(given: Any, *, hashed: bool) -> Any:
    """A load assignment for gRPC; the given one is not changed.

    Endpoints that are not at an address and port are left out, and those that are to get no requests, which gRPC does not look
    at either (gRFC A27).

    Args:
        given: One for Envoy.
        hashed: Whether a ring of endpoints is chosen from, which takes the weights of endpoints as they are.
    """
    groups: dict[int, list[tuple[Any, Fraction]]] = {}
    for locality in given.endpoints:
        for group, weight in _groups(locality, hashed=hashed):
            groups.setdefault(locality.priority, []).append((group, weight))
    message = ClusterLoadAssignment(cluster_name=given.cluster_name)
    # Without a gap: a priority may have had nothing but what is left out.
    for number, priority in enumerate(sorted(groups)):
        whole = _whole(weight for _, weight in groups[priority])
        for (group, _), share in zip(groups[priority], whole, strict=True):
            group.priority = number
            group.load_balancing_weight.value = share
            message.endpoints.append(group)
    return message


def is_called(member: Any) -> bool:
    """Whether gRPC can call an endpoint: at an address and port."""
    return bool(member.endpoint.address.HasField("socket_address"))


def _groups(locality: Any, *, hashed: bool) -> Iterable[tuple[Any, Fraction]]:
    members = [item for item in locality.lb_endpoints if is_called(item) and item.health_status in _SERVING]
    total = sum(item.load_balancing_weight.value or 1 for item in members)
    share = Fraction(locality.load_balancing_weight.value or total, total or 1)
    sizes = sorted({item.load_balancing_weight.value or 1 for item in members})
    if hashed or len(sizes) == 1:
        if members:
            yield _group(locality, members, ""), share * total
        return
    for size in sizes:
        alike = [item for item in members if (item.load_balancing_weight.value or 1) == size]
        yield _group(locality, alike, f"weight-{size}"), share * size * len(alike)


def _group(locality: Any, members: Iterable[Any], mark: str) -> Any:
    group = LocalityLbEndpoints()
    group.locality.CopyFrom(locality.locality)
    group.locality.SetInParent()  # gRPC asks for one, be it nowhere
    if mark:
        group.locality.sub_zone = f"{group.locality.sub_zone}/{mark}".removeprefix("/")
    for item in members:
        member = group.lb_endpoints.add()
        member.endpoint.address.CopyFrom(item.endpoint.address)
        member.load_balancing_weight.value = item.load_balancing_weight.value or 1
    return group


def _whole(weights: Iterable[Fraction]) -> list[int]:
    """Weights in the same proportions as whole numbers, none of them 0; rounded up where these would be too large."""
    exact = [*weights]
    whole: Fraction = Fraction(lcm(*(item.denominator for item in exact)))
    fitting: Fraction = (_LARGEST - len(exact)) / sum(exact, Fraction())
    return [max(1, ceil(item * min(whole, fitting))) for item in exact]
