"""Rules for one `http` rule of a VirtualService: its split, its matches, its retries; and which rules can be reached."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta

from reconciler.model.virtualservice import HTTPMatch, HTTPRetry, HTTPRoute, HTTPRouteDestination, StringMatch
from reconciler.policy.checks.formats import HOST_HINT, NAME_HINT, host_problem, is_label
from reconciler.policy.checks.regex import regex_problem
from reconciler.policy.findings import Report, close

FULL_TOTALS = (100, 1_000, 10_000, 100_000)
_MAX_TOTAL = 2**32 - 1
"""Envoy's limit for the sum of a route's weights."""

_MAX_ATTEMPTS = 2**31 - 1
"""The field is an int32 in Istio's API."""

_HEADER = re.compile(r"[-_A-Za-z0-9]+\Z")
_MIN_DURATION = timedelta(milliseconds=1)
_MAX_DURATION = timedelta(hours=2_562_047)
"""What fits into 64 bits of nanoseconds: the limit of Go, and so of Istio, and of Envoy."""

RETRY_ON = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx",
    "refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
)  # fmt: skip
"""Envoy's conditions (`x-envoy-retry-on`) and gRPC's (`x-envoy-retry-grpc-on`); HTTP status codes are allowed too."""


def check_route(rule: HTTPRoute, index: int, report: Report) -> None:
    """One rule."""
    path = ("http", index)
    if not rule.route:
        hint = "add `route: [{destination: {host: ...}}]`"
        report.error("missing-field", "a rule needs a route", *path, "route", hint=hint)
    _check_split(rule.route, report, *path, "route")
    for position, match in enumerate(rule.match):
        _check_match(match, report, *path, "match", position)
    _check_duration("timeout", rule.timeout, report, *path, "timeout")
    if rule.retries is not None:
        _check_retries(rule.retries, report, *path, "retries")


def _check_split(split: Sequence[HTTPRouteDestination], report: Report, *path: str | int) -> None:
    seen = set()
    for index, share in enumerate(split):
        destination = share.destination
        problem = host_problem(destination.host, wildcard=False)
        if problem:
            report.error("host", problem, *path, index, "destination", "host", hint=HOST_HINT)
        if destination.subset and not is_label(destination.subset):
            message = f"{destination.subset!r} is not a valid subset name"
            report.error("name", message, *path, index, "destination", "subset", hint=NAME_HINT)
        if share.weight < 0:
            message = f"the weight {share.weight} is negative"
            report.error("weight-negative", message, *path, index, "weight", hint="write 0 for no traffic")
        if destination in seen:
            where, hint = (*path, index, "destination"), "add the weights together"
            report.warning(
                "duplicate-destination", "the split has this destination already", *where, hint=hint, key=True
            )
        seen.add(destination)
    if len(split) > 1 and all(share.weight >= 0 for share in split):
        _check_total(sum(share.weight for share in split), report, *path)


def _check_total(total: int, report: Report, *path: str | int) -> None:
    if total == 0:
        message = "the weights total 0, so no destination would get traffic"
        report.error("weights-zero", message, *path, hint="give one of them a weight", key=True)
    elif total > _MAX_TOTAL:
        message = f"the weights total {total}; Envoy's limit is {_MAX_TOTAL}"
        report.error("weights-limit", message, *path, hint="divide all of them by the same number", key=True)
    elif total not in FULL_TOTALS:
        message = f"the weights total {total}, so a weight is not a percentage"
        report.warning("weights-sum", message, *path, hint="make them total 100 (or 1000, 10000, 100000)", key=True)


def _check_match(match: HTTPMatch, report: Report, *path: str | int) -> None:
    if match.uri is not None:
        _check_string(match.uri, report, *path, "uri", empty=False)
    for name, matcher in match.headers.items():
        if not _HEADER.match(name):
            hint = "letters, digits, '-' and '_'; pseudo-headers and claims are not supported"
            report.error("header-name", f"{name!r} is not a header's name", *path, "headers", name, hint=hint, key=True)
        _check_string(matcher, report, *path, "headers", name, empty=True)


def _check_string(matcher: StringMatch, report: Report, *path: str | int, empty: bool) -> None:
    given = {name: value for name, value in matcher if value is not None}
    if len(given) > 1:
        message = f"only one of exact, prefix and regex can be set; here are {', '.join(given)}"
        report.error("one-of", message, *path, hint="use several matches: one of them is enough", key=True)
    elif not given and not empty:
        report.error(
            "one-of", "one of exact, prefix and regex is needed", *path, hint="write it like {prefix: /api}", key=True
        )
    for name, value in given.items():
        if not value and not empty:
            report.error("value", f"{name} must not be empty", *path, name, hint="write / for every path")
    if empty and matcher.prefix == "":
        hint = "write {} for a header that is there, whatever it says"
        report.error("value", "prefix must not be empty", *path, "prefix", hint=hint)
    if matcher.regex is not None:
        problem = regex_problem(matcher.regex)
        if problem:
            hint = "RE2 has no lookaround and no backreferences: https://github.com/google/re2/wiki/Syntax"
            report.error("regex", problem, *path, "regex", hint=hint)


def _check_retries(retries: HTTPRetry, report: Report, *path: str | int) -> None:
    if retries.attempts < 0:
        message = f"attempts must not be negative; it is {retries.attempts}"
        report.error("value", message, *path, "attempts", hint="write 0 for no retries")
    if retries.attempts > _MAX_ATTEMPTS:
        report.error("value", f"attempts must be at most {_MAX_ATTEMPTS}", *path, "attempts")
    if retries.attempts == 0 and (retries.per_try_timeout is not None or retries.retry_on):
        message = "retries are turned off by 0 attempts, and configured all the same"
        report.error("value", message, *path, hint="give attempts a number, or remove the rest", key=True)
    _check_duration("perTryTimeout", retries.per_try_timeout, report, *path, "perTryTimeout")
    _check_duration("backoff", retries.backoff, report, *path, "backoff")
    for token in retries.retry_on.split(",") if retries.retry_on else ():
        if token not in RETRY_ON and not re.fullmatch("[1-5][0-9][0-9]", token):
            hint = close(token, RETRY_ON) or f"use status codes, or {', '.join(RETRY_ON)}"
            report.error("retry-on", f"{token!r} is not a retry condition", *path, "retryOn", hint=hint)


def _check_duration(name: str, value: timedelta | None, report: Report, *path: str | int) -> None:
    if value is not None and value < _MIN_DURATION:
        report.error("duration", f"{name} must be at least 1ms", *path, hint="to have none, leave it out")
    elif value is not None and value > _MAX_DURATION:
        hours = _MAX_DURATION // timedelta(hours=1)
        report.error("duration", f"{name} must be at most {hours}h", *path, hint="to have no limit, leave it out")


def check_reachable(rules: Sequence[HTTPRoute], report: Report) -> None:
    """Warn of rules and matches that an earlier one always precedes: the first that matches is used."""
    seen: set[str] = set()
    catch_all: str | None = None
    for index, rule in enumerate(rules):
        if catch_all is not None:
            message = f"this rule is never used: {catch_all} takes every request"
            report.warning("unreachable-route", message, "http", index, hint="move it up, or remove it")
            continue
        for position, match in enumerate(rule.match):
            shape = match.model_copy(update={"name": ""}).model_dump_json()
            if shape in seen or (position and catch_all):
                message = "this match is never used: an earlier one takes its requests"
                report.warning("unreachable-route", message, "http", index, "match", position, hint="remove it")
            seen.add(shape)
            if _takes_all(match):
                catch_all = f"rule {rule.name or index + 1} before it"
        if not rule.match:
            catch_all = f"rule {rule.name or index + 1} before it"


def _takes_all(match: HTTPMatch) -> bool:
    """Whether every request matches; by Istio's reading, prefix / and regex .* do."""
    uri = match.uri
    return not match.headers and (uri is None or uri.prefix == "/" or uri.regex == ".*")
