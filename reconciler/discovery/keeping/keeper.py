"""What is used of one registry: what it said last, less what flaps, and with what it is not believed to have lost.

It stands between an adapter's events and the catalogue. A state machine without threads, clocks or disks: every call says what time
it is. Each event costs what it is about, and nothing is kept but what is listed, what is in use, and what came within a window.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from reconciler.discovery.contract import Event, Gone, Problem, Put, Snapshot
from reconciler.discovery.keeping.damping import Damping
from reconciler.discovery.keeping.doubt import Doubt, Ident, Step, by_ident, doubted, healthy, ident, too_much
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found, Held, Instance, Knowledge, Standing
from reconciler.model.discovery import Protection
from reconciler.model.services import Health

_NONE: Mapping[Ident, Instance] = {}


class Keeper:
    """One registry.

    Attributes:
        used: Services as they are used, by host; what did not change is the same object as before. Not to be changed by readers.
        revision: Grows with every change of `used` or of `standing`, the time of the last answer aside.
    """

    def __init__(
        self,
        *,
        registry: str,
        kind: str,
        protection: Protection,
        now: datetime,
        remembered: Mapping[str, Found] | None = None,
    ) -> None:
        self.used: dict[str, Found] = dict(remembered or {})
        self.revision = 0
        self._name = (registry, kind)
        self._protection = protection
        self._knowledge = Knowledge.STALE if self.used else Knowledge.SILENT
        self._since = now
        self._heard: datetime | None = None
        self._failure: Diagnostic | None = None
        self._complaint: Diagnostic | None = None
        self._spoken = False
        self._unknown: frozenset[str] = frozenset()
        self._found: dict[str, Found] = {}
        self._listed: dict[str, dict[Ident, Instance]] = {}
        self._in_use = {host: by_ident(found.instances) for host, found in self.used.items()}
        self._healthy = {host: healthy(known.values()) for host, known in self._in_use.items()}
        self._doubts: dict[str, Doubt] = {}
        self._damping = Damping()
        self._due: datetime | None = None

    @property
    def knowledge(self) -> Knowledge:
        """How well the registry is known."""
        return self._knowledge

    @property
    def failure(self) -> Diagnostic | None:
        """Why it does not answer; None if it does, or was not asked yet."""
        return self._failure

    def protect(self, protection: Protection) -> None:
        """From now on it is believed by these rules; what is in doubt already falls due by them too."""
        self._protection = protection
        self._rearm()

    def begin_anew(self, kind: str, now: datetime) -> None:
        """The registry is asked in another way from now on: what is used of it stays until it has spoken."""
        self._name = (self._name[0], kind)
        self._failure = self._complaint = None
        self._spoken = False
        if self._knowledge is Knowledge.LIVE:
            self._knowledge, self._since = Knowledge.STALE, now
        self.revision += 1

    def fold(self, event: Event, now: datetime) -> frozenset[str]:
        """An adapter said something; the hosts of which another service is used now.

        The first event of each `watch` has to be a Snapshot: whoever drives the adapter sees to that.
        """
        self._answered(now)
        hosts: set[str] = set()
        match event:
            case Snapshot(services, unknown):
                hosts = self._all(services, unknown, now)
            case Put(service):
                hosts = self._take(service.host, service, now)
            case Gone(host):
                hosts = self._take(host, None, now)
            case Problem(diagnostic):
                self.revision += diagnostic != self._complaint
                self._complaint = diagnostic
            case _:
                pass
        return frozenset(hosts) | self.tick(now)

    def failed(self, diagnostic: Diagnostic, now: datetime) -> None:
        """The registry could not be asked. What it said last stays in use, and nothing is believed meanwhile."""
        if self._knowledge is Knowledge.LIVE:
            self._knowledge, self._since = Knowledge.STALE, now
            self.revision += 1
        self.revision += diagnostic != self._failure
        self._failure, self._complaint = diagnostic, None

    def tick(self, now: datetime) -> frozenset[str]:
        """Time went by: what was in doubt for long enough is believed, and what was steady for long enough is used again.

        Returns:
            The hosts of which another service is used now.
        """
        due = self.due()
        if due is None or now < due:
            return frozenset()
        changed: set[str] = set()
        for host, doubt in list(self._doubts.items()):
            if doubt.since + self._protection.hold_for <= now:
                self._believe(host, doubt.outlived(now - self._protection.hold_for))
                changed |= self._settle(host, now)
        for host in self._damping.calmed(now, self._protection):
            self.revision += 1
            changed |= self._settle(host, now)
        self._rearm()
        return frozenset(changed)

    def due(self) -> datetime | None:
        """When `tick` may have something to do; None while only an event can change something."""
        return self._due if self._knowledge is Knowledge.LIVE else None

    def standing(self) -> Standing:
        """How the registry stands."""
        registry, kind = self._name
        listed = self._listed if self._spoken else self._in_use
        return Standing(
            registry=registry,
            kind=kind,
            knowledge=self._knowledge,
            heard=self._heard,
            since=self._since,
            problem=self._failure or self._complaint,
            services=len(self._found if self._spoken else self.used),
            instances=sum(map(len, listed.values())),
            held=tuple(self._held()),
            flapping=tuple(f"{host} {address}" for host, (address, _) in self._damping.flapping()),
        )

    def _held(self) -> list[Held]:
        wide = [host for host, doubt in self._doubts.items() if doubt.wide]
        held = [self._loss(host, [host]) for host in sorted(self._doubts) if not self._doubts[host].wide]
        return [self._loss("", wide), *held] if wide else held

    def _loss(self, name: str, hosts: list[str]) -> Held:
        doubts = [self._doubts[host] for host in hosts]
        return Held(
            host=name,
            had=sum(len(self._in_use[host]) for host in hosts),
            has=sum(len(self._listed.get(host, _NONE)) for host in hosts),
            since=min(doubt.since for doubt in doubts),
            until=max(doubt.last for doubt in doubts) + self._protection.hold_for,
        )

    def _answered(self, now: datetime) -> None:
        self._heard = now
        if self._knowledge is not Knowledge.LIVE:
            self._knowledge, self._since = Knowledge.LIVE, now
            self.revision += 1
        if self._failure is not None:
            self._failure = None
            self.revision += 1

    def _all(self, services: Mapping[str, Found], unknown: frozenset[str], now: datetime) -> set[str]:
        """All services at once: where that takes too much of the registry, all of its losses are doubted."""
        hosts = (services.keys() | self.used.keys() | self._found.keys()) - (unknown - services.keys())
        moved = [
            host
            for host in sorted(hosts)
            if not self._spoken or host in self._unknown or services.get(host) != self._found.get(host)
        ]
        self._unknown = unknown
        had = sum(self._healthy.values())
        has = had + sum(self._gain(host, services.get(host)) for host in moved)
        wide = too_much(had, has, self._protection) and len(self.used) > 1
        changed: set[str] = set()
        for host in moved:
            changed |= self._take(host, services.get(host), now, wide=wide)
        self._spoken = True
        return changed

    def _gain(self, host: str, found: Found | None) -> int:
        """How many more instances than are used a service has now, marks aside."""
        used = self._in_use.get(host, _NONE)
        listed = by_ident(found.instances) if found is not None else _NONE
        had = self._healthy.get(host, 0)
        marked = sum(
            each.health is not Health.HEALTHY and key in used and used[key].health is Health.HEALTHY
            for key, each in listed.items()
        )
        return healthy(listed.values()) + marked - had

    def _take(self, host: str, found: Found | None, now: datetime, *, wide: bool = False) -> set[str]:
        """The registry lists a service so, or not any more."""
        before, listed = self._listed.get(host, {}), by_ident(found.instances) if found is not None else {}
        if found is not None:
            self._found[host], self._listed[host] = found, listed
        else:
            self._found.pop(host, None)
            self._listed.pop(host, None)
        if self._spoken and before.keys() != listed.keys():
            came, went = listed.keys() - before.keys(), before.keys() - listed.keys()
            if self._damping.moved(host, came=came, went=went, now=now, protection=self._protection):
                self.revision += 1
            self._rearm_damping()
        return self._settle(host, now, wide=wide)

    def _settle(self, host: str, now: datetime, *, wide: bool = False) -> set[str]:
        """Find what is used of a service, from what is listed and what was used."""
        found = self._found.get(host)
        listed, used = self._listed.get(host, {}), self._in_use.get(host, _NONE)
        before = self._doubts.get(host)
        step = Step(used=used, listed=listed, now=now, wide=wide)
        doubt = doubted(before, step, self._protection)
        self._doubt(host, doubt)
        self.revision += doubt != before
        if found is None and doubt is None:
            self._in_use.pop(host, None)
            self._healthy.pop(host, None)
            if self.used.pop(host, None) is None:
                return set()
            self.revision += 1
            return {host}
        steady = self._damping.steady(host, listed)
        new = self._service(host, found, steady, doubt)
        self._in_use[host] = steady | ({key: used[key] for key in doubt.missing} if doubt is not None else {})
        self._healthy[host] = healthy(self._in_use[host].values())
        if new == self.used.get(host):
            return set()
        self.used[host] = new
        self.revision += 1
        return {host}

    def _service(self, host: str, found: Found | None, steady: Mapping[Ident, Instance], doubt: Doubt | None) -> Found:
        held = doubt.instances if doubt is not None else ()
        if found is None:
            return replace(self.used[host], instances=held)
        if not held and len(steady) == len(self._listed[host]):
            return found
        return replace(found, instances=(*(each for each in found.instances if ident(each) in steady), *held))

    def _believe(self, host: str, doubt: Doubt | None) -> None:
        """What is not in the doubt any more is gone."""
        gone = self._doubts[host].missing.keys() - (doubt.missing.keys() if doubt is not None else ())
        self._in_use[host] = {key: each for key, each in self._in_use[host].items() if key not in gone}
        self._doubt(host, doubt)
        self.revision += 1

    def _doubt(self, host: str, doubt: Doubt | None) -> None:
        if doubt is None:
            self._doubts.pop(host, None)
        else:
            self._doubts[host] = doubt
            self._sooner(doubt.since + self._protection.hold_for)

    def _rearm_damping(self) -> None:
        due = self._damping.due(self._protection)
        if due is not None:
            self._sooner(due)

    def _rearm(self) -> None:
        self._due = min((doubt.since + self._protection.hold_for for doubt in self._doubts.values()), default=None)
        self._rearm_damping()

    def _sooner(self, due: datetime) -> None:
        """It may be too soon, as what falls due can be taken back; `tick` sees that for itself."""
        self._due = due if self._due is None else min(self._due, due)
