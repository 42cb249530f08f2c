"""A small part of the benchmark of tests/benchmarks/analysis.py, by the same code and seeds."""

from __future__ import annotations

import pytest

from tests.benchmarks.analysis import bad_run, false_alarms, healthy_run, healthy_times, slow_run
from tests.benchmarks.analysis_bounds import at_least
from tests.benchmarks.analysis_methods import RATE
from tests.benchmarks.analysis_traffic import MODELS

RUNS = 60


@pytest.mark.parametrize("model", MODELS)
def test_healthy_canaries_are_not_aborted_more_often_than_promised(model: str) -> None:
    """Whatever traffic does: what was observed does not contradict 1%, with a certainty of 99%."""
    found = false_alarms([healthy_run(model, number) for number in range(RUNS)])
    assert found["ours"]["at least"] <= RATE


@pytest.mark.parametrize("model", ["independent", "sticky"])
def test_healthy_request_times_are_not_aborted_more_often_than_promised(model: str) -> None:
    """The same for request times."""
    assert at_least(sum(healthy_times(model, number)["ours"] for number in range(15)), 15) <= RATE


def test_the_simulation_finds_out_methods_that_break_their_promise() -> None:
    """A test made for one look, and one for independent requests, are shown to be wrong by as few runs."""
    rows = [healthy_run(model, number) for model in ("overdispersed", "sticky-hash") for number in range(RUNS)]
    found = false_alarms(rows)
    assert found["z-test"]["at least"] > RATE
    assert found["per request"]["at least"] > RATE


def test_independent_traffic_is_concluded_from() -> None:
    """Staying inconclusive would keep any promise: with requests spread one by one there is a verdict."""
    rows = [healthy_run("independent", number) for number in range(30)]
    assert sum(row["concluded"] for row in rows) >= 29


@pytest.mark.parametrize("errors", [(0.01, 0.05), (0.001, 0.01)])
def test_bad_canaries_are_found(errors: tuple[float, float]) -> None:
    """At 25% of 1,000 requests a window, within 100 windows."""
    for number in range(5):
        spent = bad_run(errors, 0.25, number)["ours"]
        assert spent is not None
        assert spent[0] <= 100_000


def test_slow_canaries_are_found() -> None:
    """A tail that is half as slow again, with the median as it was, is found from detailed histograms."""
    spent = slow_run("tail", 0.25, 0)["ours"]
    assert spent is not None
    assert spent[0] <= 200_000


@pytest.mark.parametrize(
    ("count", "runs", "bound"), [(0, 100, 0.0), (10, 100, 0.0419), (100, 100, 0.955), (1, 10, 0.001)]
)
def test_bounds_are_exact(count: int, runs: int, bound: float) -> None:
    """By Clopper and Pearson; for all of n it is 0.01 ** (1 / n)."""
    assert at_least(count, runs) == pytest.approx(bound, abs=6e-4)
