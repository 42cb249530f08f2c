"""Canaries that walk by themselves: real Envoys, real traffic, real Git."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from tests.e2e.canary import DURATION, SUCCESS_RATE, Canary
from tests.e2e.rig import git

ADS = re.compile(r"push: \{files: \{directory: [^}]*\}\}")
BACKGROUND = "analysis: {templates: [{templateName: golden-signals}]}"
STEPS = (
    "setWeight: 10",
    "pause: {duration: 1s}",
    "setWeight: 50",
    "analysis: {templates: [{templateName: golden-signals}]}",
    "setWeight: 100",
)


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    """Two gateways as callers in front of two versions; v1 serves everything."""
    with Canary(tmp_path_factory.mktemp("c"), gateways=2) as canary:
        yield canary


def test_a_healthy_canary_walks_to_the_end_and_every_step_is_a_commit(canary: Canary) -> None:
    """From 0 to 100% without a hand: each step on main, proven on both callers, no request failed."""
    canary.commit(canary.rollout(*STEPS, fields=BACKGROUND), "Roll v2 out")
    with canary.daemon(), canary.load() as load:
        canary.until("Succeeded")
        canary.wait(lambda: load.last(100).keys() == {(200, "v2")}, "all traffic on the canary")
    assert {status for status, _ in load.all()} == {200}
    assert canary.weights() == (0, 100)
    walked = canary.walked()[1:]
    assert [line for line in walked if "->" in line], walked
    assert git("-C", str(canary.repo), "log", "--merges", "--format=%s") == ""
    assert sum("live on 2/2" in line for line in canary.receipts()) >= 3, canary.receipts()


@pytest.mark.parametrize("fault", ["errors", pytest.param("latency", marks=pytest.mark.long)])
def test_a_canary_that_turns_bad_is_aborted_by_evidence(canary: Canary, fault: str) -> None:
    """Callers' own counters show it; traffic is back on stable, and the commit says which numbers were behind it."""
    metrics = SUCCESS_RATE if fault == "errors" else DURATION
    canary.commit(canary.rollout("setWeight: 30", "pause: {}", fields=BACKGROUND, metrics=metrics), "Roll v2 out")
    with canary.daemon(), canary.load() as load:
        canary.wait(lambda: load.all()[200, "v2"] > 30, "v2 gets its share")
        if fault == "errors":
            canary.upstreams["v2"].fail = 0.5
        else:
            canary.upstreams["v2"].delay = 0.4
        canary.until("Aborted")
        canary.wait(lambda: load.last(100).keys() == {(200, "v1")}, "all traffic on stable")
    assert canary.weights() == (100, 0)
    body = git("-C", str(canary.repo), "log", "-1", "--format=%B", "main")
    assert ("success rate" if fault == "errors" else "p99") in body, body


@pytest.mark.long
def test_a_person_aborts_by_a_commit(canary: Canary) -> None:
    """`spec.abort: true`: all traffic goes back at once, whatever step it was."""
    canary.commit(canary.rollout("setWeight: 40", "pause: {}"), "Roll v2 out")
    with canary.daemon(), canary.load() as load:
        canary.wait(lambda: load.all()[200, "v2"] > 10, "v2 gets its share")
        canary.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  abort: true\n", "Stop it")
        canary.until("Aborted")
        canary.wait(lambda: load.last(100).keys() == {(200, "v1")}, "all traffic on stable")
    assert canary.weights() == (100, 0)


@pytest.mark.long
def test_a_person_promotes_by_a_commit(canary: Canary) -> None:
    """A pause without an end waits for a person, who says so in Git."""
    canary.commit(canary.rollout("setWeight: 40", "pause: {}", "setWeight: 100"), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.status().get("step") == "1", "it waits")
        time.sleep(1)
        assert canary.weights() == (60, 40)
        (row,) = canary.command("status", "--output", "json").json()["rollouts"]
        assert (row["name"], row["phase"], row["step"], row["weight"]) == ("details", "Progressing", 1, 40)
        canary.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  step: 2\n", "Go on")
        canary.until("Succeeded")
    assert canary.weights() == (0, 100)


@pytest.mark.long
def test_a_step_that_a_person_reverts_pauses_the_run_and_names_them(canary: Canary) -> None:
    """People first: nobody argues with a git revert."""
    canary.commit(canary.rollout("setWeight: 20", "pause: {duration: 1s}", "setWeight: 60", "pause: {}"), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.weights() == (40, 60), "the second weight")
        step = git("-C", str(canary.repo), "log", "--format=%H", "-S", "weight: 60", "main").split()[0]
        canary.pull()
        git("-C", str(canary.clone), "revert", "--no-edit", step, quiet=True)
        git("-C", str(canary.clone), "push", "-q", "origin", "main", quiet=True)
        canary.until("Paused")
        time.sleep(1)
    assert canary.weights() == (80, 20)
    assert "Pat" in canary.status()["reason"], canary.status()


@pytest.mark.long
def test_a_run_that_a_person_reverts_altogether_does_not_begin_again(canary: Canary) -> None:
    """The spec asks for it still, and the person who took it back has the last word, until they resume it."""
    canary.commit(canary.rollout("setWeight: 20", "pause: {}"), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.status().get("step") == "1", "it waits")
        canary.pull()
        git("-C", str(canary.clone), "revert", "--no-edit", "HEAD", "HEAD~1", quiet=True)
        git("-C", str(canary.clone), "push", "-q", "origin", "main", quiet=True)
        canary.until("Paused")
        assert canary.weights() == (100, 0)
        assert canary.status()["reason"].startswith("Pat took a step back"), canary.status()
        assert canary.command("rollout", "resume", "details").code == 0
        canary.wait(lambda: canary.weights() == (80, 20), "it goes on from its first step")


@pytest.mark.long
def test_a_dry_run_says_that_a_step_is_due_and_takes_none(canary: Canary) -> None:
    """What would move traffic next is not "no changes"; where nothing is due, nothing is said."""
    canary.commit(canary.rollout("setWeight: 20", "pause: {}"), "Roll v2 out")
    assert canary.command().code == 0
    before = canary.refs()
    ran = canary.command("--dry-run", "--exit-code")
    assert (ran.code, canary.refs()) == (2, before)
    assert "warning[rollout-due]" in ran.out + ran.err
    assert "canary(details): start v2 at 20% (step 1/3)" in ran.out + ran.err
    canary.wait(lambda: canary.command().code == 0 and canary.status().get("step") == "1", "it waits")
    canary.command()
    ran = canary.command("--dry-run", "--exit-code")
    assert (ran.code, "rollout-due" in ran.out + ran.err) == (0, False)


@pytest.mark.long
def test_an_edit_of_a_timeout_on_the_way_changes_nothing(canary: Canary) -> None:
    """What a rollout does not own may be edited while it runs, in the very file that it writes."""
    canary.commit(canary.rollout("setWeight: 20", "pause: {duration: 2s}", "setWeight: 60", "pause: {}"), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.weights() == (80, 20), "the first weight")
        canary.edit("policies/routes.yaml", "    route:\n", "    timeout: 3s\n    route:\n", "A timeout")
        canary.wait(lambda: canary.weights() == (40, 60), "the second weight")
        assert canary.phase() == "Progressing"
    assert "timeout: 3s" in canary.main("policies/routes.yaml")


@pytest.mark.long
def test_a_command_that_cannot_push_takes_no_step(canary: Canary) -> None:
    """Over proxies on ADS only their daemon may go on: a command that is refused leaves no commit behind."""
    canary.commit(canary.rollout("setWeight: 40", "pause: {}"), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.status().get("step") == "1", "it waits for a person")
    canary.pull()
    files = {f"policies/{name}.yaml": ADS.sub("push: {ads: {}}", canary.gateway(name)) for name in canary.names}
    rollout = canary.main().replace("  canary: v2\n", "  canary: v2\n  abort: true\n")
    canary.commit({**files, "policies/rollout.yaml": rollout}, "On streams from now on; and stop it")
    before = canary.refs()
    ran = canary.command()
    assert ran.code == 1
    assert "ads-needs-daemon" in ran.err
    assert canary.refs() == before
