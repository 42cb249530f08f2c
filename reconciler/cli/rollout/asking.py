"""`reconcile rollout promote, pause, resume, abort, retry`: what people ask of rollouts, each one commit by who asks.

The same can be written into the file by hand, or by a pull request; a daemon that runs acts on the commit, however it came there.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.commits import DryRun, committer, show
from reconciler.cli.options import (
    Author,
    Cache,
    Output,
    OutputOption,
    Ref,
    Repo,
    SigningFormat,
    SigningKey,
    require_text_or_json,
)
from reconciler.cli.rollout.options import NAMESPACE, Name, Namespace, key_of

if TYPE_CHECKING:
    from reconciler.cycle.commanding import Command


def promote(
    name: Name,
    *,
    full: Annotated[bool, typer.Option("--full", help="Through all steps, whatever they wait for.")] = False,
    repo: Repo = ".",
    ref: Ref = "main",
    namespace: Namespace = NAMESPACE,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
    author: Author = None,
    signing_key: SigningKey = None,
    signing_format: SigningFormat = "ssh",
    cache: Cache = None,
) -> int:
    """Go on to the next step, whatever this one waits for: a commit that sets spec.step."""
    from reconciler.rollouts import commands

    return _ask(
        "promote", commands.promote_full if full else commands.promote, name, namespace,
        repo=repo, ref=ref, dry_run=dry_run, output=output, author=author, signing_key=signing_key,
        signing_format=signing_format, cache=cache,
    )  # fmt: skip


def retry(
    name: Name,
    *,
    run: Annotated[
        str, typer.Option("--run", metavar="TEXT", help="What the new run is called; by default it is counted.")
    ] = "",
    repo: Repo = ".",
    ref: Ref = "main",
    namespace: Namespace = NAMESPACE,
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
    author: Author = None,
    signing_key: SigningKey = None,
    signing_format: SigningFormat = "ssh",
    cache: Cache = None,
) -> int:
    """Begin anew after the end of a run: a commit that sets spec.run."""
    from reconciler.rollouts import commands

    return _ask(
        "retry", partial(commands.retry, run=run), name, namespace,
        repo=repo, ref=ref, dry_run=dry_run, output=output, author=author, signing_key=signing_key,
        signing_format=signing_format, cache=cache,
    )  # fmt: skip


def _plain(verb: str, words: str) -> Callable[..., int]:
    """A verb without options of its own."""

    def asks(
        name: Name,
        *,
        repo: Repo = ".",
        ref: Ref = "main",
        namespace: Namespace = NAMESPACE,
        dry_run: DryRun = False,
        output: OutputOption = Output.TEXT,
        author: Author = None,
        signing_key: SigningKey = None,
        signing_format: SigningFormat = "ssh",
        cache: Cache = None,
    ) -> int:
        from reconciler.rollouts import commands

        return _ask(
            verb, getattr(commands, verb), name, namespace,
            repo=repo, ref=ref, dry_run=dry_run, output=output, author=author, signing_key=signing_key,
            signing_format=signing_format, cache=cache,
        )  # fmt: skip

    asks.__name__, asks.__doc__ = verb, words
    return asks


VERBS: tuple[Callable[..., int], ...] = (
    promote,
    _plain("pause", "Hold a run where it is: a commit that sets spec.paused."),
    _plain("resume", "Go on after a pause, whoever paused it: a commit that says that you have looked."),
    _plain("abort", "Give all traffic back to stable: a commit that sets spec.abort."),
    retry,
)


def _ask(
    verb: str,
    command: Command,
    name: str,
    namespace: str,
    *,
    repo: str,
    ref: str,
    dry_run: bool,
    output: Output,
    author: str | None,
    signing_key: str | None,
    signing_format: str,
    cache: Path | None,
) -> int:
    from reconciler.clock import SystemClock
    from reconciler.cycle.commanding import ask

    require_text_or_json(output, "rollout")
    key = key_of(name, namespace)
    with committer(
        repo=repo, ref=ref, dry_run=dry_run, author=author, signing_key=signing_key, signing_format=signing_format,
        cache=cache,
    ) as (repository, git):  # fmt: skip
        asked = ask(repository, ref, key, command, clock=SystemClock(), attempts=git.push_attempts, dry_run=dry_run)
    about = {"rollout": key.name, "namespace": key.namespace}
    return show(asked, verb, ref, output=output, subject=f"{key.short()}: ", **about)
