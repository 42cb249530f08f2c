"""`reconcile`: one pass; with `--dry-run`, what it would do.

A pass over proxies whose streams end in a daemon is that daemon's to do, and so is its dry run; this command asks it, and shows
its result as its own.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from reconciler.cli.options import (
    AdminCa,
    AdminCert,
    AdminKey,
    AdminTimeout,
    AllowedSigners,
    Author,
    Cache,
    Committer,
    DaemonSocket,
    GitKnownHosts,
    GitSshKey,
    GitTokenFile,
    Output,
    OutputOption,
    Ref,
    Repo,
    SignersKeyring,
    SigningFormat,
    SigningKey,
    selection,
    settings,
)
from reconciler.errors import Diagnostic, Severity, UsageError


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
    git_token_file: GitTokenFile = "",
    git_ssh_key: GitSshKey = "",
    git_known_hosts: GitKnownHosts = "",
    allowed_signers: AllowedSigners = "",
    signers_keyring: SignersKeyring = "",
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
        _not_the_daemons(context, preview=against != "live" or work_tree)
    import sys

    from reconciler.cli.delegation import Form, by_daemon, live_pass, own
    from reconciler.cli.output import show
    from reconciler.cli.session import Session
    from reconciler.cycle import Ask

    chosen = settings(
        repo=repo, ref=ref, author=author, committer=committer, signing_key=signing_key,
        signing_format=signing_format, admin_timeout=admin_timeout, cache=cache,
        admin_cert=admin_cert, admin_key=admin_key, admin_ca=admin_ca, git_token_file=git_token_file,
        git_ssh_key=git_ssh_key, git_known_hosts=git_known_hosts, allowed_signers=allowed_signers,
        signers_keyring=signers_keyring,
    )  # fmt: skip
    ask = Ask(
        ref=ref,
        dry_run=dry_run,
        allow=frozenset(code for text in allow for code in text.split(",")),
        plan_digest=plan_digest or "",
        select=selection(select),
    )
    form = Form(output=output, color=sys.stdout.isatty(), exit_code=exit_code)
    with Session(chosen) as session:
        if work_tree:
            ask = replace(ask, tree=session.work_tree())
        if daemon is not None:
            done = by_daemon(daemon, ask, session, form)
        elif against != "live":
            done = own(session.preview(ask, against), ask, form)
        elif work_tree:
            done = own(session.reconciler().run(ask), ask, form)
        else:
            done = live_pass(ask, session, form, unheard=_unheard(context))
    show(done.shown)
    return done.code


_DAEMONS_OWN = (
    "author",
    "committer",
    "signing_key",
    "signing_format",
    "admin_timeout",
    "admin_cert",
    "admin_key",
    "admin_ca",
    "allowed_signers",
    "signers_keyring",
)


def _not_the_daemons(context: typer.Context, *, preview: bool) -> None:
    """With `--daemon` nothing may be given that would be ignored."""
    if preview:
        raise UsageError(
            "--against and --work-tree are previews of this command's own, and no daemon's",
            hint="leave --daemon out, or preview the branch against the live fleet",
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
