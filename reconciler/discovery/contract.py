"""What an adapter is: the whole contract between a platform and this product.

An adapter turns a platform's own way of announcing changes into four events. It is a generator that blocks until there is
something to say::

    class Adapter:
        def watch(self, stopping: Stopping) -> Iterator[Event]:
            yield Snapshot.of(everything there is now)
            while not stopping.wait(30):
                yield Put(one service that has changed)

Everything that is hard about registries is done by who drives it: it starts the generator again, with growing patience, after an
`AdapterError` or any other exception; keeps what was said last; doubts losses; damps what flaps; merges with other registries
and with Git. So an adapter remembers nothing from one `watch` to the next, and never guesses: what it does not know, it does not
say, and a list that it got only half of is an error and no Snapshot.

Its rules, which `discovery.conformance` checks for each one:

- The first event of every `watch` is a Snapshot: what is not in it is gone, but for what it says is unknown.
- An event that changes nothing may be left out; but when the platform has answered and nothing has changed, `Alive` says so.
- `watch` ends soon after `stopping` is set, wherever it is waiting (`Stopping.closing` helps), and releases all it has opened.
- Equal states of the platform give equal services: instances in a fixed order, names in lower case.
- A secret is in no event, error or log line.
- One entry of the platform that makes no sense is left out and named by a `Problem`; the others count.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Protocol, Self

from reconciler.clock import Clock
from reconciler.errors import Diagnostic, TransientError
from reconciler.model.discovered import Found


class AdapterError(TransientError):
    """A registry can't be read right now: it is down, slow, says no, or makes no sense. What it said before stays in use."""

    default_code = "discovery-registry"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All services that there are.

    Attributes:
        services: By host.
        unknown: Hosts that may be there too, of which the platform does not say right now; what was known of them stays in use.
    """

    services: Mapping[str, Found]
    unknown: frozenset[str] = frozenset()

    @classmethod
    def of(cls, services: Iterable[Found], *, unknown: Iterable[str] = ()) -> Self:
        """By host; of two with one host the last counts."""
        found = {service.host: service for service in services}
        return cls(found, frozenset(unknown) - found.keys())


@dataclass(frozen=True, slots=True)
class Put:
    """One service is new, or has changed: with all of its instances."""

    service: Found


@dataclass(frozen=True, slots=True)
class Gone:
    """There is no such service any more."""

    host: str


@dataclass(frozen=True, slots=True)
class Alive:
    """The platform has answered, and nothing has changed."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of the platform's answer can't be used, and is left out; None once everything can be used again."""

    diagnostic: Diagnostic | None


Event = Snapshot | Put | Gone | Alive | Problem


class Stopping:
    """Told to an adapter when it is to end."""

    def __init__(self) -> None:
        self._event = threading.Event()
        self._lock = threading.Lock()
        self._closing: list[Callable[[], None]] = []

    def set(self) -> None:
        """It is time to end. Safe from any thread, more than once."""
        with self._lock:
            self._event.set()
            waiting, self._closing = self._closing, []
        for close in waiting:
            with suppress(Exception):  # it closes what is being used; however that fails, it is closed
                close()

    def is_set(self) -> bool:
        """Whether it is time to end."""
        return self._event.is_set()

    def wait(self, seconds: float) -> bool:
        """Wait so long, or until it is time to end; whether it is."""
        return self._event.wait(seconds)

    @contextmanager
    def closing(self, close: Callable[[], None]) -> Iterator[None]:
        """While the context is open, `close` is called, from another thread, as soon as it is time to end.

        For what blocks on a socket: shut that down.
        """
        with self._lock:
            stopped = self._event.is_set()
            if not stopped:
                self._closing.append(close)
        if stopped:
            close()
        try:
            yield
        finally:
            with self._lock:
                if close in self._closing:
                    self._closing.remove(close)


class Adapter(Protocol):
    """See the module."""

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """What the platform has, and then what changes, until `stopping` is set.

        Raises:
            AdapterError: The platform can't be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What an adapter is told beside its settings.

    Attributes:
        registry: Its name in `Mesh.discovery`.
        domain: The mesh's, for short names: `model.hosts.fqdn`.
        clock: For whatever it times itself.
    """

    registry: str
    domain: str
    clock: Clock
