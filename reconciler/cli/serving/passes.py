"""A pass for a command on this machine, by the loop of the daemon, with the result rendered as that command would have."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from reconciler.cli.options import Output, selection
from reconciler.errors import InputError, UsageError

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.daemon import Daemon
    from reconciler.web import PassRequest, PassResult


class OtherBranchError(InputError):
    """A daemon is asked for a pass over a branch that it does not serve."""

    default_code = "daemon-ref"


class OtherRepositoryError(InputError):
    """A daemon is asked for a pass over a repository that it does not serve."""

    default_code = "daemon-repository"


class PassesOnDemand:
    """Runs a pass for a command on this machine, and renders its result as that command would have."""

    def __init__(self, loop: Daemon, session: Session, ref: str) -> None:
        from reconciler.cli.control import identity

        self._loop = loop
        self._ref = ref
        self._repository = identity(session.repository)
        self._location = session.repository.location

    def __call__(self, request: PassRequest, *, wanted: Callable[[], bool]) -> PassResult:
        """One pass.

        Raises:
            OtherBranchError, OtherRepositoryError: It is not ours to run.
            UsageError: It selects something other than proxies, or a dry run is given a digest.
            ReconcilerError: It could not be run, or its client lost patience.
        """
        from reconciler.cli.output import shown_report
        from reconciler.cycle import Ask
        from reconciler.web import PassResult

        if request.repository not in {"", self._repository}:
            raise OtherRepositoryError(
                f"this daemon serves {self._location}, and not {request.repository}",
                hint="name its socket with --daemon",
            )
        if request.ref != self._ref:
            raise OtherBranchError(
                f"this daemon serves {self._ref}, and not {request.ref}",
                hint=f"ask for --ref {self._ref}, or start a daemon for {request.ref}",
            )
        if request.dry_run and request.plan_digest:
            raise UsageError("a dry run applies no plan, so it takes no plan_digest", hint="leave one of the two out")
        ask = Ask(
            ref=request.ref,
            dry_run=request.dry_run,
            allow=frozenset(request.allow),
            plan_digest=request.plan_digest,
            select=selection(list(request.select)),
        )
        report = self._loop.ask(ask, timeout=request.timeout, wanted=wanted)
        shown = shown_report(report, Output(request.output), dry_run=request.dry_run, color=request.color)
        return PassResult(
            stdout=shown.out, stderr=shown.err, exit_code=report.exit_code(pending_matters=request.exit_code)
        )
