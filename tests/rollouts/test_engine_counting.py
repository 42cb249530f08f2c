"""Counters of callers become windows: each request counts once, and none that can't be told for sure."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from reconciler.model.rollout import Phase
from reconciler.rollouts.evidence import Measured
from tests.rollouts.world import API, SLOW, WEB, Caller, World, rollout, template

RATE = {"name": "request-success-rate", "interval": "1m", "thresholdRange": {"min": 99}, "minRequests": 10**6}
TIME = {"name": "request-duration", "interval": "1m", "thresholdRange": {"max": 500}, "minRequests": 10**6}
STEPS = [{"setWeight": 20}, {"pause": {}}, {"setWeight": 50}, {"pause": {}}]


def world_of(*metrics: dict[str, object], steps: Sequence[object] = STEPS) -> World:
    use = {"templates": [{"templateName": "golden"}]}
    found = World(rollout(steps=steps, analysis=use), templates=(template("golden", *metrics),))
    found.callers = {WEB: Caller(), API: Caller()}
    for caller in found.callers.values():
        caller.serve(7000, 7000, stable=7000, stable_errors=7000)
    found.settle()
    return found


@pytest.fixture
def world() -> World:
    """A run that waits at 20% and measures in the background; what was counted before it began is nobody's."""
    return world_of(RATE)


def measured(world: World, name: str = "golden/request-success-rate") -> Measured:
    assert world.evidence is not None
    return world.evidence.analyses["background"].metrics[name]


def counted(world: World) -> tuple[int, int]:
    world.turn()
    found = measured(world)
    return found.canary.requests, found.canary.errors


def test_windows_hold_what_came_since_the_analysis_began(world: World) -> None:
    """Of all callers together, canary and stable apart, once each however often they are read."""
    assert counted(world) == (0, 0)
    world.callers[WEB].serve(10, 1, stable=40)
    world.callers[API].serve(5, stable=20, stable_errors=2)
    assert counted(world) == (15, 1)
    assert counted(world) == (15, 1)
    world.callers[API].serve(1, 1)
    assert counted(world) == (16, 2)
    assert (measured(world).stable.requests, measured(world).stable.errors) == (60, 2)


def test_a_caller_that_can_not_be_read_is_counted_later_in_full(world: World) -> None:
    """What it counted in the meantime comes with its next reading."""
    world.callers[WEB].serve(10, 1)
    world.unread = {WEB}
    world.callers[API].serve(3)
    assert counted(world) == (3, 0)
    world.callers[WEB].serve(10)
    world.unread = set()
    assert counted(world) == (23, 1)


def test_a_turn_without_a_reading_loses_nothing(world: World) -> None:
    """Nobody was asked, so everything comes later."""
    world.callers[WEB].serve(10, 1)
    world.reads = False
    assert counted(world) == (0, 0)
    world.reads = True
    assert counted(world) == (10, 1)


@pytest.mark.parametrize("count", [0, 1, 9000])
def test_a_restarted_envoy_is_fewer_observations(world: World, count: int) -> None:
    """Another process' counts are not compared with those before, whether they are lower or higher."""
    world.callers[WEB].serve(10)
    counted(world)
    world.callers[WEB].restart()
    world.callers[WEB].serve(count, count)
    assert counted(world) == (10, 0)
    world.callers[WEB].serve(5, 1)
    assert counted(world) == (15, 1)


def test_counts_that_went_back_are_no_observation(world: World) -> None:
    """A process that can't be told from the one before by its epoch is told by any count that is smaller."""
    world.callers[WEB] = Caller()
    world.callers[WEB].serve(8000, 10)
    assert counted(world) == (0, 0)
    world.callers[WEB].serve(5)
    assert counted(world) == (5, 0)


def test_a_new_caller_counts_from_when_it_is_first_read(world: World) -> None:
    """What it counted before may be from before the canary had traffic."""
    world.callers[next(iter(world.callers))].serve(0)
    key = type(WEB)("default", "new")
    world.callers[key] = Caller()
    world.callers[key].serve(100, 100)
    assert counted(world) == (0, 0)
    world.callers[key].serve(10)
    assert counted(world) == (10, 0)


@pytest.mark.parametrize("way", ["restart", "crash"])
def test_a_restart_of_the_daemon_counts_nothing_twice_and_loses_nothing(world: World, way: str) -> None:
    """Windows and the counters they go up to are one value: they are recorded, lost and found together."""
    world.callers[WEB].serve(10)
    assert counted(world) == (10, 0)
    getattr(world, way)()
    world.callers[WEB].serve(5)
    assert counted(world) == (15, 0)


def test_counters_are_remembered_only_while_they_are_needed(world: World) -> None:
    """The record branch holds no counters of a run that measures nothing, and no request times that nobody looks at."""
    assert world.evidence is not None
    assert set(world.evidence.callers) == {WEB, API}
    assert not world.evidence.callers[WEB].canary.times  # type: ignore[union-attr]
    world.edit(abort=True)
    world.settle()
    assert world.evidence.callers == {}
    plain = World(rollout(steps=STEPS))
    plain.settle()
    assert plain.evidence is not None
    assert plain.evidence.callers == {}


def test_request_times_are_counted_from_when_they_are_looked_at() -> None:
    """A caller that was read without its times before has none since then."""
    world = world_of(RATE)
    world.callers[WEB].serve(10, bucket=SLOW)
    world.turn()
    world.templates = (template("golden", RATE, TIME),)
    world.callers[WEB].serve(20, bucket=SLOW)
    world.turn()
    assert counted(world) == (30, 0)
    assert measured(world, "golden/request-duration").canary.times == {}
    world.unread = {API}
    world.callers[WEB].serve(5, bucket=SLOW)
    world.callers[API].serve(4)
    world.turn()
    world.unread = set()
    world.turn()
    assert measured(world, "golden/request-duration").canary.times == {SLOW: 5, (10.0, 11.0): 4}
    assert measured(world).canary.times == {}


COMPARED = {"name": "request-success-rate", "provider": {"envoy": {"compareTo": "stable"}}, "minRequests": 10**6}


def fair(world: World) -> tuple[int, int]:
    """Requests of canary and stable that a comparison has seen."""
    world.turn()
    state = measured(world).comparison
    assert state is not None
    return state.canary.requests, state.stable.requests


def test_what_is_compared_was_split_by_one_weight_that_was_live() -> None:
    """Requests between the commit of a weight and its proof on a caller are measured, and not compared."""
    world = world_of(COMPARED)
    world.callers[WEB].serve(20, stable=80)
    assert fair(world) == (20, 80)
    world.edit(step=2)
    world.turn()
    assert world.weight == 50
    world.callers[WEB].serve(25, stable=75)
    world.callers[API].serve(25, stable=75)
    world.laggards = {API: "late"}
    assert fair(world) == (20, 80)
    world.callers[WEB].serve(50, stable=50)
    world.callers[API].serve(20, stable=80)
    assert fair(world) == (70, 130)
    world.laggards = {}
    assert fair(world) == (70, 130)
    world.callers[API].serve(50, stable=50)
    assert fair(world) == (120, 180)
    assert measured(world).canary.requests == 20 + 25 + 25 + 50 + 20 + 50


def test_nothing_is_compared_that_was_not_split_by_weight() -> None:
    """Requests that header or mirror routes bring to the canary are no sample of all requests."""
    mirror = {"setMirrorRoute": {"name": "copy", "percentage": 50}}
    world = world_of(COMPARED, steps=[{"setWeight": 20}, mirror, {"pause": {}}])
    world.turn()
    world.callers[WEB].serve(70, stable=80)
    assert fair(world) == (0, 0)
    world.pass_time(minutes=2)
    world.turn()
    assert measured(world).waiting.endswith("nothing is compared while a header or mirror route is in force")


def test_a_weight_that_went_and_came_back_is_not_one_weight() -> None:
    """A caller that could not be read in between is not compared over the change."""
    world = world_of(COMPARED)
    world.edit(paused=True)
    world.settle()
    world.unread = {WEB}
    world.weight = 0
    world.turn()
    world.weight = 20
    world.callers[WEB].serve(20, stable=80)
    world.unread = set()
    assert fair(world) == (0, 0)
    world.callers[WEB].serve(20, stable=80)
    assert fair(world) == (20, 80)


def test_a_step_that_is_resumed_counts_from_then_on() -> None:
    """What callers counted while the run was paused is not the step's."""
    steps = [{"setWeight": 20}, {"analysis": {"templates": [{"templateName": "golden"}]}}]
    found = World(rollout(steps=steps), templates=(template("golden", {**RATE, "minRequests": 100}),))
    found.settle()
    found.callers[WEB].serve(50)
    found.edit(paused=True)
    found.settle()
    found.edit(paused=False)
    found.turn()
    found.callers[WEB].serve(500, 500)
    found.settle()
    assert found.phase() is Phase.PROGRESSING
    assert found.evidence is not None
    (own,) = found.evidence.analyses["step-1"].metrics.values()
    assert own.canary.requests == 0
