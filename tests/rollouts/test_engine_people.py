"""People first: whoever writes on `main` holds the run, and says how it goes on. An abort is always possible."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.model.rollout import Phase
from reconciler.rollouts.decision import Move
from tests.rollouts.world import START, WEB, World, rollout, touched

STEPS = [
    {"setWeight": 5},
    {"pause": {"duration": "10m"}},
    {"setWeight": 25},
    {"pause": {"duration": "10m"}},
    {"setWeight": 50},
    {"pause": {}},
]


@pytest.fixture
def world() -> World:
    """A run that pauses at 25%."""
    found = World(rollout(steps=STEPS))
    found.settle()
    found.pass_time(minutes=10)
    found.settle()
    assert (found.step, found.weight) == (3, 25)
    return found


def test_a_persons_commit_pauses_and_is_named(world: World) -> None:
    """The status says who did what, in which commit; the weights stay as the person put them."""
    world.weight = 40
    world.touched = (touched(), touched("edited the steps"))
    assert world.turn().move is Move.PAUSE
    assert world.reason == "Ann moved the weight of reviews (0123456789 Take v2 back, and 1 more commit)"
    assert (world.phase(), world.step, world.weight) == (Phase.PAUSED, 3, 40)
    world.pass_time(hours=9)
    assert world.settle().reason == world.reason
    assert world.step == 3


def test_the_commit_that_proxies_are_held_at_is_no_step_back(world: World) -> None:
    """While the head can't be applied, the last good commit is looked at, which may be older than what is known."""
    newest, older = world.status, world.log[-2].status
    assert older.step < world.step
    world.applied, world.status = False, older
    assert world.turn().move is Move.HOLD
    assert not world.turns[-1].keep
    world.applied, world.status = True, newest
    assert world.settle().move is Move.HOLD
    assert world.phase() is Phase.PROGRESSING


def test_a_pause_that_was_not_pushed_is_not_forgotten(world: World) -> None:
    """Commits are told apart once; why the run has to pause stays in the evidence until main says it."""
    world.touched = (touched(),)
    world.carry_out = False
    world.turn()
    world.restart()
    world.pass_time(hours=1)
    assert world.turn().reason.startswith("Ann moved the weight of reviews")
    world.carry_out = True
    assert world.turn().move is Move.PAUSE
    world.resume()
    world.settle()
    assert world.phase() is Phase.PROGRESSING


def test_a_step_that_was_taken_back_pauses(world: World) -> None:
    """A `git revert` of a step puts weight and status back; the engine does not take it again by itself."""
    world.status = world.log[1].status
    world.weight = 5
    assert world.turn().move is Move.PAUSE
    assert world.reason == "main went back from step 4 to step 2"
    assert (world.step, world.weight) == (1, 5)
    world.resume()
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 1, 5)
    world.pass_time(minutes=10)
    world.settle()
    assert world.step == 3


def test_steps_can_not_be_jumped_over_without_asking(world: World) -> None:
    """A status that is further on than the engine went pauses, unless `spec.step` asked for as much."""
    assert world.status is not None
    world.status = world.status.model_copy(update={"step": 5})
    world.weight = 50
    world.turn()
    assert world.reason == "main went on from step 4 to step 6 at once"


def test_a_jump_that_the_spec_asks_for_is_followed(world: World) -> None:
    """`spec.step: 5` and a status of 5 agree."""
    assert world.status is not None
    world.status = world.status.model_copy(update={"step": 5})
    world.weight = 50
    world.edit(step=5)
    world.settle()
    assert (world.phase(), world.step) == (Phase.PROGRESSING, 5)


def test_a_weight_that_is_not_the_steps_pauses(world: World) -> None:
    """Progress comes from main's status: a weight beside it is a question, never an answer."""
    world.weight = 30
    world.turn()
    assert world.reason == "main gives v2 30%, and step 4 25%"
    assert world.weight == 30


def test_routes_that_differ_pause(world: World) -> None:
    """All routes of the target give the canary the same."""
    world.even = False
    world.turn()
    assert world.reason == "the target's routes do not give v2 the same weight"


def test_a_live_weight_of_0_is_not_a_beginning(world: World) -> None:
    """Flagger takes a weight of 0 in the middle of a run for its start. Here the step is main's, and a person is asked."""
    world.weight = 0
    world.pass_time(hours=1)
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PAUSED, 3, 0)
    world.resume()
    world.settle()
    assert (world.step, world.weight) == (3, 25)


def test_edited_weights_never_raise_the_weight(world: World) -> None:
    """Flagger sends everything to the canary where the current weight is none of the edited ones. Here the run pauses."""
    edited = [{"setWeight": 1}, {"setWeight": 20}, {"pause": {}}, {"setWeight": 80}]
    world.edit(steps=edited)
    world.settle()
    assert world.reason == "the steps were edited while the run walks them"
    assert (world.phase(), world.weight) == (Phase.PAUSED, 25)


def test_an_edited_timeout_changes_nothing(world: World) -> None:
    """Flagger resets the weights where a route's timeout is edited. Here other edits are not even seen."""
    before = world.settle()
    world.spec = world.spec.model_copy()
    world.edit(progressDeadlineSeconds=300)
    assert world.settle() == before
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 3, 25)


def test_spec_paused_holds_and_lets_go(world: World) -> None:
    """The pause is the person's, and so is its end; the step that was paused is waited for again in full."""
    world.edit(paused=True)
    world.pass_time(minutes=5)
    world.settle()
    assert (world.phase(), world.reason, world.weight) == (Phase.PAUSED, "spec.paused is set", 25)
    world.pass_time(hours=5)
    world.settle()
    assert world.phase() is Phase.PAUSED
    world.edit(paused=False)
    assert world.settle().due == world.now + timedelta(minutes=10)
    assert world.moves()[-2:] == [Move.PAUSE, Move.RESUME]
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 3, 25)


def test_the_engine_resumes_without_raising_a_weight(world: World) -> None:
    """Who took weight away while it was paused finds the run at the step that fits."""
    world.edit(paused=True)
    world.settle()
    world.weight = 10
    world.edit(paused=False)
    world.settle()
    assert world.log[-2].move is Move.RESUME
    assert world.log[-2].status.step == 0
    assert (world.step, world.weight) == (1, 5)


def test_edited_steps_are_resumed_where_they_fit(world: World) -> None:
    """After an edit the run goes on at the last weight that is no more than the canary has."""
    world.edit(paused=True)
    world.settle()
    world.edit(paused=False, steps=[{"setWeight": 1}, {"setWeight": 20}, {"pause": {}}, {"setWeight": 80}])
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 2, 20)


def test_another_pause_is_not_ended_by_the_engine(world: World) -> None:
    """Only `spec.paused` is let go of by itself; what a person was asked to look at, a person resumes."""
    world.touched = (touched(),)
    world.turn()
    world.edit(paused=True)
    world.settle()
    world.edit(paused=False)
    world.settle()
    assert world.phase() is Phase.PAUSED


@pytest.mark.parametrize("paused", [False, True])
def test_a_person_aborts(world: World, paused: bool) -> None:  # noqa: FBT001
    """All traffic goes to stable, whatever the phase, with no proxy asked and no laggard waited for."""
    if paused:
        world.edit(paused=True)
        world.settle()
    world.edit(abort=True)
    world.laggards = {WEB: "unreachable"}
    world.reads = world.applied = False
    assert world.turn().move is Move.ABORT
    assert (world.phase(), world.step, world.weight, world.reason) == (Phase.ABORTED, 3, 0, "spec.abort is set")
    assert world.settle().move is Move.HOLD


def test_an_abort_stands_until_main_says_it_and_is_applied(world: World) -> None:
    """Where main can't be moved the evidence says so, after a crash too, and main follows when it can."""
    world.edit(abort=True)
    world.carry_out = False
    decision = world.turn()
    assert decision.move is Move.ABORT
    assert world.turns[-1].keep
    world.crash()
    world.edit(abort=False)
    assert world.turn().move is Move.ABORT
    assert world.evidence is not None
    assert world.evidence.aborted is not None
    assert world.evidence.aborted.at == START + timedelta(minutes=10)
    world.carry_out, world.applied = True, False
    world.turn()
    world.turn()
    assert world.phase() is Phase.ABORTED
    assert world.evidence.aborted is not None
    world.applied = True
    world.turn()
    assert world.evidence.aborted is None


def test_an_aborted_run_is_tried_again_as_another_run(world: World) -> None:
    """`spec.run` begins anew; without it an abort is the end, and with `spec.abort` nothing begins."""
    world.edit(abort=True)
    world.settle()
    world.edit(abort=False)
    world.settle()
    assert world.phase() is Phase.ABORTED
    world.edit(run="2", abort=True)
    assert world.settle().reason == "spec.abort is set, so no run begins"
    world.edit(abort=False, paused=True)
    assert world.settle().reason == "spec.paused is set, so no run begins"
    world.edit(paused=False)
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 1, 5)


def test_a_run_that_had_ended_is_not_set_going_by_a_revert(world: World) -> None:
    """A revert of the abort brings weight and status back; a person has to say that it is meant."""
    before = world.status
    world.edit(abort=True)
    world.settle()
    world.edit(abort=False)
    world.status, world.weight = before, 25
    world.turn()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "the run had ended (Aborted) and was set going again"


def test_who_touches_a_run_again_after_resuming_it_pauses_it_again(world: World) -> None:
    """A resume settles what was before it, and nothing that comes after."""
    world.touched = (touched(),)
    world.settle()
    world.resume()
    world.touched = (touched("edited the steps"),)
    world.settle()
    assert world.phase() is Phase.PAUSED
    assert world.reason.startswith("Ann edited the steps")


def test_a_run_whose_beginning_is_taken_back_does_not_begin_again(world: World) -> None:
    """A `git revert` of all its commits leaves a spec that asks for the run; a person asks again, if they want it."""
    world.status, world.weight = None, 0
    world.touched = (touched("took the beginning of the run back"),)
    world.carry_out = False
    assert world.turn().move is Move.PAUSE
    world.crash()
    world.carry_out = True
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PAUSED, 0, 0)
    assert world.course.status.run == "v1->v2"
    assert world.reason.startswith("Ann took the beginning of the run back")
    world.pass_time(hours=9)
    assert world.settle().move is Move.HOLD
    world.resume()
    world.settle()
    assert (world.phase(), world.step, world.weight) == (Phase.PROGRESSING, 1, 5)


def test_a_branch_that_is_pushed_back_to_before_a_run_begins_nothing(world: World) -> None:
    """Nobody's commit did it, so the reason says what is seen; another `spec.run` begins."""
    world.status, world.weight = None, 0
    world.turn()
    assert world.phase() is Phase.PAUSED
    assert world.reason == "main was taken back to before the run began"
    world.edit(run="2")
    world.settle()
    assert (world.phase(), world.weight) == (Phase.PROGRESSING, 5)


def test_a_run_that_is_aborted_and_taken_back_is_aborted(world: World) -> None:
    """What was found out about the canary is not taken back with the commits."""
    world.carry_out = False
    world.edit(abort=True)
    world.turn()
    world.status, world.weight = None, 0
    world.edit(abort=False)
    world.carry_out = True
    world.settle()
    assert (world.phase(), world.weight, world.course.status.run) == (Phase.ABORTED, 0, "v1->v2")


def test_a_commit_from_before_a_run_that_proxies_are_held_at_takes_nothing_back(world: World) -> None:
    """While the head can't be applied, what was known stays known."""
    newest, evidence = world.status, world.evidence
    world.applied, world.status = False, None
    assert world.turn().move is Move.HOLD
    assert not world.turns[-1].keep
    world.applied, world.status = True, newest
    assert world.settle().move is Move.HOLD
    assert world.evidence is not None
    assert evidence is not None
    assert (world.evidence.verified, world.phase()) == (evidence.verified, Phase.PROGRESSING)
