"""A pass for a command on this machine, by the loop of the daemon, with the result rendered as that command would have."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from reconciler.cli.options import Output, selection
from reconciler.errors import InputError, UsageError

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.daemon import Daemon
    from reconciler.model.tree import Tree
    from reconciler.web import PassRequest, PassResult

_PATIENCE = 5.0
"""Seconds that a remote has to give the commit that is to be merged; whoever asks for a preview can ask again."""


class OtherBranchError(InputError):
    """A daemon is asked for a pass over a branch that it does not serve."""

    default_code = "daemon-ref"


class OtherRepositoryError(InputError):
    """A daemon is asked for a pass over a repository that it does not serve."""

    default_code = "daemon-repository"


class MergeConflictError(InputError):
    """A daemon is asked what merging a commit would do, and Git can't merge it."""

    default_code = "daemon-merge"


class PassesOnDemand:
    """Runs a pass for a command on this machine, and renders its result as that command would have."""

    def __init__(self, loop: Daemon, session: Session, ref: str) -> None:
        from reconciler.cli.control import identity

        self._loop = loop
        self._session = session
        self._ref = ref
        self._repository = identity(session.repository)
        self._location = session.repository.location
        self._bringing = threading.Lock()  # one commit at a time

    def __call__(self, request: PassRequest, *, wanted: Callable[[], bool]) -> PassResult:
        """One pass.

        Raises:
            OtherBranchError, OtherRepositoryError: It is not ours to run.
            MergeConflictError: What is to be merged can't be.
            UsageError: It selects something other than proxies, a dry run is given a digest, or something else is to be merged.
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
        if request.ref not in {"", self._ref}:
            raise OtherBranchError(
                f"this daemon serves {self._ref}, and not {request.ref}",
                hint=f"ask for --ref {self._ref}, or start a daemon for {request.ref}",
            )
        if request.dry_run and request.plan_digest:
            raise UsageError("a dry run applies no plan, so it takes no plan_digest", hint="leave one of the two out")
        if request.merge and not request.dry_run:
            raise UsageError("only a dry run can be of a merge", hint="merge it, and the next pass applies it")
        with self._merged(request.merge) as tree:
            ask = Ask(
                ref=self._ref,
                dry_run=request.dry_run,
                allow=frozenset(request.allow),
                plan_digest=request.plan_digest,
                select=selection(list(request.select)),
                tree=tree,
                unmerged=tree is not None,
            )
            report = self._loop.ask(ask, timeout=request.timeout, wanted=wanted)
        shown = shown_report(report, Output(request.output), dry_run=request.dry_run, color=request.color)
        return PassResult(
            stdout=shown.out, stderr=shown.err, exit_code=report.exit_code(pending_matters=request.exit_code)
        )

    @contextmanager
    def _merged(self, head: str) -> Iterator[Tree | None]:
        """What the branch would have once a commit is merged; None without one.

        The loop's own repository is not for two threads, so this reads by one of its own; and only that commit is fetched, so that
        the loop's fetch waits for no preview. The branch is where the loop has last seen it.
        """
        from reconciler.gitrepo import open_repository

        if not head:
            yield None
            return
        settings = self._session.settings
        with open_repository(settings.repo, settings.git) as repository:
            with self._bringing:
                repository.bring(head, patience=_PATIENCE)
            merged = repository.merged(repository.resolve(self._ref), repository.resolve(head))
            if merged.conflicts:
                raise MergeConflictError(
                    f"{head[:10]} conflicts with {self._ref} in {', '.join(merged.conflicts[:3])}",
                    hint="resolve it on the branch that is to be merged",
                )
            yield merged.tree
