"""Rules for one RateLimit: what Envoy's filters take (`envoy.extensions.filters.http.local_ratelimit.v3`, `...ratelimit.v3`)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from reconciler.model.ratelimit import (
    GlobalLimits,
    Limit,
    LimitBy,
    LimitMatch,
    LimitResponse,
    RateLimit,
    RateLimitTarget,
)
from reconciler.model.virtualservice import StringMatch
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.formats import NAME_HINT, is_label, is_name, is_token
from reconciler.policy.checks.headervalues import value_problem
from reconciler.policy.checks.matchers import check_matcher, check_optional
from reconciler.policy.checks.shared import check_selector, idle, unique
from reconciler.policy.findings import Report

STATUSES = frozenset({
    *range(400, 418), 421, 422, 423, 424, 426, 428, 429, 431, *range(500, 509), 510, 511,
})  # fmt: skip
"""What Envoy's `envoy.type.v3.HttpStatus` has; below 400 it would answer 429 instead."""

_SHORTEST = timedelta(milliseconds=50)
"""Envoy's least time for a bucket to fill."""

_PSEUDO = frozenset({":authority", ":method"})
_METHOD = re.compile(r"[a-z]")
_NAME = "letters, digits and '-'"


def check_rate_limit(spec: RateLimit, report: Report) -> None:
    """A target, some limits, and an answer that Envoy can give."""
    _check_target(spec.target, report)
    if not spec.local and spec.global_ is None:
        message = "a RateLimit needs limits"
        report.error("missing-field", message, hint="write local, global or both", key=True)
    _check_limits(spec.local, report, "local")
    for index, item in enumerate(spec.local):
        _check_per(item.per, report.below("local", index))
    if spec.global_ is not None:
        _check_global(spec.global_, report.below("global"))
    _check_response(spec.response, report.below("response"))


def _check_target(target: RateLimitTarget, report: Report) -> None:
    given = [target.workloads is not None, bool(target.gateway), target.virtual_service is not None]
    if sum(given) != 1:
        message = "exactly one of workloads, gateway and virtualService is needed"
        report.error("one-of", message, "target", hint="write a document for each target", key=True)
    if target.workloads is not None:
        check_selector(target.workloads.labels, report, "target", "workloads", "labels")
    if target.gateway:
        _check_name(target.gateway, "Gateway", report, "target", "gateway")
    if target.virtual_service is not None:
        path = ("target", "virtualService")
        _check_name(target.virtual_service.name, "VirtualService", report, *path, "name")
        routes = target.virtual_service.routes
        unique(report, "the route", [(item, (*path, "routes", index)) for index, item in enumerate(routes)])


def _check_name(text: str, kind: str, report: Report, *path: str) -> None:
    namespace, slash, name = text.rpartition("/")
    if not is_name(name) or (slash and not is_label(namespace)):
        report.error("name", f"{text!r} is not `name` or `namespace/name` of a {kind}", *path, hint=NAME_HINT)


def _check_limits(limits: Sequence[Limit], report: Report, *path: str | int) -> None:
    unique(report, "the limit", [(item.name, (*path, index, "name")) for index, item in enumerate(limits)])
    for index, item in enumerate(limits):
        below = report.below(*path, index)
        if not is_label(item.name):
            below.error("name", f"{item.name!r} is not a limit's name", "name", hint=NAME_HINT)
        if item.match is not None:
            _check_match(item.match, below.below("match"))
        for number, by in enumerate(item.by):
            _check_by(by, below, number)
        keys = [(by.key, ("by", number)) for number, by in enumerate(item.by) if _count(by) == 1]
        unique(below, "counting by", keys)


def _check_match(match: LimitMatch, report: Report) -> None:
    for name in ("path", "method", "authority"):
        matcher: StringMatch | None = getattr(match, name)
        if matcher is not None:
            check_matcher(matcher, report, name, hint=f"remove {name} for any")
    method = (match.method.exact or match.method.prefix or "") if match.method else ""
    if _METHOD.search(method):
        hint = f"write {method.upper()}"
        idle(report, f"methods are in upper case, so {method!r} never matches", "method", hint=hint)
    fields: tuple[tuple[str, Mapping[str, StringMatch], bool], ...] = (
        ("headers", match.headers, False),
        ("withoutHeaders", match.without_headers, True),
    )
    for field, headers, present in fields:
        for name, matcher in headers.items():
            _check_header_name(name, report, field, name)
            check_optional(matcher, report, field, name, present=present)
    for name, matcher in match.query_params.items():
        if not name:
            message = "a query parameter needs a name"
            report.error(
                "missing-field", message, "queryParams", name, hint="write its name before the colon", key=True
            )
        check_optional(matcher, report, "queryParams", name)


def _check_header_name(name: str, report: Report, *path: str | int) -> None:
    if not is_token(name):
        hint = f"{_NAME}; for pseudo-headers there are path, method and authority"
        report.error("header-name", f"{name!r} is not a header's name", *path, hint=hint, key=True)


def _count(by: LimitBy) -> int:
    return sum(map(bool, (by.header, by.query_parameter, by.path, by.remote_address)))


def _check_by(by: LimitBy, report: Report, number: int) -> None:
    if _count(by) != 1:
        message = "exactly one of header, queryParameter, path and remoteAddress is needed"
        hint = "give each its own item: with several, each combination of values is counted"
        report.error("one-of", message, "by", number, hint=hint)
    if by.header and by.header.lower() not in _PSEUDO and not is_token(by.header):
        message = f"{by.header!r} is not a header's name"
        report.error("header-name", message, "by", number, "header", hint=f"{_NAME}, :authority or :method")


def _check_per(per: timedelta, report: Report) -> None:
    if timedelta(milliseconds=1) <= per < _SHORTEST:
        message = "per must be at least 50ms"
        report.error("duration", message, "per", hint="allow more requests in a longer time")
    else:
        check_duration(per, report, "per")


def _check_global(limits: GlobalLimits, report: Report) -> None:
    check_duration(limits.timeout, report, "timeout")
    if not limits.limits:
        report.error("missing-field", "a domain needs limits", "limits", hint="add one, or remove global")
    _check_limits(limits.limits, report, "limits")


def _check_response(response: LimitResponse, report: Report) -> None:
    if response.status not in STATUSES:
        message = f"Envoy can't refuse a request with status {response.status}"
        report.error("value", message, "status", hint="write 429, 503 or another error that HTTP has")
    for name, value in response.headers.items():
        if name.lower() == "host" or not is_token(name):
            report.error("header-name", f"the header {name!r} can't be set", "headers", name, hint=_NAME, key=True)
        problem = value_problem(value)
        if problem:
            report.error("header-value", problem, "headers", name, hint="write %% for a percent sign")
