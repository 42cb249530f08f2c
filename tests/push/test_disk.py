from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.model.resource import ResourceType, set_version
from reconciler.push.directory import prepare_directory, prepare_socket
from reconciler.push.disk import Disk, WriteError
from reconciler.push.layout import Content, contents, is_ours
from tests.push.lab import Shelf

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse  # isort: skip


class FullDisk(Disk):
    """Refuses to stage one path, as a full disk does; the rest is real."""

    def __init__(self, directory: str, refused: str) -> None:
        super().__init__(directory)
        self.refused = refused

    def stage(self, path: str, body: bytes) -> None:
        if path.endswith(self.refused):
            raise WriteError(f"cannot write {path}: {os.strerror(errno.ENOSPC)}")
        super().stage(path, body)


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_files_are_replaced_by_rename(tmp_path: Path) -> None:
    """A replaced file is a new inode: whoever has the old one open reads the old one to its end."""
    path = tmp_path / "cds.pb"
    path.write_bytes(b"old")
    with path.open("rb") as old:
        Disk(str(tmp_path)).replace([(str(path), b"new")])
        assert old.read() == b"old"
    assert files(tmp_path) == {"cds.pb": b"new"}


def test_folders_are_made_as_needed(tmp_path: Path) -> None:
    """`routes/` and `endpoints/` need not be there."""
    Disk(str(tmp_path)).replace([(str(tmp_path / "routes/r.pb"), b"x")])
    assert files(tmp_path) == {"routes/r.pb": b"x"}


def test_a_full_disk_changes_nothing(tmp_path: Path) -> None:
    """All files of a step are written before the first is renamed, and nothing unfinished stays behind."""
    Disk(str(tmp_path)).replace([(str(tmp_path / name), b"old") for name in ("cds.pb", "lds.pb")])
    with pytest.raises(WriteError, match=r"lds\.pb: No space left on device"):
        FullDisk(str(tmp_path), "lds.pb").replace([(str(tmp_path / name), b"new") for name in ("cds.pb", "lds.pb")])
    assert files(tmp_path) == {"cds.pb": b"old", "lds.pb": b"old"}


def test_a_failed_rename_says_how_far_it_went(tmp_path: Path) -> None:
    """A directory where a file should be is named, with how many files are in force."""
    (tmp_path / "lds.pb" / "x").mkdir(parents=True)
    with pytest.raises(
        WriteError, match=r"cannot replace .*lds\.pb: .*; 1 of 2 files were replaced before it"
    ) as caught:
        Disk(str(tmp_path)).replace([(str(tmp_path / name), b"new") for name in ("cds.pb", "lds.pb")])
    assert caught.value.code == "push-write"
    assert files(tmp_path) == {"cds.pb": b"new"}


@contextmanager
def nobody() -> Iterator[None]:
    """Root may write anywhere; for a while, be somebody who may not."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


def test_a_read_only_directory_is_named(tmp_path: Path) -> None:
    """No permission to write: the path and the reason are said, and nothing changes."""
    path = tmp_path / "cds.pb"
    path.write_bytes(b"old")
    tmp_path.chmod(0o500)
    try:
        with nobody(), pytest.raises(WriteError, match=r"cannot write .*/cds\.pb: Permission denied"):
            Disk(str(tmp_path)).replace([(str(path), b"new")])
        with nobody(), pytest.raises(WriteError, match=r"cannot delete .*/cds\.pb: Permission denied"):
            Disk(str(tmp_path)).remove(str(path))
    finally:
        tmp_path.chmod(0o700)
    assert files(tmp_path) == {"cds.pb": b"old"}


def test_a_missing_directory_is_not_made(tmp_path: Path) -> None:
    """An Envoy that runs has its directory; another path is a mistake, and says how a directory is made."""
    with pytest.raises(WriteError, match="no such directory") as caught:
        Disk(str(tmp_path / "typo")).check()
    assert "reconcile bootstrap" in caught.value.diagnostics[0].hint
    assert not (tmp_path / "typo").exists()


def test_a_file_in_place_of_the_directory_is_named(tmp_path: Path) -> None:
    """A file where the directory should be is not written to."""
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(WriteError, match="not a directory"):
        Disk(str(tmp_path / "file")).check()


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    """A file where `routes/` should be stays, and is named."""
    (tmp_path / "routes").write_bytes(b"mine")
    with pytest.raises(WriteError, match=r"cannot write .*/routes/r\.pb: "):
        Disk(str(tmp_path)).replace([(str(tmp_path / "routes/r.pb"), b"x")])
    with pytest.raises(WriteError, match=r"cannot read .*/routes: "):
        Disk(str(tmp_path)).strays([])
    assert files(tmp_path) == {"routes": b"mine"}


def test_a_planted_link_is_not_followed(tmp_path: Path) -> None:
    """A symbolic link at the temporary name is refused: its target is not ours to write."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"mine")
    (tmp_path / f".cds.pb.{os.getpid()}.new").symlink_to(outside)
    with pytest.raises(WriteError):
        Disk(str(tmp_path)).stage(str(tmp_path / "cds.pb"), b"x")
    assert outside.read_bytes() == b"mine"


def test_holds_compares_bytes(tmp_path: Path) -> None:
    """Only a regular file with exactly these bytes counts; a missing one, a link or a directory does not."""
    disk = Disk(str(tmp_path))
    (tmp_path / "file").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert disk.holds(str(tmp_path / "file"), b"abc")
    assert not disk.holds(str(tmp_path / "file"), b"abd")
    assert not disk.holds(str(tmp_path / "file"), b"abcd")
    assert not disk.holds(str(tmp_path / "link"), b"abc")
    assert not disk.holds(str(tmp_path), b"")
    assert not disk.holds(str(tmp_path / "none"), b"")


def test_only_files_of_our_naming_are_strays(tmp_path: Path) -> None:
    """What nobody wants is found by name, half-written files included; anything else in the directory is not ours."""
    for folder in ("routes", "endpoints", "other"):
        (tmp_path / folder).mkdir()
    ours = (
        "routes/gone.pb",
        "endpoints/a%2Fb.pb",
        "routes/.kept.pb.12.new",
        ".cds.pb.7.new",
        f"routes/x%~{'0' * 32}.pb",
    )
    theirs = (
        "routes/README",
        "routes/a%zz.pb",
        "routes/.hidden.pb",
        "other/x.pb",
        "x.pb",
        "bootstrap.yaml",
        "endpoints/.pb",
    )
    kept = ("routes/kept.pb", "cds.pb", "lds.pb")
    for name in ours + theirs + kept:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "routes/link.pb").symlink_to(tmp_path / "x.pb")
    found = Disk(str(tmp_path)).strays(str(tmp_path / name) for name in kept)
    assert found == tuple(sorted(str(tmp_path / name) for name in ours))


def test_a_file_of_our_naming_has_a_name_that_a_resource_gives() -> None:
    """A file name is ours if encoding its decoded name gives it back."""
    assert is_ours("outbound|9080|v1|reviews.default.svc.cluster.local.pb")
    assert is_ours("%2Ehidden.pb")
    assert not is_ours("50%.pb")
    assert not is_ours("plain")


def test_a_prepared_directory_has_what_envoy_needs_to_start(tmp_path: Path) -> None:
    """The directory and two empty sets are created where absent, and said; what is there is left alone."""
    root = tmp_path / "a" / "b"
    made = prepare_directory(str(root))
    assert made == (str(root), str(root / "cds.pb"), str(root / "lds.pb"))
    assert files(root) == {Path(path).name: content.render() for path, content in contents(str(root), {}).items()}
    (root / "cds.pb").write_bytes(b"in use")
    (root / "lds.pb").unlink()
    assert prepare_directory(str(root)) == (str(root / "lds.pb"),)
    assert (root / "cds.pb").read_bytes() == b"in use"


def test_a_directory_that_can_not_be_prepared_is_named(tmp_path: Path) -> None:
    """A file where the directory should be stays, and is named."""
    (tmp_path / "file").write_bytes(b"mine")
    with pytest.raises(WriteError, match=r"cannot create .*/file: "):
        prepare_directory(str(tmp_path / "file"))
    assert files(tmp_path) == {"file": b"mine"}


def test_files_of_a_state() -> None:
    """Sets are one file with the version of the set, also when empty; everything else is a file with its own version."""
    shelf = Shelf("/d")
    a, b, ends = shelf.cluster("a"), shelf.cluster("b"), shelf.endpoints("a", 1)
    found = contents("/d", {item.id: item for item in (b, a, ends)})
    assert set(found) == {"/d/cds.pb", "/d/lds.pb", "/d/endpoints/a.pb"}
    clusters = DiscoveryResponse.FromString(found["/d/cds.pb"].render())
    assert clusters.version_info == set_version([a, b])
    assert [item.value for item in clusters.resources] == [a.body, b.body]
    assert {item.type_url for item in clusters.resources} == {ResourceType.CLUSTER.type_url}
    assert DiscoveryResponse.FromString(found["/d/endpoints/a.pb"].render()).version_info == ends.version
    assert found["/d/lds.pb"] == Content(ResourceType.LISTENER, "", ())
    assert DiscoveryResponse.FromString(found["/d/lds.pb"].render()).version_info == set_version([])


def test_the_folder_of_an_admin_socket_is_made_where_it_is_absent(tmp_path: Path) -> None:
    """Envoy binds its admin socket and does not make the folder; a TCP address needs none."""
    folder = tmp_path / "run" / "envoy"
    assert prepare_socket(f"unix://{folder}/admin.sock") == (str(folder),)
    assert folder.is_dir()
    assert prepare_socket(f"unix://{folder}/admin.sock") == ()
    assert prepare_socket("http://127.0.0.1:9901") == ()
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match="cannot create"):
        prepare_socket(f"unix://{tmp_path}/file/admin.sock")
