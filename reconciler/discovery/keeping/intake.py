"""What an adapter says, without what no proxy could be sent: between an adapter and whoever listens to it.

One entry that makes no sense must not hold back all others: Envoy refuses a load assignment as a whole, and nothing is compiled from
a number that is none. Adapters leave out such entries themselves; this is for those that don't, which may be anybody's. What is left
out is a Problem of the registry (`sound` has the rules).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from reconciler.discovery.contract import Event, Gone, Problem, Put, Snapshot
from reconciler.discovery.keeping.sound import NonsenseError, service
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found

_SHOWN = 80


class Intake:
    """What one `watch` says.

    Args:
        registry: Whose.
    """

    def __init__(self, registry: str) -> None:
        self._registry = registry
        self._used: dict[str, Found] = {}
        self._wrong: dict[str, str] = {}
        self._own: Diagnostic | None = None
        self._said: Diagnostic | None = None

    def take(self, event: Event) -> Iterator[Event]:
        """The event as it can be used, and a Problem if another one is to be said now.

        Raises:
            TypeError: What it holds are no services.
        """
        match event:
            case Snapshot():
                yield self._all(event)
            case Put(found):
                yield self._one(event, found)
            case Gone(host):
                self._used.pop(host, None)
                self._wrong.pop(host, None)
                yield event
            case Problem(diagnostic):
                self._own = diagnostic
            case _:
                yield event
        problem = self._own or self._summary()  # what the adapter itself says goes first
        if problem != self._said or isinstance(event, Problem):
            self._said = problem
            yield Problem(problem)

    def _all(self, event: Snapshot) -> Snapshot:
        known, self._used, self._wrong = self._used, {}, {}
        sound = {host: self._sound(found, known) for host, found in event.services.items()}
        if all(
            found is not None and found is event.services[host] and found.host == host for host, found in sound.items()
        ):
            return event
        return Snapshot.of((found for found in sound.values() if found is not None), unknown=event.unknown)

    def _one(self, event: Put, found: Found) -> Put | Gone:
        sound = self._sound(found, self._used)
        if sound is None:
            return Gone(found.host)  # what it was before, it is not any more
        return event if sound is found else Put(sound)

    def _sound(self, found: object, known: Mapping[str, Found]) -> Found | None:
        """What of a service can be used; None if nothing can."""
        if not isinstance(found, Found) or not isinstance(found.host, str):
            raise TypeError(f"{found!a:.100} is no service")
        before = known.get(found.host)
        self._used.pop(found.host, None)
        self._wrong.pop(found.host, None)
        try:
            sound, wrong = service(found, before)
        except NonsenseError as error:
            self._wrong[found.host] = f"service {found.host[:_SHOWN]!a}: {error}"
            return None
        self._used[found.host] = sound
        if wrong:
            more = f"; and {len(wrong) - 1:,} more of it" if len(wrong) > 1 else ""
            self._wrong[found.host] = f"{found.host}: {wrong[0]}{more}"
        return sound

    def _summary(self) -> Diagnostic | None:
        if not self._wrong:
            return None
        more = f"; and {len(self._wrong) - 1:,} more services like it" if len(self._wrong) > 1 else ""
        return Diagnostic(
            code="discovery-nonsense",
            message=f"registry {self._registry} lists what can't be used: {self._wrong[min(self._wrong)]}{more}",
            hint="what can't be used is left out; correct it in the registry",
        )
