from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from reconciler.cli import run
from reconciler.model.rollout import Phase
from reconciler.rollouts.evidence import Aborted
from tests.cli.rollout.walk import KEY, Walk, first_steps, rollout

EVIL = "\x1b[2J<b>evil</b>"


@pytest.fixture
def walk(tmp_path: Path) -> Walk:
    return Walk(tmp_path / "mesh.git")


@pytest.fixture
def said(walk: Walk, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """What a command prints; it has to succeed."""

    def ask(*arguments: str) -> str:
        code = run(["rollout", *arguments, "--repo", str(walk.path)])
        captured = capsys.readouterr()
        assert code == 0, captured.err
        return captured.out

    return ask


@pytest.fixture
def document(said: Callable[..., str]) -> Callable[..., Any]:
    return lambda *arguments: json.loads(said(*arguments, "--output", "json"))


def test_a_list_is_a_row_a_rollout(walk: Walk, said: Callable[..., str], document: Callable[..., Any]) -> None:
    """Phase, step, main's weight, whether that is verified, and what comes next."""
    first_steps(walk)
    head, row = said("list").splitlines()
    assert head.split() == ["ROLLOUT", "PHASE", "STEP", "WEIGHT", "VERIFIED", "WHY", "/", "NEXT"]
    assert row.split()[:5] == ["details", "Progressing", "4/6", "25%", "yes"]
    assert row.endswith("yes       waits for more requests")
    found = document("list")
    assert {name: found[name] for name in ("schema_version", "head", "errors")} == {
        "schema_version": 1, "head": walk.commits[-1], "errors": [],
    }  # fmt: skip
    item = found["rollouts"][0]
    ahead = item.pop("next")
    assert item == {
        "name": "details", "namespace": "default", "run": "v1->v2", "phase": "Progressing", "step": 3, "steps": 6,
        "weight": 25.0, "verified": True, "verified_at": "2026-03-04T10:11:15+00:00", "reason": "",
        "waiting": "waits for more requests",
    }  # fmt: skip
    assert (ahead["due"], ahead["seconds"], ahead["verb"]) == ("2026-03-04T10:12:15+00:00", 0.0, "")


def test_no_rollouts_are_no_error(walk: Walk, said: Callable[..., str]) -> None:
    """A list may be empty, also of one namespace only."""
    walk.main({"a.yaml": ""}, "Begin")
    assert said("list") == "There are no rollouts.\n"
    first_steps(walk)
    assert said("list", "-n", "other") == "There are no rollouts.\n"


def test_show_says_where_it_stands(walk: Walk, said: Callable[..., str], document: Callable[..., Any]) -> None:
    """Steps with marks, evidence by metric with counts and limits, the run's commits of both branches, and what comes next."""
    first_steps(walk)
    text = said("show", "details")
    assert [line[:3] for line in text.splitlines() if re.match(r"\[.\]", line)] == ["[x]"] * 3 + ["[>]"] + ["[ ]"] * 2
    assert "weight    v2 25%, verified since 2026-03-04 10:11:15 UTC" in text
    metric = next(line for line in text.splitlines() if "golden/request-success-rate" in line)
    assert metric.split()[1:8] == ["99.5%", "pass", "1/2", "0/1", "0/0", "0/4", "40/100"]
    assert metric.endswith("min 99%; 40 of 100 requests")
    item = document("show", "default/details")["rollout"]
    assert [step["state"] for step in item["plan"]] == ["done"] * 3 + ["current"] + ["to-come"] * 2
    assert [commit["branch"] for commit in item["commits"]].count("main") == 5
    assert item["evidence"]["applied"] == item["evidence"]["proxies"] == 3
    assert item["analyses"][0]["metrics"][0]["value"] == 99.5
    assert item["evidence"]["note"] == "hold: waits for more requests"


def test_a_long_run_shows_its_newest_commits(walk: Walk, said: Callable[..., str]) -> None:
    """All of them are in the history; an analysis alone brings hundreds."""
    first_steps(walk)
    for number in range(8):
        walk.after(minutes=1).step(f"phase: Paused, step: 3, reason: look {number}", 25, by="Bob")
        walk.after(minutes=1).step("phase: Progressing, step: 3", 25, f"resume {number}", by="Bob")
    text = said("show", "details")
    assert "and 10 earlier: reconcile rollout history details\n" in text
    assert text.endswith("resume 7\n")
    assert "Add a canary of details" not in text


def test_a_rollout_that_has_not_begun_can_be_read(walk: Walk, said: Callable[..., str]) -> None:
    """Before there is any status, evidence or record branch."""
    first = {"rollout.yaml": rollout()}
    first_steps(walk)
    walk.main(first, "Begin anew", by="Ann")
    assert "the run v1->v2 begins, with v2 at 5%" in said("show", "details")


def test_history_is_rebuilt_from_git_alone(walk: Walk, said: Callable[..., str], document: Callable[..., Any]) -> None:
    """What `main` did and the record saw, in the order of time, by content: a commit without trailers counts like any other."""
    first_steps(walk)
    walk.after(minutes=1).step("phase: Paused, step: 3, reason: Bob looks", 25, "wip", by="Bob")
    walk.after(minutes=1).step("phase: Progressing, step: 2", 10, "revert a bit", by="Bob", weight=10)
    walk.after(minutes=1).step(
        "phase: Aborted, step: 2, reason: errors", 0, "Squashed (#7)", spec="abort: true", by="Bob"
    )
    found = document("history", "details")["events"]
    assert [(event["branch"], event["by"], event["what"]) for event in found] == [
        ("main", "Ann", "wrote the rollout: v1 -> v2"),
        ("main", "envoy-reconciler", "began the run v1->v2, step 1/6 (setWeight 5), weight 0% -> 5%"),
        ("record", "", "step 1 verified"),
        ("main", "envoy-reconciler", "step 2/6 (pause 10m)"),
        ("record", "", "step 2 verified"),
        ("main", "envoy-reconciler", "step 3/6 (setWeight 25), weight 5% -> 25%"),
        ("record", "", "step 3 verified"),
        ("main", "envoy-reconciler", "step 4/6 (analysis golden)"),
        ("record", "", "step 4 verified, measured"),
        ("main", "Bob", "paused (Bob looks)"),
        ("main", "Bob", "resumed, took the run back to step 3/6, edited the steps, weight 25% -> 10%"),
        ("main", "Bob", "aborted (errors), asked to abort, edited the steps, weight 10% -> 0%"),
    ]
    assert [event["at"] for event in found] == sorted(event["at"] for event in found)
    step = found[5]
    assert (step["before"], step["after"], step["measured"]) == (5.0, 25.0, ["success rate 99.5%"])
    assert (found[8]["applied"], found[8]["proxies"]) == (3, 3)
    assert found[8]["measured"] == ["golden/request-success-rate: pass: success rate 99.5% >= 99%"]
    text = said("history", "details")
    assert "step 1 verified, live on 3/3 proxies" in text
    assert text.count("\n") == len(found) + 2


def test_history_survives_moved_files_and_commits_that_cannot_be_used(walk: Walk, document: Callable[..., Any]) -> None:
    """A rollout keeps its past under another file name; an invalid commit in between is passed over."""
    first_steps(walk)
    before = [event["commit"] for event in document("history", "details")["events"]]
    walk.after(minutes=1).main({"rollout.yaml": "kind: [\n"}, "Break it", by="Bob")
    moved = {"rollout.yaml": None, "canaries/details.yaml": rollout("phase: Paused, step: 3, reason: x")}
    walk.after(minutes=1).main(moved, "Move it", by="Bob")
    after = [event["commit"] for event in document("history", "details")["events"]]
    assert after == [*before, walk.commits[-1]]


def test_an_unusable_head_hides_nothing(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """What was applied last is shown, and why the head can't be."""
    first_steps(walk)
    applied = walk.commits[-1]
    walk.after(minutes=1).main({"rollout.yaml": "kind: [\n"}, "Break it", by="Bob")
    assert run(["rollout", "show", "details", "--repo", str(walk.path), "-o", "json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["head"], found["commit"]) == (walk.commits[-1], applied)
    assert found["errors"][0]["file"] == "policies/rollout.yaml"
    assert found["rollout"]["step"] == 3
    assert run(["rollout", "list", "--repo", str(walk.path)]) == 0
    captured = capsys.readouterr()
    assert "policies/rollout.yaml:" in captured.err
    assert captured.out.endswith("the head of the branch can't be used\n")
    assert found["rollout"]["next"]["words"].startswith("nothing moves until somebody mends the branch")


def test_a_list_says_what_a_person_has_to_do(walk: Walk, said: Callable[..., str]) -> None:
    """The verb that ends a pause, rather than why the last pass did nothing."""
    first_steps(walk)
    walk.after(minutes=1).step("phase: Progressing, step: 4", 25)
    walk.record(walk.evidence(4, verified=walk.now, note="hold: waits for a person; spec.step: 5 promotes it"))
    assert said("list").endswith("a person has to promote it (reconcile rollout promote)\n")


def test_without_any_usable_commit_the_errors_are_the_answer(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """There is nothing that could be shown instead."""
    walk.main({"rollout.yaml": "kind: [\n"}, "Break it")
    assert run(["rollout", "list", "--repo", str(walk.path)]) == 1
    assert "policies/rollout.yaml:" in capsys.readouterr().err


def test_an_abort_that_main_does_not_show_yet_is_shown(walk: Walk, said: Callable[..., str]) -> None:
    """It is in force as soon as it is recorded."""
    evidence = first_steps(walk)
    aborted = Aborted(reason="success rate 90% < 99%", at=walk.now, measured=("success rate 90%",))
    walk.after(seconds=1).record(replace(evidence, aborted=aborted))
    text = said("show", "details")
    assert "aborted: success rate 90% < 99%" in text
    assert "the abort is in force; the policy branch follows as soon as it can be moved" in text
    assert "aborted: success rate 90% < 99%, live on 3/3 proxies" in said("history", "details")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("detail", "did you mean details?"),
        ("other/details", "did you mean details?"),
        ("xyz", "there is details"),
    ],
)
def test_an_unknown_name_brings_suggestions(
    walk: Walk, capsys: pytest.CaptureFixture[str], name: str, hint: str
) -> None:
    """A typo, another namespace, or nothing like it."""
    first_steps(walk)
    assert run(["rollout", "show", name, "--repo", str(walk.path)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("error[rollout-unknown]: there is no rollout ")
    assert hint in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "a/b/c"], ["show", ""], ["show", "a/b", "-n", "c"], ["list", "-o", "markdown"], ["show", "x", "-o", "markdown"],
        ["history", "x", "-o", "markdown"], ["show", "x", "--watch", "-o", "json"], ["show", "x", "--watch", "--plot", "f"], [],
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_a_usage_error(capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    """Said before anything is read."""
    assert run(["rollout", *arguments]) == 1
    captured = capsys.readouterr()
    assert "usage" in (captured.err or captured.out)


def test_words_of_others_steer_no_terminal(walk: Walk, said: Callable[..., str]) -> None:
    """Names of people, subjects and reasons are shown, escaped."""
    first_steps(walk)
    walk.after(minutes=1).step(
        f'phase: Paused, step: 3, reason: "{EVIL[1:]}"', 25, f"wip {EVIL}", by=f"Bob {EVIL[1:]}\x1b"
    )
    for verb in (["list"], ["show", "details"], ["history", "details"]):
        assert "\x1b" not in said(*verb)


def test_a_picture_has_what_was_counted_and_when(walk: Walk, said: Callable[..., str], tmp_path: Path) -> None:
    """Weights from main, success rates and times from counters between receipts, steps as badges."""
    first_steps(walk)
    walk.after(minutes=2).step("phase: Aborted, step: 3, reason: errors", 0)
    file = tmp_path / "details.svg"
    assert said("show", "details", "--plot", str(file)) == ""
    root = ET.fromstring(file.read_text())  # noqa: S314 -- our own
    words = root.findtext("{http://www.w3.org/2000/svg}desc") or ""
    assert "Aborted after 12m 45s, step 4/6: errors." in words
    assert "Weight of the canary: 5%, 25%, 0%." in words
    assert "Success rate: canary 99% to 98%, stable 99.9% to 99.9%." in words
    assert "Request times: canary" in words
    assert run(["rollout", "show", "details", "--repo", str(walk.path), "--plot", str(tmp_path)]) == 1


def test_watching_prints_what_changes(
    walk: Walk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal, once for each change and not for each look; Ctrl-C ends it without words."""
    first_steps(walk)
    looks: list[float] = []

    def sleep(_: object, seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            walk.after(minutes=1).step("phase: Paused, step: 3, reason: held", 25, by="Bob")
        if len(looks) == 6:
            raise KeyboardInterrupt

    monkeypatch.setattr("reconciler.clock.SystemClock.sleep", sleep)
    assert run(["rollout", "show", KEY.name, "--repo", str(walk.path), "--watch"]) == 130
    captured = capsys.readouterr()
    assert captured.err == ""
    assert captured.out.count("details: v1 -> v2\n") == 2
    assert captured.out.index("phase     Progressing") < captured.out.index("phase     Paused")


def test_pending_is_no_step(walk: Walk, said: Callable[..., str]) -> None:
    """A run that is asked for anew has not begun, whatever the last one did."""
    first_steps(walk)
    walk.after(minutes=1).step("phase: Aborted, step: 3, reason: errors", 0)
    assert "nothing: the run has ended (reconcile rollout retry)" in said("show", "details")
    walk.after(minutes=1).step("phase: Aborted, step: 3, reason: errors", 0, spec="run: again")
    text = said("show", "details")
    assert "the run v1->v2#again begins, with v2 at 5%" in text
    assert [line[:3] for line in text.splitlines() if re.match(r"\[.\]", line)] == ["[ ]"] * 6
    assert Phase.ABORTED in text
