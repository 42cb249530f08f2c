"""Canaries where `main` is protected: each step is a pull request, and people merge. Real Envoys, Git and HTTP."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.protected import BRANCH, Protected
from tests.e2e.rig import git

STEPS = ("setWeight: 20", "pause: {duration: 1s}", "setWeight: 100")


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Protected]:
    """One gateway in front of two versions; v1 serves everything, and the policies are on a forge."""
    with Protected(tmp_path_factory.mktemp("p")) as canary:
        yield canary


@pytest.mark.long
def test_a_canary_walks_by_proposals_that_people_merge_in_any_way(canary: Protected) -> None:
    """One open at a time, the next when that step is live; nothing is written in between; merged steps are no intervention."""
    canary.commit(canary.rollout(*STEPS), "Roll v2 out")
    number = 0
    titles: list[str] = []
    with canary.daemon(), canary.load() as load:
        for how in ("merge", "squash", "rebase", "merge"):
            pull = canary.proposed(after=number)
            number, titles = pull.number, [*titles, pull.title]
            if number == 1:
                canary.passes()
                before = canary.written()
                canary.passes(3)
                assert canary.written() == before
                assert canary.weights() == (100, 0)
            if number == 4:
                canary.forge.down()
            canary.merge(pull, how)
        canary.until("Succeeded")
        canary.forge.up()  # what is left of the last proposal goes although the run was over before the forge was there
        canary.wait(lambda: load.last(100).keys() == {(200, "v2")}, "all traffic on the canary")
        canary.wait(lambda: BRANCH not in canary.refs(), "nothing is left of the proposals")
    assert {status for status, _ in load.all()} == {200}
    assert canary.weights() == (0, 100)
    assert len(canary.forge.hosted.pulls) == len(set(titles)) == number == 4
    assert "phase: Paused" not in git("-C", str(canary.repo), "log", "-p", "main")


@pytest.mark.long
def test_a_proposal_follows_main_until_a_person_takes_it_over(canary: Protected) -> None:
    """Somebody else's commit on main: the same proposal, on the new main. A person's commit on its branch: it is theirs."""
    canary.commit(canary.rollout(*STEPS), "Roll v2 out")
    with canary.daemon():
        pull = canary.proposed()
        main = canary.commit({"README.md": "Policies.\n"}, "Say what this is")
        canary.wait(lambda: canary.base() == main, "it is on top of the new main")
        assert (canary.proposed().number, len(canary.forge.hosted.pulls)) == (pull.number, 1)

        theirs = canary.commit({"CHANGES.md": "v2.\n"}, "Note it", branch=BRANCH)
        canary.wait(lambda: "#1 has a commit of Pat, so it is left alone" in canary.log(), "people are told")
        canary.commit({"README.md": "All policies.\n"}, "Say it better")
        canary.passes(3)
        assert canary.forge.hosted.tip(BRANCH) == theirs

        canary.merge(canary.proposed())
        assert canary.weights() == (80, 20)
        assert "pause 1s" in canary.proposed(after=1).title
    assert canary.phase() == "Progressing"


@pytest.mark.long
def test_a_proposal_that_a_person_closes_holds_the_step_until_it_is_reopened(canary: Protected) -> None:
    """A closed one is a no: it is shown, nothing is written, and no other is opened. Reopened, it can be merged."""
    canary.commit(canary.rollout(*STEPS), "Roll v2 out")
    with canary.daemon():
        pull = canary.proposed()
        canary.forge.hosted.close(pull.number)
        canary.wait(lambda: "#1 was closed, so this step is held" in canary.log(), "people are told")
        assert "warning[rollout-proposed]" in canary.log()
        canary.passes()
        before = canary.written()
        canary.passes(3)
        assert (canary.written(), canary.open()) == (before, [])
    with canary.daemon(log="second.log"):
        canary.wait(lambda: "#1 was closed, so this step is held" in canary.log("second.log"), "another daemon knows")
        canary.passes()
        assert canary.open() == []

        canary.forge.hosted.reopen(pull.number)
        canary.passes(3)
        assert [item.number for item in canary.open()] == [pull.number]
        canary.merge(pull, "squash")
        canary.wait(lambda: canary.weights() == (80, 20), "the step is on main")
        assert "pause 1s" in canary.proposed(after=1).title
    assert canary.phase() == "Progressing"


@pytest.mark.long
def test_a_forge_that_is_away_delays_proposals_and_nothing_else(canary: Protected) -> None:
    """People's commits go live, passes are recorded; the step waits, says why, and is proposed when the forge is back."""
    canary.forge.down()
    canary.commit(canary.rollout(*STEPS), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: "warning[rollout-waiting]" in canary.log(), "people are told")
        canary.commit(canary.routes(99, 1), "Try v2 a little")
        canary.wait(lambda: "1%" in canary.receipts()[0], "a person's commit is live and recorded")
        canary.commit(canary.routes(100, 0), "Enough")
        canary.forge.up()
        canary.merge(canary.proposed())
        canary.wait(lambda: "20%" in canary.log(), "the step is live")


@pytest.mark.long
def test_a_forge_that_hangs_keeps_no_commit_from_proxies(canary: Protected) -> None:
    """Whatever the forge does: what is on main is pushed, also while an answer is waited for."""
    canary.forge.delay = 300
    canary.commit(canary.rollout(*STEPS), "Roll v2 out")
    with canary.daemon(), canary.load(rate=50) as load:
        canary.wait(lambda: load.last(20).keys() == {(200, "v1")}, "the first push is not held up")
        canary.wait(lambda: "warning[rollout-waiting]" in canary.log(), "people are told")
        assert canary.forge.calls == []
        canary.commit(canary.routes(60, 40), "v2 at 40%")
        canary.wait(lambda: load.all()[200, "v2"] > 5, "a person's commit is not held up")
        assert canary.forge.calls == []


@pytest.mark.long
def test_nothing_stays_proposed_for_a_rollout_that_is_taken_away(canary: Protected) -> None:
    """Its document goes while a step is proposed: nobody could merge that any more, so it is closed and its branch removed."""
    canary.commit(canary.rollout(*STEPS), "Roll v2 out")
    with canary.daemon():
        canary.proposed()
        canary.forge.down()
        canary.commit({"policies/rollout.yaml": "# No rollout.\n", "policies/analysis.yaml": "# None.\n"}, "Not now")
        canary.wait(lambda: "what was proposed can't be taken back" in canary.log(), "people are told")
        canary.forge.up()
        canary.wait(lambda: canary.open() == [] and BRANCH not in canary.refs(), "it is taken back")


@pytest.mark.long
def test_a_step_that_becomes_a_commit_is_not_proposed_any_more(canary: Protected) -> None:
    """Somebody lifts the protection and changes the mode: the run goes on by commits, and its open proposal is closed."""
    canary.commit(canary.rollout(*STEPS), "Roll v2 out")
    with canary.daemon():
        canary.proposed()
        canary.protect(on=False)
        canary.edit("policies/mesh.yaml", "mode: pull-request", "mode: commit", "Commit steps")
        canary.until("Succeeded")
        canary.wait(lambda: canary.open() == [] and BRANCH not in canary.refs(), "it is taken back")
    assert len(canary.forge.hosted.pulls) == 1
