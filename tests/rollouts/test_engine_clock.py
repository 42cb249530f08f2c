"""Time: a restart neither shortens nor repeats a wait, and what an unsteady clock wrote down holds nothing up."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from reconciler.rollouts.facts import Verified
from tests.rollouts.world import START, WEB, Caller, World, rollout

STEPS = [{"setWeight": 5}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, {"pause": {}}]


@pytest.fixture
def world() -> World:
    found = World(rollout(steps=STEPS))
    found.settle()
    return found


@pytest.mark.parametrize("seconds", [0, 1, 299, 599])
@pytest.mark.parametrize("way", ["restart", "crash"])
def test_a_restart_neither_shortens_nor_repeats_a_pause(world: World, seconds: int, way: str) -> None:
    """Whenever the daemon comes back, with all it knew or with what had to be recorded, the pause ends when it would have."""
    world.pass_time(seconds=seconds)
    getattr(world, way)()
    assert world.settle().due == START + timedelta(minutes=10)
    world.pass_time(seconds=600 - seconds - 1)
    getattr(world, way)()
    world.settle()
    assert world.step == 1
    world.pass_time(seconds=1)
    world.settle()
    assert world.step == 3


def test_a_pause_goes_on_while_nobody_is_there(world: World) -> None:
    """A daemon that comes back after the end of the pause takes the step at once, and only that."""
    world.pass_time(hours=1)
    world.crash()
    world.settle()
    assert (world.step, world.weight) == (3, 50)


def test_without_any_evidence_a_wait_begins_anew(world: World) -> None:
    """With the record branch lost a pause is never shorter than it should be."""
    world.pass_time(minutes=9)
    world.evidence = world.kept = None
    assert world.settle().due == world.now + timedelta(minutes=10)


def test_the_receipt_that_verified_a_step_says_when_its_clock_started(world: World) -> None:
    """What the record branch shows goes before when the engine came to look, so losing the evidence costs nothing."""
    world.pass_time(minutes=9)
    verified = Verified(scope=frozenset({WEB}), since=START + timedelta(seconds=5))
    world.evidence = world.kept = None
    facts = world.facts
    world.facts = lambda: replace(facts(), verified=verified)  # type: ignore[method-assign]
    assert world.settle().due == START + timedelta(minutes=10, seconds=5)


def test_times_from_the_future_count_as_now(world: World) -> None:
    """A clock that was two hours ahead when a step was verified does not hold the pause for two hours."""
    assert world.evidence is not None
    world.evidence = replace(world.evidence, verified=START + timedelta(hours=2), entered=START + timedelta(hours=2))
    world.pass_time(minutes=1)
    assert world.settle().due == START + timedelta(minutes=11)
    world.restart()
    world.pass_time(minutes=1)
    assert world.settle().due == START + timedelta(minutes=11)


def test_time_zones_are_harmless(world: World) -> None:
    """The same instants in another zone give the same decisions."""
    world.pass_time(minutes=1)
    east = timezone(timedelta(hours=5, minutes=30))
    assert world.evidence is not None
    assert world.evidence.verified is not None
    world.evidence = replace(world.evidence, verified=world.evidence.verified.astimezone(east))
    world.restart()
    world.now = world.now.astimezone(east)
    assert world.settle().due == START + timedelta(minutes=10)


def test_a_laggard_during_a_pause_does_not_begin_it_anew(world: World) -> None:
    """An Envoy that restarts holds the next step until it is back; the pause has been."""
    world.pass_time(minutes=5)
    world.callers[WEB] = Caller(epoch="2")
    world.laggards = {WEB: "unreachable"}
    world.settle()
    world.pass_time(minutes=5)
    assert world.settle().reason.startswith("not live on 1 of 1 proxies")
    world.laggards = {}
    world.settle()
    assert world.step == 3
