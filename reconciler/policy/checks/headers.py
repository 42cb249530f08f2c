"""Rules for header operations: which headers can be touched, and what their values may hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.model.virtualservice import HeaderOperations, Headers, HTTPRewrite
from reconciler.policy.checks.formats import is_token
from reconciler.policy.checks.headervalues import value_problem
from reconciler.policy.findings import Report

_AUTHORITY = frozenset({"host", ":authority"})
_NAME_HINT = "letters, digits and '-'"
_VALUE_HINT = "write %% for a percent sign; https://www.envoyproxy.io/docs/envoy/latest/configuration/observability/access_log/usage"


def check_headers(headers: Headers | None, report: Report, *path: str | int) -> None:
    """Operations on requests and responses; only a request's `host` (or `:authority`) can be set."""
    if headers is None:
        return
    if headers.request is not None:
        _check_operations(headers.request, report, *path, "request", authority=True)
    if headers.response is not None:
        _check_operations(headers.response, report, *path, "response", authority=False)


def check_authority(rewrite: HTTPRewrite | None, headers: Headers | None, report: Report) -> None:
    """The host of a request is rewritten in one place at most; the report's paths begin at the rule."""
    places = list(_authority_operations(headers))
    if rewrite is not None and rewrite.authority:
        places.insert(0, ("rewrite", "authority"))
    for path in places[1:]:
        message = "the request's host is rewritten twice"
        report.error("one-of", message, *path, hint="keep rewrite.authority", key=True)


def _authority_operations(headers: Headers | None) -> Iterator[tuple[str, ...]]:
    request = headers.request if headers else None
    for operation, values in _values(request) if request else ():
        for name in values:
            if name.lower() in _AUTHORITY:
                yield "headers", "request", operation, name


def _values(operations: HeaderOperations) -> Iterator[tuple[str, Mapping[str, str]]]:
    yield "set", operations.set
    yield "add", operations.add


def _check_operations(operations: HeaderOperations, report: Report, *path: str | int, authority: bool) -> None:
    for operation, values in _values(operations):
        for name, value in values.items():
            where = (*path, operation, name)
            _check_name(name, report, *where, authority=authority)
            problem = value_problem(value)
            if problem:
                report.error("header-value", problem, *where, hint=_VALUE_HINT)
    for index, name in enumerate(operations.remove):
        _check_name(name, report, *path, "remove", index, authority=False)


def _check_name(name: str, report: Report, *path: str | int, authority: bool) -> None:
    if name.lower() in _AUTHORITY:
        if not authority:
            message = f"the header {name} can't be changed here"
            report.error("header-name", message, *path, hint="set it in headers.request, or use rewrite", key=True)
    elif name.startswith(":"):
        message = f"{name!r} is a pseudo-header, which can't be changed"
        report.error("header-name", message, *path, hint="use rewrite for the path and the host", key=True)
    elif not is_token(name):
        report.error("header-name", f"{name!r} is not a header's name", *path, hint=_NAME_HINT, key=True)
