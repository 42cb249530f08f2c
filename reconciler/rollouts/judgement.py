"""Judgement: one metric at one time, from its window or an answer to pass, fail, inconclusive or error, or to waiting.

Too little traffic and a source that is down never judge: the first waits, the second is tried again. What a comparison with
stable finds is looked at in every turn, because it may be.
"""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.model.analysis import ThresholdRange
from reconciler.rollouts.comparison import Judgement, begin, judge
from reconciler.rollouts.evidence import Measured, Outcome
from reconciler.rollouts.facts import Answer
from reconciler.rollouts.metric import Metric
from reconciler.rollouts.quantiles import quantile
from reconciler.rollouts.wording import amount, requests, threshold

RETRY = timedelta(seconds=10)
"""After no answer, and wherever nothing says when something may change."""

PERCENT = 100.0


def fresh(metric: Metric, now: datetime) -> Measured:
    """Before anything was measured."""
    envoy = metric.spec.envoy
    if not metric.spec.compares or envoy is None:
        return Measured(since=now)
    state = begin(metric.kind, rate=metric.rate, percentile=envoy.percentile, users=envoy.users)
    return Measured(since=now, comparison=state)


def finished(metric: Metric, measured: Measured) -> bool:
    """Whether it took all its measurements."""
    return metric.count is not None and measured.taken >= metric.count


def due_at(metric: Metric, measured: Measured) -> datetime:
    """When the next measurement is due: after an interval, of which the first begins after the initial delay."""
    if measured.outcome is Outcome.ERROR:
        return measured.since + RETRY
    if measured.begun:
        return measured.since + (metric.interval or RETRY)
    return measured.since + metric.spec.initial_delay + metric.interval


def broken(metric: Metric, measured: Measured) -> str:
    """Why the run has to be aborted: too many failures, or a canary that is worse than stable; "" if it has not."""
    if measured.comparison is not None and (found := judge(measured.comparison)).verdict == "fail":
        return compared(metric, found)
    limit = metric.spec.failure_limit
    return measured.detail if 0 <= limit < measured.failed else ""


def doubtful(metric: Metric, measured: Measured) -> str:
    """Why a person has to look: too many measurements without a verdict, or without an answer; "" if nobody has."""
    spec = metric.spec
    if 0 <= spec.inconclusive_limit < measured.inconclusive:
        return f"{measured.inconclusive} measurements were inconclusive, the last one: {measured.detail}"
    if 0 <= spec.consecutive_error_limit < measured.errors:
        return f"{measured.errors} times in a row there was no answer: {measured.detail}"
    return ""


def measure(metric: Metric, measured: Measured, now: datetime, answer: Answer | None) -> Measured:
    """Take a measurement if one is due and there is enough to measure."""
    if finished(metric, measured):
        return replace(measured, waiting="")
    if measured.comparison is not None and (found := judge(measured.comparison)).verdict == "fail":
        detail = compared(metric, found)
        return replace(measured, value=found.canary, outcome=Outcome.FAIL, detail=detail, waiting="")
    if due_at(metric, measured) > now:
        return replace(measured, waiting="")
    if metric.spec.envoy is None:
        return _answered(metric, measured, now, answer)
    return _counted(metric, measured, now)


def _answered(metric: Metric, measured: Measured, now: datetime, answer: Answer | None) -> Measured:
    if answer is None:
        return replace(measured, waiting="an answer")
    if answer.error:
        limit = metric.spec.consecutive_error_limit
        errors = min(measured.errors + 1, max(limit, 0) + 1)
        return replace(
            measured, since=now, errors=errors, outcome=Outcome.ERROR, value=None, detail=answer.error, waiting=""
        )
    if answer.value is None or math.isnan(answer.value):
        return _inconclusive(measured, now, f"{metric.label} has no value")
    limits = metric.spec.threshold_range or ThresholdRange()
    passed = _within(limits, answer.value)
    return _conclusive(measured, now, answer.value, threshold(metric, limits, answer.value), passed=passed)


def _counted(metric: Metric, measured: Measured, now: datetime) -> Measured:
    window, needed = measured.canary, max(metric.spec.min_requests, 1)
    if window.requests < needed:
        return replace(measured, waiting=f"{window.requests:,} of {requests(needed)}")
    if metric.kind == "duration" and not window.times:
        return replace(measured, waiting="request times")
    found = None if measured.comparison is None else judge(measured.comparison)
    if found is not None and found.verdict == "inconclusive":
        if not found.enough:
            return replace(measured, waiting=f"a comparison: {found.detail}")
        return _inconclusive(measured, now, compared(metric, found))
    value = value_of(metric, measured)
    limits = metric.spec.threshold_range or ThresholdRange()
    said = [f"{threshold(metric, limits, value)} ({requests(window.requests)})"]
    said += [compared(metric, found)] if found is not None else []
    return _conclusive(measured, now, value, "; ".join(said), passed=_within(limits, value))


def value_of(metric: Metric, measured: Measured) -> float:
    """What a window of the callers' counters says: percent of success, or milliseconds."""
    window, envoy = measured.canary, metric.spec.envoy
    if metric.kind == "duration" and envoy is not None:
        return quantile(window.times, envoy.percentile)
    return PERCENT * (window.requests - window.errors) / window.requests


def compared(metric: Metric, found: Judgement) -> str:
    """A comparison in words."""
    if math.isnan(found.canary) or math.isnan(found.stable):
        return f"{metric.label}: {found.detail}"
    return f"{metric.label} {amount(metric, found.canary)}, stable {amount(metric, found.stable)}: {found.detail}"


def _within(limits: ThresholdRange, value: float) -> bool:
    low, high = limits.min, limits.max
    return (low is None or value >= low) and (high is None or value <= high)


def _conclusive(measured: Measured, now: datetime, value: float, detail: str, *, passed: bool) -> Measured:
    return replace(
        _anew(measured, now),
        passed=measured.passed + passed,
        failed=measured.failed + (not passed),
        value=value,
        outcome=Outcome.PASS if passed else Outcome.FAIL,
        detail=detail,
    )


def _inconclusive(measured: Measured, now: datetime, detail: str) -> Measured:
    return replace(
        _anew(measured, now),
        inconclusive=measured.inconclusive + 1,
        value=None,
        outcome=Outcome.INCONCLUSIVE,
        detail=detail,
    )


def _anew(measured: Measured, now: datetime) -> Measured:
    """The same with an empty window that begins now. There was an answer, so errors are no longer in a row."""
    return Measured(
        since=now,
        passed=measured.passed,
        failed=measured.failed,
        inconclusive=measured.inconclusive,
        comparison=measured.comparison,
    )
