"""Rules for one HealthCheck: what Envoy's health checkers take (`envoy.config.core.v3.HealthCheck`), measured with Envoy 1.40."""

from __future__ import annotations

import re
from datetime import timedelta

from reconciler.model.healthcheck import GrpcProbe, HealthCheck, HttpProbe
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.formats import NAME_HINT, is_label, is_token
from reconciler.policy.checks.headervalues import value_problem
from reconciler.policy.checks.shared import unique
from reconciler.policy.findings import Report

_PROBES = ("http", "tcp", "grpc")
_DURATIONS = ("interval", "timeout", "no_traffic_interval", "initial_jitter", "interval_jitter")
_NOT_IN_A_PATH = re.compile(r"[^\x21-\x7e]|#")
_NOT_IN_A_HOST = re.compile(r"[^A-Za-z0-9._:\[\]-]")
_LONGEST = timedelta(hours=24)


def check_health_check(spec: HealthCheck, report: Report) -> None:
    """One way to ask, times that Envoy can keep, and a request that it can make."""
    given = [name for name in _PROBES if getattr(spec, name) is not None]
    if not given:
        message = "exactly one of http, tcp and grpc is needed"
        report.error("one-of", message, hint="write `tcp: {}` for connections alone", key=True)
    for name in given[1:]:
        message = f"there is {given[0]} already, and an instance is asked in one way"
        report.error("one-of", message, name, hint="keep one of them", key=True)
    unique(report, "the port", [(item, ("ports", index)) for index, item in enumerate(spec.ports)])
    unique(report, "the subset", [(item, ("subsets", index)) for index, item in enumerate(spec.subsets)])
    for index, name in enumerate(spec.subsets):
        if not is_label(name):
            report.error("name", f"{name!r} is not a subset's name", "subsets", index, hint=NAME_HINT)
    _check_durations(spec, report)
    if spec.http is not None:
        _check_http(spec.http, report.below("http"))
    if spec.grpc is not None:
        _check_grpc(spec.grpc, report.below("grpc"))


def _check_durations(spec: HealthCheck, report: Report) -> None:
    for name in _DURATIONS:
        value: timedelta | None = getattr(spec, name)
        field = _camel(name)
        if value is not None and value > _LONGEST:
            report.error("duration", f"{field} must be at most 24h", field, hint="check more often, or not at all")
        else:
            check_duration(value, report, field)


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(map(str.title, rest))


def _check_http(probe: HttpProbe, report: Report) -> None:
    if not probe.path.startswith("/") or _NOT_IN_A_PATH.search(probe.path):
        message = f"{probe.path!r} is not a path that can be asked for"
        report.error("value", message, "path", hint="begin with `/`, and write what is not ASCII as %XX")
    _check_host(probe.host, report, "host")
    for index, item in enumerate(probe.expected_statuses):
        if item.start > item.end:
            message = f"no status is from {item.start} to {item.end}"
            report.error("value", message, "expectedStatuses", index, hint="write the lower one as start")
    for name, value in probe.headers.items():
        if name.lower() == "host" or not is_token(name):
            hint = "letters, digits and '-'; for the Host header there is `host`"
            report.error("header-name", f"the header {name!r} can't be set", "headers", name, hint=hint, key=True)
        problem = value_problem(value)
        if problem:
            report.error("header-value", problem, "headers", name, hint="write %% for a percent sign")


def _check_grpc(probe: GrpcProbe, report: Report) -> None:
    _check_host(probe.authority, report, "authority")


def _check_host(text: str, report: Report, field: str) -> None:
    if _NOT_IN_A_HOST.search(text):
        message = f"{text!r} is not a host that can be asked for"
        report.error("host", message, field, hint="write a host name or an address, and `:port` if it is needed")
