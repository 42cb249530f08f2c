"""A commit or a work tree, or one proxy of it, for the verbs that ask nobody but Git."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.cycle import Compiler, Desired
from reconciler.cycle.report import Stopwatch, silent
from reconciler.cycle.targets import members
from reconciler.errors import UsageError
from reconciler.gitrepo import open_repository
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.model.tree import Tree
from reconciler.policy import FolderTree
from reconciler.settings import Settings


@dataclass(frozen=True, slots=True)
class Member:
    """A proxy and the commit that declares it."""

    proxy: Policy[Proxy]
    desired: Desired
    tree: Tree


def member(settings: Settings, name: str, *, work_tree: bool) -> Member:
    """Look a proxy up.

    Raises:
        UsageError: There is no such proxy, or no work tree.
        PolicyError: The commit can't be used.
        ReconcilerError: Git can't be read.
    """
    desired, tree = compiled(settings, work_tree=work_tree)
    return Member(members(desired.mesh, (Key.parse(name),))[0], desired, tree)


def compiled(settings: Settings, *, work_tree: bool) -> tuple[Desired, Tree]:
    """What a commit or a work tree asks for.

    Raises:
        UsageError: There is no work tree.
        PolicyError: The commit can't be used.
        ReconcilerError: Git can't be read.
    """
    with open_repository(settings.repo, settings.git) as repository:
        repository.fetch()
        if work_tree and repository.work_tree is None:
            raise UsageError(f"{settings.repo} has no work tree", hint="name a local checkout with --repo")
        tree: Tree = (
            FolderTree(repository.work_tree)
            if work_tree and repository.work_tree is not None
            else repository.tree(repository.resolve(settings.ref))
        )
        return Compiler().desired(tree, Stopwatch(silent)), tree
