"""Verbs that are one commit of whoever asks: as whom it is made, and how what came of it is shown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.options import Output, identity, settings

if TYPE_CHECKING:
    from reconciler.cycle.committing import Asked
    from reconciler.gitrepo import Repository
    from reconciler.settings import GitSettings

DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the change and write nothing.")]


@contextmanager
def committer(
    *,
    repo: str,
    ref: str,
    dry_run: bool,
    author: str | None,
    signing_key: str | None,
    signing_format: str,
    cache: Path | None,
) -> Iterator[tuple[Repository, GitSettings]]:
    """The repository, which commits as `--author` or as Git's user says; and how it does.

    Raises:
        UsageError: An option can't be read.
        ReconcilerError: The repository can't be opened, or nobody knows whose commit it would be.
    """
    from dataclasses import replace

    from reconciler.gitrepo import open_repository, person

    git = settings(
        repo=repo, ref=ref, author=author, signing_key=signing_key, signing_format=signing_format, cache=cache
    ).git
    if not dry_run:
        git = replace(git, author=identity(author) if author else person(repo))
    with open_repository(repo, git) as repository:
        yield repository, git


def show(asked: Asked, verb: str, ref: str, *, output: Output, subject: str = "", **about: str) -> int:
    """Print what came of it. Returns the exit status.

    Args:
        asked: What came of it.
        verb: What was asked.
        ref: The policy branch.
        output: Text or JSON.
        subject: What stands before the verb in text.
        about: Fields of the document that say what it was asked of.
    """
    from reconciler.cli.output import print_json, put, say
    from reconciler.plan import visible

    if output is Output.JSON:
        print_json(asked.document(verb, ref, **about))
    elif asked.commit:
        put(visible(f"{subject}{verb} is {asked.commit[:10]} on {ref}; the next pass acts on it"))
        if asked.note:
            put(visible(asked.note))
    else:
        terminal = sys.stdout.isatty()  # elsewhere it is for `git apply`, byte for byte
        put("\n".join(map(visible, asked.diff.split("\n"))) if terminal else asked.diff, end="")
        say(asked.errors)
    return 1 if asked.errors else 0
