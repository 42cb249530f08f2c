"""Whose commits landed: ours are exactly what the engine writes on top of their first parent; all others are people's.

Told apart by content alone, so it holds however they landed: pushed, merged, squashed or rebased. A message proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from reconciler.cycle.desired import Compiler
from reconciler.errors import ReconcilerError
from reconciler.gitrepo import CommitInfo, Repository
from reconciler.model.key import Key
from reconciler.rollouts.course import course_of
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.facts import Touched
from reconciler.rollouts.ownership import Stand, changed, explains, touched

_FOLDER = "policies"
_FOLDERS = (_FOLDER, "envoy-templates")


@dataclass(frozen=True, slots=True)
class Landed:
    """What people did since a commit.

    Attributes:
        touched: Their commits, oldest first; those before the last commit of ours are settled.
        resumed: Whether the run was resumed in between.
    """

    touched: tuple[Touched, ...] = ()
    resumed: bool = False


def landed(repository: Repository, compiler: Compiler, key: Key, *, since: str, head: str) -> Landed:
    """What people did to a rollout after one commit of the branch up to another.

    A commit of ours was made by somebody who had seen what was before it, except that a step forward settles nothing.

    Args:
        repository: Where the branch is.
        compiler: Reads the policies of its commits.
        key: The rollout.
        since: The commit up to which all is known; "" if nothing is.
        head: The newest.
    """
    if not since or since == head:
        return Landed()
    if not repository.is_ancestor(since, head):
        return Landed((_rewritten(repository.commit_info(head)),))
    found: list[Touched] = []
    resumed = False
    before, at = _stand(repository, compiler, key, since), since
    commits = list(repository.log(head, exclude=since, first_parent=True))
    for info in reversed(commits):
        parent = info.parents[0] if info.parents else ""
        if not parent or repository.same(info.id, parent, (_FOLDER,)):
            at = info.id if at == parent else at
            continue
        after = _stand(repository, compiler, key, info.id)
        if after is None:
            continue  # nothing of it is in force; what mends it is compared with what was before it
        ours = _explained(repository, before, parent, info.id) if before is not None and at == parent else None
        if ours is not None:
            if ours.move is not Move.ADVANCE:
                found.clear()
            resumed = ours.move is Move.RESUME or (resumed and ours.move is Move.ADVANCE)
        elif what := touched(before, after):
            found.append(Touched(commit=info.id, author=_name(info), subject=info.subject, what=what))
        before, at = after, info.id
    return Landed(tuple(found), resumed)


def by_rollouts(
    repository: Repository,
    compiler: Compiler,
    *,
    since: str,
    head: str,
    moves: Collection[Move],
    alike: Callable[[str, str], bool],
) -> bool:
    """Whether everything between two commits of the branch that matters to proxies is moves of rollouts, of some kinds.

    Args:
        repository: Where the branch is.
        compiler: Reads the policies of its commits.
        since: The commit up to which all is known.
        head: The newest.
        moves: What counts.
        alike: Whether two commits ask the same of all proxies: what else people wrote matters to nobody.
    """
    if not since or since == head or not repository.is_ancestor(since, head):
        return since == head
    for info in repository.log(head, exclude=since, first_parent=True):
        parent = info.parents[0] if info.parents else ""
        if not parent:
            return False
        if repository.same(info.id, parent, _FOLDERS):
            continue
        mesh = compiler.mesh(repository.tree(parent))
        keys = [item.key for item in mesh.rollouts] if mesh is not None else []
        stands = (_stand(repository, compiler, key, parent) for key in keys)
        ours = (_explained(repository, stand, parent, info.id) for stand in stands if stand is not None)
        if not (any(item is not None and item.move in moves for item in ours) or alike(parent, info.id)):
            return False
    return True


def _stand(repository: Repository, compiler: Compiler, key: Key, commit: str) -> Stand | None:
    """The rollout in a commit; None if it is not there, or the commit can't be used or is not here."""
    try:
        mesh = compiler.mesh(repository.tree(commit))
    except ReconcilerError:
        return None
    policy = next((item for item in mesh.rollouts if item.key == key), None) if mesh is not None else None
    return Stand(course_of(mesh, policy), mesh) if mesh is not None and policy is not None else None


def _explained(repository: Repository, before: Stand, parent: str, commit: str) -> Decision | None:
    differing = changed(repository.tree(parent), repository.tree(commit))
    return explains(before, lambda path: repository.read(parent, path) or b"", differing)


def _rewritten(info: CommitInfo) -> Touched:
    return Touched(commit=info.id, author=_name(info), subject=info.subject, what="rewrote the branch")


def _name(info: CommitInfo) -> str:
    """The name alone: an address is nobody's business in a reason that stands in a file."""
    return info.author.partition(" <")[0]
