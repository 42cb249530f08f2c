"""Analyses: what was measured lets the run go on, holds it, asks a person, or aborts it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.model.rollout import Phase
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.evidence import Measured, Outcome
from reconciler.rollouts.facts import Answer
from tests.rollouts.world import SLOW, WEB, World, rollout, template

USE = {"templates": [{"templateName": "golden"}]}
RATE: dict[str, Any] = {"name": "request-success-rate", "thresholdRange": {"min": 99}}
PROM: dict[str, Any] = {
    "name": "queue",
    "interval": "1m",
    "thresholdRange": {"max": 10},
    "provider": {"prometheus": {"address": "http://p:9090", "query": "queue"}},
}
ANALYSED = [{"setWeight": 20}, {"analysis": USE}, {"setWeight": 50}, {"pause": {}}]


def in_step(*metrics: dict[str, Any], **spec: Any) -> World:
    """A run that is at an analysis, in its second step."""
    found = World(rollout(steps=ANALYSED, **spec), templates=(template("golden", *metrics),))
    found.settle()
    assert found.step == 1
    return found


def beside(*metrics: dict[str, Any], steps: list[dict[str, Any]] | None = None, **spec: Any) -> World:
    """A run with an analysis in the background, in its first pause."""
    walked = [{"setWeight": 20}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, {"pause": {}}]
    found = World(rollout(steps=steps or walked, analysis=USE, **spec), templates=(template("golden", *metrics),))
    found.settle()
    return found


def served(world: World, requests: int, errors: int = 0, **more: Any) -> Decision:
    world.callers[WEB].serve(requests, errors, **more)
    return world.settle()


def metric(world: World, analysis: str, name: str) -> Measured:
    assert world.evidence is not None
    return world.evidence.analyses[analysis].metrics[f"golden/{name}"]


def test_too_little_traffic_waits_and_never_judges() -> None:
    """A measurement that is due waits for its requests, in numbers, and looks again soon."""
    world = in_step(RATE)
    hold = served(world, 37, 37)
    assert hold.reason == "golden/request-success-rate: 37 of 100 requests"
    assert hold.due == world.now + timedelta(seconds=10)
    world.pass_time(minutes=5)
    assert served(world, 0).reason == "golden/request-success-rate: 37 of 100 requests"
    assert world.step == 1


def test_what_is_measured_often_is_looked_at_as_often() -> None:
    """Somebody who measures every two seconds does not wait for ten when a window was short of a request."""
    world = in_step({**RATE, "interval": "2s", "count": 1})
    world.pass_time(seconds=2)
    assert served(world, 99).due == world.now + timedelta(seconds=2)
    hasty = in_step({**RATE, "interval": "10ms", "count": 1})
    hasty.pass_time(seconds=2)
    assert served(hasty, 99).due == hasty.now + timedelta(seconds=1)


def test_a_step_goes_on_when_its_analysis_passed() -> None:
    """The measured value is in the decision that follows from it."""
    world = in_step(RATE)
    served(world, 400, 3)
    assert world.step == 3
    advance = world.log[2]
    assert advance.reason == "the analysis passed"
    assert advance.measured == ("golden/request-success-rate: success rate 99.25% >= 99% (400 requests)",)


def test_evidence_aborts_with_the_measured_value() -> None:
    """One failure more than is put up with, and all traffic is on stable; the status says what was measured."""
    world = in_step(RATE)
    served(world, 1204, 71)
    assert world.log[-1].move is Move.ABORT
    assert world.phase() is Phase.ABORTED
    assert world.weight == 0
    said = "success rate 94.1% < 99% (1,204 requests)"
    assert world.reason == f"golden/request-success-rate failed: {said}"
    assert world.log[-1].measured == (f"golden/request-success-rate: {said}",)


def test_request_times_are_judged_by_their_percentile() -> None:
    """The builtin is the 99th percentile, in milliseconds."""
    world = in_step({"name": "request-duration", "thresholdRange": {"max": 500}})
    world.callers[WEB].serve(90)
    served(world, 20, bucket=SLOW)
    assert world.phase() is Phase.ABORTED
    assert world.reason.startswith("golden/request-duration failed: p99 1,0")
    assert world.reason.endswith(" ms > 500 ms (110 requests)")


def test_measurements_are_an_interval_apart_each_with_its_own_window() -> None:
    """The first is due an interval after the initial delay; each window begins where the one before ended."""
    world = in_step({**RATE, "interval": "1m", "initialDelay": "30s", "count": 3, "failureLimit": 1})
    assert served(world, 100).due == world.now + timedelta(seconds=10)
    world.pass_time(seconds=89)
    served(world, 0)
    assert metric(world, "step-1", "request-success-rate").taken == 0
    world.pass_time(seconds=1)
    served(world, 0)
    world.pass_time(minutes=1)
    served(world, 100, 50)
    found = metric(world, "step-1", "request-success-rate")
    assert (found.passed, found.failed, found.value, found.canary.requests) == (1, 1, 50.0, 0)
    assert world.phase() is Phase.PROGRESSING
    world.pass_time(minutes=1)
    served(world, 100)
    assert world.step == 3


def test_failures_are_counted_over_the_whole_analysis() -> None:
    """A pass in between forgives nothing."""
    world = in_step({**RATE, "interval": "1m", "count": 9, "failureLimit": 1})
    for errors in (50, 0, 50):
        assert world.phase() is Phase.PROGRESSING
        world.pass_time(minutes=1)
        served(world, 100, errors)
    assert world.phase() is Phase.ABORTED


def test_any_number_of_failures_can_be_put_up_with() -> None:
    """A limit of -1 only tells."""
    world = in_step({**RATE, "interval": "1m", "count": 2, "failureLimit": -1})
    for _ in range(2):
        world.pass_time(minutes=1)
        served(world, 100, 100)
    assert world.step == 3


def test_the_background_aborts_at_any_step() -> None:
    """In a pause, too, and while the run is paused."""
    world = beside(RATE)
    world.edit(paused=True)
    world.settle()
    world.pass_time(minutes=1)
    served(world, 100, 50)
    assert world.phase() is Phase.ABORTED


def test_the_background_begins_at_its_step() -> None:
    """Before `startingStep` nothing is measured."""
    world = World(rollout(steps=ANALYSED, analysis={**USE, "startingStep": 3}), templates=(template("golden", RATE),))
    world.settle()
    assert world.evidence is not None
    assert set(world.evidence.analyses) == {"step-1"}
    served(world, 100)
    assert set(world.evidence.analyses) == {"step-1", "background"}


def test_a_background_without_traffic_does_not_hold_a_step() -> None:
    """Only what it says holds; at the end it must have said something."""
    world = beside(RATE, steps=[{"setWeight": 20}, {"pause": {"duration": "1m"}}, {"setWeight": 100}])
    world.pass_time(minutes=1)
    hold = world.settle()
    assert (world.step, world.weight) == (2, 100)
    assert hold.reason == "nothing succeeds unmeasured: golden/request-success-rate: 0 of 100 requests"
    served(world, 100)
    assert world.phase() is Phase.SUCCEEDED


def test_promoting_fully_succeeds_unmeasured() -> None:
    """A person who says all steps takes it upon himself."""
    world = beside(RATE, steps=[{"setWeight": 100}])
    assert world.phase() is Phase.PROGRESSING
    world.edit(step=1)
    world.settle()
    assert world.phase() is Phase.SUCCEEDED


def test_a_run_that_stays_unmeasured_at_its_end_pauses() -> None:
    """Nothing is neither success nor failure: a person has to look."""
    world = beside(RATE, steps=[{"setWeight": 100}])
    world.pass_time(minutes=11)
    world.settle()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "no verdict in 10m more than it needs: golden/request-success-rate: 0 of 100 requests"


def test_a_failing_background_holds_the_step_within_its_limit() -> None:
    """As long as the last measurement failed nothing goes up; a good one lets the run go on."""
    world = beside({**RATE, "failureLimit": 3})
    world.pass_time(minutes=10)
    hold = served(world, 100, 50)
    assert (world.step, world.weight) == (1, 20)
    assert hold.reason == "held by golden/request-success-rate: success rate 50.0% < 99% (100 requests)"
    world.pass_time(minutes=1)
    served(world, 100)
    assert world.weight == 50


def test_a_step_analysis_without_a_verdict_pauses_after_its_deadline() -> None:
    """It has what its own intervals need, and the progress deadline on top."""
    world = in_step({**RATE, "interval": "2m", "count": 3})
    world.pass_time(minutes=15, seconds=59)
    world.settle()
    assert world.phase() is Phase.PROGRESSING
    world.pass_time(seconds=1)
    world.settle()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "no verdict in 10m more than it needs: golden/request-success-rate: 0 of 100 requests"


def test_after_the_last_step_there_may_still_be_an_abort() -> None:
    """Post-promotion analysis runs with all traffic on the canary, and can give it back."""
    world = World(rollout(steps=[{"setWeight": 100}], postPromotionAnalysis=USE), templates=(template("golden", RATE),))
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 1, 100)
    served(world, 100, 2)
    assert (world.phase(), world.weight) == (Phase.ABORTED, 0)


def test_after_the_last_step_a_passed_analysis_is_success() -> None:
    """Succeeded means measured with all traffic on the canary."""
    world = World(rollout(steps=[{"setWeight": 100}], postPromotionAnalysis=USE), templates=(template("golden", RATE),))
    world.settle()
    served(world, 100, 1)
    assert world.phase() is Phase.SUCCEEDED
    assert world.log[-1].reason == "the analysis passed"


def test_a_prometheus_is_asked_when_a_measurement_is_due() -> None:
    """Not before, and its answer is the measurement."""
    world = in_step({**PROM, "count": 2})
    assert world.asked == []
    world.pass_time(minutes=1)
    assert world.settle().reason == "golden/queue: an answer"
    (query,) = world.asked
    assert (query.id, query.address, query.query) == ("default/reviews/step-1/golden/queue", "http://p:9090", "queue")
    assert query.timeout == timedelta(seconds=30)
    world.answers = {query.id: Answer(10)}
    world.settle()
    world.turn()
    assert world.asked == []
    assert metric(world, "step-1", "queue").detail == "queue 10 <= 10"
    world.pass_time(minutes=1)
    world.answers = {query.id: Answer(10.5)}
    world.settle()
    assert world.reason == "golden/queue failed: queue 10.5 > 10"


def test_a_source_that_is_down_holds_then_asks_a_person() -> None:
    """Errors are tried again every ten seconds; more in a row than are put up with pause, and nothing ever aborts."""
    world = in_step({**PROM, "consecutiveErrorLimit": 2})
    world.answers = {"default/reviews/step-1/golden/queue": Answer(error="connection refused")}
    world.pass_time(minutes=1)
    hold = world.settle()
    assert hold.reason == "golden/queue: connection refused"
    assert hold.due == world.now + timedelta(seconds=10)
    world.pass_time(seconds=10)
    world.settle()
    assert world.phase() is Phase.PROGRESSING
    world.pass_time(seconds=10)
    world.settle()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "golden/queue: 3 times in a row there was no answer: connection refused"
    assert world.weight == 20
    world.answers = {"default/reviews/step-1/golden/queue": Answer(1)}
    world.resume()
    world.settle()
    world.pass_time(minutes=1)
    world.settle()
    assert world.step == 3


def test_an_answer_ends_errors_in_a_row() -> None:
    """Down and back, down and back never adds up."""
    world = in_step({**PROM, "count": 5, "consecutiveErrorLimit": 1})
    for value in (None, 1.0) * 4:
        world.pass_time(minutes=1)
        world.answers = {"default/reviews/step-1/golden/queue": Answer(value, error="" if value else "timed out")}
        world.settle()
    assert world.phase() is Phase.PROGRESSING
    assert metric(world, "step-1", "queue").taken == 4


@pytest.mark.parametrize("value", [None, float("nan")])
def test_an_empty_answer_is_inconclusive(value: float | None) -> None:
    """No value is neither good nor bad; one more than is put up with asks a person."""
    world = in_step({**PROM, "inconclusiveLimit": 1})
    world.answers = {"default/reviews/step-1/golden/queue": Answer(value)}
    world.pass_time(minutes=1)
    assert world.settle().reason == "golden/queue: queue has no value"
    assert metric(world, "step-1", "queue").outcome is Outcome.INCONCLUSIVE
    world.pass_time(minutes=1)
    world.settle()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "golden/queue: 2 measurements were inconclusive, the last one: queue has no value"


def test_a_source_that_is_down_in_the_background_holds_the_next_step() -> None:
    """Nothing goes up blindly, and a record is written for changes, not for each time nobody answers."""
    world = beside({**PROM, "consecutiveErrorLimit": -1})
    world.answers = {"default/reviews/background/golden/queue": Answer(error="connection refused")}
    world.pass_time(minutes=10)
    assert world.settle().reason == "held by golden/queue: connection refused"
    assert world.weight == 20
    for _ in range(3):
        world.pass_time(seconds=10)
        world.turn()
        assert not world.turns[-1].keep
    world.answers = {"default/reviews/background/golden/queue": Answer(1)}
    world.pass_time(seconds=10)
    world.settle()
    assert world.weight == 50


COMPARED: dict[str, Any] = {"name": "request-success-rate", "provider": {"envoy": {"compareTo": "stable"}}}


def test_a_canary_that_is_worse_than_stable_is_aborted_at_once() -> None:
    """No measurement has to be due, and no limit on failures puts up with it."""
    world = beside({**COMPARED, "interval": "1h", "failureLimit": 99})
    for _ in range(40):
        world.pass_time(seconds=10)
        served(world, 100, 30, stable=400, stable_errors=4)
        if world.phase() is not Phase.PROGRESSING:
            break
    assert world.phase() is Phase.ABORTED
    assert world.reason.startswith("golden/request-success-rate failed: success rate 70.0%, stable 99.0%")
    assert world.log[-1].measured == (world.reason.replace(" failed:", ":"),)
    assert world.step == 1


def test_a_canary_that_is_like_stable_passes_its_comparison() -> None:
    """Where enough was seen and nothing was found the analysis is good; a threshold besides has to hold too."""
    world = in_step(COMPARED)
    for _ in range(30):
        world.pass_time(seconds=10)
        served(world, 100, 1, stable=400, stable_errors=4)
        if world.step != 1:
            break
    assert (world.phase(), world.step) == (Phase.PROGRESSING, 3)


def test_a_comparison_without_traffic_on_stable_waits() -> None:
    """Too little to compare with is too little traffic."""
    world = in_step(COMPARED)
    hold = served(world, 200, 100)
    assert hold.reason.startswith("golden/request-success-rate: a comparison: ")
    assert world.step == 1


def test_what_a_comparison_has_seen_survives_a_resume() -> None:
    """The step is measured anew, but the promise on false alarms is one for the run."""
    world = in_step({**COMPARED, "minRequests": 10**6, "failureLimit": 0})
    served(world, 100, stable=400)
    before = metric(world, "step-1", "request-success-rate").comparison
    world.edit(paused=True)
    world.settle()
    world.edit(paused=False)
    world.settle()
    found = metric(world, "step-1", "request-success-rate")
    assert found.canary.requests == 0
    assert found.comparison == before
    assert before is not None
    assert before.canary.requests == 100


def test_stable_keeps_its_requests_until_the_canary_was_compared() -> None:
    """With all traffic on the canary there is nothing to compare with: it would never be judged."""
    steps: list[dict[str, Any]] = [{"setWeight": 50}, {"pause": {"duration": "1m"}}, {"setWeight": 100}]
    world = beside({**COMPARED, "minRequests": 10}, steps=steps)
    world.pass_time(minutes=1)
    hold = world.settle()
    assert (world.step, world.weight) == (1, 50)
    assert hold.reason.startswith("stable is let go only once compared: golden/request-success-rate: 0 of 10 requests")
    for _ in range(40):
        world.pass_time(seconds=10)
        served(world, 200, stable=200)
    assert world.phase() is Phase.SUCCEEDED


def test_what_is_never_compared_pauses_with_stable_still_in_use() -> None:
    """The deadline counts from the end of the pause that the step is; one that waits for a person has none."""
    steps: list[dict[str, Any]] = [{"setWeight": 50}, {"pause": {"duration": "1h"}}, {"setWeight": 100}]
    world = beside({**COMPARED, "minRequests": 10}, steps=steps)
    world.pass_time(minutes=69)
    world.settle()
    assert world.phase() is Phase.PROGRESSING
    world.pass_time(minutes=2)
    world.settle()
    assert (world.phase(), world.weight) == (Phase.PAUSED, 50)
    assert world.reason == "no verdict in 10m more than it needs: golden/request-success-rate: 0 of 10 requests"
    patient = beside(COMPARED, steps=[{"setWeight": 50}, {"pause": {}}, {"setWeight": 100}])
    patient.pass_time(hours=24)
    patient.settle()
    assert patient.phase() is Phase.PROGRESSING
    patient.edit(step=2)
    patient.settle()
    assert patient.weight == 100
