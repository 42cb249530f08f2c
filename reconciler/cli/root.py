"""`reconcile`: one pass; with `--dry-run`, what it would do.

A pass over proxies whose streams end in a daemon is that daemon's to do; this command asks it, and shows its result as its own.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.options import (
    AdminCa,
    AdminCert,
    AdminKey,
    AdminTimeout,
    Author,
    Cache,
    Committer,
    DaemonSocket,
    Output,
    OutputOption,
    Ref,
    Repo,
    SigningFormat,
    SigningKey,
    selection,
    settings,
)
from reconciler.errors import Diagnostic, Severity, UsageError

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.cycle import Ask


def reconcile(
    context: typer.Context,
    *,
    repo: Repo = ".",
    ref: Ref = "main",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and touch nothing.")] = False,
    against: Annotated[
        str,
        typer.Option(
            metavar="live|REF",
            help="Dry run: compare with the live proxies, or offline with what a commit compiles to.",
        ),
    ] = "live",
    work_tree: Annotated[bool, typer.Option("--work-tree", help="Dry run: preview uncommitted files.")] = False,
    select: Annotated[list[str], typer.Option(metavar="proxy/NAME", help="Only these proxies. Repeatable.")] = [],
    allow: Annotated[list[str], typer.Option(metavar="CODE", help="Override a guard on purpose. Repeatable.")] = [],
    plan_digest: Annotated[
        str | None, typer.Option(metavar="SHA", help="Apply only the plan with this digest.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 2 if changes are pending.")] = False,
    output: OutputOption = Output.TEXT,
    daemon: DaemonSocket = None,
    author: Author = None,
    committer: Committer = None,
    signing_key: SigningKey = None,
    signing_format: SigningFormat = "ssh",
    admin_timeout: AdminTimeout = "5s",
    admin_cert: AdminCert = "",
    admin_key: AdminKey = "",
    admin_ca: AdminCa = "",
    cache: Cache = None,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> int:
    """Make live Envoys be what the policies in Git say: push, verify, record.

    Exit codes, the first that applies: 1 error, 3 refused by a guard, 4 a proxy is not confirmed, 2 changes are pending
    (with --exit-code), 0 done or nothing to do.
    """
    if version:
        from reconciler import __version__
        from reconciler.cli.output import put

        put(f"reconcile {__version__}")
        return 0
    if context.invoked_subcommand is not None:
        _nothing_before_the_verb(context)
        return 0
    _no_contradiction(dry_run=dry_run, preview=against != "live" or work_tree, plan_digest=plan_digest)
    if daemon is not None:
        _not_the_daemons(context, dry_run=dry_run)
    from reconciler.cli.control import sockets
    from reconciler.cli.output import print_report, say
    from reconciler.cli.remote import first_answering
    from reconciler.cli.session import Session
    from reconciler.cycle import NEEDS_DAEMON, Ask

    chosen = settings(
        repo=repo, ref=ref, author=author, committer=committer, signing_key=signing_key,
        signing_format=signing_format, admin_timeout=admin_timeout, cache=cache,
        admin_cert=admin_cert, admin_key=admin_key, admin_ca=admin_ca,
    )  # fmt: skip
    ask = Ask(
        ref=ref,
        dry_run=dry_run,
        allow=frozenset(code for text in allow for code in text.split(",")),
        plan_digest=plan_digest or "",
        select=selection(select),
    )
    with Session(chosen) as session:
        if daemon is not None:
            return _by_daemon(daemon, ask, session, output, exit_code=exit_code)
        if work_tree:
            ask = replace(ask, tree=session.work_tree())
        report = session.reconciler().run(ask) if against == "live" else session.preview(ask, against)
        if not dry_run and any(item.code == NEEDS_DAEMON for item in report.errors):
            found = first_answering(sockets(session.repository, ref))
            if found is not None:
                say(_unheard(context))
                return _by_daemon(found, ask, session, output, exit_code=exit_code)
    print_report(report, output, dry_run=dry_run)
    return report.exit_code(pending_matters=exit_code)


def _by_daemon(path: Path, ask: Ask, session: Session, output: Output, *, exit_code: bool) -> int:
    """Have a daemon do the pass, and show what it says as if this process had done it."""
    import sys

    from reconciler.cli.control import identity
    from reconciler.cli.output import Shown, show
    from reconciler.cli.remote import run_there, wish

    out, err, code = run_there(
        path,
        wish(
            repository=identity(session.repository),
            ref=ask.ref,
            select=[f"proxy/{key}" for key in ask.select],
            allow=ask.allow,
            plan_digest=ask.plan_digest,
            output=output,
            color=sys.stdout.isatty(),
            exit_code=exit_code,
        ),
    )
    show(Shown(out, err))
    return code


_DAEMONS_OWN = (
    "author",
    "committer",
    "signing_key",
    "signing_format",
    "admin_timeout",
    "admin_cert",
    "admin_key",
    "admin_ca",
)


def _not_the_daemons(context: typer.Context, *, dry_run: bool) -> None:
    """With `--daemon` nothing may be given that would be ignored."""
    if dry_run:
        raise UsageError(
            "--daemon has a daemon do the pass, and --dry-run does none",
            hint="leave --daemon out: a preview asks the proxies",
        )
    ignored = _unheard(context)
    if ignored:
        raise UsageError(diagnostics=[replace(item, severity=Severity.ERROR, code="usage") for item in ignored])


def _unheard(context: typer.Context) -> tuple[Diagnostic, ...]:
    """What was asked for here and a daemon decides by itself."""
    given = [f"--{name.replace('_', '-')}" for name in _DAEMONS_OWN if _typed(context, name)]
    if not given:
        return ()
    return (
        Diagnostic(
            code="daemon-options",
            message=f"{', '.join(given)} is the daemon's to say, and not heard there",
            severity=Severity.WARNING,
            hint="start the daemon with it, and leave it out here",
        ),
    )


def _typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _nothing_before_the_verb(context: typer.Context) -> None:
    """An option in front of a verb belongs to this command, and would be ignored."""
    given = [f"--{name.replace('_', '-')}" for name in context.params if _typed(context, name)]
    if given:
        raise UsageError(
            f"{', '.join(given)} stands before {context.invoked_subcommand}, which does not see it",
            hint=f"write options after the verb: reconcile {context.invoked_subcommand} {given[0]} ...",
        )


def _no_contradiction(*, dry_run: bool, preview: bool, plan_digest: str | None) -> None:
    """What is only to be looked at must not be applied, and the other way round."""
    if preview and not dry_run:
        raise UsageError("--against and --work-tree preview; they need --dry-run")
    if plan_digest == "":  # a variable that was never set: it must not mean that any plan will do
        raise UsageError("--plan-digest is empty", hint="give the digest that --dry-run shows")
    if plan_digest and dry_run:
        raise UsageError("--plan-digest applies a plan that was previewed; it can't be used with --dry-run")
