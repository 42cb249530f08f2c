"""An adapter, driven on a thread of its own as the daemon drives it, and what it says folded into services that a test can wait for.

It checks nothing but the one rule without which nothing can be folded: the first event is a Snapshot. Nothing here knows platforms.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

from reconciler.discovery.contract import Adapter, Event, Gone, Problem, Put, Snapshot, Stopping
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found

State = Mapping[str, Found]

END_WITHIN = 2.5
"""Seconds in which `watch` has to have ended after it was told to: two, and a bit for a machine with other things to do."""


class Watched:
    """One `watch` of an adapter.

    Attributes:
        events: All that it said, in order; appended to from the thread that drives it.
    """

    def __init__(self, adapter: Adapter) -> None:
        self.events: list[Event] = []
        self._adapter = adapter
        self._stopping = Stopping()
        self._changed = threading.Condition()
        self._services: dict[str, Found] = {}
        self._problem: Diagnostic | None = None
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._drive, name="adapter under test", daemon=True)

    def start(self) -> Self:
        """Begin to drive it."""
        self._thread.start()
        return self

    @property
    def services(self) -> State:
        """What there is by what it said so far, by host."""
        with self._changed:
            return dict(self._services)

    @property
    def problem(self) -> Diagnostic | None:
        """Its last Problem, if that still is one."""
        with self._changed:
            return self._problem

    @property
    def error(self) -> BaseException | None:
        """What `watch` was ended by; None while it runs, or when it ended by itself."""
        with self._changed:
            return self._error

    @property
    def ended(self) -> bool:
        """Whether `watch` has ended, however."""
        return not self._thread.is_alive()

    def until(self, condition: Callable[[State], bool], *, within: float, what: str) -> State:
        """Wait for services that fulfil a condition.

        Args:
            condition: Asked again after each event.
            within: Seconds.
            what: What is waited for, for the message.

        Returns:
            The services that did.

        Raises:
            AssertionError: None did in time, or `watch` ended before.
        """
        self.wait(lambda watched: condition(watched.services) or watched.error is not None, within=within, what=what)
        services = self.services
        if not condition(services):
            raise AssertionError(f"`watch` ended with {self.error!r} before there was {what}") from self.error
        return services

    def wait(self, condition: Callable[[Watched], bool], *, within: float, what: str) -> None:
        """Wait until something is true of this watch; asked again after each event and at its end.

        Raises:
            AssertionError: It was not in time.
        """
        deadline = time.monotonic() + within
        with self._changed:
            while not condition(self):
                left = deadline - time.monotonic()
                if left <= 0:
                    raise AssertionError(f"no {what} within {within} s; it said: {self._told()}")
                self._changed.wait(min(left, 0.1))

    def stop(self) -> None:
        """Tell it to end, and wait until it has.

        Raises:
            AssertionError: It did not in time.
        """
        self._stopping.set()
        self._thread.join(END_WITHIN)
        if self._thread.is_alive():
            raise AssertionError(f"`watch` still runs {END_WITHIN} s after `stopping` was set; it said: {self._told()}")

    def _told(self) -> str:
        kinds = [type(event).__name__ for event in self.events[-10:]]
        return (
            f"{len(self.events)} events, at the end {kinds}; services {sorted(self._services)}; error {self._error!r}"
        )

    def _drive(self) -> None:
        try:
            for event in self._adapter.watch(self._stopping):
                with self._changed:
                    self.events.append(event)
                    self._fold(event)
                    self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 -- a test looks at whatever it was
            with self._changed:
                self._error = error
                self._changed.notify_all()

    def _fold(self, event: Event) -> None:
        if len(self.events) == 1 and not isinstance(event, Snapshot):
            raise AssertionError(f"the first event of a `watch` is a Snapshot, and this was {event!r}")
        match event:
            case Snapshot(services):
                self._services = dict(services)
            case Put(service):
                self._services[service.host] = service
            case Gone(host):
                self._services.pop(host, None)
            case Problem(diagnostic):
                self._problem = diagnostic
            case _:
                pass


@contextmanager
def watching(adapter: Adapter) -> Iterator[Watched]:
    """Drive an adapter for as long as the context is open; it has to end with it."""
    watched = Watched(adapter).start()
    try:
        yield watched
    finally:
        watched.stop()
