"""Two matches as one: what takes the requests that both of them take.

A match has one condition for a path, a method or a header, so two conditions on one thing have to come to one: the narrower
where one lies within the other. What can't be said so is an error, never a wider or a narrower match.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypeVar

from reconciler.model.virtualservice import HTTPMatch, StringMatch

T = TypeVar("T")


class _NothingError(Exception):
    """No request has both."""


def both(one: HTTPMatch, other: HTTPMatch) -> HTTPMatch | None:
    """The match of what two matches take; None if no request can be taken by both.

    Raises:
        ValueError: No one match says that; the text names the field.
    """
    if bool(one.gateways) != bool(other.gateways) and any(
        item.source_labels or item.source_namespace for item in (one, other)
    ):
        raise ValueError("gateways beside sourceLabels or sourceNamespace")
    try:
        return _both(one, other)
    except _NothingError:
        return None


def _both(one: HTTPMatch, other: HTTPMatch) -> HTTPMatch:
    uri, ignore_case = _uri(one, other)
    return HTTPMatch(
        name=".".join(name for name in (one.name, other.name) if name),
        uri=uri,
        ignore_uri_case=ignore_case,
        scheme=_text("scheme", one.scheme, other.scheme),
        method=_text("method", one.method, other.method),
        authority=_text("authority", one.authority, other.authority),
        headers=_texts("headers", one.headers, other.headers),
        without_headers=_absent(one.without_headers, other.without_headers),
        query_params=_texts("queryParams", one.query_params, other.query_params),
        port=_one(one.port, other.port),
        source_labels=_labels(one.source_labels, other.source_labels),
        source_namespace=_one(one.source_namespace, other.source_namespace),
        gateways=_gateways(one.gateways, other.gateways),
        stat_prefix=other.stat_prefix or one.stat_prefix,
    )


def _uri(one: HTTPMatch, other: HTTPMatch) -> tuple[StringMatch | None, bool]:
    if one.uri is None or other.uri is None:
        chosen = one if other.uri is None else other
        return chosen.uri, chosen.ignore_uri_case
    if one.ignore_uri_case == other.ignore_uri_case:
        return _text("uri", one.uri, other.uri, fold=one.ignore_uri_case), one.ignore_uri_case
    folding, strict = (one, other) if one.ignore_uri_case else (other, one)
    narrower = _text("uri", folding.uri, strict.uri, fold=True)
    if narrower != strict.uri:
        raise ValueError("uri, with ignoreUriCase in one of the two")
    return narrower, False


def _text(field: str, one: StringMatch | None, other: StringMatch | None, *, fold: bool = False) -> StringMatch | None:
    if one is None or other is None or one == other:
        return other or one
    if not _given(one) or not _given(other):  # asks for presence, which the other implies
        return other if not _given(one) else one
    for wide, narrow in ((one, other), (other, one)):
        if narrow.exact is not None:
            if not _takes(field, wide, narrow.exact, fold=fold):
                raise _NothingError
            return narrow
    if one.prefix is None or other.prefix is None:
        raise ValueError(f"{field}, by two conditions of which one is a regex")
    short, long = sorted((one, other), key=lambda item: len(item.prefix or ""))
    if not _begins(long.prefix or "", short.prefix or "", fold=fold):
        raise _NothingError
    return long


def _given(match: StringMatch) -> bool:
    return match.exact is not None or match.prefix is not None or match.regex is not None


def _takes(field: str, match: StringMatch, text: str, *, fold: bool) -> bool:
    if match.exact is not None:
        return match.exact.lower() == text.lower() if fold else match.exact == text
    if match.prefix is not None:
        return _begins(text, match.prefix, fold=fold)
    try:
        return re.fullmatch(match.regex or "", text) is not None
    except re.error as error:  # RE2 has a few things that Python's has not
        raise ValueError(f"{field}, by a regex and an exact text") from error


def _begins(text: str, prefix: str, *, fold: bool) -> bool:
    return text.lower().startswith(prefix.lower()) if fold else text.startswith(prefix)


def _texts(field: str, one: Mapping[str, StringMatch], other: Mapping[str, StringMatch]) -> dict[str, StringMatch]:
    """Conditions by name; headers are one whatever their case."""
    spelled = {_plain(field, name): name for name in one}
    found = dict(one)
    for name, value in other.items():
        known = spelled.get(_plain(field, name), name)
        text = _text(f"{field}.{name}", found.get(known), value)
        if text is not None:
            found[known] = text
    return found


def _plain(field: str, name: str) -> str:
    return name.lower() if field == "headers" else name


def _absent(one: Mapping[str, StringMatch], other: Mapping[str, StringMatch]) -> dict[str, StringMatch]:
    """Conditions that must not hold: two on one header are no one condition."""
    found = {name.lower(): (name, value) for name, value in one.items()}
    for name, value in other.items():
        if name.lower() in found and found[name.lower()][1] != value:
            raise ValueError(f"withoutHeaders.{name}, by two conditions")
        found.setdefault(name.lower(), (name, value))
    return dict(found.values())


def _labels(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    if any(one[name] != value for name, value in other.items() if name in one):
        raise _NothingError
    return {**one, **other}


def _one(one: T, other: T) -> T:
    """What either says; "" and 0 say nothing."""
    if one and other and one != other:
        raise _NothingError
    return one or other


def _gateways(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[str, ...]:
    if not one or not other:
        return one or other
    found = tuple(name for name in one if name in other)
    if not found:
        raise _NothingError
    return found
