"""Warnings of rules and matches that are never used, because an earlier one takes all of their requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
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
    earlier = _Earlier()
    catch_all = ""
    for index, rule in enumerate(rules):
        name = f"rule {rule.name or index + 1}"
        if catch_all:
            message = f"this rule is never used: {catch_all} before it takes every request"
            report.warning("unreachable-route", message, "http", index, hint="move it up, or remove it")
            continue
        for position, match in enumerate(rule.match):
            taker = earlier.taker(match)
            if taker:
                message = f"this match is never used: {taker} before it takes its requests"
                report.warning(
                    "unreachable-route", message, "http", index, "match", position, hint="move it up, or remove it"
                )
            elif rule.delegate is None:
                earlier.add(match, f"match {position + 1} of {name}")
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


_ANY = ("", "", False)
"""Where matches are kept that look at no path."""


class _Earlier:
    """The matches so far, by the path that they look at: thousands of them are not compared with each other."""

    def __init__(self) -> None:
        self._by_path: dict[tuple[str, str, bool], list[tuple[int, frozenset[tuple[str, Any]], str]]] = {}
        self._lengths: set[int] = set()
        self._count = 0

    def add(self, match: HTTPMatch, words: str) -> None:
        """Remember a match, and what it is called."""
        how, text, fold = _ANY if _any_path(match.uri) else _path(match.uri, fold=match.ignore_uri_case)
        if how == "prefix":
            self._lengths.add(len(text))
        stated = frozenset(_conditions(match).items())
        self._by_path.setdefault((how, text, fold), []).append((self._count, stated, words))
        self._count += 1

    def taker(self, match: HTTPMatch) -> str:
        """What the first match is called that takes every request of this one; "" if there is none."""
        stated = frozenset(_conditions(match).items())
        takers = (
            next(((place, words) for place, needed, words in self._by_path.get(path, ()) if needed <= stated), None)
            for path in self._paths(match)
        )
        return min(filter(None, takers), default=(0, ""))[1]

    def _paths(self, match: HTTPMatch) -> Iterator[tuple[str, str, bool]]:
        """Under which the matches are kept that take every path of this one."""
        yield _ANY
        if match.uri is None:
            return
        for fold in (True,) if match.ignore_uri_case else (True, False):
            how, text, _ = path = _path(match.uri, fold=fold)
            yield path
            if how != "regex":
                yield from (("prefix", text[:length], fold) for length in self._lengths if length <= len(text))


def _path(uri: StringMatch | None, *, fold: bool) -> tuple[str, str, bool]:
    if uri is None:
        return _ANY
    if uri.regex is not None:
        return "regex", uri.regex, fold
    how, text = ("prefix", uri.prefix or "") if uri.exact is None else ("exact", uri.exact)
    return how, text.lower() if fold else text, fold


def _any_path(uri: StringMatch | None) -> bool:
    """By Istio's reading, prefix / and regex .* match every path."""
    return uri is None or uri.prefix == "/" or uri.regex == ".*"


def _takes_all(match: HTTPMatch) -> bool:
    """Whether every request matches."""
    return not _conditions(match) and _any_path(match.uri)


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
