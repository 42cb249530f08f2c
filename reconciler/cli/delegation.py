"""A pass over the live fleet: by this process, or by the daemon that holds the fleet's streams. Which is found out here.

A daemon does it if it is named, if it knows of proxies by their streams, or if the mesh has proxies on ADS. A dry run and the
pass that applies its digest go the same way, so they see the same fleet.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.cli.control import identity, sockets
from reconciler.cli.options import Output
from reconciler.cli.output import Shown, complaints, shown_report
from reconciler.cli.remote import first_answering, run_there, serves_streams, wish
from reconciler.cli.session import Session
from reconciler.cycle import NEEDS_DAEMON, Ask, Report
from reconciler.errors import Diagnostic, ReconcilerError


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a result is wanted.

    Attributes:
        color: Whether text has ANSI colors.
        exit_code: Whether changes that are left count in the exit code.
    """

    output: Output
    color: bool
    exit_code: bool


@dataclass(frozen=True, slots=True)
class Done:
    """A pass that is over: what to write, and what to leave with."""

    shown: Shown
    code: int


def own(report: Report, ask: Ask, form: Form) -> Done:
    """The result of a pass of this process."""
    shown = shown_report(report, form.output, dry_run=ask.dry_run, color=form.color)
    return Done(shown, report.exit_code(pending_matters=form.exit_code))


def by_daemon(path: Path, ask: Ask, session: Session, form: Form) -> Done:
    """Have a daemon do the pass: what it says is this command's result.

    Raises:
        ReconcilerError: See `remote.run_there`.
    """
    session.progress.say("asking the daemon")
    out, err, code = run_there(
        path,
        wish(
            repository=identity(session.repository),
            ref=ask.ref,
            dry_run=ask.dry_run,
            select=[f"proxy/{key}" for key in ask.select],
            allow=ask.allow,
            plan_digest=ask.plan_digest,
            output=form.output,
            color=form.color,
            exit_code=form.exit_code,
        ),
    )
    return Done(Shown(out, err), code)


def live_pass(ask: Ask, session: Session, form: Form, *, unheard: Sequence[Diagnostic]) -> Done:
    """A pass by whoever can do it.

    Args:
        ask: What it is to do, without a tree.
        session: Of this process.
        form: How its result is wanted.
        unheard: What to complain about if it is a daemon.
    """
    path, doubts = _listening(session, ask.ref)
    if path is None:
        return _after(complaints(doubts), own(session.reconciler().run(ask), ask, form))
    if ask.select or not serves_streams(path):
        report = session.reconciler().run(replace(ask, defers=True))
        if not any(item.code == NEEDS_DAEMON for item in report.errors):
            return own(report, ask, form)
    return _after(complaints(unheard), by_daemon(path, ask, session, form))


def _listening(session: Session, ref: str) -> tuple[Path | None, tuple[Diagnostic, ...]]:
    """The socket of this repository's daemon, if one answers; and as warnings, why it can't be known."""
    try:
        return first_answering(sockets(session.repository, ref)), ()
    except ReconcilerError as error:
        return None, tuple(item.demoted() for item in error.diagnostics)


def _after(words: str, done: Done) -> Done:
    return replace(done, shown=replace(done.shown, err=words + done.shown.err))
