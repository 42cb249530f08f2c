"""The endpoints-only path of the daemon: changes of instances go to the proxies on a thread of their own, beside passes.

What registries say comes in bursts, so a change waits for a moment of quiet, but never long; and a rest follows each delivery that
is as long as the delivery took, so that registries that change all the time take at most half of this thread. What only a pass can
bring (a service that is new, gone or other than before; a proxy that does not take what it was sent) wakes the loop.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from reconciler.clock import Clock
from reconciler.errors import ReconcilerError

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
        self._thread = threading.Thread(target=self._run, name="courier", daemon=True)

    def tell(self) -> None:
        """There is something new. Safe from any thread; costs nothing."""
        self._told.set()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the delivery that is under way."""
        self._stopping.set()
        self._told.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        look_at: float | None = None
        while not self._stopping.is_set():
            told = self._told.wait(None if look_at is None else max(0.0, look_at - self._clock.monotonic()))
            if self._stopping.is_set():
                return
            if told:
                self._gather()
                begun = self._clock.monotonic()
                self._attempt(self._deliveries.deliver)
                now = self._clock.monotonic()
                look_at = now + self._pace.look_after
                self._stopping.wait(max(self._pace.rest, now - begun))
            else:
                look_at = None
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
        said = error.message if isinstance(error, ReconcilerError) else repr(error)
        if said != self._complaint:
            self._complaint = said
            self._logger.error("endpoints could not be delivered, a pass will try: %s", said)
            self._logger.debug("the fault was here", exc_info=error)
