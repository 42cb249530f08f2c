"""Warnings of rules and matches that are never used, because an earlier one takes all of their requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reconciler.model.virtualservice import HTTPMatch, HTTPRoute, StringMatch, TCPRoute, TLSRoute
from reconciler.policy.findings import Report

_UNCONDITIONAL = frozenset({"name", "uri", "ignore_uri_case", "stat_prefix"})
"""Fields of a match that are no conditions, and the one that is compared by what it covers."""


def check_reachable(rules: Sequence[HTTPRoute], report: Report) -> None:
    """The first rule that matches is used, and of its matches the first that does.

    A rule that delegates takes nothing for sure: what it leads to may match less.
    """
    if len(rules) == 1 and len(rules[0].match) <= 1:
        return
    earlier: list[tuple[HTTPMatch, str]] = []
    catch_all = ""
    for index, rule in enumerate(rules):
        name = f"rule {rule.name or index + 1}"
        if catch_all:
            message = f"this rule is never used: {catch_all} before it takes every request"
            report.warning("unreachable-route", message, "http", index, hint="move it up, or remove it")
            continue
        for position, match in enumerate(rule.match):
            taker = next((words for other, words in earlier if _covers(other, match)), "")
            if taker:
                message = f"this match is never used: {taker} before it takes its requests"
                report.warning(
                    "unreachable-route", message, "http", index, "match", position, hint="move it up, or remove it"
                )
            elif rule.delegate is None:
                earlier.append((match, f"match {position + 1} of {name}"))
        if rule.delegate is None and (not rule.match or any(_takes_all(match) for match in rule.match)):
            catch_all = name


def check_l4_reachable(rules: Sequence[TLSRoute | TCPRoute], field: str, report: Report) -> None:
    """The same for connections: rules after one without a match, and matches that stood before."""
    seen: set[str] = set()
    catch_all = ""
    for index, rule in enumerate(rules):
        if catch_all:
            message = f"this rule is never used: {catch_all} before it takes every connection"
            report.warning("unreachable-route", message, field, index, hint="move it up, or remove it")
            continue
        for position, match in enumerate(rule.match):
            shape = match.model_dump_json()
            if shape in seen:
                message = "this match is never used: an earlier one takes its connections"
                report.warning("unreachable-route", message, field, index, "match", position, hint="remove it")
            seen.add(shape)
        if not rule.match:
            catch_all = f"rule {index + 1}"


def _takes_all(match: HTTPMatch) -> bool:
    """Whether every request matches; by Istio's reading, prefix / and regex .* do."""
    return not _conditions(match) and _covers_path(match.uri, None, fold=match.ignore_uri_case)


def _covers(earlier: HTTPMatch, later: HTTPMatch) -> bool:
    """Whether every request of the later match is one of the earlier."""
    stated = _conditions(later)
    return all(stated.get(name) == value for name, value in _conditions(earlier).items()) and _covers_path(
        earlier.uri, later.uri, fold=earlier.ignore_uri_case, folded=later.ignore_uri_case
    )


def _conditions(match: HTTPMatch) -> Mapping[str, Any]:
    """What is said beside the path. Header by header, so that `a` alone covers `a` and `b`."""
    out: dict[str, Any] = {}
    for name in match.model_fields_set - _UNCONDITIONAL:
        value = getattr(match, name)
        if name in {"headers", "without_headers", "query_params", "source_labels"}:
            out.update({f"{name}.{key}": item for key, item in value.items()})
        elif value not in (None, (), "", 0):
            out[name] = value
    return out


def _covers_path(earlier: StringMatch | None, later: StringMatch | None, *, fold: bool, folded: bool = False) -> bool:
    if earlier is None or earlier.prefix == "/" or earlier.regex == ".*":
        return True
    if later is None or (folded and not fold):
        return False
    if earlier.regex is not None or later.regex is not None:
        return earlier == later
    ours, theirs = earlier.exact or earlier.prefix or "", later.exact or later.prefix or ""
    if fold:
        ours, theirs = ours.lower(), theirs.lower()
    if earlier.exact is not None:
        return later.exact is not None and ours == theirs
    return theirs.startswith(ours)
