"""Canaries held by reality: proxies that are late, callers that start anew, endpoints and traffic that are missing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.canary import Canary
from tests.e2e.rig import git

BACKGROUND = "analysis: {templates: [{templateName: golden-signals}]}"
ANALYSIS = "analysis: {templates: [{templateName: golden-signals}]}"


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    """Two gateways as callers in front of two versions; v1 serves everything."""
    with Canary(tmp_path_factory.mktemp("c"), gateways=2) as canary:
        yield canary


def noted(canary: Canary) -> str:
    """What the evidence says was decided last; "" as long as there is none."""
    held = git("-C", str(canary.repo), "ls-tree", "-r", "--name-only", "reconciler/record").splitlines()
    if "rollouts/default/details.yaml" not in held:
        return ""
    return next((line for line in canary.evidence().splitlines() if line.startswith("note:")), "")


@contextmanager
def away(canary: Canary, name: str) -> Iterator[None]:
    """An Envoy that serves on, and whose admin endpoint nobody finds who has no connection yet."""
    here = canary.admin(name)
    aside = here.with_suffix(".away")
    here.rename(aside)
    try:
        yield
    finally:
        aside.rename(here)


def test_a_laggard_holds_the_step_and_is_named(canary: Canary) -> None:
    """Not live everywhere is not live: the next step waits for who is late, and goes on when they are back."""
    steps = (
        "setWeight: 20",
        "pause: {duration: 1s}",
        "setWeight: 60",
        "pause: {duration: 1s}",
        "setWeight: 90",
        "pause: {}",
    )
    canary.commit(canary.rollout(*steps), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.weights() == (80, 20), "the first weight")
        canary.envoys["edge-2"].kill()
        canary.wait(lambda: "not live on 1 of 2 proxies: edge-2" in noted(canary), "the evidence names it")
        held = canary.weights()
        assert held in {(80, 20), (40, 60)}  # whether it was proven to have the first is a matter of luck
        time.sleep(2)
        assert (canary.phase(), canary.weights()) == ("Progressing", held)
        assert "outcome: unreachable" in canary.recorded("edge-2")
        assert "edge-2" in canary.command("rollout", "show", "details").out
        assert "edge-2" in canary.log()
        canary.start("edge-2")
        canary.wait(lambda: canary.weights() == (10, 90), "the last weight")
    assert canary.phase() == "Progressing"


def test_as_many_laggards_as_are_allowed_hold_nothing(canary: Canary) -> None:
    """`maxLaggards: 1`: one of two may be late."""
    steps = ("setWeight: 20", "pause: {duration: 1s}", "setWeight: 60", "pause: {}")
    canary.commit(canary.rollout(*steps, fields="maxLaggards: 1"), "Roll v2 out")
    with away(canary, "edge-2"), canary.daemon():
        canary.wait(lambda: canary.weights() == (40, 60), "the second weight")
        assert "outcome: unreachable" in canary.recorded("edge-2")
    assert canary.phase() == "Progressing"
