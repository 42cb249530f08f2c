"""`reconcile ci preview`: what merging a pull request would change, as files for another job and as words for this one's log."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.options import AllowedSigners, Output, OutputOption, Repo, SignersKeyring

if TYPE_CHECKING:
    from reconciler.plan.review import Review


def preview(
    *,
    repo: Repo = ".",
    base: Annotated[
        str, typer.Option("--base", metavar="REF", help="Merge into this; by default what the CI system says.")
    ] = "",
    head: Annotated[
        str, typer.Option("--head", metavar="REF", help="Merge this; by default what the CI system says.")
    ] = "",
    remote: Annotated[
        str, typer.Option("--remote", metavar="NAME", help="Where what this clone lacks is fetched from.")
    ] = "origin",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", metavar="DIR", help="Write comment.md, preview.json, plan.json and codequality.json there."
        ),
    ] = None,
    envoy: Annotated[
        bool | None,
        typer.Option("--envoy/--no-envoy", help="Ask the real Envoy, or don't; by default where there is one."),
    ] = None,
    daemon: Annotated[
        str,
        typer.Option(
            "--daemon",
            metavar="URL|PATH",
            envvar="RECONCILE_DAEMON",
            help="Ask this daemon about the live fleet too: https://HOST:PORT, or a Unix socket.",
        ),
    ] = "",
    daemon_token_file: Annotated[
        Path | None,
        typer.Option(
            "--daemon-token-file",
            metavar="FILE",
            envvar="RECONCILE_DAEMON_TOKEN_FILE",
            help="Holds a token of the daemon's with the role propose; by default RECONCILE_DAEMON_TOKEN does.",
        ),
    ] = None,
    daemon_ca: Annotated[
        Path | None,
        typer.Option(
            "--daemon-ca",
            metavar="FILE",
            envvar="RECONCILE_DAEMON_CA",
            help="The authorities, PEM, that the daemon's certificate is checked against; by default the system's.",
        ),
    ] = None,
    allowed_signers: AllowedSigners = "",
    signers_keyring: SignersKeyring = "",
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 2 if merging changes something.")] = False,
    output: OutputOption = Output.TEXT,
) -> int:
    """Merge in memory, validate, compare with the base for every proxy, and judge by the guards. Asks no proxy, needs no secret.

    On GitHub it annotates lines and writes the job's summary. Exit codes: 1 error, conflict or no preview, 3 refused by a
    guard, 2 something changes (with --exit-code), 0 otherwise.
    """
    import os

    from reconciler.cli.ci.computing import Wishes, compute
    from reconciler.cli.ci.daemons import daemon_at
    from reconciler.cli.ci.environment import event_of
    from reconciler.cli.ci.showing import on_github, show_computed
    from reconciler.cli.ci.subject import subject
    from reconciler.cli.ci.writing import summarize, write_folder
    from reconciler.gitrepo import open_repository
    from reconciler.settings import GitSettings, TrustSettings

    at, unasked = daemon_at(daemon, token_file=daemon_token_file, ca=daemon_ca, environ=os.environ)
    trust = TrustSettings(allowed_signers=allowed_signers, keyring=signers_keyring)
    meant = subject(os.environ, event_of(os.environ), base=base, head=head)
    with open_repository(repo, GitSettings(timeout=_PATIENCE)) as repository:
        computed = compute(
            meant, repository, Wishes(remote=remote, envoy=envoy, daemon=at, unasked=unasked, trust=trust)
        )
    if out is not None:
        write_folder(out, computed, meant)
    summarize(os.environ, computed.review, meant)
    show_computed(computed, meant, output, github=on_github(os.environ))
    return _exit_code(computed.review, pending_matters=exit_code)


def _exit_code(review: Review, *, pending_matters: bool) -> int:
    from reconciler.cycle.report import ExitCode
    from reconciler.plan.review import Verdict

    match review.verdict:
        case Verdict.REFUSED:
            return ExitCode.REFUSED
        case Verdict.NOTHING:
            return ExitCode.DONE
        case Verdict.CHANGES:
            return ExitCode.PENDING if pending_matters else ExitCode.DONE
    return ExitCode.ERROR


_PATIENCE = 600.0
"""Seconds for one fetch: all of a long history may have to come."""
