"""Instances as callers see them: what Envoys say of each host of their clusters, and what a fleet says of it together.

Pure values. `envoy.hosts` reads them from one Envoy, `cycle.health` asks a fleet.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from reconciler.errors import Diagnostic
from reconciler.model.key import Key

Place = tuple[str, str, int]
"""A cluster, and an address and port in it; the port is 0 where the address is a Unix socket's path."""


class HostFlag(StrEnum):
    """What an Envoy itself has against a host (`envoy.admin.v3.HostHealthStatus`, by these names)."""

    FAILED_CHECK = "failed_active_health_check"
    EJECTED = "failed_outlier_check"
    DEGRADED = "failed_active_degraded_check"
    LEAVING = "pending_dynamic_removal"
    UNCHECKED = "pending_active_hc"
    SAID_NO = "excluded_via_immediate_hc_fail"
    TIMED_OUT = "active_hc_timeout"


class Told(StrEnum):
    """What an Envoy was told of a host by EDS; names as in `envoy.config.core.v3.HealthStatus`."""

    UNKNOWN = "UNKNOWN"
    HEALTHY = "HEALTHY"
    UNHEALTHY = "UNHEALTHY"
    DRAINING = "DRAINING"
    TIMEOUT = "TIMEOUT"
    DEGRADED = "DEGRADED"


class Trouble(StrEnum):
    """Why a host gets no new requests, or fewer. In the order in which they are shown."""

    EJECTED = "ejected"
    FAILED_CHECK = "failed-check"
    UNCHECKED = "unchecked"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"
    DEGRADED = "degraded"
    LEAVING = "leaving"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSeen:
    """One host of a cluster of one Envoy.

    Attributes:
        address: An IP address, or the path of a Unix socket.
        port: 0 for a socket.
        hostname: The name that was looked up, or "".
        flags: What the Envoy has against it.
        told: What it was told of it.
        weight: At least 1.
        locality: `region/zone/subzone`, or "".
        priority: 0 is the highest.
        success_rate: Per cent, from outlier detection by statistics; None where there is none, or too little traffic for it.
    """

    address: str
    port: int
    hostname: str = ""
    flags: frozenset[HostFlag] = frozenset()
    told: Told = Told.HEALTHY
    weight: int = 1
    locality: str = ""
    priority: int = 0
    success_rate: float | None = None

    @property
    def troubles(self) -> tuple[Trouble, ...]:
        """All that speaks against it; () for one that is well."""
        if not self.flags and self.told is Told.HEALTHY:
            return ()
        checked = HostFlag.UNCHECKED not in self.flags  # until then Envoy has it as failed
        failed = checked and not self.flags.isdisjoint({HostFlag.FAILED_CHECK, HostFlag.SAID_NO})
        found = {
            Trouble.EJECTED: HostFlag.EJECTED in self.flags,
            Trouble.FAILED_CHECK: failed,
            Trouble.UNCHECKED: not checked,
            Trouble.UNHEALTHY: self.told in {Told.UNHEALTHY, Told.TIMEOUT},
            Trouble.DRAINING: self.told is Told.DRAINING,
            Trouble.DEGRADED: HostFlag.DEGRADED in self.flags or self.told is Told.DEGRADED,
            Trouble.LEAVING: HostFlag.LEAVING in self.flags,
        }
        return tuple(trouble for trouble, holds in found.items() if holds)


@dataclass(frozen=True, slots=True)
class Sight:
    """One host as its callers see it.

    Attributes:
        proxies: How many of those that answered have it.
        troubles: By how many of them each trouble is seen; in the order of `Trouble`.
    """

    proxies: int
    troubles: Mapping[Trouble, int] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def well(self) -> bool:
        """Whether nobody has anything against it."""
        return not self.troubles


@dataclass(frozen=True, slots=True, kw_only=True)
class HostsSeen:
    """What a fleet says of the hosts of its clusters.

    Attributes:
        hosts: By cluster, address and port, sorted.
        answered: The proxies that it was read from, sorted.
        silent: Those that could not be read, sorted, and why.
    """

    hosts: Mapping[Place, Sight] = field(default_factory=lambda: MappingProxyType({}))
    answered: tuple[Key, ...] = ()
    silent: Mapping[Key, Diagnostic] = field(default_factory=lambda: MappingProxyType({}))


class Tally:
    """Counts what proxies say, one after the other, so that only one answer has to be held at a time."""

    def __init__(self) -> None:
        self._proxies: dict[Place, int] = {}
        self._troubles: dict[Place, dict[Trouble, int]] = {}
        self._answered: list[Key] = []
        self._silent: dict[Key, Diagnostic] = {}

    def answer(self, proxy: Key, clusters: Mapping[str, Iterable[HostSeen]]) -> None:
        """Take in what one proxy says of its clusters. A host that stands twice in a cluster counts once."""
        self._answered.append(proxy)
        for name, hosts in clusters.items():
            for (address, port), host in {(host.address, host.port): host for host in hosts}.items():
                place = (name, address, port)
                self._proxies[place] = self._proxies.get(place, 0) + 1
                for trouble in host.troubles:
                    counts = self._troubles.setdefault(place, {})
                    counts[trouble] = counts.get(trouble, 0) + 1

    def silence(self, proxy: Key, reason: Diagnostic) -> None:
        """Take note of a proxy that could not be read."""
        self._silent[proxy] = reason

    def result(self) -> HostsSeen:
        """What they say together."""
        well = {count: Sight(count) for count in set(self._proxies.values())}
        hosts: dict[Place, Sight] = {}
        for place in sorted(self._proxies):
            count, troubles = self._proxies[place], self._troubles.get(place)
            ordered = {item: troubles[item] for item in Trouble if item in troubles} if troubles else {}
            hosts[place] = Sight(count, MappingProxyType(ordered)) if ordered else well[count]
        silent = {key: self._silent[key] for key in sorted(self._silent)}
        return HostsSeen(
            hosts=MappingProxyType(hosts),
            answered=tuple(sorted(self._answered)),
            silent=MappingProxyType(silent),
        )
