"""Undoing one commit on top of another: a three-way merge in memory, as `git revert` makes it. Writes nothing that stays.

What is merged is the state with the commit (the base), the state now, and the state before the commit. Git gets them as
three commits of its own making, because it takes a base by name only from 2.40 on; these and what the merge makes lie in
a folder for temporary objects in front of the repository's own.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from reconciler.gitrepo.errors import GitWriteError
from reconciler.gitrepo.graft import EMPTY_TREE, Grafted, object_id
from reconciler.gitrepo.history import commit_info
from reconciler.gitrepo.objects import Objects
from reconciler.gitrepo.scratch import ChangedTree, Scratch
from reconciler.gitrepo.tree import CommitTree
from reconciler.model.tree import Tree


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
            store = Scratch(git_dir, Path(folder))
            shared = store.commit_of(objects.root(commit))
            sides = [store.commit_of(tree, parent=shared) for tree in (now, before)]
            tree, conflicts = store.merge(*sides, purpose="a commit can't be undone")
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
    return Reversal(commit=commit, onto=onto, tree=ChangedTree(objects, base, changes, blobs), merged=merged)
