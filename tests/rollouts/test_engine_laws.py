"""Laws: whatever callers count, people commit and daemons suffer, in any order, some things never happen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.rollout import Phase
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.evidence_plain import from_plain
from tests.rollouts.world import API, WEB, Caller, World, rollout, template, touched

PAUSE = 60
STEPS: list[dict[str, Any]] = [
    {"setWeight": 5},
    {"pause": {"duration": PAUSE}},
    {"setWeight": 0.5},
    {"setWeight": 25},
    {"analysis": {"templates": [{"templateName": "once"}]}},
    {"setWeight": 60},
    {"pause": {}},
    {"setWeight": 100},
]
RATE: dict[str, Any] = {"name": "request-success-rate", "thresholdRange": {"min": 90}, "minRequests": 50}
TEMPLATES = (template("once", RATE), template("always", {**RATE, "interval": "30s", "failureLimit": 1}))
WEIGHTS = {0.0, 5.0, 0.5, 25.0, 60.0, 100.0}


@dataclass
class Law(World):
    """A world that watches over every commit, with its own idea of how long a step was live and what it served there.

    Attributes:
        live: Seconds for which the current step was live; None while it is not.
        good: Requests that the canary served in that time.
        taken: Steps that were taken since somebody last intervened.
        by_people: Whether a person gave a reason to pause that does not come from measurements.
    """

    live: float | None = None
    good: int = 0
    taken: set[tuple[str, int]] = field(default_factory=set)
    by_people: bool = False
    dies: bool = False

    def turn(self) -> Decision:
        """One pass; one that dies has committed, and recorded nothing."""
        self._see()
        kept = self.kept
        decision = super().turn()
        if self.dies:
            self.kept, self.dies = kept, False
            self.crash()
        self._see()
        return decision

    def _see(self) -> None:
        if self.live is None and self.status is not None and self.status.phase is Phase.PROGRESSING:
            self.good = 0
            if self.applied and not self.laggards:
                self.live = 0.0

    def pass_time(self, **duration: float) -> None:
        super().pass_time(**duration)
        if self.live is not None:
            self.live += duration.get("seconds", 0)

    def serve(self, requests: int, errors: int) -> None:
        for caller in self.callers.values():
            caller.serve(requests, min(errors, requests), stable=requests)
            self.good += requests

    def commit(self, decision: Decision) -> None:
        """Carry out a decision, if it may be one."""
        before = self.course.status
        assert decision.before == before
        self._allowed(decision)
        if decision.weight is not None:
            self._weighed(decision)
        super().commit(decision)
        self.live = None

    def _allowed(self, decision: Decision) -> None:
        before, after = decision.before, decision.status
        match decision.move:
            case Move.START:
                assert (after.phase, after.step) == (Phase.PROGRESSING, 0)
                assert after.run != before.run
                self.taken.clear()
            case Move.ADVANCE | Move.FINISH:
                assert before.phase is Phase.PROGRESSING
                ends = decision.move is Move.FINISH
                assert after.step == (len(self.course.steps) if ends else before.step + 1)
                self._recorded(before.step)
                self._done(before.step)
                assert (after.run, after.step) not in self.taken
                self.taken.add((after.run, after.step))
            case Move.ABORT:
                assert (after.phase, decision.weight) == (Phase.ABORTED, 0)
            case Move.PAUSE:
                assert decision.weight is None
                if "main went" in decision.reason:
                    assert self.by_people
            case _:
                assert decision.move is Move.RESUME
                self.taken.clear()

    def _recorded(self, step: int) -> None:
        """What a killed daemon finds is never more than one step behind what is now committed."""
        assert self.kept is not None
        kept = from_plain(json.loads(self.kept))
        assert (kept.run, kept.step) == (self.course.status.run, step)

    def _done(self, index: int) -> None:
        """The step that is left was live, and its wait was waited for in full, or a person asked to go on."""
        assert self.applied
        assert not self.laggards
        assert self.live is not None
        if (self.spec.step or 0) > index:
            return
        assert index != 6, "an endless pause is ended by people"
        if index == 1:
            assert self.live >= PAUSE
        if index == 4:
            assert self.good >= 50

    def _weighed(self, decision: Decision) -> None:
        weight = decision.weight or 0.0
        assert weight in WEIGHTS
        if decision.move is not Move.ABORT:
            assert weight == self.course.weight_at(decision.status.step)
        if weight > self.weight:
            readable = [caller for key, caller in self.callers.items() if key not in self.unread]
            assert all(caller.healthy for caller in readable)
            assert not self.laggards

    def reset(self) -> None:
        """A person intervened: what was taken may be taken again."""
        self.taken.clear()
        self.live = None
        self.by_people = True


def _tick(world: Law, seconds: int) -> None:
    world.pass_time(seconds=seconds)


def _crash(world: Law, way: int) -> None:
    match way % 4:
        case 0:
            world.restart()
        case 1:
            world.crash()
        case 2:
            world.dies = True
        case _:
            world.evidence = world.kept = None
            world.live = None


def _trouble(world: Law, which: int) -> None:
    caller = world.callers[WEB]
    match which % 6:
        case 0:
            world.laggards = {} if world.laggards else {API: "late"}
        case 1:
            caller.healthy = 1 - caller.healthy
        case 2:
            world.unread ^= {WEB}
        case 3:
            caller.restart()
        case 4:
            world.carry_out = not world.carry_out
        case _:
            world.applied = not world.applied


def _person(world: Law, which: int) -> None:
    match which % 7:
        case 0 if world.phase() in {Phase.PROGRESSING, Phase.PAUSED}:
            world.weight, world.touched = float(which), (touched(),)
            world.by_people = True
        case 1:
            world.edit(paused=not world.spec.paused)
        case 2:
            world.edit(step=which % 9)
        case 3:
            world.edit(step=None)
        case 4 if world.phase() is Phase.PAUSED:
            world.resume()
            world.reset()
        case 5 if len(world.log) > 1 and world.phase() is Phase.PROGRESSING:
            if world.log[-2].status.run == world.course.status.run:
                world.status, world.weight = world.log[-2].status, world.course.weight_at(world.log[-2].status.step)
                world.touched = (touched("took a step back"),)
                world.reset()
        case 6 if which > 40:
            world.edit(abort=True)
        case _:
            pass


def _serve(world: Law, number: int) -> None:
    world.serve(number * 4, number if number % 5 == 0 else 0)


Act = tuple[Callable[[Law, int], None], int]
acts: st.SearchStrategy[Act] = st.one_of(
    st.tuples(st.just(_tick), st.sampled_from([0, 1, 10, 29, 30, 60, 600])),
    st.tuples(st.just(_serve), st.integers(0, 50)),
    st.tuples(st.just(_crash), st.integers(0, 3)),
    st.tuples(st.just(_trouble), st.integers(0, 5)),
    st.tuples(st.just(_person), st.integers(0, 50)),
    st.tuples(st.sampled_from([_tick]), st.just(60)),
)


def new() -> Law:
    found = Law(rollout(steps=STEPS, analysis={"templates": [{"templateName": "always"}]}), templates=TEMPLATES)
    found.callers = {WEB: Caller(), API: Caller()}
    return found


@settings(deadline=None, max_examples=100)
@given(st.lists(st.tuples(acts, st.integers(1, 4)), max_size=40))
def test_no_sequence_of_events_breaks_the_walk(events: list[tuple[Act, int]]) -> None:
    """Weights are those of steps and rise only through a gate; steps are taken once, one by one, recorded first; aborts end at 0.

    And when all trouble is over, and people let it go on, the run comes to an end.
    """
    world = new()
    for (act, number), turns in events:
        act(world, number)
        for _ in range(turns):
            world.turn()
        if world.phase() is Phase.ABORTED:
            assert world.weight == 0 or world.by_people
    _ends(world)


def _ends(world: Law) -> None:
    world.applied = world.carry_out = True
    world.unread, world.laggards, world.dies = set(), {}, False
    for caller in world.callers.values():
        caller.healthy = 1
    for _ in range(40):
        world.edit(paused=False, step=world.step + 1 if world.step == 6 else None)
        if world.phase() is Phase.PAUSED:
            world.resume()
            world.reset()
        world.serve(100, 0)
        world.settle()
        if world.phase().ended:
            break
        world.pass_time(seconds=60)
    if world.spec.abort:
        assert world.phase() in {Phase.PENDING, Phase.ABORTED}
    ends = {Phase.PENDING: 0, Phase.ABORTED: 0, Phase.SUCCEEDED: 100}
    assert world.weight == ends[world.phase()]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.sampled_from([1, 10, 30, 60]), st.integers(0, 3)), min_size=30, max_size=60))
def test_killed_or_not_the_steps_are_the_same(events: list[tuple[int, int]]) -> None:
    """A run through restarts, kills and kills right after a commit takes the steps that a run without them takes."""
    calm, rough = new(), new()
    for world in (calm, rough):
        world.edit(step=7)
    for seconds, way in events:
        for world in (calm, rough):
            world.pass_time(seconds=seconds)
            world.serve(60, 0)
        if way != 3:
            _crash(rough, way)
        calm.turn()
        rough.turn()
    for world in (calm, rough):
        _ends(world)
    assert rough.phase() is Phase.SUCCEEDED
    assert [(item.move, item.status) for item in rough.log] == [(item.move, item.status) for item in calm.log]
