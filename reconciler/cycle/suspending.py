"""`reconcile suspend` and `resume`: one commit of whoever asks on the policy branch. Applies nothing."""

from __future__ import annotations

from collections.abc import Callable

from reconciler.clock import Clock
from reconciler.cycle.committing import Asked, Decided, commit_decided
from reconciler.cycle.standstill import ends, replaced
from reconciler.errors import PolicyError
from reconciler.gitrepo import Repository
from reconciler.model.freeze import Suspension
from reconciler.model.tree import Tree
from reconciler.plan import shorten, visible
from reconciler.policy import DocumentCache, load
from reconciler.policy.suspension import resumed, suspended

_TRAILER = "Mesh-Command"
_SUBJECT = 100

Decide = Callable[[Tree, Suspension | None], Decided]


def suspend(
    repository: Repository, ref: str, suspension: Suspension, *, clock: Clock, attempts: int, dry_run: bool = False
) -> Asked:
    """Hold changes by a commit. It takes the place of a suspension that is there, and says so in its message and in the note.

    Raises:
        SuspensionError: It can't be written.
        UsageError: It is no branch.
        PolicyError: Its head can't be used.
        RaceLostError: Others were faster each time.
        ReconcilerError: Git can't be read or written.
    """
    until = f" until {suspension.until}" if suspension.until else ""
    subject = shorten(visible(f"mesh: suspend changes{until}: {suspension.reason}"), _SUBJECT)

    def decide(tree: Tree, before: Suspension | None) -> Decided:
        files = suspended(tree, suspension)
        instead = replaced(before, clock.now()) if before is not None else ""
        body = f"{visible(suspension.reason)}\n\n" + (f"{instead[0].upper()}{instead[1:]}.\n\n" if instead else "")
        note = f"changes are suspended {ends(suspension)}" + (f"; this {instead}" if instead else "")
        return Decided(files=files, message=f"{subject}\n\n{body}{_TRAILER}: suspend\n", note=note)

    return _committed(repository, ref, decide, clock=clock, attempts=attempts, dry_run=dry_run)


def resume(repository: Repository, ref: str, *, clock: Clock, attempts: int, dry_run: bool = False) -> Asked:
    """Let changes go on by a commit.

    Raises:
        SuspensionError: Nothing is suspended.
        UsageError, PolicyError, RaceLostError, ReconcilerError: As `suspend`.
    """
    words = f"mesh: resume changes\n\n{_TRAILER}: resume\n"

    def decide(tree: Tree, _: Suspension | None) -> Decided:
        return Decided(files=resumed(tree), message=words)

    return _committed(repository, ref, decide, clock=clock, attempts=attempts, dry_run=dry_run)


def _committed(
    repository: Repository, ref: str, decided: Decide, *, clock: Clock, attempts: int, dry_run: bool
) -> Asked:
    cache = DocumentCache()

    def decide(head: str) -> Decided:
        tree = repository.tree(head)
        loaded = load(tree, cache=cache)
        if loaded.mesh is None:
            raise PolicyError(diagnostics=loaded.errors)
        return decided(tree, loaded.mesh.settings.suspend)

    return commit_decided(repository, ref, decide, clock=clock, attempts=attempts, dry_run=dry_run)
