"""What a person asks of a rollout, as one commit of theirs on the policy branch. The command line and the HTTP API share it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches

from reconciler.clock import Clock
from reconciler.cycle.committing import Asked, Decided, commit_decided
from reconciler.cycle.standstill import held
from reconciler.errors import BugError, InputError, PolicyError
from reconciler.gitrepo import Repository
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.rollout import Rollout
from reconciler.policy import DocumentCache, load
from reconciler.rollouts import commands
from reconciler.rollouts.commands import Commanded
from reconciler.rollouts.course import Course, course_of

Command = Callable[[Course, Mesh, Callable[[str], bytes]], Commanded]

_AT_ANY_TIME = (commands.abort, commands.pause)
"""What no freeze and no suspension holds."""


class UnknownRolloutError(InputError):
    """There is no rollout of this name on the policy branch."""

    default_code = "rollout-unknown"


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
    cache = DocumentCache()

    def decide(head: str) -> Decided:
        mesh = _mesh(repository, head, cache)
        made = _commanded(repository, head, key, command, mesh)
        words = "\n".join([made.message.rstrip("\n"), *trailers]) + "\n" if trailers else made.message
        waits = held(mesh.settings, clock.now()).rollouts if command not in _AT_ANY_TIME else ""
        return Decided(files=made.files, message=words, note=f"it waits: {waits}" if waits else "")

    return commit_decided(repository, ref, decide, clock=clock, attempts=attempts, dry_run=dry_run, vouched=vouched)


def _mesh(repository: Repository, head: str, cache: DocumentCache) -> Mesh:
    loaded = load(repository.tree(head), cache=cache)
    if loaded.mesh is None:
        raise PolicyError(diagnostics=loaded.errors)
    return loaded.mesh


def _commanded(repository: Repository, head: str, key: Key, command: Command, mesh: Mesh) -> Commanded:
    """The command on one commit."""

    def read(path: str) -> bytes:
        found = repository.read(head, path)
        if found is None:
            raise BugError(f"{path} is in the mesh of {head} and not in its files")
        return found

    return command(course_of(mesh, find(mesh, key)), mesh, read)


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
