"""Metrics as a rollout measures them: templates and arguments put together, defaults and placeholders filled in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from reconciler.clock import format_duration
from reconciler.model.analysis import DURATION, AnalysisTemplate, Argument, MetricSpec
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.rollout import Rollout
from reconciler.rollouts.expansion import AnalysisUse

BACKGROUND_INTERVAL = timedelta(seconds=60)
"""Between measurements in the background where a metric says nothing."""

_PLACEHOLDER = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric of one analysis of one rollout.

    Attributes:
        name: Unique in its analysis: `<template>/<metric>`, or the metric's own name where it stands in the rollout itself.
        spec: As people wrote it.
        interval: From the start, and from each measurement, to the next; zero for a single measurement without an interval.
        count: Measurements that it takes; None for as long as the analysis runs.
        query: For a Prometheus, filled in; "" for Envoy's counters.
        rate: Its share of the rollout's false-alarm rate; 0 if it is not compared with stable.
    """

    name: str
    spec: MetricSpec
    interval: timedelta
    count: int | None
    query: str = ""
    rate: float = 0.0

    @property
    def kind(self) -> Literal["success", "duration"]:
        """What of the callers' counters it looks at."""
        return "duration" if self.spec.name == DURATION else "success"

    @property
    def label(self) -> str:
        """What it measures, for people: `success rate`, `p99`, or the metric's own name."""
        if self.spec.envoy is None:
            return self.spec.name
        return f"p{self.spec.envoy.percentile:g}" if self.kind == "duration" else "success rate"

    @property
    def unit(self) -> str:
        """What stands behind its values: `%`, ` ms`, or nothing."""
        if self.spec.envoy is None:
            return ""
        return " ms" if self.kind == "duration" else "%"


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """Where an analysis is used.

    Attributes:
        rollout: By which rollout.
        templates: All AnalysisTemplates.
        background: Whether beside the steps.
    """

    rollout: Policy[Rollout]
    templates: Mapping[Key, AnalysisTemplate]
    background: bool


def metrics_of(use: Use, analysis: AnalysisUse) -> tuple[Metric, ...]:
    """All metrics of an analysis, in order; a template that is named twice counts once."""
    found: dict[str, Metric] = {}
    for metric in _each(use, analysis):
        found.setdefault(metric.name, metric)
    return tuple(found.values())


def _each(use: Use, analysis: AnalysisUse) -> Iterator[Metric]:
    for reference in analysis.templates:
        template = use.templates[Key(use.rollout.key.namespace, reference.template_name)]
        args = _args(template.args) | _args(analysis.args)
        for spec in template.metrics:
            yield _metric(use, spec, f"{reference.template_name}/{spec.name}", args)
    for spec in analysis.metrics:
        yield _metric(use, spec, spec.name, _args(analysis.args))


def _args(arguments: tuple[Argument, ...]) -> dict[str, str]:
    return {argument.name: argument.value for argument in arguments if argument.value is not None}


def _metric(use: Use, spec: MetricSpec, name: str, args: Mapping[str, str]) -> Metric:
    interval = spec.interval if spec.interval is not None else BACKGROUND_INTERVAL if use.background else timedelta()
    count = spec.count if spec.count is not None or use.background else 1
    query = spec.provider.prometheus.query if spec.provider.prometheus is not None else ""
    return Metric(
        name=name,
        spec=spec,
        interval=interval,
        count=count,
        query=_filled(query, use.rollout, interval or BACKGROUND_INTERVAL, args),
    )


def _filled(query: str, rollout: Policy[Rollout], interval: timedelta, args: Mapping[str, str]) -> str:
    values = {
        "namespace": rollout.key.namespace,
        "target": rollout.resolve(rollout.spec.target.virtual_service.name).name,
        "stable": rollout.spec.stable,
        "canary": rollout.spec.canary,
        "interval": format_duration(interval),
        **{f"args.{name}": value for name, value in args.items()},
    }
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), query)
