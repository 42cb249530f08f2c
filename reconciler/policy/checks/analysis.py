"""Rules for one AnalysisTemplate, and for the metrics that a Rollout has itself: a verdict that can never fail is refused."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import timedelta

from reconciler.model.analysis import (
    BUILTINS,
    DURATION,
    AnalysisTemplate,
    Argument,
    EnvoyProvider,
    MetricSpec,
    PrometheusProvider,
)
from reconciler.policy.checks.addresses import url_problem
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.shared import check_file, idle, unique
from reconciler.policy.findings import Report, close

PLACEHOLDERS = ("namespace", "target", "stable", "canary", "interval")
"""What is filled into a query besides `args.NAME`."""

_PLACEHOLDER = re.compile(r"\{\{(.*?)(?:\}\}|\Z)", re.DOTALL)
_ARGUMENT = re.compile(r"args\.([-\w]+)\Z")
_NAME = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,62}\Z")
_ARGUMENT_NAME = re.compile(r"[-\w]+\Z")


def check_template(spec: AnalysisTemplate, report: Report) -> None:
    """Arguments with names of their own, and metrics."""
    check_arguments(spec.args, report, "args")
    check_metrics(spec.metrics, {item.name for item in spec.args}, report, "metrics")


def check_arguments(args: Iterable[Argument], report: Report, *path: str | int) -> None:
    """Names that a query can have."""
    named = [(item.name, (*path, number, "name")) for number, item in enumerate(args)]
    unique(report, "the argument", named)
    for name, where in named:
        if not _ARGUMENT_NAME.match(name):
            report.error("name", f"{name!r} is not an argument's name", *where, hint="letters, digits, '-' and '_'")


def check_metrics(metrics: Iterable[MetricSpec], args: Collection[str], report: Report, *path: str | int) -> None:
    """Metrics with names of their own; `args` are the arguments that their queries may name."""
    listed = [*metrics]
    unique(report, "the metric", [(item.name, (*path, number, "name")) for number, item in enumerate(listed)])
    for number, metric in enumerate(listed):
        _check_metric(metric, args, report.below(*path, number))


def _check_metric(metric: MetricSpec, args: Collection[str], report: Report) -> None:
    if not _NAME.match(metric.name):
        hint = "at most 63 letters, digits, '-', '_' and '.'"
        report.error("name", f"{metric.name!r} is not a metric's name", "name", hint=hint)
        return
    envoy, prometheus = metric.provider.envoy, metric.provider.prometheus
    if envoy is not None and prometheus is not None:
        report.error("one-of", "only one of envoy and prometheus can be set", "provider", hint="keep one", key=True)
    elif prometheus is not None:
        _check_prometheus(prometheus, args, report.below("provider", "prometheus"))
        if "min_requests" in metric.model_fields_set:
            idle(report, "minRequests is for Envoy's counters", "minRequests", hint="let the query look at it")
    elif metric.name not in BUILTINS:
        known = " and ".join(BUILTINS)
        hint = close(metric.name, BUILTINS) or f"without a query there are {known}; or add provider.prometheus"
        report.error("metric-provider", f"nothing says how {metric.name} is measured", "name", hint=hint)
    elif envoy is not None:
        _check_envoy(metric, envoy, report.below("provider", "envoy"))
    _check_condition(metric, report)
    _check_times(metric, report)


def _check_envoy(metric: MetricSpec, provider: EnvoyProvider, report: Report) -> None:
    if metric.name != DURATION and "percentile" in provider.model_fields_set:
        idle(report, f"percentile is for {DURATION}", "percentile")
    if provider.users is not None and provider.compare_to is None:
        idle(report, "users is for comparisons", "users", hint="add `compareTo: stable`, or remove it")


def _check_prometheus(provider: PrometheusProvider, args: Collection[str], report: Report) -> None:
    problem = url_problem(provider.address, secret=bool(provider.token_file))
    if problem:
        hint = "write it like https://prometheus.example.com:9090; a token goes by https, or stays on this machine"
        report.error("address", problem, "address", hint=hint)
    check_duration(provider.timeout, report, "timeout")
    check_file(provider.token_file, report, "tokenFile")
    if provider.insecure and provider.address.startswith("http://"):
        idle(report, "insecure is for https", "insecure")
    for found in _PLACEHOLDER.finditer(provider.query):
        _check_placeholder(found, args, report)


def _check_placeholder(found: re.Match[str], args: Collection[str], report: Report) -> None:
    name = found[1].strip()
    argument = _ARGUMENT.match(name)
    if not found[0].endswith("}}"):
        report.error("query-placeholder", "a placeholder has no end", "query", hint="close it with }}")
    elif argument and argument[1] not in args:
        hint = close(argument[1], args) or "add it to args"
        report.error("query-placeholder", f"there is no argument {argument[1]}", "query", hint=hint)
    elif not argument and name not in PLACEHOLDERS:
        hint = close(name, PLACEHOLDERS) or f"there are args.NAME, {', '.join(PLACEHOLDERS)}"
        report.error("query-placeholder", f"nothing is filled in for {{{{{name}}}}}", "query", hint=hint)


def _check_condition(metric: MetricSpec, report: Report) -> None:
    """Something that can be failed: without a condition Argo Rollouts lets every measurement succeed."""
    limits = metric.threshold_range
    if limits is not None and limits.min is not None and limits.max is not None and limits.min > limits.max:
        message = f"min {limits.min:g} is more than max {limits.max:g}, so every measurement fails"
        report.error("value", message, "thresholdRange", "min", hint="exchange the two")
    if (limits is None or (limits.min is None and limits.max is None)) and not metric.compares:
        message = f"{metric.name} has no condition, so it could never fail"
        comparing = "" if metric.provider.prometheus else ", or `provider: {envoy: {compareTo: stable}}`"
        report.error("no-condition", message, hint=f"add thresholdRange with min or max{comparing}", key=True)


def _check_times(metric: MetricSpec, report: Report) -> None:
    check_duration(metric.interval, report, "interval")
    check_duration(metric.initial_delay if metric.initial_delay > timedelta() else None, report, "initialDelay")
    if metric.count is None:
        return
    if metric.count > 1 and metric.interval is None:
        message = f"{metric.count} measurements need an interval between them"
        report.error("missing-field", message, "count", hint="add interval: 30s", key=True)
    elif metric.failure_limit >= metric.count:
        message = f"{metric.count} measurements can't fail more than {metric.failure_limit} times"
        idle(
            report, message, "failureLimit", hint="make it smaller than count, or -1 if failures are to change nothing"
        )
