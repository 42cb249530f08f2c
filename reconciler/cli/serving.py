"""`reconcile daemon`'s doors: the Unix socket for commands on this machine, and HTTP for whoever watches.

Composition: the server, the daemon and the rendering of results do not know each other, and meet here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.options import Output, selection
from reconciler.errors import InputError, UsageError
from reconciler.model.key import Key

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.daemon import Daemon
    from reconciler.web import PassRequest, PassResult
    from reconciler.xds import NodeState

Http = Annotated[
    str,
    typer.Option(
        "--http",
        envvar="RECONCILE_HTTP",
        metavar="HOST:PORT",
        help="Serve health, readiness, status and services there, read-only. Port 0 picks one and says it.",
    ),
]
OwnSocket = Annotated[
    Path | None,
    typer.Option(
        "--daemon",
        metavar="PATH",
        help="The Unix socket for commands on this machine. Default: by repository and branch.",
    ),
]


class OtherBranchError(InputError):
    """A daemon is asked for a pass over a branch that it does not serve."""

    default_code = "daemon-ref"


class OtherRepositoryError(InputError):
    """A daemon is asked for a pass over a repository that it does not serve."""

    default_code = "daemon-repository"


@contextmanager
def doors(
    loop: Daemon, session: Session, ref: str, *, http: str, socket: Path | None, logger: logging.Logger
) -> Iterator[None]:  # fmt: skip
    """Serve while the context is open. What is asked for and can't be had is an error before anything runs.

    Raises:
        UsageError: `--http` is no address.
        ListenError: An address or the socket can't be listened on.
        ControlDirectoryError: The directory of the socket is not only ours.
    """
    from reconciler.cli.control import identity, own_socket
    from reconciler.cli.knowledge import DaemonKnowledge
    from reconciler.web import WebServer, application, listen_tcp, listen_unix

    plane = session.plane
    connections: Callable[[], Mapping[Key, NodeState]] = plane.states if plane is not None else dict
    knowledge = DaemonKnowledge(
        state=lambda: loop.state,
        connections=connections,
        clock=session.clock,
        repository=identity(session.repository),
        ref=ref,
        admins=lambda: {key: admin.address for key, admin in session.fleet.admins().items()},
        standings=lambda: session.discovery.present.standings,
        inventory=lambda: session.discovery.inventory,
    )
    with ExitStack() as servers:

        def open_door(server: WebServer) -> None:
            servers.callback(server.stop)
            server.start()

        path = (socket or own_socket(session.repository, ref)).absolute()
        control = application(knowledge, passes=PassesOnDemand(loop, session, ref), logger=logger)
        open_door(WebServer(control, listen_unix(path), logger=logger))
        logger.info("listening on %s", path)
        if http:
            listener = listen_tcp(http)
            open_door(WebServer(application(knowledge, logger=logger), listener, logger=logger))
            logger.info("HTTP on http://%s", listener.address)
            if not listener.local:
                logger.warning(
                    "HTTP is OPEN on %s: whoever reaches it reads the status of the fleet; 127.0.0.1 keeps it here",
                    listener.address,
                )
        yield


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
