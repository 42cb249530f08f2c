"""`Mesh.onReject: revert`: what real Envoys refuse is taken back on main, that and nothing else."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from reconciler.cycle.report import Report, Stage
from reconciler.errors import Severity
from reconciler.model.receipt import OutcomeKind
from reconciler.settings import shipped
from tests.e2e.rig import MESH, Rig, clean_environment, git
from tests.e2e.test_daemon import daemon
from tests.e2e.test_poison import EVIL, TEMPLATE, poison, watched

REVERT = {"policies/mesh.yaml": MESH.replace("{verifyDeadline: 5s}", "{verifyDeadline: 5s, onReject: revert}")}
VIRTUAL_HOST = "envoy-templates/virtual-host.yaml"
ALLOW = "\n\nReconcile-Allow: guard-weight-increase, guard-delete-percent"
NEXT = "\n# Next.\n" * 8


@pytest.fixture
def keen(rig: Rig) -> Rig:
    """A mesh that says revert, and is applied."""
    rig.commit(REVERT, "Revert what is refused")
    rig.apply()
    return rig


def poisoned_hosts() -> dict[str, str]:
    """Our default with a configuration for a filter that Envoy doesn't have."""
    text = (shipped("envoy-templates") / "virtual-host.yaml").read_text()
    odd = 'typed_per_filter_config: {nope: {"@type": type.googleapis.com/google.protobuf.Empty}}\n'
    return {VIRTUAL_HOST: text + odd}


def subjects(rig: Rig, count: int) -> list[str]:
    """Of the newest commits on main, newest first."""
    return git("-C", str(rig.repo), "log", f"-{count}", "--format=%s", "main").splitlines()


def head(rig: Rig) -> str:
    return git("-C", str(rig.repo), "rev-parse", "main").strip()


def pull(rig: Rig) -> None:
    """What a person does before the next commit."""
    git("-C", str(rig.clone), "pull", "-q", "--ff-only", "origin", "main", quiet=True)


def warnings(report: Report, code: str) -> list[str]:
    assert report.plan is not None
    found = [item for item in report.plan.warnings if item.code == code]
    assert {item.severity for item in found} <= {Severity.WARNING}
    return [item.message for item in found]


def held(rig: Rig, **ask: Any) -> str:
    """One pass that is rejected and reverts nothing, and why."""
    before = head(rig)
    report = rig.run(**ask)
    assert report.exit_code() == 4
    assert not report.reverted
    assert head(rig) == before
    (why,) = warnings(report, "revert-held")
    return why


@pytest.mark.long
def test_only_the_poison_in_the_middle_is_reverted(keen: Rig) -> None:
    """Good commits before and after stay and go live; the pass is rejected with its receipt, the next applies the revert."""
    rig = keen
    rig.commit(rig.routes(90, 10), "v2 at 10%")
    bad = rig.commit({**poison(EVIL), "notes.txt": "why\n"}, "A filter\x1b[2J that does not exist")
    rig.commit(rig.routes(80, 20), "v2 at 20%")
    good = head(rig)

    ran = rig.command("--output", "json")

    assert ran.code == 4
    said = ran.json()
    assert [item["outcome"] for item in said["outcomes"]] == ["rejected"]
    (warning,) = [item for item in said["warnings"] if item["code"] == "reverted"]
    assert bad[:12] in warning["message"]
    assert "edge refused listener " in warning["message"]
    assert f"Policy-Commit: {good}" in rig.record()
    assert "Outcome: partial" in rig.record()
    assert subjects(rig, 3) == [
        'Revert "A filter\\x1b[2J that does not exist"',
        "v2 at 20%",
        "A filter\x1b[2J that does not exist",
    ]
    message = git("-C", str(rig.repo), "log", "-1", "--format=%B", "main")
    assert f"This reverts commit {bad}." in message
    assert "edge refused listener " in message
    assert "registered implementation for 'nope\\x1b[2J" in message
    assert "\x1b" not in message
    assert "Mesh.onReject is revert" in message
    trailers = git("-C", str(rig.repo), "log", "-1", "--format=%(trailers:only)", "main").strip()
    assert trailers == f"Reverts: {bad}"
    changed = git("-C", str(rig.repo), "diff", "--name-status", good, "main").splitlines()
    assert changed == [f"D\t{TEMPLATE}", "D\tnotes.txt"]

    rig.apply()
    rig.share_is(20)
    assert "Outcome: applied" in rig.record()
    report = rig.run()
    assert report.plan is not None
    assert report.plan.empty
    assert report.receipt is None


def test_hold_is_the_default_and_says_nothing_of_reverts(rig: Rig) -> None:
    """Nobody's branch is written to unasked."""
    rig.apply()
    bad = rig.commit(poison("nope"), "Poison")
    report = rig.run()
    assert report.exit_code() == 4
    assert (warnings(report, "reverted"), warnings(report, "revert-held")) == ([], [])
    assert head(rig) == bad


@pytest.mark.long
def test_what_a_person_chose_is_all_that_is_done(keen: Rig) -> None:
    """A dry run, a reviewed plan and a commit by its id revert nothing, and say so where something was refused."""
    rig = keen
    bad = rig.commit(poison("nope"), "Poison")
    dry = rig.command("--dry-run", "--output", "json")
    assert dry.code == 0
    assert head(rig) == bad
    assert "reviewed plan" in held(rig, plan_digest=dry.json()["digest"])
    assert "is no branch" in held(rig, ref=bad)
    assert "is no branch" in held(rig, ref="main~0")
    assert rig.run(ref="refs/heads/main").reverted == (head(rig),)


@pytest.mark.long
def test_two_offenders_are_two_reverts_the_newest_first(keen: Rig) -> None:
    """Each refused resource has its own commit; what landed between them stays."""
    rig = keen
    rig.commit(poison("nope"), "Poison the listener")
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    rig.commit(poisoned_hosts(), "Poison the routes")
    report = rig.run()
    assert report.exit_code() == 4
    assert len(report.reverted) == 2
    assert subjects(rig, 3) == ['Revert "Poison the listener"', 'Revert "Poison the routes"', "Poison the routes"]
    rig.apply()
    rig.share_is(30)


@pytest.mark.long
def test_a_fleet_that_refuses_one_thing_is_one_revert(fleet: Rig) -> None:
    """The message names each proxy, and Envoy's words once."""
    fleet.commit(REVERT, "Revert what is refused")
    fleet.apply()
    fleet.commit(poison("nope"), "Poison")
    report = fleet.run()
    assert len(report.reverted) == 1
    message = git("-C", str(fleet.repo), "log", "-1", "--format=%B", "main")
    assert [name for name in fleet.names if f"{name} refused listener" in message] == fleet.names
    fleet.apply()


@pytest.mark.long
@pytest.mark.parametrize("trailers", ["kept", "dropped"])
def test_a_revert_that_is_refused_too_is_not_reverted(keen: Rig, trailers: str) -> None:
    """Poison on poison: one commit after the other goes, and it ends, also if a rebase has dropped our trailers."""
    rig = keen
    one = poison("nope-one")[TEMPLATE]
    rig.commit({TEMPLATE: one}, "Poison")
    rig.commit({TEMPLATE: one.replace("nope-one", "nope-two")}, "More poison")
    assert rig.run().exit_code() == 4
    assert subjects(rig, 2) == ['Revert "More poison"', "More poison"]
    pull(rig)
    if trailers == "dropped":
        here = ["-C", str(rig.clone)]
        git(*here, "commit", "-q", "--amend", "-m", "Go back")
        git(*here, "push", "-q", "--force", "origin", "main", quiet=True)
    report = rig.run()
    assert report.exit_code() == 4
    assert len(report.reverted) == 1
    assert subjects(rig, 1) == ['Revert "Poison"']
    rig.apply()
    last = head(rig)
    rig.apply()
    assert head(rig) == last


def test_what_was_refused_before_is_not_gone_back_to(rig: Rig) -> None:
    """Refused while the mesh said hold, then built upon: the commit that brought it goes, not the newest one."""
    good = (shipped("envoy-templates") / "http-connection-manager.yaml").read_text() + NEXT
    rig.commit({TEMPLATE: good}, "Our own template")
    rig.apply()
    bad = poison("nope")[TEMPLATE] + NEXT
    rig.commit({TEMPLATE: bad}, "Poison")
    assert rig.run().exit_code() == 4
    rig.commit({TEMPLATE: f"{bad}server_name: ours\n", **REVERT}, "A good thing, in the same listener")
    report = rig.run()
    assert len(report.reverted) == 1, warnings(report, "revert-held")
    assert subjects(rig, 1) == ['Revert "Poison"']
    rig.apply()
    assert '"server_name": "ours"' in json.dumps(rig.config("edge"))


@pytest.mark.long
def test_a_cause_outside_git_reverts_nothing(keen: Rig) -> None:
    """A port that somebody has taken since: what is refused now was applied before."""
    rig = keen
    rig.commit({"notes.txt": "innocent\n"}, "Innocent")
    rig.envoys["edge"].stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", rig.listen["edge"]))
        taken.listen()
        rig.start("edge")
        assert "the cause is not in Git" in held(rig)
        assert "the cause is not in Git" in held(rig)


def test_a_first_push_has_nothing_to_go_back_to(rig: Rig) -> None:
    """Without a receipt that shows anything as applied nothing is sound."""
    rig.commit({**REVERT, **poison("nope")}, "Poison from the start")
    assert "nothing to go back to" in held(rig)


def test_a_conflict_is_held_and_named(keen: Rig) -> None:
    """Later commits that built on the same lines are a person's to sort out."""
    rig = keen
    bad = poison("nope-one")[TEMPLATE]
    rig.commit({TEMPLATE: bad, "policies/a.yaml": "# One.\n"}, "Poison")
    rig.commit({"policies/a.yaml": "# Two.\n"}, "On top")
    assert "in policies/a.yaml" in held(rig)
    rig.commit({TEMPLATE: None}, "Mended by hand")
    rig.apply()


def test_a_revert_that_could_not_be_used_is_held(keen: Rig) -> None:
    """What comes of it must load and compile; the first error is named."""
    rig = keen
    rule = rig.files()["policies/details.yaml"]
    rig.commit(
        {**poison("nope"), "policies/details.yaml": f"{rule}  - {{name: v3, labels: {{version: v2}}}}\n"},
        "Poison and v3",
    )
    routes = rig.routes(100, 0)["policies/routes.yaml"]
    rig.commit({"policies/routes.yaml": routes.replace("subset: v2", "subset: v3")}, "Use v3")
    why = held(rig)
    assert "[ref-subset]" in why
    assert "policies/routes.yaml" in why


def test_a_protected_branch_is_held_in_its_words(keen: Rig) -> None:
    """The pass ends as it would have; when the branch is open again, the next pass reverts."""
    rig = keen
    rig.commit(poison("nope"), "Poison")
    hook = rig.repo / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        '#!/bin/sh\n[ "$1" = prepared ] && grep -q refs/heads/main && echo main is closed >&2 && exit 1\nexit 0\n'
    )
    hook.chmod(0o755)
    why = held(rig)
    assert "main" in why
    assert "[git-push-refused]" in why
    hook.unlink()
    assert len(rig.run().reverted) == 1
    rig.apply()


def test_a_lost_race_is_decided_again(keen: Rig) -> None:
    """Somebody pushes at the last moment: their commit is below the revert, and still live afterwards."""
    rig = keen
    rig.commit(poison("nope"), "Poison")
    pushed: list[str] = []

    def push(stage: Stage, detail: str) -> None:
        if (stage, detail) == (Stage.RECORD, "revert") and not pushed:
            pushed.append(rig.commit(rig.routes(60, 40), "v2 at 40%"))

    report = watched(rig, push)
    assert pushed
    assert len(report.reverted) == 1
    assert subjects(rig, 3) == ['Revert "Poison"', "v2 at 40%", "Poison"]
    rig.apply()
    rig.share_is(40)


@pytest.mark.long
def test_a_fix_that_wins_the_race_is_left_alone(keen: Rig) -> None:
    """If the branch asks for something else by then, there is nothing to take back."""
    rig = keen
    rig.commit(poison("nope"), "Poison")

    def push(stage: Stage, detail: str) -> None:
        if (stage, detail) == (Stage.RECORD, "revert"):
            rig.commit({TEMPLATE: None}, "Mended by hand")

    report = watched(rig, push)
    assert (report.exit_code(), report.reverted, warnings(report, "revert-held")) == (4, (), [])
    assert subjects(rig, 1) == ["Mended by hand"]
    rig.apply()


@pytest.mark.long
def test_what_a_person_lands_again_is_reverted_again(keen: Rig) -> None:
    """Once for each time that a person lands it."""
    rig = keen
    rig.commit(poison("nope"), "Poison")
    rig.run()
    rig.apply()
    pull(rig)
    rig.commit(poison("nope"), "It is fine, really")
    assert len(rig.run().reverted) == 1
    assert subjects(rig, 1) == ['Revert "It is fine, really"']
    rig.apply()


@pytest.mark.long
def test_going_back_is_not_refused_for_its_size(fleet: Rig) -> None:
    """One proxy took the new weights, another refused its part: the way back is a large step, and was verified before."""
    fleet.commit(REVERT, "Revert what is refused")
    fleet.apply()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        moved = fleet.gateway("edge-2").replace(f"number: {fleet.listen['edge-2']}", f"number: {port}")
        fleet.commit({"policies/edge-2.yaml": moved, **fleet.routes(40, 60)}, f"Move edge-2, and v2 at 60%{ALLOW}")
        report = fleet.run()
    kinds = {str(key): item.kind for key, item in report.outcomes.items()}
    assert kinds["default/edge"] is OutcomeKind.APPLIED
    assert kinds["default/edge-2"] is OutcomeKind.REJECTED
    fleet.share_is(60)
    assert len(report.reverted) == 1, warnings(report, "revert-held")
    fleet.apply()
    fleet.share_is(0, requests=200)
    fleet.share_is(0, requests=200, name="edge-2")


@pytest.mark.parametrize("moment", ["record", "record:revert", "record:reverted", "committed"])
def test_a_pass_that_is_killed_reverts_once(keen: Rig, moment: str) -> None:
    """Wherever `kill -9` strikes, the poison is reverted exactly once, and what is live is right."""
    rig = keen
    bad = rig.commit({**poison("nope"), **rig.routes(75, 25)}, "Poison, and v2 at 25%")
    rig.commit(rig.routes(75, 25) | {"notes.txt": "later\n"}, "Later")
    killed = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("kill.py")), "pass", str(rig.repo), moment],
        capture_output=True, text=True, check=False, timeout=60, env=clean_environment(),
    )  # fmt: skip
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    codes = [rig.run().exit_code() for _ in range(2)]
    assert codes in ([4, 0], [0, 0])
    messages = git("-C", str(rig.repo), "log", "--format=%B", "main")
    assert re.findall("^Reverts: (.*)$", messages, re.MULTILINE) == [bad]
    assert git("-C", str(rig.repo), "show", "main:notes.txt") == "later\n"
    rig.share_is(0, requests=100)
    assert "Outcome: applied" in rig.record()


@pytest.mark.long
def test_the_daemon_goes_on_from_its_revert_at_once(keen: Rig) -> None:
    """It says what it reverted, and is at the reverted branch without waiting for its next look at Git."""
    rig = keen
    with daemon(rig, "--interval", "10s") as running:
        rig.commit({**poison(EVIL), "notes.txt": "x\n"}, "Poison\x1b[2J")
        rig.wait(lambda: "warning[reverted]" in running.text(), "the revert is logged")
        rig.wait(lambda: "Outcome: applied" in rig.record() and head(rig) in rig.record(), "the revert is applied")
        assert "\x1b" not in running.text()
        assert running.text().count("warning[reverted]") == 1
