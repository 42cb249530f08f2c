"""What a rate limit service has to know: the configuration of each domain, for Envoy's reference service (envoyproxy/ratelimit).

Pure: the proxies' side is in `routes.ratelimits`; both read the same `Limit.entries`, so descriptors and configuration fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from reconciler.errors import BugError
from reconciler.model.mesh import Policy
from reconciler.model.ratelimit import GlobalLimit, RateLimit


@dataclass(slots=True)
class _Node:
    """What follows an entry of descriptors."""

    limit: GlobalLimit | None = None
    children: dict[tuple[str, str], _Node] = field(default_factory=dict)


def service_configurations(policies: Iterable[Policy[RateLimit]]) -> Mapping[str, dict[str, Any]]:
    """The configuration of each domain, sorted: all RateLimits of the domain together.

    Each is `{domain, descriptors: [{key, value, rate_limit: {unit, requests_per_unit}, descriptors}]}`; an entry without a value
    has a count for each value. Limits of one name that several documents have are one, as the checks make sure.
    """
    domains: dict[str, _Node] = {}
    for policy in policies:
        limits = policy.spec.global_
        for item in limits.limits if limits else ():
            _add(domains.setdefault(limits.domain if limits else "", _Node()), item)
    return {name: {"domain": name, "descriptors": [*_descriptors(domains[name])]} for name in sorted(domains)}


def _add(node: _Node, item: GlobalLimit) -> None:
    for entry in item.entries:
        node = node.children.setdefault(entry, _Node())
    known = node.limit or item
    if (known.requests, known.unit) != (item.requests, item.unit):
        raise BugError(f"two limits of one domain are called {item.name}")
    node.limit = item


def _descriptors(node: _Node) -> Iterator[dict[str, Any]]:
    for (key, value), child in sorted(node.children.items()):
        entry: dict[str, Any] = {"key": key}
        if value:
            entry["value"] = value
        if child.limit is not None:
            entry["rate_limit"] = {"unit": child.limit.unit.lower(), "requests_per_unit": child.limit.requests}
        if child.children:
            entry["descriptors"] = [*_descriptors(child)]
        yield entry
