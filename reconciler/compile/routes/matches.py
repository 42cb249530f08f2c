"""What requests a route takes: `HTTPMatch` as an Envoy `RouteMatch`. Conditions on the proxy are in `conditions`."""

from __future__ import annotations

from typing import Any

from envoy.config.route.v3.route_components_pb2 import HeaderMatcher, QueryParameterMatcher

from reconciler.compile.routes.strings import asks_for_presence, string_matcher
from reconciler.model.virtualservice import HTTPMatch, StringMatch

_ALL_PATHS = "/"
_ALL_PATHS_REGEX = ".*"


def fill_match(target: Any, match: HTTPMatch) -> None:
    """Set a `RouteMatch`; headers and parameters in order of their names, so that equal maps give equal bytes."""
    _path(target, match.uri)
    if match.ignore_uri_case:
        target.case_sensitive.value = False
    named = [(name, False, value) for name, value in match.headers.items()]
    named += [(name, True, value) for name, value in match.without_headers.items()]
    for name, without, value in sorted(named, key=lambda item: item[:2]):
        target.headers.append(header_matcher(name, value, without=without))
    for name, pseudo in ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme)):
        if pseudo is not None:
            target.headers.append(header_matcher(name, pseudo, without=False))
    for name in sorted(match.query_params):
        target.query_parameters.append(parameter_matcher(name, match.query_params[name]))


def is_catch_all(route: Any) -> bool:
    """Whether a route matches every request, as Istio's `IsCatchAllRoute` has it."""
    match = route.match
    if match.headers or match.query_parameters:
        return False
    return bool(match.prefix == _ALL_PATHS or match.safe_regex.regex == _ALL_PATHS_REGEX)


def _path(target: Any, uri: StringMatch | None) -> None:
    if uri is not None and uri.exact is not None:
        target.path = uri.exact
    elif uri is not None and uri.regex is not None:
        target.safe_regex.regex = uri.regex
    else:
        target.prefix = (uri.prefix if uri else None) or _ALL_PATHS


def header_matcher(name: str, value: StringMatch, *, without: bool) -> Any:
    """A header that has to match, or with `without` must not: one that is absent never matches."""
    header = HeaderMatcher(name=name, invert_match=without)
    if asks_for_presence(value):
        header.present_match = True
    else:
        header.string_match.CopyFrom(string_matcher(value))
        header.treat_missing_header_as_empty = without  # a header that is absent says nothing that could match
    return header


def parameter_matcher(name: str, value: StringMatch) -> Any:
    """A query parameter that has to match."""
    parameter = QueryParameterMatcher(name=name)
    if asks_for_presence(value):
        parameter.present_match = True
    else:
        parameter.string_match.CopyFrom(string_matcher(value))
    return parameter
