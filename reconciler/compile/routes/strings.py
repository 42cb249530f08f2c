"""Istio's `StringMatch` in Envoy's terms."""

from __future__ import annotations

from typing import Any

from envoy.type.matcher.v3.string_pb2 import StringMatcher

from reconciler.model.virtualservice import StringMatch

_ANYTHING = "*"
"""As a regular expression it is none; Istio reads it as presence."""


def asks_for_presence(value: StringMatch) -> bool:
    """Whether a matcher of a header or query parameter only wants it to be there."""
    if value.regex is not None:
        return value.regex == _ANYTHING and value.exact is None and value.prefix is None
    return value.exact is None and value.prefix is None


def string_matcher(value: StringMatch) -> Any:
    """The matcher of a text; `value` says at least one of the three."""
    if value.exact is not None:
        return StringMatcher(exact=value.exact)
    if value.prefix is not None:
        return StringMatcher(prefix=value.prefix)
    matcher = StringMatcher()
    matcher.safe_regex.regex = value.regex or ""
    return matcher
