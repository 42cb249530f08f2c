"""`reconcile suspend` and `resume`: one commit of whoever asks on the policy branch, decided again after a race. Applies nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace

from reconciler.clock import Clock
from reconciler.cycle.commanding import Asked
from reconciler.cycle.editing.diffs import diff_of
from reconciler.errors import BugError, PolicyError, UsageError
from reconciler.gitrepo import PushRefusedError, RaceLostError, Repository
from reconciler.model.freeze import Suspension
from reconciler.model.tree import Tree
from reconciler.plan import shorten, visible
from reconciler.policy import DocumentCache, load
from reconciler.policy.suspension import resumed, suspended

_TRAILER = "Mesh-Command"
_LONGEST_PAUSE = 0.5
_SUBJECT = 100
_BY_PROPOSAL = (
    "the branch takes no commits from you: make the change above by a pull request; the next pass acts on its merge"
)

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
    branch, cache = ref.removeprefix("refs/heads/"), DocumentCache()
    for attempt in range(1, attempts + 1):
        repository.fetch()
        head = repository.branch(branch)
        if head is None:
            repository.resolve(ref)  # says so if there is no such thing at all
            raise UsageError(f"{ref} is not a branch, so nothing can be committed to it", hint="name one with --ref")
        tree = repository.tree(head)
        loaded = load(tree, cache=cache)
        if loaded.mesh is None:
            raise PolicyError(diagnostics=loaded.errors)
        files = change(tree)
        before = {path: repository.read(head, path) or b"" for path in files}
        asked = Asked(
            commit="", message=message, diff=diff_of(before, {path: text or b"" for path, text in files.items()})
        )
        if dry_run:
            return asked
        try:
            commit = repository.commit(branch, expect=head, files=files, message=message, at=clock.now())
        except RaceLostError:
            if attempt == attempts:
                raise
            clock.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.02 * attempt)))  # noqa: S311 -- writers in step would lose in step
            continue
        except PushRefusedError as error:
            return replace(asked, errors=tuple(replace(item, hint=_BY_PROPOSAL) for item in error.diagnostics))
        return replace(asked, commit=commit)
    raise BugError("nothing was tried")
