"""`reconcile daemon`: passes on a schedule."""

from __future__ import annotations

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
    Ref,
    Repo,
    SigningFormat,
    SigningKey,
    duration,
    settings,
)
from reconciler.cli.serving import Http, OwnSocket, doors
from reconciler.cli.streams import Ads, AdsCa, AdsCert, AdsIdentity, AdsKey, AdsPlaintext, Streams, ads_settings

if TYPE_CHECKING:
    from reconciler.cli.session import Session
    from reconciler.cycle import Ask, Report


def daemon(
    *,
    repo: Repo = ".",
    ref: Ref = "main",
    interval: Annotated[str, typer.Option(help="Between two looks at Git.")] = "10s",
    drift_interval: Annotated[str, typer.Option(help="Between two readings of every proxy's content.")] = "60s",
    ads: Ads = "",
    ads_cert: AdsCert = "",
    ads_key: AdsKey = "",
    ads_ca: AdsCa = "",
    ads_identity: AdsIdentity = [],
    ads_plaintext: AdsPlaintext = False,
    http: Http = "",
    socket: OwnSocket = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Log every pass with its stages.")] = False,
    author: Author = None,
    committer: Committer = None,
    signing_key: SigningKey = None,
    signing_format: SigningFormat = "ssh",
    admin_timeout: AdminTimeout = "5s",
    admin_cert: AdminCert = "",
    admin_key: AdminKey = "",
    admin_ca: AdminCa = "",
    cache: Cache = None,
) -> int:
    """Keep the fleet at what Git says, until SIGTERM. One daemon per repository."""
    import logging
    import sys
    from contextlib import ExitStack
    from datetime import timedelta

    from reconciler.cli.session import Session
    from reconciler.clock import SystemClock
    from reconciler.daemon import Courier, Daemon, Schedule, Trigger, stop_on_signals
    from reconciler.discovery import Newest

    schedule = Schedule(
        interval=timedelta(seconds=duration(interval, "--interval")),
        drift_interval=timedelta(seconds=duration(drift_interval, "--drift-interval")),
    )
    chosen = settings(
        repo=repo, ref=ref, author=author, committer=committer, signing_key=signing_key,
        signing_format=signing_format, admin_timeout=admin_timeout, cache=cache,
        admin_cert=admin_cert, admin_key=admin_key, admin_ca=admin_ca,
    )  # fmt: skip
    logging.basicConfig(
        stream=sys.stderr,
        level=logging.WARNING,
        format="%(asctime)s %(levelname)-7s %(message)s",
        datefmt="%Y-%m-%dT%H:%M:%S%z",
    )
    logger = logging.getLogger("reconciler")
    logger.setLevel(logging.DEBUG if verbose else logging.INFO)
    served = ads_settings(
        ads, certificate=ads_cert, key=ads_key, client_ca=ads_ca, identities=ads_identity, plaintext=ads_plaintext
    )
    newest = Newest()
    streams = Streams(served, clock=SystemClock(), logger=logger, fresh=newest.fresh) if served is not None else None
    plane = streams.plane if streams is not None else None
    with Session(chosen, quiet=True, plane=plane, newest=newest) as session, session.repository.lock("daemon", wait=0):
        logger.info("daemon for %s (%s): Git every %s, drift every %s", repo, ref, interval, drift_interval)
        loop = Daemon(
            _Passes(session, ref),
            schedule=schedule,
            clock=session.clock,
            logger=logger,
            on_ready=lambda: logger.info("ready"),
        )
        courier = Courier(
            session.discovery, wake=lambda: loop.wake(Trigger.DISCOVERY), clock=session.clock, logger=logger
        )
        with stop_on_signals(loop.stop), ExitStack() as serving:
            session.told = courier.tell
            courier.start()
            serving.callback(courier.stop)
            if streams is not None:
                streams.start(lambda: loop.wake(Trigger.CONNECT))
                serving.callback(streams.stop)
            serving.enter_context(doors(loop, session, ref, http=http, socket=socket, logger=logger))
            loop.run()
        logger.info("stopped")
    return 0


class _Passes:
    """What the daemon's loop drives, over one session."""

    def __init__(self, session: Session, ref: str) -> None:
        self._session = session
        self._ref = ref
        self._reconciler = session.reconciler(settle=0)

    def head(self) -> str:
        from reconciler.gitrepo import RefNotFoundError

        self._session.repository.fetch()
        try:
            return self._session.repository.resolve(self._ref)
        except RefNotFoundError:
            return ""

    def run(self, *, exact: bool) -> Report:
        from reconciler.cycle import Ask

        return self._reconciler.run(Ask(ref=self._ref, exact=exact, fetched=True))

    def asked(self, ask: Ask) -> Report:
        return self._reconciler.run(ask)
