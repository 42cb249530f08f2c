"""Laws of the walk: whatever people, proxies, clocks and other writers do between passes, some things never happen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import Phase as Phase_
from hypothesis import strategies as st

from reconciler.cycle import Report
from reconciler.model.rollout import Phase
from reconciler.rollouts import commands
from reconciler.rollouts.decision import Move
from tests.cycle.walked import BROKEN, ROLLOUT, World

Act = Callable[["Law"], object]
_IDLE = 3
"""Passes in a row that may find nothing to do and yet ask for the next at once."""


@dataclass
class Law(World):
    """A world that watches over what each pass does.

    Attributes:
        persons: Weights that people wrote.
        sick: Whether v2 fails what it is asked.
        calls: Whether anybody asks.
    """

    persons: set[int] = field(default_factory=set)
    sick: bool = False
    idle: int = 0

    def passes(self) -> Report:
        """One pass, and what may be said of it."""
        before, head = self.evidence(), self.head
        live = [envoy.weight for envoy in self.envoys.values()]
        healthy = [envoy.healthy for envoy in self.envoys.values() if not envoy.down]
        broken = self.mesh() is None
        report = self.turn()
        assert not self.given, self.given
        for taken in report.taken:
            decision, parent = taken.decision, self.people.commit_info(taken.commit).parents[0]
            was, now = self.weight(parent), self.weight(taken.commit)
            if decision.move in {Move.ADVANCE, Move.FINISH}:
                assert before is not None
                assert (before.run, before.step) == (decision.before.run, decision.before.step), (before, decision)
            if now > was:
                assert decision.move in {Move.START, Move.ADVANCE, Move.RESUME, Move.FINISH}, decision
                assert not broken
                assert all(healthy)
                assert live == [was] * len(live), (live, was, head)
            if decision.move is Move.ABORT:
                assert now == 0
            elif decision.weight is not None:
                assert now in {0, 10, 30, 40, 100}
        if self.mesh() is not None:
            assert self.weight() in {0, 10, 30, 40, 100} | self.persons
        found = self.evidence()
        if found is not None and found.aborted is not None:
            assert not any(envoy.weight for envoy in self.envoys.values() if not (envoy.down or envoy.deaf)), report
        moved = bool(report.taken or report.receipt)
        self.idle = 0 if moved or report.again != 0.0 else self.idle + 1
        assert self.idle <= _IDLE, (report.again, self.status, found)
        return report

    def settle(self, most: int = 30) -> None:
        """Passes until nothing is to be done at this time."""
        for _ in range(most):
            report = self.passes()
            if not (report.taken or report.receipt or report.again == 0.0):
                return
        raise AssertionError((self.status, self.evidence(), [str(item) for item in report.errors]))

    def tick(self, seconds: float) -> None:
        """Time goes by, and requests with it."""
        for envoy in self.envoys.values():
            envoy.serve(200, fails=self.sick)
        self.clock.passed += seconds

    def person(self, weight: int) -> None:
        self.persons.add(weight)
        self.give(weight)

    def undo(self) -> None:
        """Somebody reverts the newest commit, whosever it is."""
        self.revert()
        self.persons.add(self.weight())

    def mend(self) -> None:
        if self.text(BROKEN):
            self.land({BROKEN: None}, "Mend it")

    def calm(self) -> None:
        """All trouble is over."""
        self.sick = False
        self.mend()
        for envoy in self.envoys.values():
            envoy.down = envoy.deaf = False
            envoy.healthy = 1

    def ends(self) -> None:
        """With people's help, the run comes to an end, and traffic to where `main` says."""
        self.calm()
        for _ in range(25):
            self.settle()
            if self.status.phase.ended:
                break
            if self.course().spec.abort and self.course().starts:
                return
            self.command(commands.resume)
            self.command(commands.promote_full)
            self.tick(60)
        assert self.status.phase.ended, (self.status, self.evidence())
        self.settle()
        aborted = self.status.phase is Phase.ABORTED
        assert self.weight() == (0 if aborted else 100) or self.persons
        assert {envoy.weight for envoy in self.envoys.values()} == {self.weight()} or self.turn().exit_code() == 3


def _harmless(law: Law) -> None:
    law.land({"README": str(law.clock.passed).encode()}, "By the way")


def _race(law: Law, act: Act) -> None:
    law.between.append(lambda: act(law))


def _trouble(law: Law, which: int) -> None:
    envoy = list(law.envoys.values())[which % 2]
    match which // 2:
        case 0:
            envoy.down = not envoy.down
        case 1:
            envoy.deaf = not envoy.deaf
        case _:
            envoy.healthy = 1 - envoy.healthy


def _sick(law: Law) -> None:
    law.sick = not law.sick


def _set_wall(law: Law, seconds: float) -> None:
    law.clock.set += seconds


COMMANDS: list[Act] = [
    partial(lambda made, law: law.command(made), made)
    for made in (
        commands.pause,
        commands.resume,
        commands.promote,
        commands.promote_full,
        commands.abort,
        commands.retry,
    )
]
EDITS: list[Act] = [
    _harmless,
    lambda law: law.edit("policies/routes.yaml", "timeout: [0-9]+s", f"timeout: {int(law.clock.passed) % 50 + 11}s"),
    lambda law: law.edit(ROLLOUT, "setWeight: [34]0", f"setWeight: {30 + int(law.clock.passed) % 2 * 10}"),
    Law.mend,
    Law.undo,
    *(partial(lambda weight, law: law.person(weight), weight) for weight in (0, 20, 70)),
]


def _wait(seconds: float) -> Act:
    return partial(lambda given, law: law.tick(given), seconds)


def _break(law: Law) -> None:
    law.land({BROKEN: b"kind: [\n"}, "Break it")


acts: st.SearchStrategy[Act] = st.one_of(
    st.sampled_from([1.0, 30.0, 60.0, 900.0]).map(_wait),
    st.sampled_from([30.0, 60.0]).map(_wait),
    st.sampled_from(COMMANDS),
    st.sampled_from([*EDITS, _break]),
    st.sampled_from(COMMANDS + EDITS).map(lambda act: partial(lambda given, law: _race(law, given), act)),
    st.integers(0, 5).map(lambda which: partial(lambda given, law: _trouble(law, given), which)),
    st.just(_sick),
    st.just(World.restart),
    st.sampled_from([-3600.0, 3600.0]).map(lambda seconds: partial(lambda given, law: _set_wall(law, given), seconds)),
)
_PROMOTE_FULL, _ABORT = COMMANDS[3], COMMANDS[4]
_HIDE, _UNHEALTHY = (partial(lambda given, law: _trouble(law, given), which) for which in (2, 4))
UNHEALTHY: list[tuple[Act, int]] = [
    (_wait(60), 3),
    (_UNHEALTHY, 1),
    (_PROMOTE_FULL, 3),
    (_wait(60), 3),
    (_UNHEALTHY, 2),
]
LAGGING: list[tuple[Act, int]] = [(_HIDE, 1), (_PROMOTE_FULL, 3), (_wait(60), 3), (World.restart, 3), (_HIDE, 3)]
EVIDENT: list[tuple[Act, int]] = [
    (_wait(60), 3),
    (_wait(60), 3),
    (_sick, 0),
    (_break, 1),
    (_wait(60), 3),
    (World.restart, 2),
]
ASKED: list[tuple[Act, int]] = [
    (_wait(60), 3),
    (_break, 0),
    (World.restart, 1),
    (Law.mend, 0),
    (_ABORT, 2),
    (_wait(60), 2),
]


def test_no_sequence_of_events_breaks_the_walk(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Weights are those of steps, or a person's; they rise only from what is live and to what is healthy; aborts end at 0.

    Whatever a proxy is given is in Git before; evidence is never more than a step behind; and no pass asks for the next at
    once again and again. When all trouble is over, and people let it go on, the run comes to an end.
    """

    @settings(
        max_examples=150 if request.config.getoption("--full") else 8,
        suppress_health_check=list(HealthCheck),
        phases=[Phase_.explicit, Phase_.generate],
    )
    @example(UNHEALTHY)
    @example(LAGGING)
    @example(EVIDENT)
    @example(ASKED)
    @given(st.lists(st.tuples(acts, st.integers(1, 3)), max_size=14))
    def law(events: list[tuple[Act, int]]) -> None:
        with Law(tmp_path_factory.mktemp("walk")) as world:
            world.settle()
            for act, passes in events:
                act(world)
                for _ in range(passes):
                    world.passes()
            world.between.clear()
            world.ends()

    law()
