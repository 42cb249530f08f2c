"""All registries of a mesh: their adapters running, what each says kept, and the catalogue that is made of it.

The one door of the room for whoever uses what was found. The catalogue is made when it is read, of what has changed since: a thousand
events between two readings cost one making.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from operator import is_
from pathlib import Path
from types import MappingProxyType

from reconciler.clock import Clock, SteadyClock
from reconciler.discovery.contract import Event, Surroundings
from reconciler.discovery.keeping.cache import Cache
from reconciler.discovery.keeping.keeper import Keeper
from reconciler.discovery.keeping.kept import Kept
from reconciler.discovery.keeping.runner import Runner
from reconciler.discovery.keeping.telling import told
from reconciler.discovery.kinds import adapter, digest, kind
from reconciler.errors import Diagnostic
from reconciler.model.discovered import NOTHING, Catalogue
from reconciler.model.discovery import Registry

BETWEEN_WRITES = 1.0
"""Seconds, at least, between two times that the disk and the log are written."""

_AFTERWARDS = 0.1
"""Seconds until a change is written: bringing it to proxies goes first."""

_SHARE = 20
"""Writing takes at most one part in so many of the time."""

_AFTER_FAILURE = 10.0
"""Seconds until writing is tried again."""

_END_WITHIN = 3.0
"""Seconds that `close` waits for adapters."""


class Registries:
    """The registries of one mesh. Safe from any thread.

    Args:
        clock: Time.
        cache: The file that remembers what was used last; None remembers nothing.
        on_change: Called, from any thread, when `catalogue` has become another one; not again before that is read. Must be quick.
        log: A line when a registry comes or goes; never one for each event.
    """

    def __init__(self, *, clock: Clock, cache: Path | None, on_change: Callable[[], None], log: logging.Logger) -> None:
        self._clock = clock
        self._steady = SteadyClock(clock)
        self._on_change = on_change
        self._log = log
        self._cache = Cache(cache, log)
        self._state = threading.Condition(threading.RLock())
        self._kept: dict[str, Kept] = {}
        self._catalogue = NOTHING
        self._announced = False
        self._outdated = False  # the catalogue, until it is made anew
        self._untidy = False  # the disk and the log, until they are written
        self._dropped: set[str] = set()
        self._remembered: list[tuple[str, str]] = []
        self._closed = False
        self._write_at = 0.0
        self._ended: list[Runner] = []
        self._housekeeper: threading.Thread | None = None

    def configure(self, registries: Sequence[Registry], *, domain: str) -> None:
        """Have exactly these registries. One whose source is described as before goes on; all others begin.

        Where another source is described by the same name, what is in use stays in use until the new one has spoken.

        Args:
            registries: `Mesh.discovery`; names are unique there, and of two with one name the last counts.
            domain: The mesh's.

        Raises:
            KindError: A registry is of no kind, or of several; nothing is changed.
        """
        wanted = {registry.name: registry for registry in registries}
        digests = {name: digest(registry, domain=domain) for name, registry in wanted.items()}
        with self._state:
            if self._closed:
                return
            before = self._kept
            self._kept = {
                name: self._configured(before.get(name), registry, digests[name], domain)
                for name, registry in wanted.items()
            }
            for name, kept in before.items():
                if name not in self._kept:
                    self._end(kept)
                    self._dropped |= kept.listed.keys()
            if list(before) != list(self._kept):
                self._dropped |= {host for kept in self._kept.values() for host in kept.listed}
                self._outdated = True
            self._untidy = True
            self._tidy()
        self._announce()

    def forget_others(self) -> None:
        """Remember nothing of other registries than these, from now on; until then, of all that there were.

        For when these are there to stay: somebody may only want to know what would be if they were.
        """
        with self._state:
            known = [(kept.name, kept.digest) for kept in self._kept.values()]
            if known and known != self._remembered:
                self._remembered = known
                self._cache.keep_only(known)

    @property
    def catalogue(self) -> Catalogue:
        """What all registries say now."""
        with self._state:
            self._announced = False
            self._catalogue = self._made()
            return self._catalogue

    def settled(self, timeout: float) -> bool:
        """Wait until each registry has said what it lists, or has failed to; whether that is so.

        What is remembered of one is used meanwhile, and no answer: it may be old.

        Args:
            timeout: Seconds.
        """
        with self._state:
            return self._state.wait_for(
                lambda: self._closed or all(kept.spoken for kept in self._kept.values()), timeout
            )

    def close(self) -> None:
        """End all adapters, and write down what is in use. The catalogue stays."""
        with self._state:
            if self._closed:
                return
            self._closed = True
            for kept in self._kept.values():
                self._end(kept)
            self._state.notify_all()
        if self._housekeeper is not None:
            self._housekeeper.join()
        self._write()
        self._cache.close()
        deadline = self._clock.monotonic() + _END_WITHIN
        for runner in self._ended:
            if not runner.join(max(0.0, deadline - self._clock.monotonic())):
                self._log.warning("the adapter of registry %s does not end; it is left behind", runner.registry)

    def _configured(self, kept: Kept | None, registry: Registry, key: str, domain: str) -> Kept:
        if kept is not None and kept.digest == key:
            kept.keeper.protect(registry.protection)
            return kept
        if kept is None:
            remembered = self._cache.remembered(registry.name, key)
            keeper = Keeper(
                registry=registry.name,
                kind=kind(registry),
                protection=registry.protection,
                now=self._steady.now(),
                remembered=remembered,
            )
            kept = Kept(name=registry.name, digest=key, keeper=keeper)
        else:
            self._end(kept)
            kept.keeper.protect(registry.protection)
            kept.keeper.begin_anew(kind(registry), self._steady.now())
            kept.anew(key)
        self._outdated = True
        kept.turn += 1
        kept.runner = Runner(
            registry=registry.name,
            make=partial(adapter, registry, Surroundings(registry=registry.name, domain=domain, clock=self._clock)),
            tell=partial(self._heard, kept, kept.turn),
            clock=self._clock,
            log=self._log,
        )
        kept.runner.start()
        return kept

    def _end(self, kept: Kept) -> None:
        if kept.runner is not None:
            kept.runner.stop()
            self._ended = [*(each for each in self._ended if not each.join(0)), kept.runner]
            kept.runner = None

    def _tidy(self) -> None:
        """See that there is somebody to keep house."""
        if self._kept and self._housekeeper is None:
            self._housekeeper = threading.Thread(target=self._keep_house, name="registries", daemon=True)
            self._housekeeper.start()
        self._state.notify_all()

    def _heard(self, kept: Kept, turn: int, said: Event | Diagnostic) -> None:
        """What a runner's adapter said, or why it can't; nothing, if another one drives the registry by now."""
        with self._state:
            if self._closed or kept.runner is None or kept.turn != turn:
                return
            keeper, now = kept.keeper, self._steady.now()
            revision, due, first = keeper.revision, keeper.due(), not kept.spoken
            kept.spoken = True
            if isinstance(said, Diagnostic):
                keeper.failed(said, now)
            else:
                kept.take(keeper.fold(said, now))
            if first or not self._untidy or keeper.due() != due:
                self._state.notify_all()
            if keeper.revision == revision:
                return
            if not self._untidy:
                self._write_at = max(self._write_at, self._clock.monotonic() + _AFTERWARDS)
            self._outdated = self._untidy = True
        self._announce()

    def _announce(self) -> None:
        """Say, once until it is read, that the catalogue has become another one."""
        with self._state:
            if not self._outdated or self._announced or self._closed:
                return
            self._announced = True
        try:
            self._on_change()
        except Exception:  # noqa: BLE001 -- it is somebody else's, and runs where adapters are driven
            self._log.exception("a change of what registries say could not be passed on")

    def _made(self) -> Catalogue:
        old, kept = self._catalogue, self._kept.values()
        standings = tuple(each.keeper.standing() for each in kept)
        if not self._outdated:
            return old if standings == old.standings else replace(old, standings=standings)
        self._outdated = False
        hosts, self._dropped = self._dropped.union(*(each.changed for each in kept)), set()
        for each in kept:
            each.changed = set()
        services = dict(old.services)
        moved = False
        for host in sorted(hosts):
            listed = tuple(each.listed[host] for each in kept if host in each.listed)
            was = services.get(host, ())
            if len(was) == len(listed) and all(map(is_, was, listed)):
                continue
            moved = True
            if listed:
                services[host] = listed
            else:
                del services[host]
        return Catalogue(
            generation=old.generation + 1,
            services=MappingProxyType(services) if moved else old.services,
            standings=standings,
        )

    def _keep_house(self) -> None:
        """What falls due without an event; and the disk and the log, which no event waits for."""
        while True:
            with self._state:
                if self._closed:
                    return
                wait = self._until_due()
                if wait is None or wait > 0:
                    self._state.wait(wait)
                    continue
                write = self._untidy and self._clock.monotonic() >= self._write_at
            try:
                self._keep(write=write)
            except Exception:  # noqa: BLE001 -- without this thread, no loss would ever be believed
                self._log.exception("what registries say could not be kept")
                with self._state:
                    self._state.wait_for(lambda: self._closed, BETWEEN_WRITES)

    def _keep(self, *, write: bool) -> None:
        with self._state:
            self._tick()
        self._announce()
        if write:
            self._write()

    def _until_due(self) -> float | None:
        """Seconds until there is something to do; None if nothing is to be done."""
        dues = [due for kept in self._kept.values() if (due := kept.keeper.due()) is not None]
        waits = [(due - self._steady.now()).total_seconds() for due in dues]
        if self._untidy:
            waits.append(self._write_at - self._clock.monotonic())
        return min(waits, default=None)

    def _tick(self) -> None:
        now = self._steady.now()
        for kept in self._kept.values():
            revision = kept.keeper.revision
            kept.take(kept.keeper.tick(now))
            if kept.keeper.revision != revision:
                self._outdated = self._untidy = True

    def _write(self) -> None:
        """Write what has changed since the last time."""
        began = self._clock.monotonic()
        with self._state:
            self._untidy = False
            untold = [kept.standing_to_tell() for kept in self._kept.values() if kept.untold]
            lines = {kept.name: list(kept.lines()) for kept in self._kept.values()}
        for before, now in untold:
            for level, text in told(before, now):
                self._log.log(level, "%s", text, extra={"facts": {"registry": now.registry}})
        written = self._cache.write(line for each in lines.values() for line in each)
        took = self._clock.monotonic() - began
        with self._state:
            self._write_at = began + max(BETWEEN_WRITES if written else _AFTER_FAILURE, _SHARE * took)
            if not written:
                self._untidy = True
                for name, unwritten in lines.items():
                    if name in self._kept:
                        self._kept[name].give_back(unwritten)
