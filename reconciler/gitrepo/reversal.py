"""Undoing one commit on top of another: a three-way merge in memory, as `git revert` makes it. Writes nothing that stays.

What is merged is the state with the commit (the base), the state now, and the state before the commit. Git gets them as
three commits of its own making, because it takes a base by name only from 2.40 on; these and what the merge makes lie in
a folder for temporary objects in front of the repository's own.
"""

from __future__ import annotations

import os
import tempfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.errors import CorruptRepositoryError, GitTooOldError, GitWriteError
from reconciler.gitrepo.graft import EMPTY_TREE, Grafted, object_id
from reconciler.gitrepo.history import commit_info
from reconciler.gitrepo.objects import SUBMODULE_MODE, SYMLINK_MODE, Objects
from reconciler.gitrepo.tree import CommitTree
from reconciler.model.tree import FileKind, Tree, TreeFile

_KINDS = {SYMLINK_MODE: FileKind.SYMLINK, SUBMODULE_MODE: FileKind.SUBMODULE}
_USAGE = 129
_CONFLICTS = 1
_PERSON = "reconcile <> 0 +0000"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reversal:
    """One commit undone on top of another, not written yet.

    Attributes:
        commit: What is undone.
        onto: On top of what.
        conflicts: Paths that differ from what the commit left there in the same places; then nothing else is known.
        tree: The files that come of it, without a commit id.
        merged: What would be written; None with conflicts.
    """

    commit: str
    onto: str
    conflicts: tuple[str, ...] = ()
    tree: Tree
    merged: Grafted | None = field(default=None, repr=False)

    @property
    def paths(self) -> tuple[str, ...]:
        """What differs from `onto`; nothing if the commit is undone there already."""
        return tuple(self.merged.paths) if self.merged is not None else ()

    @property
    def tree_id(self) -> str:
        """The id of the tree that comes of it; "" with conflicts."""
        return self.merged.tree if self.merged is not None else ""


def reverse(objects: Objects, git_dir: Path, commit: str, *, onto: str) -> Reversal:
    """Undo `commit` on top of `onto`; see `Repository.reversal`."""
    parents = commit_info(commit, objects.data(commit)).parents
    before = objects.root(parents[0]) if parents else EMPTY_TREE
    now = objects.root(onto)
    base = CommitTree(objects, onto)
    try:
        with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
            store = _Store(git_dir, Path(folder))
            tree, conflicts = store.merge(base=objects.root(commit), ours=now, theirs=before)
            if conflicts:
                return Reversal(commit=commit, onto=onto, conflicts=conflicts, tree=base)
            changes = store.differences(now, tree)
            made = store.made()
    except OSError as error:
        raise GitWriteError(f"there is no room for temporary files: {error.strerror or error}") from error
    merged = Grafted(
        tree,
        made,
        added=tuple(path for path, change in changes.items() if change.added),
        paths=tuple(changes),
    )
    blobs = {object_id(kind, content): content for kind, content in made if kind == "blob"}
    return Reversal(commit=commit, onto=onto, tree=_ReversedTree(objects, base, changes, blobs), merged=merged)


@dataclass(frozen=True, slots=True)
class _Change:
    """What a path has afterwards; nothing if `mode` is 0."""

    mode: int
    blob: str
    added: bool


class _Store:
    """A folder of temporary objects in front of a repository's."""

    def __init__(self, git_dir: Path, folder: Path) -> None:
        self._git_dir = git_dir
        self._folder = folder
        (folder / "info").mkdir()
        (folder / "info" / "alternates").write_bytes(os.fsencode(git_dir / "objects") + b"\n")

    def merge(self, *, base: str, ours: str, theirs: str) -> tuple[str, tuple[str, ...]]:
        """The merged tree's id, or the paths that conflict."""
        shared = self._commit(base)
        sides = [self._commit(tree, parent=shared) for tree in (ours, theirs)]
        merged = self._git("merge-tree", "--write-tree", "-z", "--name-only", "--no-messages", *sides)
        if merged.code == _USAGE:
            version = run(["version"]).text
            raise GitTooOldError(f"a commit can't be undone with {version}", hint="install Git 2.38 or newer")
        if merged.code not in {0, _CONFLICTS}:
            raise CorruptRepositoryError(f"git can't merge in {self._git_dir}: {merged.words}", hint="run git fsck")
        tree, *names = merged.out.decode("utf-8", "surrogateescape").split("\0")
        return tree, tuple(sorted({name for name in names if name})) if merged.code == _CONFLICTS else ()

    def differences(self, old: str, new: str) -> Mapping[str, _Change]:
        """What differs between two trees, by path."""
        listed = self._git("diff-tree", "-r", "-z", "--no-renames", old, new)
        if not listed.ok:
            raise CorruptRepositoryError(f"git can't compare trees in {self._git_dir}: {listed.words}")
        words = listed.out.decode("utf-8", "surrogateescape").split("\0")
        found: dict[str, _Change] = {}
        for line, path in zip(words[0:-1:2], words[1::2], strict=True):
            _, mode, _, blob, status = line.split(" ")
            found[path] = _Change(int(mode, 8), blob, added=status == "A")
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

    def _commit(self, tree: str, *, parent: str = "") -> str:
        lines = [f"tree {tree}", *([f"parent {parent}"] if parent else []), f"author {_PERSON}", f"committer {_PERSON}"]
        text = "\n".join([*lines, "", "state", ""]).encode()
        made = self._git("hash-object", "-t", "commit", "-w", "--stdin", stdin=text)
        if not made.ok:
            raise GitWriteError(f"a temporary object can't be written: {made.words}")
        return made.text

    def _git(self, *arguments: str, stdin: bytes = b"") -> Result:
        where = {"GIT_OBJECT_DIRECTORY": str(self._folder)}
        return run([f"--git-dir={self._git_dir}", *arguments], stdin=stdin, extra=where)


class _ReversedTree:
    """The files of a commit with some of them changed, as `model.tree.Tree`."""

    commit = ""

    def __init__(
        self, objects: Objects, base: CommitTree, changes: Mapping[str, _Change], blobs: Mapping[str, bytes]
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

    def _size(self, change: _Change) -> int:
        if change.mode == SUBMODULE_MODE:
            return 0
        content = self._blobs.get(change.blob)
        return len(content) if content is not None else self._objects.sizes([change.blob])[change.blob]
