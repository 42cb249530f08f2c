"""Matches within matches: the conditions of a delegate's rule under those of the rule that delegates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from reconciler.compile.routes.strings import asks_for_presence
from reconciler.model.virtualservice import HTTPMatch, StringMatch

T = TypeVar("T")


class _OutsideError(Exception):
    """A condition lies outside its limits."""


def narrowed(limits: HTTPMatch, match: HTTPMatch) -> HTTPMatch | None:
    """A match within the limits of another, or None if one of its conditions lies outside them.

    Each condition that both have must be at least as narrow in `match`; the others are put together. Texts are compared
    only if they are exact or prefixes, as in Istio; a regular expression fits only into itself.
    """
    try:
        return _narrowed(limits, match)
    except _OutsideError:
        return None


def _narrowed(limits: HTTPMatch, match: HTTPMatch) -> HTTPMatch:
    return HTTPMatch(
        name="-".join(name for name in (limits.name, match.name) if name),
        uri=_uri(limits, match),
        ignore_uri_case=match.ignore_uri_case if match.uri is not None else limits.ignore_uri_case,
        scheme=_text(limits.scheme, match.scheme),
        method=_text(limits.method, match.method),
        authority=_text(limits.authority, match.authority),
        headers=_texts(limits.headers, match.headers),
        without_headers=_same_where_both(limits.without_headers, match.without_headers),
        query_params=_texts(limits.query_params, match.query_params),
        port=_one(limits.port, match.port),
        source_labels=_same_where_both(limits.source_labels, match.source_labels),
        source_namespace=_one(limits.source_namespace, match.source_namespace),
        gateways=_gateways(limits, match),
        stat_prefix=match.stat_prefix or limits.stat_prefix,
    )


def _uri(limits: HTTPMatch, match: HTTPMatch) -> StringMatch | None:
    if limits.uri is not None and match.uri is not None and limits.ignore_uri_case != match.ignore_uri_case:
        raise _OutsideError
    return _text(limits.uri, match.uri, ignore_case=limits.ignore_uri_case)


def _text(limit: StringMatch | None, value: StringMatch | None, *, ignore_case: bool = False) -> StringMatch | None:
    if limit is None or value is None:
        return value or limit
    if limit != value and not _within(limit, value, ignore_case=ignore_case):
        raise _OutsideError
    return value


def _within(limit: StringMatch, value: StringMatch, *, ignore_case: bool) -> bool:
    if asks_for_presence(limit):
        return True
    text = value.exact if value.exact is not None else value.prefix
    if limit.prefix is None or text is None:
        return False
    return text.lower().startswith(limit.prefix.lower()) if ignore_case else text.startswith(limit.prefix)


def _texts(limits: Mapping[str, StringMatch], values: Mapping[str, StringMatch]) -> dict[str, StringMatch]:
    found = {name: _text(limits.get(name), values.get(name)) for name in sorted({*limits, *values})}
    return {name: value for name, value in found.items() if value is not None}


def _same_where_both(limits: Mapping[str, T], values: Mapping[str, T]) -> dict[str, T]:
    if any(values[name] != limits[name] for name in values if name in limits):
        raise _OutsideError
    return {**limits, **values}


def _one(limit: T, value: T) -> T:
    """What either says; "" and 0 say nothing."""
    if limit and value and limit != value:
        raise _OutsideError
    return value or limit


def _gateways(limits: HTTPMatch, match: HTTPMatch) -> tuple[str, ...]:
    if not limits.gateways or not match.gateways:
        return match.gateways or limits.gateways
    both = tuple(name for name in match.gateways if name in limits.gateways)
    if not both:
        raise _OutsideError
    return both
