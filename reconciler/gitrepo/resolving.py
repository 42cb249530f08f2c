"""What a name stands for: from any expression that Git knows to the full id of a commit."""

from __future__ import annotations

import re
from pathlib import Path

from reconciler.gitrepo.command import run
from reconciler.gitrepo.errors import EmptyRepositoryError, RefNotFoundError
from reconciler.gitrepo.objects import Objects

_ONE_WORD = re.compile(r"[^\s\x00-\x20\x7f{]+")
_SHOWN = 10


def resolve(objects: Objects, git_dir: Path, ref: str, *, location: str) -> str:
    """The full id of a commit. A branch comes before a tag of the same name.

    Args:
        objects: Of the repository.
        git_dir: Its git directory.
        ref: A branch, tag, remote branch, id, or any other expression.
        location: As users know the repository, for messages.

    Raises:
        GitUnavailableError: The repository is not there any more.
        RefNotFoundError: There is no such commit; names the branches there are.
        EmptyRepositoryError: There is no commit at all.
    """
    found = objects.commit(f"refs/heads/{ref}") if _ONE_WORD.fullmatch(ref) else None
    if found is None and ref and not ref.startswith("-") and ref.isprintable():
        named = run([f"--git-dir={git_dir}", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}"])
        found = named.text if named.ok else None
    if found is None:
        raise _not_found(git_dir, ref, location)
    return found


def _not_found(git_dir: Path, ref: str, location: str) -> RefNotFoundError:
    listed = run([f"--git-dir={git_dir}", "for-each-ref", "--format=%(refname)"]).text.split("\n")
    refs = [name for name in listed if name]
    if not refs:
        hint = "commit policies to it first"
        return EmptyRepositoryError(f"{location} has no commits, so there is no {ref}", hint=hint)
    heads = [name.removeprefix("refs/heads/") for name in refs if name.startswith("refs/heads/")]
    remote = [name.removeprefix("refs/remotes/") for name in refs if name.endswith(f"/{ref}") and "/remotes/" in name]
    shown = ", ".join(heads[:_SHOWN]) + (f" and {len(heads) - _SHOWN} more" if len(heads) > _SHOWN else "")
    hint = f"there is {', '.join(remote)}" if remote else f"branches: {shown}" if heads else "there are no branches"
    return RefNotFoundError(f"there is no {ref!r} in {location}", hint=hint)
