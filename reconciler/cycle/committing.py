"""One commit of whoever asks on the policy branch: decided for its head, committed on top of that, and decided again after a race.

What is decided is handed in: a command for a rollout (`commanding`), a suspension (`suspending`). The command line and the HTTP API
share it. Applies nothing: a daemon that runs acts on the commit, however it came there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from reconciler.clock import Clock
from reconciler.cycle.diffs import diff_of
from reconciler.errors import BugError, Diagnostic, UsageError
from reconciler.gitrepo import PushRefusedError, RaceLostError, Repository

_T = TypeVar("_T")
_SCHEMA = 1
_PAUSE, _LONGEST_PAUSE = 0.02, 0.5
_BY_PROPOSAL = (
    "the branch takes no commits from you: make the change above by a pull request; the next pass acts on its merge"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What is to be committed on top of one head.

    Attributes:
        files: Content by path; None removes the file.
        message: Subject, empty line, body, trailers.
        note: What whoever asks should know of it, in words; "" if nothing.
    """

    files: Mapping[str, bytes | None]
    message: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of it.

    Attributes:
        commit: Its id; "" if nothing was written.
        message: Of the commit.
        diff: What it changes, as `git apply` takes it.
        errors: Why nothing was written, although it could have been.
        note: What whoever asked should know of it, in words; "" if nothing.
    """

    commit: str
    message: str
    diff: str
    errors: tuple[Diagnostic, ...] = ()
    note: str = ""

    def document(self, command: str, branch: str, **about: str) -> dict[str, Any]:
        """The contract of `--output json`.

        Args:
            command: What was asked.
            branch: Where.
            about: What it was asked of, by the names of fields.
        """
        return {
            "schema_version": _SCHEMA,
            **about,
            "command": command,
            "branch": branch,
            "commit": self.commit or None,
            "message": self.message,
            "diff": self.diff,
            "note": self.note,
            "errors": [item.as_json() for item in self.errors],
        }


def commit_decided(
    repository: Repository,
    ref: str,
    decide: Callable[[str], Decided],
    *,
    clock: Clock,
    attempts: int,
    dry_run: bool,
    vouched: Callable[[str], None] = lambda _: None,
) -> Asked:
    """Commit what is decided for the head of a branch.

    Args:
        repository: Commits as whoever asks.
        ref: The policy branch.
        decide: What is to be committed on top of a commit, by its full id; asked again after each lost race.
        clock: For the commit's time, and for pauses after a lost race.
        attempts: How often somebody else may be faster.
        dry_run: Write nothing.
        vouched: Refuses a head by an error, before anything is written on top of it.

    Raises:
        UsageError: It is no branch.
        RaceLostError: Others were faster each time.
        ReconcilerError: `decide` or `vouched` refuse, or Git can't be read or written.
    """

    def once() -> Asked:
        head = fetched_head(repository, ref)
        decided = decide(head)
        before = {path: repository.read(head, path) for path in decided.files}
        asked = Asked(commit="", message=decided.message, diff=diff_of(before, decided.files), note=decided.note)
        if dry_run:
            return asked
        vouched(head)
        try:
            commit = repository.commit(
                branch_of(ref), expect=head, files=decided.files, message=decided.message, at=clock.now()
            )
        except PushRefusedError as error:
            return replace(asked, errors=tuple(replace(item, hint=_BY_PROPOSAL) for item in error.diagnostics))
        return replace(asked, commit=commit)

    return until_won(once, clock=clock, attempts=attempts)


def until_won(once: Callable[[], _T], *, clock: Clock, attempts: int) -> _T:
    """Do something that may lose a race, and do all of it again if it has.

    Args:
        once: Looks at the branch anew each time.
        clock: For pauses.
        attempts: How often in all, at least once.

    Raises:
        RaceLostError: Others were faster each time.
        ReconcilerError: As `once` does.
    """
    for attempt in range(1, attempts + 1):
        try:
            return once()
        except RaceLostError:
            if attempt == attempts:
                raise
            clock.sleep(random.uniform(0, min(_LONGEST_PAUSE, _PAUSE * attempt)))  # noqa: S311 -- writers in step would lose in step
    raise BugError("nothing was tried")


def fetched_head(repository: Repository, ref: str) -> str:
    """The commit that a branch is at now, by its full id.

    Raises:
        UsageError: It is something else than a branch.
        ReconcilerError: There is no such thing, or Git can't be asked.
    """
    repository.fetch()
    head = repository.branch(branch_of(ref))
    if head is None:
        repository.resolve(ref)  # says so if there is no such thing at all
        raise UsageError(f"{ref} is not a branch, so nothing can be committed to it", hint="name one with --ref")
    return head


def branch_of(ref: str) -> str:
    """The name of a branch that may be given as a whole ref."""
    return ref.removeprefix("refs/heads/")
