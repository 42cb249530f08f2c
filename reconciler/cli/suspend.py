"""`reconcile suspend` and `reconcile resume`: hold all changes for a time, and let them go on; each is a commit by who asks."""

from __future__ import annotations

from datetime import datetime, timedelta
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
    duration,
    require_text_or_json,
)
from reconciler.clock import rfc3339
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from reconciler.cycle.committing import Asked
    from reconciler.gitrepo import Repository

    Change = Callable[[Repository, str, int], Asked]


def suspend(
    *,
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="What people are told.")],
    for_: Annotated[str, typer.Option("--for", metavar="DURATION", help="How long, as in 2h.")] = "",
    until: Annotated[str, typer.Option("--until", metavar="TIME", help="Until when, as in 2026-08-31T06:00:00Z.")] = "",
    repo: Repo = ".",
    ref: Ref = "main",
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
    author: Author = None,
    signing_key: SigningKey = None,
    signing_format: SigningFormat = "ssh",
    cache: Cache = None,
) -> int:
    """Hold all changes until they are resumed, or for a time: a commit that sets Mesh.suspend.

    Drift is corrected all the same, and rollbacks and aborts pass.
    """
    from reconciler.clock import SystemClock
    from reconciler.cycle import suspending
    from reconciler.model.freeze import Suspension

    if not reason.strip():
        raise UsageError("--reason is empty", hint="say why, so that people know what they wait for")
    end = _end(for_, until, SystemClock().now())

    def change(repository: Repository, by: str, attempts: int) -> Asked:
        return suspending.suspend(
            repository, ref, Suspension(reason=reason, until=end, by=by),
            clock=SystemClock(), attempts=attempts, dry_run=dry_run,
        )  # fmt: skip

    return _asked(
        "suspend", change, repo=repo, ref=ref, dry_run=dry_run, output=output, author=author, signing_key=signing_key,
        signing_format=signing_format, cache=cache,
    )  # fmt: skip


def resume(
    *,
    repo: Repo = ".",
    ref: Ref = "main",
    dry_run: DryRun = False,
    output: OutputOption = Output.TEXT,
    author: Author = None,
    signing_key: SigningKey = None,
    signing_format: SigningFormat = "ssh",
    cache: Cache = None,
) -> int:
    """Let changes go on: a commit that takes Mesh.suspend away."""
    from reconciler.clock import SystemClock
    from reconciler.cycle import suspending

    def change(repository: Repository, _by: str, attempts: int) -> Asked:
        return suspending.resume(repository, ref, clock=SystemClock(), attempts=attempts, dry_run=dry_run)

    return _asked(
        "resume", change, repo=repo, ref=ref, dry_run=dry_run, output=output, author=author, signing_key=signing_key,
        signing_format=signing_format, cache=cache,
    )  # fmt: skip


def _end(for_: str, until: str, now: datetime) -> str:
    """When it ends, as the Mesh says it; "" if by a person only."""
    if for_ and until:
        raise UsageError("--for and --until both say when it ends", hint="leave one of the two out")
    if not for_ and not until:
        return ""
    try:
        end = now + timedelta(seconds=duration(for_, "--for")) if for_ else datetime.fromisoformat(until)
    except (ValueError, OverflowError):
        raise UsageError(
            f"{for_ or until!r} is no end", hint="write --for 2h, or --until 2026-08-31T06:00:00Z"
        ) from None
    if end.tzinfo is None:
        raise UsageError(f"--until {until} has no time zone", hint=f"write {until}Z if UTC is meant")
    if end <= now:
        raise UsageError(f"--until {until} is over", hint="write a time to come")
    return rfc3339(end)


def _asked(
    verb: str,
    change: Change,
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
    require_text_or_json(output, verb)
    with committer(
        repo=repo, ref=ref, dry_run=dry_run, author=author, signing_key=signing_key, signing_format=signing_format,
        cache=cache,
    ) as (repository, git):  # fmt: skip
        asked = change(repository, "" if dry_run and not author else git.author.name, git.push_attempts)
    return show(asked, verb, ref, output=output)
