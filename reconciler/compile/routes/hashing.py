"""By what a route tells clients apart, so that each stays where it is: hash policies, and splits along the hash."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from envoy.config.route.v3.route_components_pb2 import RouteAction

from reconciler.model.trafficpolicy import ConsistentHashLB, HTTPCookie

_TOTAL = 1_000_000
"""Places along the hash; every usual total (100 to 100,000) divides it."""


def hash_policies(keys: Iterable[ConsistentHashLB | None]) -> list[Any]:
    """The hash policies of a route to clusters that hash by these keys, each key once."""
    found: dict[tuple[str, str], Any] = {}
    for key in keys:
        if key is None:
            continue
        policy: Any = RouteAction.HashPolicy()
        if key.http_header_name:
            policy.header.header_name = key.http_header_name
            found.setdefault(("header", key.http_header_name.lower()), policy)
        elif key.http_cookie is not None:
            _cookie(policy.cookie, key.http_cookie)
            found.setdefault(("cookie", key.http_cookie.name), policy)
        elif key.use_source_ip:
            policy.connection_properties.source_ip = True
            found.setdefault(("source", ""), policy)
        elif key.http_query_parameter_name:
            policy.query_parameter.name = key.http_query_parameter_name
            found.setdefault(("parameter", key.http_query_parameter_name), policy)
    return list(found.values())


def along_the_hash(weights: Sequence[int]) -> list[int]:
    """Weights as Envoy needs them so that clients stay where they are when a weight grows.

    Envoy lays the destinations side by side in the order of the route, and a client's place is its hash modulo the total.
    With the total always the same, a client's place is too, whatever total the document has at the time (a rollout goes
    from hundredths to thousandths). Each border is then rounded down by itself. So if one destination grows and no other
    does, its left border moves left or not at all, and its right one right or not at all: whoever is in it, stays. This
    holds for any number of destinations and at any position, as long as their order in the document doesn't change.
    """
    total = sum(weights)
    borders = [sum(weights[:number]) * _TOTAL // total for number in range(len(weights) + 1)]
    return [right - left for left, right in pairwise(borders)]


def _cookie(target: Any, cookie: HTTPCookie) -> None:
    target.name = cookie.name
    target.path = cookie.path
    if cookie.ttl is not None:
        target.ttl.FromTimedelta(cookie.ttl)
    for attribute in cookie.attributes:
        target.attributes.add(name=attribute.name, value=attribute.value)
