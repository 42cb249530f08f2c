"""`reconcile daemon`'s doors: the Unix socket for commands on this machine, and HTTP for whoever watches.

Composition: the server, the daemon and the rendering of results do not know each other, and meet here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.model.key import Key
from reconciler.settings import HttpSettings

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.daemon import Daemon
    from reconciler.xds import NodeState


@contextmanager
def doors(
    loop: Daemon, session: Session, ref: str, *, http: HttpSettings, socket: Path | None, logger: logging.Logger
) -> Iterator[None]:  # fmt: skip
    """Serve while the context is open. What is asked for and can't be had is an error before anything runs.

    Raises:
        UsageError: `--http` is no address, its certificate can't be used, or there is no such kind of webhooks.
        TokensFileError: The tokens file can't be used.
        ListenError: An address or the socket can't be listened on.
        ControlDirectoryError: The directory of the socket is not only ours.
    """
    from reconciler.cli.control import identity, own_socket
    from reconciler.cli.knowledge import DaemonKnowledge
    from reconciler.cli.serving.editing import editing_parts, record_of
    from reconciler.cli.serving.entrance import entrance, say
    from reconciler.cli.serving.metrics import metrics
    from reconciler.cli.serving.page import page_parts
    from reconciler.cli.serving.passes import PassesOnDemand
    from reconciler.cli.serving.targets import FleetTargets
    from reconciler.cli.serving.webhooks import webhooks
    from reconciler.daemon import Trigger
    from reconciler.web import Offer, Owner, WebServer, application, listen_tcp, listen_unix

    plane = session.plane
    connections: Callable[[], Mapping[Key, NodeState]] = plane.states if plane is not None else dict

    def admins() -> Mapping[Key, str]:
        return {key: admin.address for key, admin in session.fleet.admins().items()}

    knowledge = DaemonKnowledge(
        state=lambda: loop.state,
        connections=connections,
        clock=session.clock,
        repository=identity(session.repository),
        ref=ref,
        admins=admins,
        standings=lambda: session.discovery.present.standings,
        inventory=lambda: session.discovery.inventory,
        streams=plane is not None,
    )
    targets = FleetTargets(inventory=lambda: session.discovery.inventory, connections=connections)
    counts = metrics(loop, session, ref, ready=lambda: not knowledge.readiness(), connections=connections)
    with ExitStack() as servers:

        def open_door(server: WebServer) -> None:
            servers.callback(server.stop)
            server.start()

        views, notices = servers.enter_context(page_parts(loop, session, ref, admins=admins))
        editing = servers.enter_context(
            editing_parts(session, ref, record=record_of(session), written=lambda: loop.wake(Trigger.WEBHOOK))
        )
        path = (socket or own_socket(session.repository, ref)).absolute()
        control = Offer(
            knowledge=knowledge,
            access=Owner(),
            passes=PassesOnDemand(loop, session, ref),
            desk=editing.desk,
            commands=editing.commands,
            receipts=editing.receipts,
            views=views,
            targets=targets,
            metrics=counts,
        )
        open_door(WebServer(application(control, logger=logger), listen_unix(path), logger=logger))
        logger.info("listening on %s", path)
        if http.address:
            gate = entrance(http, clock=session.clock, logger=logger)
            listener = listen_tcp(http.address)
            receiver = webhooks(
                http.webhooks, loop=loop, ref=ref, clock=session.clock, logger=logger, counted=counts.tally.hooked
            )
            public = replace(
                control,
                access=gate.access,
                names=gate.names_at(listener),
                webhooks=receiver,
                notices=notices,
                page=True,
            )
            open_door(WebServer(application(public, logger=logger), listener, logger=logger, tls=gate.tls))
            servers.callback(notices.close)  # first: who watches would be waited for until patience ends
            say(http, listener, logger=logger)
        yield
