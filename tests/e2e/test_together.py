"""Several at once: commands beside commands and beside a daemon, signals in the middle, and people who rewrite history."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.rig import Rig, clean_environment, git
from tests.e2e.test_daemon import daemon

BRANCH = "reconciler/record"
STAGES = ["checkout", "observe", "guard", "push", "record"]


@pytest.mark.parametrize("name", ["SIGTERM", pytest.param("SIGINT", marks=pytest.mark.long)])
@pytest.mark.parametrize("stage", STAGES)
def test_a_pass_that_is_ended_in_the_middle_says_so_and_leaves_nothing(rig: Rig, stage: str, name: str) -> None:
    """The shell's code, one JSON document, no traceback, no lock, no half-written file; the next pass makes it good."""
    rig.apply()
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    command = [sys.executable, str(Path(__file__).with_name("ended.py")), name, stage]
    ended = subprocess.run(
        [*command, "--repo", str(rig.repo), "--output", "json"],
        capture_output=True, text=True, check=False, timeout=60, env=clean_environment(),
    )  # fmt: skip
    assert ended.returncode == {"SIGTERM": 143, "SIGINT": 130}[name], ended.stderr
    assert ended.stderr == ""
    assert [item["code"] for item in json.loads(ended.stdout)["errors"]] == ["interrupted"]
    assert not [path for path in rig.directory("edge").rglob("*") if path.is_file() and path.suffix != ".pb"]
    rig.apply()
    rig.share_is(30)
    assert len(rig.receipts()) == 2


def test_commands_at_the_same_time_take_turns(rig: Rig) -> None:
    """Four passes for one change: one does the work, the others find it done; one receipt."""
    rig.apply()
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    with ThreadPoolExecutor() as pool:
        ended = list(pool.map(lambda _: rig.command("--output", "json"), range(4)))
    assert [ran.code for ran in ended] == [0] * 4, [ran.err for ran in ended]
    assert sum(ran.json()["receipt"] is not None for ran in ended) == 1
    assert len(rig.receipts()) == 2


@pytest.mark.long
def test_a_command_beside_a_daemon_takes_its_turn(rig: Rig) -> None:
    """Both look at the same change; it is made and recorded once, and a preview never waits."""
    with daemon(rig, "--drift-interval", "200ms"):
        for number in range(1, 6):
            rig.commit(rig.routes(100 - number, number), f"v2 at {number}%")
            preview, ran = rig.command("--dry-run"), rig.command()
            assert (preview.code, ran.code) == (0, 0), preview.err + ran.err
            assert len(rig.receipts()) == number + 1


def test_a_second_daemon_names_the_first(rig: Rig) -> None:
    """One daemon per repository: the second says which process has it, in the form that was asked for."""
    with daemon(rig) as running:
        ran = rig.command("daemon")
        assert ran.code == 1
        assert f"error[git-locked]: {rig.repo} (daemon) is locked by process {running.process.pid}" in ran.err


def test_a_daemon_goes_back_with_a_branch_that_is_forced_back(rig: Rig) -> None:
    """The branch says what should be, whatever way it got there."""
    with daemon(rig) as running:
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        rig.wait(lambda: len(rig.receipts()) == 2, "the change is recorded")
        git("-C", str(rig.clone), "reset", "-q", "--hard", "HEAD~1")
        git("-C", str(rig.clone), "push", "-q", "-f", "origin", "main", quiet=True)
        rig.wait(lambda: len(rig.receipts()) == 3, "the way back is recorded")
        rig.share_is(0, requests=100)
        assert "rror" not in running.text()


def test_a_daemon_whose_branch_is_gone_keeps_the_fleet_and_says_it_once(rig: Rig) -> None:
    """Nothing is taken from the proxies; when the branch is back, work goes on."""
    with daemon(rig) as running:
        main = git("-C", str(rig.repo), "rev-parse", "main").strip()
        git("-C", str(rig.repo), "update-ref", "-d", "refs/heads/main")
        rig.wait(lambda: "error[git-ref-not-found]" in running.text(), "the missing branch is complained about")
        rig.share_is(0, requests=50)
        git("-C", str(rig.repo), "update-ref", "refs/heads/main", main)
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        rig.wait(lambda: len(rig.receipts()) == 2, "the change is recorded")
        assert running.text().count("error[git-ref-not-found]") == 1


def test_a_daemon_never_makes_a_lost_record_anew_in_silence(rig: Rig) -> None:
    """Receipts that it has seen are missing: traffic follows Git, and the log says how to get them back; then all is well."""
    with daemon(rig) as running:
        rig.commit(rig.routes(90, 10), "v2 at 10%")
        rig.wait(lambda: len(rig.receipts()) == 2, "the change is recorded")
        tip = git("-C", str(rig.repo), "rev-parse", BRANCH).strip()
        git("-C", str(rig.repo), "update-ref", f"refs/heads/{BRANCH}", f"{tip}^")
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        rig.wait(lambda: "error[record-rewound]" in running.text(), "the loss is complained about")
        assert tip in running.text()
        rig.share_is(30)
        git("-C", str(rig.repo), "update-ref", f"refs/heads/{BRANCH}", tip)
        rig.commit(rig.routes(60, 40), "v2 at 40%")
        rig.wait(lambda: len(rig.receipts()) == 3, "the next change is recorded")
        assert git("-C", str(rig.repo), "rev-parse", f"{BRANCH}^").strip() == tip
