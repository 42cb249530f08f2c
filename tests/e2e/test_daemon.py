from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.rig import Rig, clean_environment, git
from tests.e2e.test_drift import by_hand


class Running:
    """A daemon as a process, with its log in a file."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self.process = process
        self.log = log

    def text(self) -> str:
        return self.log.read_text()


@contextmanager
def daemon(rig: Rig, *options: str) -> Iterator[Running]:
    log = rig.folder / "daemon.log"
    command = [sys.executable, "-m", "reconciler", "daemon", "--repo", str(rig.repo), "--interval", "100ms", *options]
    with log.open("wb") as sink, subprocess.Popen(command, stderr=sink, env=clean_environment()) as process:
        running = Running(process, log)
        try:
            rig.wait(lambda: " ready\n" in running.text() or process.poll() is not None, "the daemon is ready")
            yield running
        finally:
            if process.poll() is None:
                process.kill()


def test_a_daemon_follows_git_repairs_drift_and_survives_a_bad_commit(rig: Rig) -> None:
    """The product's life in one sitting: first pass, a change, drift, a commit that can't be used, its repair."""
    with daemon(rig, "--drift-interval", "500ms") as running:
        rig.share_is(0, requests=50)
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        rig.wait(lambda: len(rig.receipts()) == 2, "the new weight is recorded")
        rig.share_is(30)

        by_hand(rig)
        rig.wait(lambda: "by-hand" not in json.dumps(rig.config("edge")), "drift is repaired")

        rig.commit({"policies/routes.yaml": "kind: [\n"}, "Break it")
        rig.wait(lambda: "error[yaml-syntax]" in running.text(), "the bad commit is complained about")
        by_hand(rig)
        rig.wait(lambda: "by-hand" not in json.dumps(rig.config("edge")), "drift is repaired under a bad head")
        assert running.text().count("error[yaml-syntax]") == 1

        rig.commit(rig.routes(60, 40), "Mend it, v2 at 40%")
        rig.wait(lambda: "30% -> 40%" in rig.receipts()[0], "the mended head is applied")
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert running.text().endswith(" stopped\n")
        assert "Traceback" not in running.text()
    rig.share_is(40)


@pytest.mark.long
def test_an_envoy_that_comes_back_is_served_without_a_new_commit(fleet: Rig) -> None:
    """The daemon tries again what it could not finish, and a proxy that stays down is one line in its log."""
    fleet.envoys["edge-2"].stop()
    with daemon(fleet) as running:
        assert "Proxies: 2/3" in fleet.record()
        fleet.start("edge-2")
        fleet.wait(lambda: "Proxies: 3/3" in fleet.record(), "the proxy that came back is recorded")
        assert running.text().count("error[proxy-unreachable]") == 1
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(20) == 0
    fleet.share_is(0, name="edge-2", requests=50)


def test_a_branch_that_is_gone_does_not_stop_the_care_for_the_fleet(rig: Rig) -> None:
    """Somebody deletes the policy branch: that is said once, drift is repaired from the receipts, and its return is seen."""
    with daemon(rig, "--drift-interval", "500ms") as running:
        main = git("-C", str(rig.repo), "rev-parse", "main").strip()
        git("-C", str(rig.repo), "update-ref", "-d", "refs/heads/main")
        rig.wait(lambda: "there is no 'main'" in running.text(), "the missing branch is complained about")
        by_hand(rig)
        rig.wait(lambda: "by-hand" not in json.dumps(rig.config("edge")), "drift is repaired without a branch")
        assert running.text().count("error[git-ref-not-found]") == 1

        git("-C", str(rig.repo), "update-ref", "refs/heads/main", main)
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        rig.wait(lambda: len(rig.receipts()) == 2, "the new weight is recorded")


def test_a_git_that_is_gone_does_not_stop_the_care_for_the_fleet(rig: Rig) -> None:
    """A remote that can't be fetched is one line in the log; drift is repaired all the same, and new commits are seen later."""
    away = rig.repo.with_name("away.git")
    with daemon(rig, "--repo", f"file://{rig.repo}", "--drift-interval", "500ms") as running:
        rig.repo.rename(away)
        rig.wait(lambda: " ERROR " in running.text(), "the failure to be said")
        by_hand(rig)
        rig.wait(lambda: "by-hand" not in json.dumps(rig.config("edge")), "drift is repaired without Git")
        away.rename(rig.repo)
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        rig.wait(lambda: "30%" in rig.receipts()[0], "the new weight is recorded")
        fetching = [line for line in running.text().splitlines() if " ERROR " in line]
        assert len(fetching) <= 2, fetching
