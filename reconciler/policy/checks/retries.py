"""Rules for retries, and warnings of those that may carry a request out twice."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from http import HTTPStatus

from reconciler.model.virtualservice import HTTPMatch, HTTPRetry, StringMatch
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.shared import idle
from reconciler.policy.findings import Report, close

RETRY_ON = (
    "5xx", "gateway-error", "reset", "reset-before-request", "connect-failure", "envoy-ratelimited", "retriable-4xx",
    "refused-stream", "retriable-status-codes", "retriable-headers", "http3-post-connect-failure",
    "cancelled", "deadline-exceeded", "internal", "resource-exhausted", "unavailable",
)  # fmt: skip
"""Envoy's conditions (`x-envoy-retry-on`) and gRPC's (`x-envoy-retry-grpc-on`); HTTP status codes are allowed too."""

_UNSAFE = frozenset({"5xx", "gateway-error", "reset", "retriable-headers", "deadline-exceeded", "internal"})
"""Conditions that say nothing of whether the request was carried out before it failed."""

_SAFE = "connect-failure,refused-stream,reset-before-request"
_IDEMPOTENT = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
"""Methods that mean the same when they are repeated (RFC 9110, 9.2.2)."""

_STATUSES = frozenset(str(status.value) for status in HTTPStatus)
_MAX_ATTEMPTS = 2**31 - 1
"""The field is an int32 in Istio's API."""


def check_retries(retries: HTTPRetry, report: Report) -> None:
    """Attempts, durations and conditions by their forms; the report's paths begin at the retries."""
    if retries.attempts < 0:
        message = f"attempts must not be negative; it is {retries.attempts}"
        report.error("value", message, "attempts", hint="write 0 for no retries")
    if retries.attempts > _MAX_ATTEMPTS:
        report.error("value", f"attempts must be at most {_MAX_ATTEMPTS}", "attempts", hint="write a few, such as 3")
    if retries.attempts == 0 and (
        retries.per_try_timeout is not None or retries.retry_on or retries.retry_remote_localities is not None
    ):
        message = "retries are turned off by 0 attempts, and configured all the same"
        report.error("value", message, hint="give attempts a number, or remove the rest", key=True)
    check_duration(retries.per_try_timeout, report, "perTryTimeout")
    check_duration(retries.backoff, report, "backoff")
    for token in _tokens(retries):
        if token not in RETRY_ON and token not in _STATUSES:
            hint = close(token, RETRY_ON) or f"use status codes, or {', '.join(RETRY_ON)}"
            report.error("retry-on", f"{token!r} is not a retry condition", "retryOn", hint=hint)


def check_safe(retries: HTTPRetry, matches: Sequence[HTTPMatch], report: Report) -> None:
    """Warn of retries that may carry out a request twice, unless the rule takes only requests that may be repeated.

    Istio has no such warning. Its default conditions are not warned of, nor others of their kind: a request that failed by
    them was not carried out, or its service says that it may be sent again.
    """
    unsafe = [token for token in _tokens(retries) if token in _UNSAFE or token.startswith("5")]
    if not unsafe or retries.attempts < 1:
        return
    if not matches or not all(_is_idempotent(match.method) for match in matches):
        message = f"a POST that failed by {unsafe[0]} may have been carried out, and is sent again"
        hint = f"write `{_SAFE}`, or match the methods that may be repeated: {{method: {{regex: GET|HEAD|PUT|DELETE}}}}"
        report.warning("retry-unsafe", message, "retryOn", hint=hint)


def check_try_time(retries: HTTPRetry, timeout: timedelta | None, report: Report) -> None:
    """Warn of a time for each try that the time for all of them together never lets pass."""
    if retries.per_try_timeout is not None and timeout is not None and retries.per_try_timeout >= timeout:
        idle(
            report,
            "perTryTimeout is not shorter than timeout, so no try ends by it",
            "perTryTimeout",
            hint="make it shorter",
        )


def _tokens(retries: HTTPRetry) -> list[str]:
    return retries.retry_on.split(",") if retries.retry_on else []


def _is_idempotent(method: StringMatch | None) -> bool:
    if method is None:
        return False
    if method.exact is not None:
        return method.exact in _IDEMPOTENT
    listed = (method.regex or "").removeprefix("^").removesuffix("$").removeprefix("(").removesuffix(")")
    return _IDEMPOTENT.issuperset(listed.split("|"))
