"""Where a rule's requests go: the destination or split, with all that is done to them on the way."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from reconciler.compile.names import ClusterRef
from reconciler.compile.routes.destinations import Destinations
from reconciler.compile.routes.errors import UntranslatableError
from reconciler.compile.routes.hashing import along_the_hash, hash_policies
from reconciler.compile.routes.headers import authority, differ, fill_headers
from reconciler.compile.routes.mirrors import fill_mirrors
from reconciler.compile.routes.retries import fill_retries, fill_timeout
from reconciler.compile.routes.rewrites import fill_rewrite
from reconciler.compile.routes.rules import RouteRule
from reconciler.model.virtualservice import HTTPRouteDestination

_MAX_TOTAL = 2**32 - 1
"""Envoy's limit for the sum of a route's weights."""


def fill_action(route: Any, rule: RouteRule, destinations: Destinations) -> None:
    """Set a route's action from a rule's `route`, and the header operations of both."""
    action, spec = route.route, rule.spec
    refs = [
        destinations.cluster(share.destination, owner=rule.owner, path=(*rule.path, "route", number, "destination"))
        for number, share in enumerate(spec.route)
    ]
    policies = hash_policies(destinations.hash_key(ref) for ref in refs)
    action.hash_policy.extend(policies)
    fill_timeout(action, spec)
    if spec.rewrite is not None:
        fill_rewrite(action, spec.rewrite)
    if not action.host_rewrite_literal and (host := authority(spec.headers)):
        action.host_rewrite_literal = host
    fill_mirrors(action, rule, destinations)
    if len(refs) == 1:
        _single(route, rule, refs[0])
    else:
        _split(route, rule, refs, sticky=bool(policies))
    fill_retries(action, spec.retries, pinned=bool(policies) and len(refs) == 1)


def _single(route: Any, rule: RouteRule, ref: ClusterRef) -> None:
    share = rule.spec.route[0]
    route.route.cluster = ref.name
    fill_headers(route, (rule.spec.headers, share.headers))
    if not route.route.host_rewrite_literal and (host := authority(share.headers)):
        route.route.host_rewrite_literal = host


def _split(route: Any, rule: RouteRule, refs: Sequence[ClusterRef], *, sticky: bool) -> None:
    """Weighted clusters, those of weight 0 too. Header operations stand in one place: at each share if one has its own."""
    shares = rule.spec.route
    apart = differ([share.headers for share in shares])
    if not apart:
        fill_headers(route, (rule.spec.headers,))
    weighted = route.route.weighted_clusters
    if sticky:
        weighted.use_hash_policy.value = True
    for ref, share, weight in zip(refs, shares, _weights(shares, sticky=sticky), strict=True):
        cluster = weighted.clusters.add(name=ref.name)
        cluster.weight.value = weight
        if apart:
            fill_headers(cluster, (rule.spec.headers, share.headers))
        if host := authority(share.headers):
            cluster.host_rewrite_literal = host


def _weights(shares: Sequence[HTTPRouteDestination], *, sticky: bool) -> list[int]:
    weights = [share.weight for share in shares]
    if min(weights) < 0 or not 0 < sum(weights) <= _MAX_TOTAL:
        raise UntranslatableError(f"its weights are {', '.join(map(str, weights))}")
    return along_the_hash(weights) if sticky else weights
