"""One adapter, driven on a thread of its own: started again with growing patience, whatever it does wrong.

Events and failures go to whoever listens; nothing is decided about them here.
"""

from __future__ import annotations

import logging
import random
import threading
import traceback
from collections.abc import Callable, Generator
from pathlib import Path
from typing import get_args

from reconciler.clock import Clock
from reconciler.discovery.contract import Adapter, AdapterError, Event, Snapshot, Stopping
from reconciler.discovery.keeping.intake import Intake
from reconciler.errors import Diagnostic, ReconcilerError

SHORTEST, LONGEST = 0.5, 30.0
"""Seconds between two attempts."""


_EVENTS = get_args(Event)


class FaultError(AdapterError):
    """An adapter broke its contract: it raised what it must not, ended by itself, or began with something else than a Snapshot."""

    default_code = "discovery-adapter"


class Patience:
    """How long to wait for the next attempt: longer each time, and a bit by chance, so that many daemons don't come at once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._next = SHORTEST

    def after(self, good: float) -> float:
        """Seconds to wait after an attempt that failed after it had been good for so many seconds."""
        if good >= LONGEST:
            self._next = SHORTEST
        wait, self._next = self._next, min(2 * self._next, LONGEST)
        return wait * self._rng.uniform(0.75, 1)


class Runner:
    """Drives the adapter of one registry from `start` to `stop`.

    Args:
        registry: Its name.
        make: Makes the adapter, anew for each attempt.
        tell: Told each event, and why an attempt failed; on the runner's thread.
        clock: Time.
        log: Gets the traceback of an adapter's fault, for whoever debugs it.
    """

    def __init__(
        self,
        *,
        registry: str,
        make: Callable[[], Adapter],
        tell: Callable[[Event | Diagnostic], None],
        clock: Clock,
        log: logging.Logger,
    ) -> None:
        self.registry = registry
        self._make = make
        self._tell = tell
        self._clock = clock
        self._log = log
        self._stopping = Stopping()
        self._patience = Patience(random.Random())  # noqa: S311 -- nobody gains from knowing it
        self._good_since: float | None = None
        self._thread = threading.Thread(target=self._run, name=f"registry {registry}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Tell it to end. Nothing that it says from now on counts."""
        self._stopping.set()

    def join(self, seconds: float) -> bool:
        """Wait until it has ended; whether it has."""
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._good_since = None
            diagnostic = self._attempt()
            if self._stopping.is_set():
                return
            self._tell(diagnostic)
            self._stopping.wait(self._patience.after(self._good()))

    def _good(self) -> float:
        """For how many seconds the last attempt has been good, since its first event."""
        return 0.0 if self._good_since is None else self._clock.monotonic() - self._good_since

    def _attempt(self) -> Diagnostic:
        """One `watch`, and how it ended."""
        try:
            self._watch()
        except ReconcilerError as error:
            return error.diagnostics[0]
        except BaseException as error:  # noqa: BLE001 -- no adapter may end its thread, not even by asyncio's CancelledError
            return self._fault(f"failed with {type(error).__name__} {_where(error)}").diagnostics[0]
        return self._fault("ended although nobody asked it to").diagnostics[0]

    def _watch(self) -> None:
        events = iter(self._make().watch(self._stopping))
        intake = Intake(self.registry)
        try:
            for event in events:
                if self._stopping.is_set():
                    return
                if not isinstance(event, _EVENTS):
                    raise self._fault(f"said {event!r:.100}, which is no event")
                if self._good_since is None and not isinstance(event, Snapshot):
                    raise self._fault(f"began with {type(event).__name__} instead of a Snapshot")
                if self._good_since is None:
                    self._good_since = self._clock.monotonic()
                for each in intake.take(event):
                    self._tell(each)
        finally:
            if isinstance(events, Generator):
                events.close()

    def _fault(self, what: str) -> FaultError:
        return FaultError(
            f"the adapter of registry {self.registry!r} {what}",
            hint="this is a fault of the adapter: report it to whoever wrote it; it is tried again",
        )


def _where(error: BaseException) -> str:
    """Where an exception nobody expects was raised. What it says is not shown: libraries put tokens and passwords there."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "somewhere"
