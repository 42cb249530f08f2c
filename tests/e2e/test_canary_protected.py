"""Aborts where `main` is protected: traffic first, the record with it, and `main` when it can. Real Envoys, Git and HTTP."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.protected import BRANCH, Protected

BACKGROUND = "analysis: {templates: [{templateName: golden-signals}]}"


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("q")


def back(canary: Protected, what: str) -> None:
    """All traffic is on stable, and the record says why, whatever main says."""
    assert canary.phase() == "Progressing", what
    assert canary.weights() == (70, 30)
    assert "success rate" in canary.evidence().partition("aborted:")[2]
    assert any(" aborted: " in line for line in canary.receipts()), canary.receipts()


@pytest.mark.long
def test_an_abort_by_evidence_waits_for_nobody_to_merge_it(folder: Path) -> None:
    """Traffic is back on stable while the pull request that says so is open; it replaces the step that was proposed."""
    with Protected(folder) as canary:
        canary.commit(canary.rollout("setWeight: 30", "pause: {}", fields=BACKGROUND), "Roll v2 out")
        with canary.daemon(), canary.load() as load:
            canary.merge(canary.proposed())
            step = canary.proposed(after=1)
            canary.wait(lambda: load.all()[200, "v2"] > 30, "v2 gets its share")
            canary.upstreams["v2"].fail = 0.5
            canary.wait(lambda: load.last(100).keys() == {(200, "v1")}, "all traffic on stable")
            canary.wait(lambda: "abort" in canary.proposed().title, "the abort is proposed")
            back(canary, "nobody has merged it")
            assert canary.proposed().number == step.number
            canary.passes()
            before = canary.written()
            canary.passes(3)
            assert canary.written() == before

            canary.merge(canary.proposed(), "squash")
            canary.until("Aborted")
            canary.wait(lambda: BRANCH not in canary.refs() and canary.open() == [], "nothing is proposed")
            canary.wait(lambda: load.last(100).keys() == {(200, "v1")}, "all traffic on stable")
        assert canary.weights() == (100, 0)
        assert "success rate" in canary.status()["reason"]


@pytest.mark.long
def test_a_main_that_takes_no_pushes_holds_steps_and_never_an_abort(folder: Path) -> None:
    """Steps wait, and it is said what helps; an abort is in force and recorded at once, and main follows when it may."""
    with Protected(folder, proposes=False) as canary:
        canary.protect(on=False)
        steps = ("setWeight: 30", "pause: {}", "setWeight: 60", "pause: {}")
        canary.commit(canary.rollout(*steps, fields=BACKGROUND), "Roll v2 out")
        with canary.daemon(), canary.load() as load:
            canary.wait(lambda: canary.status().get("step") == "1", "it waits for a person")
            canary.protect(on=True)
            canary.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  step: 2\n", "Go on")
            canary.wait(lambda: "warning[rollout-waiting]" in canary.log(), "people are told that the step waits")
            assert "GH006" in canary.log()
            assert "pull-request" in canary.log(), canary.log()
            assert canary.weights() == (70, 30)

            canary.upstreams["v2"].fail = 0.5
            canary.wait(lambda: load.last(100).keys() == {(200, "v1")}, "all traffic on stable")
            canary.wait(lambda: "its abort is in force" in canary.log(), "people are told that main does not say so")
            back(canary, "main may not be pushed to")
        with canary.daemon(log="second.log"), canary.load() as load:
            canary.wait(lambda: "its abort is in force" in canary.log("second.log"), "another daemon knows it too")
            back(canary, "main may still not be pushed to")
            canary.protect(on=False)
            canary.until("Aborted")
            canary.wait(lambda: load.last(100).keys() == {(200, "v1")}, "all traffic on stable")
        assert load.all().keys() == {(200, "v1")}
        assert canary.weights() == (100, 0)
        assert canary.open() == []
