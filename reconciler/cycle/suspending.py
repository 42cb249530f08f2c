"""`reconcile suspend` and `resume`: one commit of whoever asks on the policy branch. Applies nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from reconciler.clock import Clock
from reconciler.cycle.committing import Asked, Decided, commit_decided
from reconciler.errors import PolicyError
from reconciler.gitrepo import Repository
from reconciler.model.freeze import Suspension
from reconciler.model.tree import Tree
from reconciler.plan import shorten, visible
from reconciler.policy import DocumentCache, load
from reconciler.policy.suspension import resumed, suspended

_TRAILER = "Mesh-Command"
_SUBJECT = 100

Change = Callable[[Tree], Mapping[str, bytes | None]]


def suspend(
    repository: Repository, ref: str, suspension: Suspension, *, clock: Clock, attempts: int, dry_run: bool = False
) -> Asked:
    """Hold changes by a commit.

    Raises:
        SuspensionError: It can't be written.
        UsageError: It is no branch.
        PolicyError: Its head can't be used.
        RaceLostError: Others were faster each time.
        ReconcilerError: Git can't be read or written.
    """
    until = f" until {suspension.until}" if suspension.until else ""
    subject = shorten(visible(f"mesh: suspend changes{until}: {suspension.reason}"), _SUBJECT)
    return _committed(
        repository,
        ref,
        lambda tree: suspended(tree, suspension),
        f"{subject}\n\n{visible(suspension.reason)}\n\n{_TRAILER}: suspend\n",
        clock=clock,
        attempts=attempts,
        dry_run=dry_run,
    )


def resume(repository: Repository, ref: str, *, clock: Clock, attempts: int, dry_run: bool = False) -> Asked:
    """Let changes go on by a commit.

    Raises:
        SuspensionError: Nothing is suspended.
        UsageError, PolicyError, RaceLostError, ReconcilerError: As `suspend`.
    """
    words = f"mesh: resume changes\n\n{_TRAILER}: resume\n"
    return _committed(repository, ref, resumed, words, clock=clock, attempts=attempts, dry_run=dry_run)


def _committed(
    repository: Repository, ref: str, change: Change, message: str, *, clock: Clock, attempts: int, dry_run: bool
) -> Asked:
    cache = DocumentCache()

    def decide(head: str) -> Decided:
        tree = repository.tree(head)
        loaded = load(tree, cache=cache)
        if loaded.mesh is None:
            raise PolicyError(diagnostics=loaded.errors)
        return Decided(files=change(tree), message=message)

    return commit_decided(repository, ref, decide, clock=clock, attempts=attempts, dry_run=dry_run)
