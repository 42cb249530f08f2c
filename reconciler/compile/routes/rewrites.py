"""What the destination sees in place of what was asked for."""

from __future__ import annotations

from typing import Any

from reconciler.model.virtualservice import HTTPRewrite


def fill_rewrite(action: Any, rewrite: HTTPRewrite) -> None:
    """Set the rewrite of a `RouteAction`.

    `prefix_rewrite` is right for every kind of match: Envoy puts it in place of what was matched, which is the whole path
    (without the query) for an exact match and for a regular expression.
    """
    if rewrite.uri_regex_rewrite is not None:
        action.regex_rewrite.pattern.regex = rewrite.uri_regex_rewrite.match
        action.regex_rewrite.substitution = rewrite.uri_regex_rewrite.rewrite
    elif rewrite.uri:
        action.prefix_rewrite = rewrite.uri
    if rewrite.authority:
        action.host_rewrite_literal = rewrite.authority
