"""What two commits come to when one is merged into the other, without a work tree, a commit or a trace in the repository.

A preview of a pull request is of this: neither the branch, which may have moved since, nor the head alone says what merging
will bring. Needs the history of both back to where they parted; `completing` brings what a shallow clone lacks.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

from reconciler.gitrepo.command import run
from reconciler.gitrepo.errors import GitWriteError, UnrelatedHistoriesError
from reconciler.gitrepo.graft import object_id
from reconciler.gitrepo.objects import Objects
from reconciler.gitrepo.scratch import ChangedTree, Scratch
from reconciler.gitrepo.tree import CommitTree
from reconciler.model.tree import Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """A merge that nobody made.

    Attributes:
        base: What is merged into, by full id.
        head: What is merged, by full id.
        ancestor: Where the two parted; one of several where they were merged back and forth.
        tree: The files that come of it, of no commit. A file that conflicts has git's marks in it.
        conflicts: Paths that both sides changed in the same places, sorted.
        changed: Paths that merging changes on the base, sorted.
    """

    base: str
    head: str
    ancestor: str
    tree: Tree
    conflicts: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()


def merge(objects: Objects, git_dir: Path, base: str, head: str) -> Merged:
    """Merge `head` into `base` in memory; see `Repository.merged`."""
    ancestors = ancestors_of(git_dir, base, head)
    if not ancestors:
        raise UnrelatedHistoriesError(
            f"{base[:10]} and {head[:10]} have no commit in common, so one can't be merged into the other",
            hint="fetch the whole history of both; a shallow clone gets it by `git fetch --unshallow`",
        )
    try:
        with tempfile.TemporaryDirectory(prefix="reconcile-") as folder:
            store = Scratch(git_dir, Path(folder))
            tree, conflicts = store.merge(base, head, purpose="a pull request can't be merged for its preview")
            changes = store.differences(objects.root(base), tree)
            made = store.made()
    except OSError as error:
        raise GitWriteError(f"there is no room for temporary files: {error.strerror or error}") from error
    blobs = {object_id(kind, content): content for kind, content in made if kind == "blob"}
    return Merged(
        base=base,
        head=head,
        ancestor=ancestors[0],
        tree=ChangedTree(objects, CommitTree(objects, base), changes, blobs),
        conflicts=conflicts,
        changed=tuple(sorted(changes)),
    )


def ancestors_of(git_dir: Path, base: str, head: str) -> tuple[str, ...]:
    """The best common ancestors of two commits that are here, as far as their histories are."""
    return tuple(run([f"--git-dir={git_dir}", "merge-base", "--all", base, head]).text.split())
