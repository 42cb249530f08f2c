"""Rules for which pages of other origins may call."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model.virtualservice import CorsPolicy
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.formats import is_token
from reconciler.policy.checks.matchers import check_matcher
from reconciler.policy.checks.shared import deprecated, idle
from reconciler.policy.findings import Report, close

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "CONNECT", "OPTIONS", "TRACE")
_SECOND = timedelta(seconds=1)


def check_cors(cors: CorsPolicy, report: Report) -> None:
    """Origins, methods and headers by their forms, and an age in whole seconds; the report's paths begin at the policy."""
    for index, origin in enumerate(cors.allow_origins):
        check_matcher(origin, report, "allowOrigins", index, hint="write it like {exact: https://example.com}")
    if cors.allow_origin:
        deprecated(report, "allowOrigin", "allowOrigins: [{exact: ...}]", "allowOrigin")
        if cors.allow_origins:
            idle(report, "allowOrigin is not looked at beside allowOrigins", "allowOrigin")
    for index, method in enumerate(cors.allow_methods):
        if method not in METHODS:
            hint = close(method, METHODS) or f"it is one of {', '.join(METHODS)}"
            report.error("enum", f"{method!r} is not a method that Istio takes here", "allowMethods", index, hint=hint)
    for field, names in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, name in enumerate(names):
            if not is_token(name):
                message = f"{name!r} is not a header's name"
                report.error("header-name", message, field, index, hint="write a name, or * for all")
    check_duration(cors.max_age, report, "maxAge")
    if cors.max_age is not None and cors.max_age >= _SECOND and cors.max_age % _SECOND:
        report.error("duration", "maxAge must be whole seconds", "maxAge", hint="browsers count in seconds")
