"""Envoy's routes as gRPC clients take them (gRFCs A28, A31, A33, A42, A44, and what gRPC 1.85 does with the rest).

Takes away and rewords; what routes say was decided by `compile.routes`, and what is lost is told by `unsupported`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import Any

from envoy.config.route.v3.route_components_pb2 import VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.fault.v3.fault_pb2 import HTTPFault

from reconciler.compile.proxyless.pruning import Tree, prune
from reconciler.compile.routes.faults import FILTER as FAULTS
from reconciler.compile.virtualhosts import Host
from reconciler.model.protos import encode
from reconciler.model.resource import Resource, ResourceType

RETRIABLE = frozenset({"cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable"})
"""The conditions under which gRPC retries (A44)."""

MOST_RETRIES = 4
"""gRPC tries at most five times in all, whatever is asked for (A6)."""

MOST_UNWANTED = 4
"""Headers that must not match, in one match, which may be absent or different: each doubles its routes."""

_HEADER: Tree = {"name": None, "string_match": None, "present_match": None, "invert_match": None}
_MATCH: Tree = {"prefix": None, "path": None, "safe_regex": {"regex": None}, "case_sensitive": None, "headers": _HEADER}
_ACTION: Tree = {
    "cluster": None,
    "weighted_clusters": {"clusters": {"name": None, "weight": None}},
    "max_stream_duration": {"max_stream_duration": None, "grpc_timeout_header_max": None},
    "hash_policy": {"header": {"header_name": None}, "terminal": None},
    "retry_policy": {"retry_on": None, "num_retries": None, "retry_back_off": None},
}
_ROUTE: Tree = {
    "name": None,
    "match": _MATCH,
    "route": _ACTION,
    # gRPC has no such answers. It fails the requests of such a route, and so keeps them from the routes that follow.
    "redirect": {},
    "direct_response": {"status": None},
    "metadata": None,
    "typed_per_filter_config": None,
}
_FAULT: Tree = {
    "delay": {"fixed_delay": None, "percentage": None},
    "abort": {"http_status": None, "grpc_status": None, "percentage": None},
}


def configuration(host: Host) -> Resource:
    """The route configuration of one name that clients call: whatever authority they send, they mean this host."""
    message = RouteConfiguration(name=host.name)
    message.virtual_hosts.append(virtual_host(host))
    return Resource.of(ResourceType.ROUTE, message.name, encode(message))


def virtual_host(host: Host) -> Any:
    """A virtual host with the routes that a gRPC request can match at all."""
    message = VirtualHost(name=host.name, domains=["*"])
    for item in host.translated.routes:
        if not item.match.query_parameters:
            message.routes.extend(_apart(_route(item)))
    return message


def _apart(route: Any) -> Iterator[Any]:
    """The same as several routes, for headers that must not match: to gRPC one that is absent matches nothing, inverted or not.

    So the route is there once for each choice of those that are absent and those that have another value; of more than
    `MOST_UNWANTED`, the others by name have to be absent.
    """
    unwanted = [number for number, item in enumerate(route.match.headers) if item.invert_match and _has_value(item)]
    chosen, rest = unwanted[:MOST_UNWANTED], unwanted[MOST_UNWANTED:]
    for choice in product((True, False), repeat=len(chosen)):
        absent = [number for number, missing in zip(chosen, choice, strict=True) if missing] + rest
        if any(_takes_nothing(route.match.headers[number].string_match) for number in absent):
            continue
        one = type(route)()
        one.CopyFrom(route)
        for number in absent:
            one.match.headers[number].present_match = True
        yield one


def _has_value(header: Any) -> bool:
    return bool(header.HasField("string_match"))


def _takes_nothing(matcher: Any) -> bool:
    """Whether an empty text matches, as which Envoy sees a header that is absent."""
    kind = matcher.WhichOneof("match_pattern")
    if kind != "safe_regex":
        return not getattr(matcher, kind)
    try:
        return re.fullmatch(matcher.safe_regex.regex, "") is not None
    except re.error:  # RE2 has a few forms of its own
        return False


def _route(item: Any) -> Any:
    route = type(item)()
    route.CopyFrom(item)
    timeout = item.route.timeout.ToTimedelta()
    _keep_faults(route)
    prune(route, _ROUTE)
    if timeout:  # Envoy has `timeout` go before `max_stream_duration`; gRPC only knows that one
        route.route.max_stream_duration.Clear()
        route.route.max_stream_duration.max_stream_duration.FromTimedelta(timeout)
    if route.route.HasField("retry_policy"):
        _retry(route.route)
    policies = [policy for policy in route.route.hash_policy if policy.HasField("header")]
    if len(policies) < len(route.route.hash_policy):
        del route.route.hash_policy[:]
        route.route.hash_policy.extend(policies)
    return route


def _retry(action: Any) -> None:
    """Only conditions that gRPC knows; it refuses a policy of no retries."""
    policy = action.retry_policy
    asked = [item for item in policy.retry_on.split(",") if item in RETRIABLE]
    if not asked or (policy.HasField("num_retries") and not policy.num_retries.value):
        action.ClearField("retry_policy")
        return
    policy.retry_on = ",".join(asked)


def _keep_faults(route: Any) -> None:
    """Of what is said to filters, only faults, of the kinds that gRPC has (A33)."""
    for name in [name for name in route.typed_per_filter_config if name != FAULTS]:
        del route.typed_per_filter_config[name]
    if FAULTS in route.typed_per_filter_config:
        packed = route.typed_per_filter_config[FAULTS]
        fault = HTTPFault()
        packed.Unpack(fault)
        prune(fault, _FAULT)
        packed.Pack(fault, deterministic=True)
