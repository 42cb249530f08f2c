"""The endpoints-only path of the daemon: changes of instances go to the proxies on a thread of their own, beside passes.

What registries say comes in bursts, so a change waits for a moment of quiet, but never long; and a rest follows each delivery, twice
as long as the processor was busy with it, so that registries that change all the time leave the other threads their share. What only a pass can
bring (a service that is new, gone or other than before; a proxy that does not take what it was sent) wakes the loop.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reconciler.clock import Clock
from reconciler.errors import BugError, ReconcilerError

_QUIET, _LONGEST, _REST = 0.01, 0.1, 0.05
_LOOK_AFTER = 1.0


class Deliveries(Protocol):
    """What the courier drives; the command line builds it from `cycle` and `push`."""

    def deliver(self) -> bool:
        """Bring what registries say now to the proxies, waiting for none of them; whether it takes a pass to bring all of it.

        Raises:
            ReconcilerError: It could not be brought.
        """

    def confirm(self) -> bool:
        """Look whether the proxies have what they were sent; whether it takes a pass to bring it.

        Raises:
            ReconcilerError: They could not be asked.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How changes are gathered.

    Attributes:
        quiet: Seconds without a further change after which what came is delivered.
        longest: Seconds after which it is delivered although more comes.
        rest: Seconds at least between two deliveries.
        look_after: Seconds after a delivery until it is looked whether it arrived.
    """

    quiet: float = _QUIET
    longest: float = _LONGEST
    rest: float = _REST
    look_after: float = _LOOK_AFTER


class Courier:
    """Delivers until it is stopped.

    Args:
        deliveries: What it drives.
        wake: Asks the loop for a pass.
        pace: How changes are gathered.
    """

    def __init__(
        self,
        deliveries: Deliveries,
        *,
        wake: Callable[[], None],
        clock: Clock,
        logger: logging.Logger,
        pace: Pace | None = None,
    ) -> None:
        self._deliveries = deliveries
        self._wake = wake
        self._clock = clock
        self._logger = logger
        self._pace = pace or Pace()
        self._told = threading.Event()
        self._stopping = threading.Event()
        self._complaint = ""
        self._sent = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, name="courier", daemon=True),
            threading.Thread(target=self._look, name="courier-look", daemon=True),  # proxies may take their time
        ]

    def tell(self) -> None:
        """There is something new. Safe from any thread; costs nothing."""
        self._told.set()

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End, after the delivery that is under way."""
        self._stopping.set()
        self._told.set()
        self._sent.set()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()

    def _run(self) -> None:
        while self._told.wait() and not self._stopping.is_set():
            self._gather()
            begun = time.thread_time()
            self._attempt(self._deliveries.deliver)
            self._sent.set()
            self._stopping.wait(max(self._pace.rest, 2 * (time.thread_time() - begun)))

    def _look(self) -> None:
        """Look whether what was sent has arrived: once for all that was sent in a while."""
        while self._sent.wait() and not self._stopping.wait(self._pace.look_after):
            self._sent.clear()
            self._attempt(self._deliveries.confirm)

    def _gather(self) -> None:
        """Wait for a moment of quiet."""
        until = self._clock.monotonic() + self._pace.longest
        self._told.clear()
        while (left := until - self._clock.monotonic()) > 0 and self._told.wait(min(self._pace.quiet, left)):
            if self._stopping.is_set():
                return
            self._told.clear()

    def _attempt(self, action: Callable[[], bool]) -> None:
        try:
            if action():
                self._wake()
            self._complaint = ""
        except Exception as error:  # noqa: BLE001 -- one delivery's fault must not end all others; a pass brings what it did not
            self._complain(error)
            self._wake()

    def _complain(self, error: Exception) -> None:
        """Say it once, until it goes well again."""
        said, code = (
            (error.message, error.code) if isinstance(error, ReconcilerError) else (repr(error), BugError.default_code)
        )
        if said != self._complaint:
            self._complaint = said
            self._logger.error(
                "endpoints could not be delivered, a pass will try: %s", said, extra={"facts": {"code": code}}
            )
            self._logger.debug("the fault was here", exc_info=error)
