"""Full disks and folders that may not be written, for real: nothing is half-applied, and the next pass makes it good."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.model.receipt import OutcomeKind
from tests.e2e.rig import MESH, Rig

UNDER = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner", "--inh-caps=-all"]
"""Root without the right to ignore permissions."""


@contextmanager
def small_disk(place: Path, size: str) -> Iterator[None]:
    place.mkdir(parents=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Leave no room at all."""
    ballast = place / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (65536, 4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
    return ballast


@contextmanager
def read_only(*folders: Path) -> Iterator[list[str]]:
    """Folders, and those in them, that may not be written; gives what to run a command under so that this holds."""
    if not os.geteuid() and not shutil.which("setpriv"):
        pytest.skip("root needs setpriv to lose its rights")
    below = [folder for top in folders for folder in (top, *(path for path in top.rglob("*") if path.is_dir()))]
    for folder in below:
        folder.chmod(0o555)
    try:
        yield [] if os.geteuid() else UNDER
    finally:
        for folder in below:
            folder.chmod(0o755)


def files(place: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(place.rglob("*.pb"))}


@pytest.fixture
def small_proxies(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The Envoys' directories are on a disk of their own."""
    folder = tmp_path_factory.mktemp("d")
    with small_disk(folder / "xds", "256k"), Rig(folder, gateways=2) as rig:
        rig.apply()
        yield rig


@pytest.fixture
def small_repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """The repository is on a disk of its own."""
    folder = tmp_path_factory.mktemp("d")
    with small_disk(folder / "policies.git", "2m"), Rig(folder) as rig:
        rig.apply()
        yield rig


@pytest.mark.long
def test_a_full_disk_under_the_proxies_changes_nothing_until_there_is_room(small_proxies: Rig) -> None:
    """Exit 4 with the path and the reason; what was served is served, no half-written file stays; then all is made good."""
    rig = small_proxies
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    before = files(rig.folder / "xds"), [rig.config(name) for name in rig.names]
    ballast = fill(rig.folder / "xds")
    ran = rig.command("--output", "json")
    assert ran.code == 4, ran.out + ran.err
    for outcome in ran.json()["outcomes"]:
        assert outcome["outcome"] == "failed"
        assert "No space left on device" in outcome["detail"]
        assert str(rig.folder / "xds") in outcome["detail"]
    assert (files(rig.folder / "xds"), [rig.config(name) for name in rig.names]) == before
    assert not list((rig.folder / "xds").rglob(".*"))
    rig.share_is(0, requests=100)
    ballast.unlink()
    rig.apply()
    for name in rig.names:
        rig.share_is(30, name=name)
    assert "outcome: applied" in rig.recorded("edge-2")


@pytest.mark.long
def test_a_full_disk_under_the_repository_costs_a_receipt_until_there_is_room(small_repository: Rig) -> None:
    """Traffic moves, the missing receipt is an error with exit 1, the repository stays sound; the next pass writes it."""
    rig = small_repository
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    count = len(rig.receipts())
    ballast = fill(rig.repo)
    ran = rig.command("--output", "json")
    assert ran.code == 1, ran.out + ran.err
    assert [item["code"] for item in ran.json()["errors"]] == ["git-write"]
    assert "No space left on device" in ran.json()["errors"][0]["message"]
    rig.share_is(30)
    assert len(rig.receipts()) == count
    assert rig.command("--dry-run").code == 0
    assert rig.command("status").code == 0
    ballast.unlink()
    subprocess.run(["git", "-C", str(rig.repo), "fsck", "--strict"], check=True, capture_output=True)
    rig.apply()
    assert len(rig.receipts()) == count + 1
    assert "details v2" not in rig.receipts()[1]


@pytest.mark.long
def test_a_proxy_directory_that_may_not_be_written_is_that_proxys_fault_alone(fleet: Rig) -> None:
    """Exit 4 and the path; the others go on; with the right to write, the next pass makes it good."""
    fleet.apply()
    fleet.commit(fleet.routes(70, 30), "v2 at 30%")
    with read_only(fleet.directory("edge-2")) as under:
        ran = fleet.command("--output", "json", under=under)
    assert ran.code == 4, ran.out + ran.err
    outcomes = {item["proxy"]: item for item in ran.json()["outcomes"]}
    assert outcomes["default/edge-2"]["outcome"] == "failed"
    assert "Permission denied" in outcomes["default/edge-2"]["detail"]
    fleet.share_is(30)
    fleet.share_is(0, requests=50, name="edge-2")
    fleet.apply()
    fleet.share_is(30, name="edge-2")


@pytest.mark.long
def test_a_repository_that_may_only_be_read_can_be_previewed(rig: Rig) -> None:
    """A dry run, a status and a rendering need no right to write; a pass stops at its lock, before it pushes anything."""
    rig.apply()
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    with read_only(rig.repo) as under:
        (rig.repo / "reconciler" / "pass.lock").chmod(0o444)
        for verb in (["--dry-run"], ["--dry-run", "--against", "main~1"], ["status"], ["render", "--proxy", "edge"]):
            ran = rig.command(*verb, under=under)
            assert ran.code == 0, ran.err
        ran = rig.command("--output", "json", under=under)
    assert ran.code == 1
    (error,) = ran.json()["errors"]
    assert error["code"] == "git-write"
    assert "Permission denied" in error["message"]
    rig.share_is(0, requests=50)


def test_a_bootstrap_whose_directory_cannot_be_made_is_one_clear_error(rig: Rig) -> None:
    """No bootstrap is printed for an Envoy that could not start with it."""
    rig.commit(
        {"policies/edge.yaml": rig.gateway("edge").replace(str(rig.directory("edge")), "/proc/x/y")}, "Elsewhere"
    )
    for form in ("text", "json"):
        ran = rig.command("bootstrap", "--proxy", "edge", "--output", form)
        assert ran.code == 1
        assert "/proc/x/y" in (ran.out if form == "json" else ran.err)
        assert "node" not in ran.out


@pytest.mark.long
def test_an_envoy_whose_directory_was_made_anew_is_to_be_restarted(rig: Rig) -> None:
    """Envoy goes on watching the deleted one: the outcome says what to do about it, and that is what helps."""
    rig.commit({"policies/mesh.yaml": MESH.replace("5s", "1s")}, "Wait for a second")
    rig.apply()
    shutil.rmtree(rig.directory("edge"))
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    (failed,) = rig.run().outcomes.values()
    assert failed.kind is OutcomeKind.FAILED
    assert "restart" in failed.detail

    assert rig.command("bootstrap", "--proxy", "edge").code == 0
    (late,) = rig.run().outcomes.values()
    assert late.kind is OutcomeKind.LATE
    assert "restart it if its directory was deleted" in late.detail

    rig.envoys["edge"].stop()
    rig.start("edge")
    rig.apply()
    rig.share_is(30)
