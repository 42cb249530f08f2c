"""Rules for what proxies tell: `Mesh.telemetry`, and `Proxy.metrics`."""

from __future__ import annotations

from reconciler.model.hosts import is_address
from reconciler.model.proxy import Proxy
from reconciler.model.telemetry import AccessLog, CustomTag, Metrics, Telemetry, Tracing
from reconciler.policy.checks.formats import host_problem, is_token
from reconciler.policy.checks.shared import check_file, idle
from reconciler.policy.findings import Report

_KINDS = ("literal", "environment", "header")


def check_telemetry(spec: Telemetry, report: Report) -> None:
    """Addresses, files, names; and one kind for each tag."""
    if spec.metrics is not None:
        _check_metrics(spec.metrics, report.below("metrics"))
    if spec.access_log is not None:
        _check_log(spec.access_log, report.below("accessLog"))
    if spec.tracing is not None:
        _check_tracing(spec.tracing, report.below("tracing"))


def check_metrics(spec: Proxy, report: Report) -> None:
    """A proxy's own place for its metrics: only where its bootstrap is ours."""
    if spec.metrics is None:
        return
    _check_metrics(spec.metrics, report.below("metrics"))
    if not spec.push.whole:
        why = "its bootstrap is none of ours, which would say where"
        idle(report, f"the proxy serves no metrics: {why}", "metrics", hint="leave it out")


def _check_metrics(metrics: Metrics, report: Report) -> None:
    if not is_address(metrics.address):
        message = f"{metrics.address!r} is not an IP address"
        report.error("address", message, "address", hint="write one of the host's own, 127.0.0.1, 0.0.0.0 or ::")


def _check_log(log: AccessLog, report: Report) -> None:
    check_file(log.file, report, "file")
    if log.disabled and log.model_fields_set - {"disabled"}:
        idle(report, "nothing is logged at all", "disabled", hint="leave it out, or the rest")


def _check_tracing(tracing: Tracing, report: Report) -> None:
    service = tracing.open_telemetry.service
    problem = host_problem(service, wildcard=False)
    if problem:
        report.error("host", problem, "openTelemetry", "service", hint="write the host of a ServiceEntry")
    for name, tag in tracing.custom_tags.items():
        _check_tag(name, tag, report.below("customTags", name))


def _check_tag(name: str, tag: CustomTag, report: Report) -> None:
    if not name:
        report.error("name", "a tag has a name", hint="write it like environment", key=True)
    given = [kind for kind in _KINDS if getattr(tag, kind) is not None]
    if len(given) != 1:
        what = "nothing" if not given else " and ".join(given)
        hint = "write one of literal: {value: ...}, environment: {name: ...} and header: {name: ...}"
        report.error("one-of", f"the tag is taken from {what}", hint=hint, key=True)
    if tag.header is not None and not is_token(tag.header.name):
        message = f"{tag.header.name!r} is not the name of a header"
        report.error("header-name", message, "header", "name", hint="write it like x-tenant")
