"""A platform that a test plays itself, with an adapter that does everything right, or breaks one rule on purpose."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from weakref import WeakValueDictionary

from reconciler.discovery.conformance import Member, Mood
from reconciler.discovery.contract import AdapterError, Alive, Event, Gone, Put, Snapshot, Stopping, Surroundings
from reconciler.model.discovered import ANY_PORT, Found, Instance
from reconciler.model.services import Health

SECRET = "c00-c00"  # noqa: S105 -- what nobody may see


LOFTS: WeakValueDictionary[str, Pigeons] = WeakValueDictionary()
"""By name: a plugin is made from settings, and settings are text."""


def build(settings: Mapping[str, Any], around: Surroundings) -> Flock:
    """What an entry point names: makes an adapter for one of the LOFTS."""
    if set(settings) != {"loft"}:
        raise ValueError("`loft` says where the pigeons live, and there is nothing else to say")
    assert around.registry
    return LOFTS[settings["loft"]].adapter()


class Pigeons:
    """A platform in memory: its own server, and the maker of its adapters.

    Attributes:
        fault: The one thing that its adapters do wrong, or "".
    """

    within = 5.0
    patience = 5.0
    alive = 5.0
    secrets = (SECRET,)

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.mood = Mood.WELL
        self.changed = threading.Condition()
        self.services: dict[str, tuple[Member, ...]] = {}
        self.boots = 0
        self.leaks: list[socket.socket | threading.Event] = []

    def adapter(self) -> Flock:
        """See Platform."""
        return Flock(self)

    def host(self, service: str) -> str:
        """See Platform."""
        return f"{service}.pigeons.example"

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        """See Platform."""
        with self.changed:
            self.services = {name: tuple(members) for name, members in services.items()}
            self.changed.notify_all()

    def be(self, mood: Mood) -> None:
        """See Platform."""
        with self.changed:
            self.mood = mood
            self.changed.notify_all()

    def like(self, *moods: Mood) -> bool:
        """Whether it is in one of the moods."""
        return self.mood in moods

    def restart(self) -> None:
        """See Platform."""
        with self.changed:
            self.boots += 1
            self.changed.notify_all()

    def close(self) -> None:
        """End what faulty adapters have left."""
        for leak in self.leaks:
            leak.close() if isinstance(leak, socket.socket) else leak.set()


class Flock:
    """An adapter for it."""

    def __init__(self, platform: Pigeons) -> None:
        self._platform = platform
        self._fault = platform.fault

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """See Adapter."""
        self._leak()
        with stopping.closing(self._wake):
            boots = self._platform.boots
            known = self._ask(stopping)
            if self._fault == "begins with a change":
                yield Alive()
            if self._fault == "half a list":
                yield Snapshot.of(list(known.values())[:1])
            yield Snapshot(known)
            while not self._stopped(stopping):
                with self._platform.changed:
                    self._platform.changed.wait(0.05)
                if self._platform.boots != boots and self._fault != "sleeps through a restart":
                    raise AdapterError("the pigeons have flown", hint="wait until they are back")
                if self._platform.boots == boots:
                    new = self._ask(stopping)
                    yield from self._difference(known, new)
                    known = new

    def _stopped(self, stopping: Stopping) -> bool:
        if self._fault == "never stops" and stopping.is_set():
            end = threading.Event()
            self._platform.leaks.append(end)
            end.wait(30)
        return stopping.is_set()

    def _wake(self) -> None:
        with self._platform.changed:
            self._platform.changed.notify_all()

    def _leak(self) -> None:
        if self._fault == "leaks a socket":
            self._platform.leaks.extend(socket.socketpair())
        if self._fault == "leaks a thread":
            end = threading.Event()
            self._platform.leaks.append(end)
            threading.Thread(target=end.wait, daemon=True).start()
        if self._fault == "logs a secret":
            logging.getLogger("pigeons").debug("asking with %s", SECRET)

    def _ask(self, stopping: Stopping) -> dict[str, Found]:
        """All services, as the mood allows."""
        platform = self._platform
        while platform.like(Mood.PARTITIONED) and self._fault == "hangs":
            time.sleep(0.02)
        deadline = time.monotonic() + 2
        while platform.like(Mood.PARTITIONED) and not stopping.wait(0.02):
            if time.monotonic() > deadline:
                raise AdapterError("no pigeon came back", hint="send more")
        if platform.like(Mood.SLOW):
            stopping.wait(0.5)
        if platform.like(Mood.DOWN, Mood.GARBAGE, Mood.DENYING):
            return self._trouble()
        return {found.host: found for found in map(self._found, sorted(platform.services))}

    def _trouble(self) -> dict[str, Found]:
        if self._fault == "takes trouble for emptiness":
            return {}
        if self._fault == "raises what it met":
            raise ConnectionRefusedError(111, "refused")
        words = (
            f"{self._platform.mood} with {SECRET}"
            if self._fault == "tells a secret"
            else f"the loft is {self._platform.mood}"
        )
        code = "pigeons" if self._fault == "has its own codes" else None
        raise AdapterError(words, code=code, hint="" if self._fault == "gives no hint" else "feed them")

    def _found(self, service: str) -> Found:
        members = self._platform.services[service]
        if self._fault != "keeps no order":
            members = tuple(sorted(members, key=lambda each: (each.address, each.port)))
        host = self._platform.host(service)
        return Found(
            host=host.upper() if self._fault == "shouts" else host, instances=tuple(map(self._instance, members))
        )

    def _instance(self, member: Member) -> Instance:
        return Instance(
            address=member.address,
            ports={ANY_PORT: member.port},
            labels={} if self._fault == "drops labels" else dict(member.labels),
            health=Health.HEALTHY if self._fault == "ignores health" else member.health,
        )

    def _difference(self, known: Mapping[str, Found], new: Mapping[str, Found]) -> Iterator[Event]:
        if known == new:
            if self._fault != "says nothing":
                yield Alive()
            return
        for host, found in new.items():
            if known.get(host) != found and not (self._fault == "misses additions" and host in known):
                yield Put(found)
        if self._fault != "forgets to remove":
            for host in known.keys() - new.keys():
                yield Gone(host)
