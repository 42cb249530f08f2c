"""The limits of one RateLimit as Envoy's filters take them: settings of a route, or of a whole route configuration.

Each limit is a descriptor: who counts (the local filter, or the rate limit service) has a bucket for it, and a request that
matches draws from every bucket whose descriptor it fits. A local filter takes its settings from one place alone, the innermost,
so there are two of them in the template: one for workloads and gateways, one for the rules of VirtualServices.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Any

from envoy.config.core.v3.base_pb2 import HeaderValueOption, RuntimeFractionalPercent
from envoy.config.route.v3.route_components_pb2 import RateLimit as Counted
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimitPerRoute
from envoy.extensions.rate_limit_descriptors.expr.v3.expr_pb2 import Descriptor

from reconciler.compile.limits import Limiting
from reconciler.compile.routes.matches import header_matcher, parameter_matcher
from reconciler.model.key import Key
from reconciler.model.ratelimit import LIMIT_KEY, QUERY_KEY, Limit, LimitBy, LimitMatch, LimitResponse, LocalLimit
from reconciler.model.virtualservice import StringMatch

_UNLIMITED = 2**32 - 1
_VALUES = 10_000
"""How many values one limit keeps buckets for; after that the one that was not used for longest begins anew."""

_QUERY = r"(\?.*)?"
_EXPRESSION = "envoy.rate_limit_descriptors.expr"
_PATH = "request.url_path"


class Layer(StrEnum):
    """The local filters of the template, by name: what is limited where holds beside what is limited elsewhere."""

    PLACE = "envoy.filters.http.local_ratelimit"
    RULE = "envoy.filters.http.local_ratelimit.routes"


def global_filter(key: Key) -> str:
    """The name of the filter that asks a RateLimit's service."""
    return f"envoy.filters.http.ratelimit.{key.namespace}.{key.name}"


def limit(target: Any, policy: Limiting, layer: Layer) -> None:
    """Set what a RateLimit says in the settings of a `Route` or a `RouteConfiguration`."""
    spec = policy.spec
    settings = target.typed_per_filter_config
    if spec.local:
        settings[layer.value].Pack(_local(policy), deterministic=True)
    if spec.global_ is not None:
        counted = RateLimitPerRoute(rate_limits=_counted(spec.global_.limits))
        settings[global_filter(policy.key)].Pack(counted, deterministic=True)


def answer_headers(response: LimitResponse) -> Iterator[Any]:
    """The headers of a refusal, sorted by name."""
    for name, value in sorted(response.headers.items()):
        option = HeaderValueOption(append_action=HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
        option.header.key, option.header.value = name, value
        option.keep_empty_value = True
        yield option


def _local(policy: Limiting) -> Any:
    spec = policy.spec
    message = LocalRateLimit(
        stat_prefix=f"{policy.key.namespace}.{policy.key.name}",
        filter_enabled=_always(),
        filter_enforced=_always(),
        rate_limited_as_resource_exhausted=True,
        response_headers_to_add=answer_headers(spec.response),
        rate_limits=_counted(spec.local),
        enable_x_ratelimit_headers=int(spec.response.rate_limit_headers),
    )
    message.status.code = spec.response.status
    message.max_dynamic_descriptors.value = _VALUES
    # Envoy wants a bucket for requests that no descriptor fits. It is never empty, and others do not draw from it.
    message.token_bucket.max_tokens = _UNLIMITED
    message.token_bucket.tokens_per_fill.value = _UNLIMITED
    message.token_bucket.fill_interval.seconds = 1
    message.always_consume_default_token_bucket.value = False
    for item in spec.local:
        _bucket(message.descriptors.add(), item)
    return message


def _always() -> Any:
    percent = RuntimeFractionalPercent()
    percent.default_value.numerator = 100
    return percent


def _bucket(descriptor: Any, item: LocalLimit) -> None:
    for key, value in item.entries:
        descriptor.entries.add(key=key, value=value)
    descriptor.token_bucket.max_tokens = item.burst or item.requests
    descriptor.token_bucket.tokens_per_fill.value = item.requests
    descriptor.token_bucket.fill_interval.FromTimedelta(item.per)


def _counted(limits: Iterable[Limit]) -> list[Any]:
    return [Counted(actions=_actions(item)) for item in limits]


def _actions(item: Limit) -> Iterator[Any]:
    """What makes a request's descriptor, in the order of the limit's entries; one that has no value makes none of it."""
    match = item.match or LimitMatch()
    if match.looks_at_headers or not match.query_params:
        yield _named(item, match)
    if match.query_params:
        action = Counted.Action()
        key = QUERY_KEY if match.looks_at_headers else LIMIT_KEY
        action.query_parameter_value_match.descriptor_key = key
        action.query_parameter_value_match.descriptor_value = item.name
        parameters = [parameter_matcher(name, match.query_params[name]) for name in sorted(match.query_params)]
        action.query_parameter_value_match.query_parameters.extend(parameters)
        yield action
    yield from (_value(by) for by in item.by)


def _named(item: Limit, match: LimitMatch) -> Any:
    action = Counted.Action()
    named = action.header_value_match if match.looks_at_headers else action.generic_key
    named.descriptor_key, named.descriptor_value = LIMIT_KEY, item.name
    if match.looks_at_headers:
        action.header_value_match.headers.extend(_headers(match))
    return action


def _headers(match: LimitMatch) -> Iterator[Any]:
    if match.path is not None:
        yield header_matcher(":path", _before_the_query(match.path), without=False)
    for name, value in ((":method", match.method), (":authority", match.authority)):
        if value is not None:
            yield header_matcher(name, value, without=False)
    for name in sorted(match.headers):
        yield header_matcher(name, match.headers[name], without=False)
    for name in sorted(match.without_headers):
        yield header_matcher(name, match.without_headers[name], without=True)


def _before_the_query(path: StringMatch) -> StringMatch:
    """A condition on the path as one on the `:path` header, which has the query too."""
    if path.exact is not None:
        return StringMatch(regex=re.escape(path.exact) + _QUERY)
    if path.regex is not None:
        return StringMatch(regex=f"(?:{path.regex}){_QUERY}")
    return path


def _value(by: LimitBy) -> Any:
    action = Counted.Action()
    if by.header:
        action.request_headers.header_name = by.header
        action.request_headers.descriptor_key = by.key
    elif by.query_parameter:
        action.query_parameters.query_parameter_name = by.query_parameter
        action.query_parameters.descriptor_key = by.key
    elif by.path:
        action.extension.name = _EXPRESSION
        expression = Descriptor(descriptor_key=by.key, text=_PATH)
        action.extension.typed_config.Pack(expression, deterministic=True)
    else:
        action.remote_address.SetInParent()
    return action
