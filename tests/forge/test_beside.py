"""A forge that is slow: nobody waits for it, nothing is asked twice, and what it says late is not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from reconciler.clock import SystemClock
from reconciler.forge import Beside, ForgePermissionError, ForgeUnavailableError, GitHub, PullRequest, PullState
from tests.forge.server import ForgeServer

HEAD = "reconciler/rollouts/default/reviews"


@pytest.fixture
def beside(request: pytest.FixtureRequest, forge: ForgeServer) -> Iterator[Beside]:
    """Over real HTTP; waits for a quarter of a second if it is not told otherwise."""
    forge.hosted.push(HEAD, {"policies/reviews.yaml": b"weight: 25\n"}, "Step")
    clock = SystemClock()
    github = GitHub(forge.repository, token_file=forge.token_file, api=forge.api, clock=clock)
    beside = Beside(github, clock=clock, patience=getattr(request, "param", 0.25))
    yield beside
    forge.over.set()
    ended()
    beside.close()


def ended() -> None:
    """Wait until nothing is asked any more."""
    for thread in threading.enumerate():
        if thread.name == "forge":
            thread.join(20)


def create(beside: Beside) -> PullRequest:
    return beside.create(head=HEAD, base="main", title="Step", body="Why.")


@pytest.mark.parametrize("beside", [20.0], indirect=True)
def test_a_forge_that_answers_is_heard_at_once(forge: ForgeServer, beside: Beside) -> None:
    """Every call gives what the forge says, refusals included."""
    assert beside.find(HEAD) == ()
    assert create(beside).number == 1
    assert beside.get(1) == beside.find(HEAD)[0]
    forge.tokens = dict.fromkeys(forge.tokens, "read")
    with pytest.raises(ForgePermissionError):
        beside.edit(1, state=PullState.CLOSED)


def test_nobody_waits_for_a_forge_that_hangs(forge: ForgeServer, beside: Beside) -> None:
    """The first who asks waits for a moment; while that is under way nothing else is asked."""
    forge.delay = 300
    for _ in range(20):
        with pytest.raises(ForgeUnavailableError, match="not answered yet"):
            beside.find(HEAD)
        with pytest.raises(ForgeUnavailableError, match="not answered yet"):
            create(beside)
    assert [thread.name for thread in threading.enumerate()].count("forge") == 1


@pytest.mark.parametrize("ask", [lambda beside: beside.find(HEAD), create], ids=["read", "write"])
def test_an_answer_that_comes_late_is_there_for_whoever_asks_again(
    forge: ForgeServer, beside: Beside, ask: Callable[[Beside], object]
) -> None:
    """It is asked once, and what came is handed out once."""
    forge.delay = 0.75
    with pytest.raises(ForgeUnavailableError):
        ask(beside)
    ended()
    forge.delay = 0
    assert ask(beside) is not None
    assert len(forge.calls) == 1
    beside.find(HEAD)
    assert len(forge.calls) == 2


def test_a_late_answer_to_something_else_is_let_go(forge: ForgeServer, beside: Beside) -> None:
    """A write that came late is found by reading."""
    forge.delay = 0.75
    with pytest.raises(ForgeUnavailableError):
        create(beside)
    ended()
    forge.delay = 0
    assert [pull.number for pull in beside.find(HEAD)] == [1]
    assert [call.method for call in forge.calls] == ["POST", "GET"]
