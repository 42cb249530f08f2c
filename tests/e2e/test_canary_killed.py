"""A run that is killed again and again takes the steps of one that is not: real Envoys, real traffic, real Git."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.mortal import HEALTHY, PAUSE, SICK, Mortal, Run

_BAD_FROM = 3
_SAMPLE, _FULL = 6, 100
"""Random moments of each of the two kinds of runs."""
_LONGEST = 1.2
"""Seconds that a life lasts at most, of which an undisturbed run takes three or four."""


@dataclass
class Two:
    """A rig, and how its rollout walks when nobody is killed.

    Attributes:
        sick: The step from which on v2 fails; None if it never does.
    """

    mortal: Mortal
    calm: Run
    sick: int | None

    def same(self, run: Run) -> None:
        """The same steps in the same order with the same files, but for the numbers in the reason for an abort."""
        calm = self.calm
        assert [subject for subject, _ in run.steps] == [subject for subject, _ in calm.steps], run.deaths
        assert run.steps[:-1] == calm.steps[:-1]
        assert run.last == calm.last
        assert run.waited >= PAUSE
        (end,) = [state for state in calm.told if state[0] in {"Aborted", "Succeeded"}]
        assert end in run.told
        assert run.told.keys() <= calm.told.keys()


@pytest.fixture(scope="module", params=[pytest.param(None, marks=pytest.mark.long), _BAD_FROM], ids=["healthy", "sick"])
def two(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    """One gateway in front of two versions; v2 is good to the end, or fails from some step on."""
    with Mortal(tmp_path_factory.mktemp("k")) as mortal:
        mortal.begin(*(HEALTHY if request.param is None else SICK))
        calm = mortal.undisturbed(sick=request.param)
        assert ("abort" in calm.steps[-1][0]) == (request.param is not None), calm
        yield Two(mortal, calm, request.param)


def test_killed_at_every_write_a_run_takes_the_same_steps(two: Two) -> None:
    """Before and after each step on `main`, each file of a push, each commit of the record, and each notification.

    Traffic is never ahead of what is written down, no pause is cut short, and an abort comes whatever is killed.
    """
    run = two.mortal.killed_at_every_write(sick=two.sick)
    two.same(run)
    deaths = [death.partition(" | ")[0] for death in run.deaths]
    for when in ("before", "after"):
        for subject, _ in two.calm.steps:
            assert f"{when} main: {subject}" in deaths
        assert sum(death.startswith(f"{when} push: ") for death in deaths) == 3
        assert sum(death.startswith(f"{when} record: details ") for death in deaths) >= 5
        assert f"{when} tell" in deaths
        assert any(death.startswith(f"{when} record: details: people were told ") for death in deaths)
        told = any(death.startswith(f"{when} record: details aborted: ") for death in deaths)
        assert told == (two.sick is not None)


def test_killed_at_any_moment_a_run_takes_the_same_steps(two: Two, request: pytest.FixtureRequest) -> None:
    """Anywhere in a pass or between two, inside Git's commands too, which go on by themselves."""
    moments = _FULL if request.config.getoption("--full") else _SAMPLE
    chance = random.Random(5)  # noqa: S311 -- moments, the same in every run
    lives = iter([chance.uniform(0, _LONGEST) for _ in range(moments)])
    while (first := next(lives, None)) is not None:
        two.same(two.mortal.killed_after(_then(first, lives), sick=two.sick))


def _then(first: float, rest: Iterator[float]) -> Iterator[float]:
    yield first
    yield from rest
