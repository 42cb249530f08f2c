"""`reconcile daemon`'s doors: the Unix socket for commands on this machine, and HTTP for whoever watches.

Composition: the server, the daemon and the rendering of results do not know each other, and meet here.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reconciler.settings import HttpSettings

if TYPE_CHECKING:
    from reconciler.cli.knowledge import DaemonKnowledge
    from reconciler.cli.session import Session
    from reconciler.daemon import Daemon
    from reconciler.daemon.metrics import Metrics
    from reconciler.web import Notices, Offer, WebServer


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What is put together once, whatever doors there are.

    Attributes:
        offer: What both doors have in common, with the access of the Unix socket's.
        counts: The metrics of the offer, which count webhooks too.
        notices: For those who watch at the TCP address.
    """

    offer: Offer
    counts: Metrics
    notices: Notices


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
    from reconciler.cli.control import own_socket
    from reconciler.web import WebServer, application, listen_unix

    with ExitStack() as servers:
        parts = _parts(servers, loop, session, ref)
        path = (socket or own_socket(session.repository, ref)).absolute()
        _open(servers, WebServer(application(parts.offer, logger=logger), listen_unix(path), logger=logger))
        logger.info("listening on %s", path)
        if http.address:
            _open_tcp(servers, parts, loop, session, ref, http=http, logger=logger)
        yield


def _parts(open_: ExitStack, loop: Daemon, session: Session, ref: str) -> _Parts:
    """Put together what is offered: one line for each part, in the order of `web.Offer`."""
    from reconciler.cli.serving.editing import editing_parts
    from reconciler.cli.serving.metrics import metrics
    from reconciler.cli.serving.page import page_parts
    from reconciler.cli.serving.passes import PassesOnDemand
    from reconciler.cli.serving.sources import admins_of, connections_of, record_of
    from reconciler.cli.serving.targets import FleetTargets
    from reconciler.daemon import Trigger
    from reconciler.web import Offer, Owner

    record, connections = record_of(session), connections_of(session)
    knowledge = _knowledge(loop, session, ref)
    counts = metrics(loop, session, ref, ready=lambda: not knowledge.readiness(), connections=connections)
    views, notices = open_.enter_context(page_parts(loop, session, ref, admins=admins_of(session), record=record))
    editing = open_.enter_context(editing_parts(session, ref, record=record, written=lambda: loop.wake(Trigger.POLL)))
    offer = Offer(
        knowledge=knowledge,
        access=Owner(),
        passes=PassesOnDemand(loop, session, ref),
        desk=editing.desk,
        commands=editing.commands,
        receipts=editing.receipts,
        metrics=counts,
        targets=FleetTargets(inventory=lambda: session.discovery.inventory, connections=connections),
        views=views,
    )
    return _Parts(offer=offer, counts=counts, notices=notices)


def _knowledge(loop: Daemon, session: Session, ref: str) -> DaemonKnowledge:
    from reconciler.cli.control import identity
    from reconciler.cli.knowledge import DaemonKnowledge
    from reconciler.cli.serving.sources import admins_of, connections_of

    return DaemonKnowledge(
        state=lambda: loop.state,
        connections=connections_of(session),
        clock=session.clock,
        repository=identity(session.repository),
        ref=ref,
        admins=admins_of(session),
        standings=lambda: session.discovery.present.standings,
        inventory=lambda: session.discovery.inventory,
        streams=session.plane is not None,
    )


def _open_tcp(
    servers: ExitStack,
    parts: _Parts,
    loop: Daemon,
    session: Session,
    ref: str,
    *,
    http: HttpSettings,
    logger: logging.Logger,
) -> None:
    """The door for others: the same, for whom the settings let in; and webhooks, the page and its notices."""
    from reconciler.cli.serving.entrance import entrance, say
    from reconciler.cli.serving.webhooks import webhooks
    from reconciler.web import WebServer, application, listen_tcp

    gate = entrance(http, clock=session.clock, logger=logger)
    receiver = webhooks(
        http.webhooks, loop=loop, ref=ref, clock=session.clock, logger=logger, counted=parts.counts.tally.hooked
    )
    listener = listen_tcp(http.address)
    public = replace(
        parts.offer,
        access=gate.access,
        names=gate.names_at(listener),
        webhooks=receiver,
        notices=parts.notices,
        page=True,
    )
    _open(servers, WebServer(application(public, logger=logger), listener, logger=logger, tls=gate.tls))
    servers.callback(parts.notices.close)  # first: who watches would be waited for until patience ends
    say(http, listener, logger=logger)


def _open(servers: ExitStack, server: WebServer) -> None:
    servers.callback(server.stop)
    server.start()
