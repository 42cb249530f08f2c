"""What a person asks of a rollout, as one commit of theirs on the policy branch: decided, committed, and decided again after a race.

The command line and the HTTP API share it. A daemon that runs acts on the commit, however it came there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any

from reconciler.clock import Clock
from reconciler.cycle.editing.diffs import diff_of
from reconciler.errors import BugError, Diagnostic, InputError, PolicyError, UsageError
from reconciler.gitrepo import PushRefusedError, RaceLostError, Repository
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.rollout import Rollout
from reconciler.policy import DocumentCache, load
from reconciler.rollouts.commands import Commanded
from reconciler.rollouts.course import Course, course_of

Command = Callable[[Course, Mesh, Callable[[str], bytes]], Commanded]
_SCHEMA = 1
_LONGEST_PAUSE = 0.5
_BY_PROPOSAL = (
    "the branch takes no commits from you: make the change above by a pull request; the next pass acts on its merge"
)


class UnknownRolloutError(InputError):
    """There is no rollout of this name on the policy branch."""

    default_code = "rollout-unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What came of it.

    Attributes:
        commit: Its id; "" if nothing was written.
        message: Of the commit.
        diff: What it changes, as `git apply` takes it.
        errors: Why nothing was written, although it could have been.
    """

    commit: str
    message: str
    diff: str
    errors: tuple[Diagnostic, ...] = ()

    def document(self, key: Key, verb: str, branch: str) -> dict[str, Any]:
        """The contract of `--output json`."""
        return {
            "schema_version": _SCHEMA,
            "rollout": key.name,
            "namespace": key.namespace,
            "command": verb,
            "branch": branch,
            "commit": self.commit or None,
            "message": self.message,
            "diff": self.diff,
            "errors": [item.as_json() for item in self.errors],
        }


def ask(
    repository: Repository,
    ref: str,
    key: Key,
    command: Command,
    *,
    clock: Clock,
    attempts: int,
    dry_run: bool,
    trailers: Sequence[str] = (),
    vouched: Callable[[str], None] = lambda _: None,
) -> Asked:
    """Carry a command out.

    Args:
        repository: Commits as the person who asks.
        ref: The policy branch.
        key: The rollout.
        command: From `rollouts.commands`.
        clock: For the commit's time, and for pauses after a lost race.
        attempts: How often somebody else may be faster.
        dry_run: Write nothing.
        trailers: Lines for the end of the message, as `Key: value`.
        vouched: Refuses a head by an `UntrustedError` that nobody who may has signed, where it is our signature that would vouch for it.

    Raises:
        InputError: There is no such rollout, or the command does not fit where it stands.
        PolicyError: The head of the branch can't be used.
        RaceLostError: Others were faster each time.
        ReconcilerError: Git can't be read or written.
    """
    branch, cache = ref.removeprefix("refs/heads/"), DocumentCache()
    for attempt in range(1, attempts + 1):
        repository.fetch()
        head = repository.branch(branch)
        if head is None:
            repository.resolve(ref)  # says so if there is no such thing at all
            raise UsageError(f"{ref} is not a branch, so nothing can be committed to it", hint="name one with --ref")
        made, before = _commanded(repository, head, key, command, cache)
        words = "\n".join([made.message.rstrip("\n"), *trailers]) + "\n" if trailers else made.message
        asked = Asked(commit="", message=words, diff=diff_of(before, made.files))
        if dry_run:
            return asked
        vouched(head)
        try:
            commit = repository.commit(branch, expect=head, files=made.files, message=words, at=clock.now())
        except RaceLostError:
            if attempt == attempts:
                raise
            clock.sleep(random.uniform(0, min(_LONGEST_PAUSE, 0.02 * attempt)))  # noqa: S311 -- writers in step would lose in step
            continue
        except PushRefusedError as error:
            return replace(asked, errors=tuple(replace(item, hint=_BY_PROPOSAL) for item in error.diagnostics))
        return replace(asked, commit=commit)
    raise BugError("nothing was tried")


def _commanded(
    repository: Repository, head: str, key: Key, command: Command, cache: DocumentCache
) -> tuple[Commanded, Mapping[str, bytes]]:
    """The command on one commit, and what the files that it changes were there."""
    loaded = load(repository.tree(head), cache=cache)
    if loaded.mesh is None:
        raise PolicyError(diagnostics=loaded.errors)

    def read(path: str) -> bytes:
        found = repository.read(head, path)
        if found is None:
            raise BugError(f"{path} is in the mesh of {head} and not in its files")
        return found

    made = command(course_of(loaded.mesh, find(loaded.mesh, key)), loaded.mesh, read)
    return made, {path: read(path) for path in made.files}


def find(mesh: Mesh, key: Key) -> Policy[Rollout]:
    """A rollout by its name.

    Raises:
        UnknownRolloutError: There is none; names those that sound like it, or that there are.
    """
    found = next((policy for policy in mesh.rollouts if policy.key == key), None)
    if found is not None:
        return found
    names = [policy.key.short() for policy in mesh.rollouts]
    elsewhere = [policy.key.short() for policy in mesh.rollouts if policy.key.name == key.name]
    close = elsewhere or get_close_matches(key.short(), names, n=3)
    if close:
        hint = f"did you mean {' or '.join(close)}?"
    elif names:
        hint = f"there is {', '.join(names[:10])}" + (f" and {len(names) - 10} more" if len(names) > 10 else "")  # noqa: PLR2004 -- what fits a line
    else:
        hint = "there are no rollouts on this branch"
    raise UnknownRolloutError(f"there is no rollout {key.short()}", hint=hint)
