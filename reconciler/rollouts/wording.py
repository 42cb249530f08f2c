"""Wording: numbers and measurements as people read them in reasons, commits and on screens."""

from __future__ import annotations

import math

from reconciler.model.analysis import ThresholdRange
from reconciler.rollouts.metric import Metric

_NINES = 99.0
_TENS = 10


def amount(metric: Metric, value: float) -> str:
    """A value with its unit: `94.1%`, `512 ms`, `0.0021`."""
    return f"{_digits(metric, value)}{metric.unit}"


def _digits(metric: Metric, value: float) -> str:
    if metric.spec.envoy is None:
        return f"{value:.6g}"
    if metric.kind == "duration":
        return f"{value:,.0f}" if value >= _TENS else f"{value:.2g}"
    # Rounded down: 99.96% must not read as 100%.
    return f"{math.floor(value * 100) / 100:.2f}".rstrip("0").removesuffix(".") if value > _NINES else f"{value:.1f}"


def requests(number: int) -> str:
    """`1,204 requests`."""
    return f"{number:,} request{'' if number == 1 else 's'}"


def threshold(metric: Metric, limits: ThresholdRange, value: float) -> str:
    """A value beside the limit that it breaks, or keeps: `success rate 94.1% < 99%`."""
    said = f"{metric.label} {amount(metric, value)}"
    if limits.min is not None and value < limits.min:
        return f"{said} < {_limit(metric, limits.min)}"
    if limits.max is not None and value > limits.max:
        return f"{said} > {_limit(metric, limits.max)}"
    kept = [f">= {_limit(metric, limits.min)}"] if limits.min is not None else []
    kept += [f"<= {_limit(metric, limits.max)}"] if limits.max is not None else []
    return " ".join([said, " and ".join(kept)]).rstrip()


def _limit(metric: Metric, value: float) -> str:
    return f"{value:g}{metric.unit}"


def points(value: float) -> str:
    """A weight: `25%`, `0.1%`."""
    return f"{value:g}%"
