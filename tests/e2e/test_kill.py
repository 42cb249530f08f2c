from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig import Rig, clean_environment

ALLOW = frozenset({"guard-delete-percent"})
MOMENTS = [
    "checkout", "load", "compile", "observe", "plan", "guard", "push", "record",
    "rename-1", "rename-2", "rename-3", "rename-4", "committed",
]  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    with Rig(tmp_path_factory.mktemp("k")) as rig:
        rig.apply()
        yield rig


def added(rig: Rig) -> dict[str, str]:
    """A commit that needs every phase: a new service with routes to it, and other weights."""
    service = rig.files()["policies/details.yaml"].replace("details", "extra")
    routes = rig.files()["policies/routes.yaml"]
    extra = routes.replace("name: details", "name: extra").replace("details", "extra")
    return {"policies/extra.yaml": f"{service}---\n{extra}", **rig.routes(90, 10)}


UNWRITTEN = ("checkout", "load", "compile", "observe", "plan", "guard")
"""Moments before anything is written, which are much alike."""
LONG = (pytest.mark.long,)


@pytest.mark.parametrize(
    ("what", "moment"),
    [
        *(pytest.param("pass", moment, marks=LONG if moment in UNWRITTEN[1:] else ()) for moment in MOMENTS),
        *(pytest.param("daemon", moment, marks=LONG if moment in UNWRITTEN else ()) for moment in MOMENTS[:10]),
    ],
)
def test_a_pass_that_is_killed_is_made_good_by_the_next(served: Rig, what: str, moment: str) -> None:
    """Wherever `kill -9` strikes, the next pass ends in the same state, with no receipt missing or twice."""
    count = len(served.receipts())
    for direction, files in (("there", added(served)), ("back", served.files() | {"policies/extra.yaml": None})):
        served.commit(files, f"{direction}\n\nReconcile-Allow: guard-delete-percent")
        killed = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("kill.py")), what, str(served.repo), moment],
            capture_output=True, text=True, check=False, timeout=60, env=clean_environment(),
        )  # fmt: skip
        # going back takes fewer renames than going there; a moment that never came must have ended in a receipt
        assert killed.returncode == -signal.SIGKILL or (direction == "back" and "rename" in moment), killed.stderr
        served.apply(allow=ALLOW)
        count += 1
        assert len(served.receipts()) == count
        report = served.run()
        assert report.plan is not None
        assert report.plan.empty
        assert report.receipt is None
        left = {path.name for path in served.directory("edge").rglob("*") if path.is_file()}
        assert not [name for name in left if not name.endswith(".pb")], left
        assert any("extra" in name for name in left) == (direction == "there")
    served.share_is(0, requests=50)


def test_a_daemon_that_is_killed_leaves_no_lock_behind(served: Rig) -> None:
    """Locks end with their process, so that the next daemon or pass starts at once."""
    daemon = subprocess.Popen(
        [sys.executable, "-m", "reconciler", "daemon", "--repo", str(served.repo)],
        stderr=subprocess.PIPE, text=True, env=clean_environment(),
    )  # fmt: skip
    assert daemon.stderr is not None
    with daemon:
        try:
            assert any(line.rstrip().endswith("ready") for line in daemon.stderr)
            second = served.command("daemon")
            assert second.code == 1
            assert str(daemon.pid) in second.err
        finally:
            daemon.kill()
    served.apply()
