"""`reconcile daemon`: passes on a schedule, and everything that is served beside them.

Composition, one step a function: the log, the streams, the session, the loop, what runs beside it, the doors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.configuration import with_all_settings
from reconciler.errors import ReconcilerError, UsageError

if TYPE_CHECKING:
    from reconciler.cli.configuration import InForce
    from reconciler.cli.session import Session
    from reconciler.cli.streams import Streams
    from reconciler.cycle import Ask, Report
    from reconciler.daemon import Daemon, Supervisor
    from reconciler.settings import Settings


@with_all_settings
def daemon(
    *,
    config: Annotated[
        Path | None,
        typer.Option("--config", envvar="RECONCILE_CONFIG", metavar="FILE", help="The settings file, YAML."),
    ] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print every setting and where it comes from, and end.")
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="As --log-level debug.")] = False,
    flags: Mapping[str, str],
) -> int:
    """Keep the fleet at what Git says, until SIGTERM. One daemon per repository."""
    from reconciler.cli.configuration import assembled

    found = _in_force(config, flags, verbose=verbose)
    if print_config:
        from reconciler.cli.configuration.showing import shown
        from reconciler.cli.output import put

        assembled(found)
        put(shown(found), end="")
        return 0
    try:
        serve(assembled(found))
    except ReconcilerError as error:
        if found["log.format"].value != "json":
            raise
        from reconciler.daemon import log_errors

        log_errors(_logger(found["log.level"].value, "json"), error.diagnostics)
        return 1
    return 0


def _in_force(config: Path | None, flags: Mapping[str, str], *, verbose: bool) -> Mapping[str, InForce]:
    import os

    from reconciler.cli.configuration import in_force
    from reconciler.cli.configuration.file import read_file

    if verbose and flags.get("log.level", "debug") != "debug":
        raise UsageError("--verbose is --log-level debug", hint="give one of them")
    if verbose:
        flags = {**flags, "log.level": "debug"}
    return in_force(flags=flags, environ=os.environ, file=read_file(config) if config is not None else None)


def serve(settings: Settings) -> None:
    """Run until a signal says stop.

    Raises:
        ReconcilerError: Something that was asked for can't be had; nothing has been served.
    """
    from reconciler.cli.session import Session
    from reconciler.cli.streams import Streams
    from reconciler.clock import SystemClock
    from reconciler.daemon import ReadyLine, Supervisor
    from reconciler.discovery import Newest

    logger = _logger(settings.log.level, settings.log.format)
    newest = Newest()
    streams = None
    if settings.ads.address:
        streams = Streams(settings.ads, clock=SystemClock(), logger=logger, fresh=newest.fresh)
    plane = streams.plane if streams is not None else None
    with (
        Session(settings, quiet=True, plane=plane, newest=newest) as session,
        session.repository.lock("daemon", wait=0),
    ):

        def ready() -> None:
            supervisor.ready()

        loop = _loop(session, logger, ready)
        loop.watch(ReadyLine(logger, streams=plane is not None))
        supervisor = Supervisor(healthy=lambda: not loop.state.hanging(session.clock.monotonic()))
        with _supervised(loop, supervisor, logger), _beside(loop, session, streams, logger):
            loop.run()
        logger.info("stopped")


def _logger(level: str, form: str) -> logging.Logger:
    """The log of the process, on stderr. Libraries are heard from warnings on, and no more than we are."""
    import sys
    import threading

    from reconciler.daemon import JsonFormatter, TextFormatter, ends_of_threads

    lowest = logging.getLevelNamesMapping()[level.upper()]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if form == "json" else TextFormatter())
    logging.basicConfig(handlers=[handler], level=max(lowest, logging.WARNING))
    logging.captureWarnings(capture=True)
    logger = logging.getLogger("reconciler")
    logger.setLevel(lowest)
    threading.excepthook = ends_of_threads(logger)
    return logger


def _loop(session: Session, logger: logging.Logger, on_ready: Callable[[], None]) -> Daemon:
    """The loop that runs passes."""
    from datetime import timedelta

    from reconciler.clock import format_duration
    from reconciler.daemon import Daemon, Schedule
    from reconciler.gitrepo.location import redacted

    settings = session.settings
    schedule = Schedule(
        interval=timedelta(seconds=settings.daemon.interval),
        drift_interval=timedelta(seconds=settings.daemon.drift_interval),
    )
    every, drift = format_duration(schedule.interval), format_duration(schedule.drift_interval)
    logger.info("daemon for %s (%s): Git every %s, drift every %s", redacted(settings.repo), settings.ref, every, drift)
    return Daemon(
        _Passes(session, settings.ref),
        schedule=schedule,
        clock=session.clock,
        logger=logger,
        on_ready=on_ready,
    )


@contextmanager
def _supervised(loop: Daemon, supervisor: Supervisor, logger: logging.Logger) -> Iterator[None]:
    """Signals, and whoever started this process: both are heard and told until it has ended."""
    from reconciler.daemon import Trigger, stop_on_signals

    def stop() -> None:
        supervisor.stopping()
        loop.stop()

    def again() -> None:
        logger.info("SIGHUP: looking at Git")
        supervisor.reloading()
        loop.wake(Trigger.DRIFT)

    loop.watch(supervisor)
    supervisor.start()
    try:
        with stop_on_signals(stop, again=again):
            yield
    finally:
        supervisor.stop()


@contextmanager
def _beside(loop: Daemon, session: Session, streams: Streams | None, logger: logging.Logger) -> Iterator[None]:
    """What runs beside the loop: the bringer of endpoints, the streams, the doors."""
    from reconciler.cli.serving import doors
    from reconciler.cli.serving.statuses import statuses
    from reconciler.daemon import Courier, Trigger

    settings = session.settings
    courier = Courier(session.discovery, wake=lambda: loop.wake(Trigger.DISCOVERY), clock=session.clock, logger=logger)
    with ExitStack() as serving:
        session.told = courier.tell
        courier.start()
        serving.callback(courier.stop)
        if streams is not None:
            streams.start(lambda: loop.wake(Trigger.CONNECT))
            serving.callback(streams.stop)
        serving.enter_context(statuses(loop, settings.forge, clock=session.clock, logger=logger))
        serving.enter_context(
            doors(loop, session, settings.ref, http=settings.http, socket=settings.daemon.socket, logger=logger)
        )
        yield


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
