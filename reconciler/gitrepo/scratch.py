"""Merges that nobody commits: made in a folder of temporary objects in front of a repository's own, and read from there.

Nothing that stays is written. What is merged, and what for, is decided by `reversal` and `merging`.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.errors import CorruptRepositoryError, GitTooOldError, GitWriteError
from reconciler.gitrepo.objects import SUBMODULE_MODE, SYMLINK_MODE, Objects
from reconciler.gitrepo.tree import CommitTree
from reconciler.model.tree import FileKind, TreeFile

_KINDS = {SYMLINK_MODE: FileKind.SYMLINK, SUBMODULE_MODE: FileKind.SUBMODULE}
_USAGE = 129
_CONFLICTS = 1
_PERSON = "reconcile <> 0 +0000"


@dataclass(frozen=True, slots=True)
class TreeChange:
    """What a path has afterwards; nothing if `mode` is 0."""

    mode: int
    blob: str
    added: bool


class Scratch:
    """A folder of temporary objects in front of a repository's."""

    def __init__(self, git_dir: Path, folder: Path) -> None:
        self._git_dir = git_dir
        self._folder = folder
        (folder / "info").mkdir()
        (folder / "info" / "alternates").write_bytes(os.fsencode(git_dir / "objects") + b"\n")

    def merge(self, ours: str, theirs: str, *, purpose: str) -> tuple[str, tuple[str, ...]]:
        """The merged tree's id, and the paths that conflict; with conflicts the tree has git's marks in those files.

        Args:
            ours: A commit.
            theirs: Another; the two have a common ancestor.
            purpose: What can't be done with a git that is too old, as the beginning of a sentence.

        Raises:
            GitTooOldError: This git can't merge without a work tree.
            CorruptRepositoryError: It fails otherwise.
        """
        merged = self._git("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", ours, theirs)
        if merged.code == _USAGE:
            version = run(["version"]).text
            raise GitTooOldError(f"{purpose} with {version}", hint="install Git 2.38 or newer")
        if merged.code not in {0, _CONFLICTS}:
            raise CorruptRepositoryError(f"git can't merge in {self._git_dir}: {merged.words}", hint="run git fsck")
        tree, *names = merged.out.decode("utf-8", "surrogateescape").split("\0")
        return tree, tuple(sorted({name for name in names if name})) if merged.code == _CONFLICTS else ()

    def differences(self, old: str, new: str) -> Mapping[str, TreeChange]:
        """What differs between two trees, by path."""
        listed = self._git("diff-tree", "-r", "-z", "--no-renames", old, new)
        if not listed.ok:
            raise CorruptRepositoryError(f"git can't compare trees in {self._git_dir}: {listed.words}")
        words = listed.out.decode("utf-8", "surrogateescape").split("\0")
        found: dict[str, TreeChange] = {}
        for line, path in zip(words[0:-1:2], words[1::2], strict=True):
            _, mode, _, blob, status = line.split(" ")
            found[path] = TreeChange(int(mode, 8), blob, added=status == "A")
        return found

    def made(self) -> Sequence[tuple[str, bytes]]:
        """The objects that the merge made: type and content."""
        found: list[tuple[str, bytes]] = []
        for file in sorted(self._folder.glob("??/*")):
            head, _, content = zlib.decompress(file.read_bytes()).partition(b"\0")
            kind = head.partition(b" ")[0].decode("ascii")
            if kind != "commit":
                found.append((kind, content))
        return tuple(sorted(found, key=lambda item: item[0]))  # blobs before trees

    def commit_of(self, tree: str, *, parent: str = "") -> str:
        """A commit of a tree, for a merge that takes nothing else.

        Raises:
            GitWriteError: It can't be written.
        """
        lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {_PERSON}", f"committer {_PERSON}"]
        text = "\n".join([*lines, "", "state", ""]).encode()
        made = self._git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text)
        if not made.ok:
            raise GitWriteError(f"a temporary object can't be written: {made.words}")
        return made.text

    def _git(self, *arguments: str, stdin: bytes = b"") -> Result:
        where = {"GIT_OBJECT_DIRECTORY": str(self._folder)}
        return run([f"--git-dir={self._git_dir}", *arguments], stdin=stdin, extra=where)


class ChangedTree:
    """The files of a commit with some of them changed, as `model.tree.Tree`."""

    commit = ""

    def __init__(
        self, objects: Objects, base: CommitTree, changes: Mapping[str, TreeChange], blobs: Mapping[str, bytes]
    ) -> None:
        self._objects = objects
        self._base = base
        self._changes = changes
        self._blobs = blobs

    def files(self, folder: str) -> Sequence[TreeFile]:
        """All entries below a folder at any depth, sorted by path; see `CommitTree.files`."""
        top = folder.strip("/")
        kept = [file for file in self._base.files(folder) if file.path not in self._changes]
        for path, change in self._changes.items():
            inside = not top or path.startswith(f"{top}/") or (path == top and change.mode in _KINDS)
            if change.mode and inside:
                kept.append(TreeFile(path, change.blob, self._size(change), _KINDS.get(change.mode, FileKind.FILE)))
        return tuple(sorted(kept, key=lambda file: file.path))

    def read(self, file: TreeFile) -> bytes:
        """The content; of a symlink, its target's path."""
        content = self._blobs.get(file.blob)
        return content if content is not None else self._base.read(file)

    def _size(self, change: TreeChange) -> int:
        if change.mode == SUBMODULE_MODE:
            return 0
        content = self._blobs.get(change.blob)
        return len(content) if content is not None else self._objects.sizes([change.blob])[change.blob]
