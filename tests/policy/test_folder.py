from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from reconciler.model.tree import FileKind
from reconciler.policy import FolderError, FolderTree


def test_blobs_are_those_of_git(tmp_path: Path) -> None:
    """So a work tree and its commit share one cache."""
    content = b"a: \xff\r\n" * 1000
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "x.yaml").write_bytes(content)
    expected = subprocess.run(["git", "hash-object", "--stdin"], input=content, capture_output=True, check=True).stdout
    (entry,) = FolderTree(tmp_path).files("policies")
    assert (entry.blob, entry.size, entry.kind) == (expected.decode().strip(), len(content), FileKind.FILE)


def test_entries_are_sorted_at_any_depth_and_git_is_left_out(tmp_path: Path) -> None:
    """Links are entries of their own and are not followed, nor are nested repositories entered."""
    folder = tmp_path / "policies"
    for name in ("b/c", "sub/.git", ".git"):
        (folder / name).mkdir(parents=True)
    for name in ("b/c/x.yaml", "a.yaml", "sub/y.yaml", ".git/config"):
        (folder / name).write_text("", encoding="utf-8")
    (folder / "link").symlink_to("/etc")
    os.mkfifo(folder / "pipe.yaml")
    entries = FolderTree(tmp_path).files("policies")
    assert [(entry.path, entry.kind) for entry in entries] == [
        ("policies/a.yaml", FileKind.FILE),
        ("policies/b/c/x.yaml", FileKind.FILE),
        ("policies/link", FileKind.SYMLINK),
        ("policies/pipe.yaml", FileKind.SYMLINK),
        ("policies/sub", FileKind.SUBMODULE),
    ]


def test_what_is_not_there_has_no_entries(tmp_path: Path) -> None:
    """As in a commit without the folder; a folder that is a link is one entry."""
    assert FolderTree(tmp_path).files("policies") == ()
    (tmp_path / "policies").symlink_to(tmp_path)
    (entry,) = FolderTree(tmp_path).files("policies")
    assert entry.kind is FileKind.SYMLINK


def test_a_bare_folder_of_policies_can_stand_for_policies(tmp_path: Path) -> None:
    """`validate some/folder` reads that folder, and nothing beside it."""
    (tmp_path / "x.yaml").write_text("a: 1", encoding="utf-8")
    tree = FolderTree(tmp_path, mounted="policies")
    (entry,) = tree.files("policies")
    assert (entry.path, tree.read(entry)) == ("policies/x.yaml", b"a: 1")
    assert tree.files("envoy-templates") == ()
    assert tree.files("policies-of-others") == ()
    assert tree.commit == ""


def test_content_is_what_was_listed(tmp_path: Path) -> None:
    """A file that changes between listing and reading does not get the wrong blob."""
    path = tmp_path / "x.yaml"
    path.write_text("a: 1", encoding="utf-8")
    tree = FolderTree(tmp_path, mounted="policies")
    (entry,) = tree.files("policies")
    path.write_text("a: 2", encoding="utf-8")
    assert tree.read(entry) == b"a: 1"


def test_a_large_file_is_listed_and_read_from_disk(tmp_path: Path) -> None:
    """It isn't kept in memory; gone or turned into a link, it is an error."""
    path = tmp_path / "x.bin"
    path.write_bytes(b"x" * (5 * 1024 * 1024))
    tree = FolderTree(tmp_path)
    (entry,) = tree.files("")
    assert len(tree.read(entry)) == entry.size == 5 * 1024 * 1024
    path.unlink()
    with pytest.raises(FolderError, match="No such file"):
        tree.read(entry)
    path.symlink_to("/etc/passwd")
    with pytest.raises(FolderError, match="symbolic links"):
        tree.read(entry)


def test_names_that_are_not_utf_8_are_kept(tmp_path: Path) -> None:
    """By surrogates, so that they can be reported."""
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.yaml"))).write_text("", encoding="utf-8")
    (entry,) = FolderTree(tmp_path, mounted="policies").files("policies")
    assert entry.path == "policies/\udcff.yaml"
