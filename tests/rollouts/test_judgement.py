"""One metric: when it is due, what its window or an answer says, and in which words."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.model.analysis import MetricSpec
from reconciler.model.reading import Counts
from reconciler.rollouts.evidence import Measured, Outcome
from reconciler.rollouts.facts import Answer
from reconciler.rollouts.judgement import broken, doubtful, due_at, finished, fresh, measure
from reconciler.rollouts.metric import Metric

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROMETHEUS = {"prometheus": {"address": "http://p", "query": "q"}}


def metric(name: str = "request-success-rate", *, interval: float = 0, count: int | None = 1, **spec: Any) -> Metric:
    parsed = MetricSpec.model_validate_json(json.dumps({"name": name, **spec}))
    return Metric(name=f"golden/{name}", spec=parsed, interval=timedelta(seconds=interval), count=count)


def window(requests: int, errors: int = 0, **times: int) -> Measured:
    buckets = {(float(low), float(low) + 1): number for low, number in ((key[1:], n) for key, n in times.items())}
    return Measured(since=NOW, canary=Counts(requests=requests, errors=errors, times=buckets))


def detail(metric: Metric, measured: Measured, answer: Answer | None = None) -> str:
    return measure(metric, measured, NOW, answer).detail


@pytest.mark.parametrize(
    ("range_", "requests", "errors", "said"),
    [
        ({"min": 99}, 1204, 71, "success rate 94.1% < 99% (1,204 requests)"),
        ({"min": 99}, 1000, 10, "success rate 99.0% >= 99% (1,000 requests)"),
        ({"min": 99.95}, 10000, 6, "success rate 99.94% < 99.95% (10,000 requests)"),
        ({"min": 99}, 100000, 1, "success rate 99.99% >= 99% (100,000 requests)"),
        ({"min": 90}, 100, 0, "success rate 100% >= 90% (100 requests)"),
        ({"min": 50, "max": 60}, 100, 45, "success rate 55.0% >= 50% and <= 60% (100 requests)"),
        ({"max": 60}, 100, 30, "success rate 70.0% > 60% (100 requests)"),
    ],
)
def test_a_success_rate_is_told_beside_its_limit(
    range_: dict[str, float], requests: int, errors: int, said: str
) -> None:
    """Both ends are good enough, and no number is rounded over the limit that it breaks."""
    found = measure(metric(thresholdRange=range_), window(requests, errors), NOW, None)
    assert found.detail == said
    kept = range_.get("min", 0) <= 100 * (requests - errors) / requests <= range_.get("max", 100)
    assert found.outcome is (Outcome.PASS if kept else Outcome.FAIL)


def test_request_times_are_told_in_milliseconds() -> None:
    """The percentile is the metric's own, and named."""
    spec = metric("request-duration", thresholdRange={"max": 5}, provider={"envoy": {"percentile": 50}})
    found = measure(spec, window(100, _2=90, _700=10), NOW, None)
    assert found.outcome is Outcome.PASS
    assert found.value is not None
    assert 2 <= found.value <= 3
    assert found.detail.startswith("p50 2.")
    assert found.detail.endswith(" ms <= 5 ms (100 requests)")


def test_requests_without_times_are_waited_over() -> None:
    """Requests that broke on the way have no time, and are not taken for fast ones."""
    found = measure(metric("request-duration", thresholdRange={"max": 5}), window(100, 100), NOW, None)
    assert (found.waiting, found.outcome) == ("request times", None)


@pytest.mark.parametrize(
    ("least", "said"), [(0, "0 of 1 request"), (1, "0 of 1 request"), (2000, "0 of 2,000 requests")]
)
def test_without_requests_there_is_nothing_to_measure(least: int, said: str) -> None:
    """Even where no request is asked for."""
    assert measure(metric(minRequests=least), window(0), NOW, None).waiting == said


def test_a_measurement_is_due_after_delay_and_interval() -> None:
    """The delay once, the interval each time, and without an interval what is inconclusive is looked at again soon."""
    spec = metric(interval=60, count=None, initialDelay="30s")
    first = fresh(spec, NOW)
    assert due_at(spec, first) == NOW + timedelta(seconds=90)
    assert due_at(spec, replace(first, outcome=Outcome.PASS)) == NOW + timedelta(seconds=60)
    assert due_at(spec, replace(first, outcome=Outcome.ERROR)) == NOW + timedelta(seconds=10)
    assert due_at(metric(), replace(first, outcome=Outcome.INCONCLUSIVE)) == NOW + timedelta(seconds=10)


def test_a_finished_metric_measures_no_more() -> None:
    """Its count is its count."""
    spec = metric(thresholdRange={"min": 99})
    found = measure(spec, window(100), NOW, None)
    assert finished(spec, found)
    assert measure(spec, replace(found, canary=Counts(requests=100, errors=100)), NOW, None).failed == 0


def test_an_answer_is_judged_by_its_threshold() -> None:
    """Small numbers keep their digits."""
    spec = metric("errors", thresholdRange={"max": 0.001}, provider=PROMETHEUS)
    assert detail(spec, Measured(since=NOW), Answer(0.000731)) == "errors 0.000731 <= 0.001"
    assert measure(spec, Measured(since=NOW), NOW, Answer(float("inf"))).outcome is Outcome.FAIL


def test_errors_in_a_row_are_counted_as_far_as_they_matter() -> None:
    """One more than is put up with is enough to know; any answer forgets them."""
    spec = metric("errors", consecutiveErrorLimit=1, provider=PROMETHEUS)
    found = Measured(since=NOW)
    counted = []
    for minute in range(4):
        found = measure(spec, found, NOW + timedelta(minutes=minute), Answer(error="down"))
        counted.append((found.errors, bool(doubtful(spec, found))))
    assert counted == [(1, False), (2, True), (2, True), (2, True)]
    assert measure(spec, found, NOW + timedelta(minutes=9), Answer(1.0)).errors == 0


def test_a_limit_of_minus_one_puts_up_with_anything() -> None:
    """Failures, inconclusive measurements and errors each have their own limit."""
    many = Measured(since=NOW, failed=99, inconclusive=99, errors=99, detail="bad")
    open_ = metric(failureLimit=-1, inconclusiveLimit=-1, consecutiveErrorLimit=-1)
    assert broken(open_, many) == ""
    assert doubtful(open_, many) == ""
    assert broken(metric(), many) == "bad"
    assert doubtful(metric(inconclusiveLimit=98), many).startswith("99 measurements were inconclusive")
