"""Canaries judged by other measures than a threshold on their own counters: compared with stable, and asked of a Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.canary import Canary
from tests.e2e.rig import git
from tests.http.servers import serving, silent
from tests.prometheus.server import Prometheus, Target, scraping

ANALYSIS = BACKGROUND = "analysis: {templates: [{templateName: golden-signals}]}"
COMPARED = """\
  - name: request-success-rate
    interval: 1s
    minRequests: 10
    provider: {envoy: {compareTo: stable}}
"""
QUEUE = """\
  - name: queue
    interval: 1s
    thresholdRange: {{max: 10}}
    provider: {{prometheus: {{address: "{address}", query: 'queue{{version="{{{{canary}}}}"}}'}}}}
"""


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    """One gateway as the caller in front of two versions; v1 serves everything."""
    with Canary(tmp_path_factory.mktemp("m")) as canary:
        yield canary


@pytest.fixture
def source(tmp_path: Path) -> Iterator[tuple[Prometheus, Target]]:
    """A Prometheus that knows how long the queues of both versions are."""
    with scraping(tmp_path, 'queue{version="v1"} 2\nqueue{version="v2"} 3\n') as found:
        yield found


def last_message(canary: Canary) -> str:
    return git("-C", str(canary.repo), "log", "-1", "--format=%B", "main")


@pytest.mark.long
def test_a_canary_that_is_worse_than_stable_is_aborted_without_any_threshold(canary: Canary) -> None:
    """2% of errors are what stable has; 20% are not."""
    canary.upstreams["v1"].fail, canary.upstreams["v2"].fail = 0.02, 0.2
    fields = f"{BACKGROUND}\nfalseAlarmRate: 0.1"  # sooner
    rollout = canary.rollout("setWeight: 50", "pause: {}", fields=fields, metrics=COMPARED)
    canary.commit(rollout, "Roll v2 out")
    with canary.daemon(), canary.load(rate=200):
        canary.until("Aborted")
    assert canary.weights() == (100, 0)
    assert "the canary is worse" in last_message(canary), last_message(canary)
    assert "stable 9" in last_message(canary), last_message(canary)


@pytest.mark.long
def test_a_canary_that_fails_as_stable_does_is_no_worse(canary: Canary) -> None:
    """A bad day of both is no fault of the canary; and it gets the rest only when it was compared, not before."""
    canary.upstreams["v1"].fail = canary.upstreams["v2"].fail = 0.1
    steps = ("setWeight: 50", "pause: {duration: 1s}", "setWeight: 100")
    canary.commit(canary.rollout(*steps, fields=BACKGROUND, metrics=COMPARED), "Roll v2 out")
    with canary.daemon(), canary.load(rate=200):
        canary.until("Succeeded")
    assert canary.weights() == (0, 100)


@pytest.mark.long
def test_a_prometheus_that_is_down_holds_and_is_named_until_it_is_back(
    canary: Canary, source: tuple[Prometheus, Target]
) -> None:
    """No answer is no verdict, neither way."""
    prometheus, _ = source
    metrics = QUEUE.format(address=prometheus.address)
    prometheus.stop()
    canary.commit(canary.rollout("setWeight: 50", ANALYSIS, "setWeight: 100", metrics=metrics), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.status().get("step") == "1", "the analysis")
        canary.wait(lambda: "outcome: error" in canary.evidence(), "the error is recorded")
        assert prometheus.address in canary.evidence()
        assert prometheus.address in canary.command("rollout", "show", "details").out
        assert (canary.phase(), canary.weights()) == ("Progressing", (50, 50))
        prometheus.start()
        canary.until("Succeeded")


@pytest.mark.long
def test_a_value_of_a_prometheus_that_is_not_good_enough_aborts_and_is_told(
    canary: Canary, source: tuple[Prometheus, Target]
) -> None:
    """The commit that gives traffic back says which value was behind it."""
    prometheus, target = source
    rollout = canary.rollout(
        "setWeight: 50", "pause: {}", fields=BACKGROUND, metrics=QUEUE.format(address=prometheus.address)
    )
    canary.commit(rollout, "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.status().get("step") == "1", "the pause")
        canary.wait(lambda: "passed: " in canary.evidence(), "a good value")
        target.samples = 'queue{version="v1"} 2\nqueue{version="v2"} 4711\n'
        canary.until("Aborted")
    assert canary.weights() == (100, 0)
    assert "queue 4711 > 10" in last_message(canary), last_message(canary)


@pytest.mark.long
def test_a_prometheus_that_hangs_keeps_no_pass_waiting(canary: Canary) -> None:
    """Its 30 seconds are its own: what a person commits meanwhile is live as ever."""
    with serving(silent) as hangs:
        metrics = QUEUE.format(address=hangs.address)
        canary.commit(canary.rollout("setWeight: 50", ANALYSIS, metrics=metrics), "Roll v2 out")
        with canary.daemon(), canary.load() as load:
            canary.wait(lambda: hangs.connections > 0, "it is asked")
            canary.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  abort: true\n", "Stop it")
            canary.wait(lambda: load.last(100).keys() == {(200, "v1")}, "all traffic on stable")
            canary.until("Aborted")
            assert hangs.connections == 1
