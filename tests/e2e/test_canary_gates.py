"""Canaries held by reality: proxies that are late, callers that start anew, endpoints and traffic that are missing."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.canary import SUCCESS_RATE, Canary
from tests.e2e.rig import git
from tests.e2e.test_passes import route_file

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


@pytest.mark.long
def test_as_many_laggards_as_are_allowed_hold_nothing(canary: Canary) -> None:
    """`maxLaggards: 1`: one of two may be late."""
    steps = ("setWeight: 20", "pause: {duration: 1s}", "setWeight: 60", "pause: {}")
    canary.commit(canary.rollout(*steps, fields="maxLaggards: 1"), "Roll v2 out")
    with away(canary, "edge-2"), canary.daemon():
        canary.wait(lambda: canary.weights() == (40, 60), "the second weight")
        assert "outcome: unreachable" in canary.recorded("edge-2")
    assert canary.phase() == "Progressing"


@pytest.mark.long
def test_an_analysis_without_traffic_waits_and_never_judges(canary: Canary) -> None:
    """Nothing measured is nothing known; with traffic it goes on."""
    canary.commit(canary.rollout("setWeight: 50", ANALYSIS, "setWeight: 100"), "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.status().get("step") == "1", "the analysis")
        time.sleep(2)
        shown = canary.command("rollout", "show", "details").out
        assert (canary.phase(), canary.status()["step"], canary.weights()) == ("Progressing", "1", (50, 50))
        assert " 0/10 " in shown, shown
        with canary.load():
            canary.until("Succeeded")


@pytest.mark.long
def test_an_analysis_that_gets_no_traffic_at_all_ends_with_a_person(canary: Canary) -> None:
    """After the deadline the run is paused, with the reason; only evidence aborts."""
    fields = "progressDeadlineSeconds: 2"
    canary.commit(canary.rollout("setWeight: 50", ANALYSIS, "setWeight: 100", fields=fields), "Roll v2 out")
    with canary.daemon():
        canary.until("Paused")
    assert canary.weights() == (50, 50)
    assert "0 of 10 requests" in canary.status()["reason"], canary.status()
    assert "no verdict" in canary.status()["reason"], canary.status()


@pytest.mark.long
def test_a_restart_of_a_caller_loses_counts_and_gives_no_verdict(canary: Canary) -> None:
    """What an Envoy had counted when it died is gone: the analysis waits for as many requests again, and counts none twice."""
    metrics = SUCCESS_RATE.replace("minRequests: 10", "minRequests: 200")
    canary.commit(canary.rollout("setWeight: 50", ANALYSIS, "setWeight: 100", metrics=metrics), "Roll v2 out")
    with canary.daemon(), canary.load(), canary.load("edge-2", rate=20):
        canary.wait(lambda: canary.status().get("step") == "1", "the analysis")
        before = canary.upstreams["v2"].served[200]
        canary.wait(lambda: canary.upstreams["v2"].served[200] > before + 80, "half of what it needs")
        canary.envoys["edge"].kill()
        canary.start("edge")
        canary.wait(lambda: canary.status().get("step") == "2", "its verdict")
        served = canary.upstreams["v2"].served[200] - before
        canary.until("Succeeded")
    (said,) = [line for line in canary.walked() if "100%" in line]
    body = git("-C", str(canary.repo), "log", "-1", "--format=%B", "--fixed-strings", f"--grep={said}", "main")
    counted = int(re.findall(r"\((\d+) requests\)", body)[0])
    assert 200 <= counted <= served


def test_no_weight_goes_to_a_subset_without_a_healthy_endpoint(canary: Canary) -> None:
    """It is held before anything is committed, and told why; the endpoints come, and it goes on."""
    files = canary.files()
    service = files["policies/details.yaml"]
    v2 = next(line for line in service.splitlines(keepends=True) if "address" in line and "version: v2" in line)
    begun = canary.commit(
        {"policies/details.yaml": service.replace(v2, ""), **canary.rollout("setWeight: 50", "pause: {}")},
        "Roll v2 out",
    )
    with canary.daemon(), canary.load() as load:
        canary.wait(lambda: load.all()[200, "v1"] > 50, "v1 serves")
        canary.wait(lambda: "no weight is moved: no healthy endpoint of v2 at edge" in canary.log(), "people are told")
        time.sleep(2)
        assert git("-C", str(canary.repo), "rev-parse", "main").strip() == begun
        canary.commit({"policies/details.yaml": service}, "v2 is there")
        canary.wait(lambda: canary.weights() == (50, 50), "its weight")
        canary.wait(lambda: load.last(100)[200, "v2"] > 20, "its traffic")
    assert {status for status, _ in load.all()} == {200}


@pytest.mark.long
def test_a_weight_below_one_percent_is_written_without_a_scratch(canary: Canary) -> None:
    """0.5% makes 995 and 5; comments, quotes and everything else stay as they were."""
    before = canary.files()["policies/routes.yaml"]
    before = before.replace("weight: 100", "weight: 100  # all of it").replace(
        "      weight: 0\n", "      weight: 0   # 'none'\n"
    )
    canary.commit({"policies/routes.yaml": before, **canary.rollout("setWeight: 0.5", "pause: {}")}, "Roll v2 out")
    with canary.daemon():
        canary.wait(lambda: canary.status().get("step") == "1", "the pause")
        canary.wait(lambda: "verified" in canary.evidence(), "it is live")
    expected = before.replace("weight: 100 ", "weight: 995 ").replace("weight: 0 ", "weight: 5 ")
    assert canary.main("policies/routes.yaml") == expected
    text = canary.main()
    assert text.startswith(canary.rollout("setWeight: 0.5", "pause: {}")["policies/rollout.yaml"])


HEADER = """setHeaderRoute: {name: testers, match: [{headerName: x-tester, headerValue: {exact: "yes"}}]}"""
MIRROR = "setMirrorRoute: {name: copies, percentage: 100}"


def updates(canary: Canary) -> int:
    """How many versions of its routes an Envoy has taken."""
    return sum(canary.counters("edge", r"rds\..*\.update_success$").values())


@pytest.mark.long
@pytest.mark.parametrize("end", ["succeeds", "aborted"])
def test_header_and_mirror_routes_hold_for_as_long_as_their_steps_say(canary: Canary, end: str) -> None:
    """In force while the weight is 0, still there in a later pause, put back when somebody changes them by hand, and gone at the end."""
    v2 = canary.upstreams["v2"]
    canary.commit(canary.rollout(HEADER, MIRROR, "pause: {duration: 1s}", "pause: {}", "setWeight: 100"), "Roll v2 out")
    with canary.daemon(), canary.load() as load, canary.load(rate=50, headers={"x-tester": "yes"}) as testers:
        canary.wait(lambda: canary.status().get("step") == "3", "the second pause")
        assert canary.weights() == (100, 0)
        canary.wait(lambda: testers.last(30).keys() == {(200, "v2")}, "testers reach v2")
        served, told = v2.served[200], testers.all()[200, "v2"]
        canary.wait(lambda: v2.served[200] - served > testers.all()[200, "v2"] - told + 50, "copies reach v2")
        taken = updates(canary)
        canary.overwrite("edge", route_file(canary), lambda body: body.replace(b"x-tester", b"x-nobody"))
        canary.wait(lambda: updates(canary) >= taken + 2, "the hand-made change was live, and is put right")
        canary.wait(lambda: testers.last(30).keys() == {(200, "v2")}, "testers reach v2 again")
        assert load.last(30).keys() == {(200, "v1")}
        if end == "succeeds":
            canary.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  step: 4\n", "Go on")
            canary.until("Succeeded")
        else:
            canary.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  abort: true\n", "Stop it")
            canary.until("Aborted")
        last = "v2" if end == "succeeds" else "v1"
        canary.wait(lambda: testers.last(50).keys() == load.last(100).keys() == {(200, last)}, "one version for all")
        config = str(canary.config("edge"))
        assert "x-tester" not in config
        assert "mirror" not in config
    assert {status for status, _ in load.all() + testers.all()} == {200}


@pytest.mark.long
def test_steps_are_signed_where_a_key_is_configured(canary: Canary) -> None:
    """`git verify-commit` holds for each of them, and for evidence."""
    key = canary.folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = canary.folder / "signers"
    signers.write_text(f"* {key.with_suffix('.pub').read_text()}")
    begun = canary.commit(canary.rollout("setWeight: 100"), "Roll v2 out")
    with canary.daemon("--signing-key", str(key)):
        canary.until("Succeeded")
        canary.wait(lambda: "Succeeded" in canary.evidence(), "it is recorded")
    steps = git("-C", str(canary.repo), "rev-list", f"{begun}..main").split()
    evidence = git("-C", str(canary.repo), "rev-list", "reconciler/record").split()
    assert len(steps) == 2
    for commit in (*steps, *evidence):
        git("-C", str(canary.repo), "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", commit, quiet=True)
