"""The walk: a run starts, goes from step to step as reality allows, and ends."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from reconciler.model.rollout import Phase
from reconciler.rollouts.decision import Move
from tests.rollouts.world import API, KEY, START, WEB, Caller, World, rollout

STEPS = [{"setWeight": 5}, {"pause": {"duration": "10m"}}, {"setWeight": 50}, {"pause": {}}, {"setWeight": 100}]


@pytest.fixture
def world() -> World:
    return World(rollout(steps=STEPS))


def test_a_run_walks_from_the_first_step_to_the_last(world: World) -> None:
    """Each step is one commit, each weight is that of its step, and the end is all traffic on the canary."""
    assert world.settle().due == START + timedelta(minutes=10)
    assert (world.step, world.weight) == (1, 5)
    world.pass_time(minutes=10)
    hold = world.settle()
    assert (world.step, world.weight) == (3, 50)
    assert hold.due is None
    assert hold.reason == "waits for a person; spec.step: 4 promotes it"
    world.edit(step=4)
    world.settle()
    assert world.phase() is Phase.SUCCEEDED
    assert world.moves() == [Move.START, *[Move.ADVANCE] * 4, Move.FINISH]
    assert [decision.status.step for decision in world.log] == [0, 1, 2, 3, 4, 5]
    assert world.weights() == [5, 5, 50, 50, 100, 100]
    assert [decision.reason for decision in world.log] == [
        "run v1->v2 begins",
        "5% is live",
        "paused for 10m",
        "50% is live",
        "promoted by spec.step: 4",
        "100% is live",
    ]
    assert world.log[0].status.steps == world.course.digest
    assert world.settle().move is Move.HOLD


def test_a_step_is_recorded_before_the_next_is_taken(world: World) -> None:
    """The turn that first sees a step keeps it and goes no further: what is recorded is never two steps behind."""
    world.turn()
    decision = world.turn()
    assert decision.move is Move.HOLD
    assert decision.due == world.now
    assert world.turns[-1].keep
    assert not world.turns[-2].keep
    assert world.turn().move is Move.ADVANCE
    assert not world.turns[-1].keep


def test_what_is_recorded_of_a_step_says_what_it_waits_for(world: World) -> None:
    """The turn that first sees a step is often the last one that is recorded for a long time."""
    world.settle()
    assert world.kept is not None
    assert json.loads(world.kept)["note"] == "hold: pauses for 10m"
    world.pass_time(minutes=10)
    world.settle()
    assert json.loads(world.kept)["note"] == "hold: waits for a person; spec.step: 4 promotes it"


def test_another_run_starts_when_the_spec_asks_for_one(world: World) -> None:
    """`spec.run` begins anew after an end, once the canary has its weight back."""
    world.edit(step=9)
    world.settle()
    assert world.phase() is Phase.SUCCEEDED
    world.edit(run="2", step=None)
    world.turn()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "v2 already has more than the first step's 5%: 100%"
    assert world.weight == 100
    world.status = world.log[-2].status
    world.weight = 0
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 1, 5)
    assert world.course.status.run == "v1->v2#2"


def test_a_promotion_of_one_run_is_none_of_the_next(world: World) -> None:
    """`spec.step` that is left over from the run before would carry the next one past its pauses, so it has to go first."""
    world.edit(step=9)
    world.settle()
    world.weight = 0
    world.edit(run="2")
    held = world.turn()
    assert (held.move, world.phase()) == (Move.HOLD, Phase.SUCCEEDED)
    assert held.reason == "spec.step is 9, which was meant for another run: remove it, or set it to 0"
    world.edit(step=0)
    world.settle()
    assert (world.phase(), world.step) == (Phase.PROGRESSING, 1)


def test_a_run_that_was_left_in_the_middle_strands_nobody_s_traffic(world: World) -> None:
    """Another canary's run would leave the old one its share for good, and call that all traffic: people have to see it first."""
    world.settle()
    world.edit(canary="v3")
    world.weight, world.stranded = 0, "v2 still has 5%"
    world.turn()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "v2 still has 5% from the run v1->v2, which had not ended: take that away, then resume"


def test_the_clock_starts_when_every_proxy_is_verified(world: World) -> None:
    """A pause counts from when the step is live everywhere; a laggard holds it and is named."""
    world.callers[API] = Caller()
    world.turn()
    world.laggards = {API: "unreachable"}
    hold = world.settle()
    assert hold.reason == "not live on 1 of 2 proxies: api (unreachable)"
    assert world.step == 0
    world.pass_time(minutes=5)
    world.laggards = {}
    assert world.settle().due == START + timedelta(minutes=15)
    world.pass_time(minutes=10)
    world.laggards = {API: "late"}
    world.settle()
    assert (world.step, world.weight) == (1, 5)
    world.laggards = {}
    world.settle()
    assert world.weight == 50


def test_as_many_laggards_as_the_spec_allows_hold_nothing(world: World) -> None:
    """`maxLaggards` lets the run go on, and a laggard is not asked for healthy endpoints either."""
    world.callers[API] = Caller(healthy=0)
    world.laggards = {API: "unreachable"}
    world.edit(maxLaggards=1)
    world.settle()
    assert world.step == 1


def test_a_step_that_does_not_become_live_in_time_pauses(world: World) -> None:
    """After the progress deadline a person has to look, and is told who lags behind."""
    world.turn()
    world.laggards = {WEB: "rejected"}
    world.settle()
    world.pass_time(seconds=599)
    assert world.turn().move is Move.HOLD
    world.pass_time(seconds=1)
    assert world.turn().move is Move.PAUSE
    assert world.reason == "no progress in 10m: not live on 1 of 1 proxies: web (rejected)"
    assert world.weight == 5
    world.laggards = {}
    assert world.settle().move is Move.HOLD
    world.resume()
    world.settle()
    assert world.step == 1


def test_no_weight_rises_while_a_caller_sees_no_healthy_canary(world: World) -> None:
    """Every caller that can be read must have somebody to send to; one that can't be read is no reason."""
    world.callers = {WEB: Caller(healthy=0), API: Caller()}
    hold = world.turn()
    assert hold.reason == "no healthy endpoint of v2 at web"
    assert hold.due == START + timedelta(seconds=10)
    world.unread = {WEB}
    assert world.turn().move is Move.START


def test_a_weight_falls_only_to_a_healthy_stable() -> None:
    """A step down is held while stable has nobody; an abort is not."""
    world = World(rollout(steps=[{"setWeight": 50}, {"setWeight": 10}, {"pause": {}}]))
    world.callers[WEB].stable_healthy = 0
    assert world.settle().reason == "no healthy endpoint of v1 at web"
    assert world.weight == 50
    world.edit(abort=True)
    assert world.turn().move is Move.ABORT
    assert world.weight == 0


def test_a_header_route_needs_a_healthy_canary_too() -> None:
    """Requests that match go to the canary whatever the weight is."""
    match = [{"headerName": "x", "headerValue": {"exact": "y"}}]
    world = World(
        rollout(steps=[{"pause": {"duration": 0}}, {"setHeaderRoute": {"name": "x", "match": match}}, {"pause": {}}])
    )
    world.callers[WEB].healthy = 0
    assert world.settle().reason == "no healthy endpoint of v2 at web"
    assert world.step == 0
    world.callers[WEB].healthy = 1
    world.settle()
    assert (world.step, world.weight) == (2, 0)


def test_nothing_goes_up_where_nobody_was_asked(world: World) -> None:
    """Without proxies, or without a reading, nothing is known, so nothing moves."""
    world.reads = False
    assert world.turn().reason == "no caller was asked for healthy endpoints of v2"
    world.reads, world.callers = True, {}
    assert world.turn().reason == "no proxy carries the split"
    assert world.log == []


def test_nothing_advances_while_main_can_not_be_applied(world: World) -> None:
    """A head that is invalid or refused holds the run, its deadline too; an abort goes through."""
    world.turn()
    world.applied = False
    assert world.settle().reason == "the head of main can't be applied"
    world.pass_time(hours=3)
    world.settle()
    world.applied = True
    world.settle()
    assert (world.phase(), world.step) == (Phase.PROGRESSING, 1)
    world.applied = False
    world.pass_time(hours=1)
    assert world.turn().move is Move.HOLD
    world.edit(abort=True)
    assert world.turn().move is Move.ABORT


def test_promoting_reaches_a_step_one_verified_commit_at_a_time(world: World) -> None:
    """`spec.step` skips what steps wait for, never a step, a verification or a health check."""
    world.edit(step=5)
    world.turn()
    world.laggards = {WEB: "late"}
    world.settle()
    assert world.step == 0
    world.laggards = {}
    world.callers[WEB].healthy = 0
    world.settle()
    assert (world.step, world.weight) == (1, 5)
    world.callers[WEB].healthy = 1
    world.settle()
    assert [decision.status.step for decision in world.log] == [0, 1, 2, 3, 4, 5]
    assert world.phase() is Phase.SUCCEEDED


def test_what_was_decided_is_decided_again_until_main_says_it(world: World) -> None:
    """A push that was rejected costs a turn and nothing else; the evidence never runs ahead of main."""
    world.carry_out = False
    assert [world.turn().move for _ in range(3)] == [Move.START] * 3
    world.carry_out = True
    world.settle()
    world.pass_time(minutes=10)
    world.carry_out = False
    assert [world.turn().status.step for _ in range(3)] == [2] * 3
    assert world.evidence is not None
    assert world.evidence.step == 1
    world.carry_out = True
    world.settle()
    assert world.step == 3


def test_a_decision_names_its_rollout_and_what_was_before(world: World) -> None:
    """What people read is made from the decision alone."""
    decision = world.turn()
    assert decision.rollout == KEY
    assert decision.before.phase is Phase.PENDING
    assert decision.commits
