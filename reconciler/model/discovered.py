"""What registries say: services and instances that no commit declares, and how well that is known.

An adapter finds services (`Found`), the room `discovery` puts what all adapters found into a `Catalogue`, and the compiler merges
that with what Git declares. Values only; nothing here asks anybody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from reconciler.errors import Diagnostic
from reconciler.model.key import DEFAULT_NAMESPACE
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health, Port

ANY_PORT = ""
"""The name, in `Instance.ports`, of the only port of an instance, whatever its service calls that."""

_NO_LABELS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance of a service, as a registry describes it.

    Attributes:
        address: An IP address, or `unix:///path`; a host name only in a service of resolution DNS.
        ports: By service port name; `{"": 8080}` (`ANY_PORT`) for an instance that has just one.
        labels: What subsets and workload selectors select on.
        weight: At least 1, relative to the others.
        health: What the platform says of it.
        locality: `region/zone/subzone`, or "" if unknown.
        network: Where the address can be reached, or "" for everywhere.
        service_account: Of its identity, or "".
        name: What the platform calls it (a pod, a service id), or "".
    """

    address: str
    ports: Mapping[str, int]
    labels: Mapping[str, str] = field(default_factory=lambda: _NO_LABELS)
    weight: int = 1
    health: Health = Health.HEALTHY
    locality: str = ""
    network: str = ""
    service_account: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One service, as one registry describes it.

    Attributes:
        host: In full and in lower case: `reviews.default.svc.cluster.local`.
        namespace: What its policies and workloads are looked up in.
        ports: Of the service; none where the registry knows instances only: then Git or another registry has to say them.
        addresses: Where callers expect it: a cluster IP.
        selector: WorkloadEntries of its namespace with these labels are instances of it too; None where none are.
        resolution: STATIC, or DNS where instances are names.
    """

    host: str
    instances: tuple[Instance, ...] = ()
    namespace: str = DEFAULT_NAMESPACE
    ports: tuple[Port, ...] = ()
    addresses: tuple[str, ...] = ()
    selector: Mapping[str, str] | None = None
    resolution: Resolution = Resolution.STATIC


class Knowledge(StrEnum):
    """How well a registry is known. LIVE: it answers. STALE: it did, and does not any more; what it said last is used. SILENT: it never did."""

    LIVE = "live"
    STALE = "stale"
    SILENT = "silent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A loss that is not believed yet: what was there before is used for the time being.

    Attributes:
        host: The service; "" where it is about the registry as a whole.
        had: Instances that are used.
        has: Instances that the registry lists now.
        since: When it was first heard of, UTC.
        until: When it is believed if nothing changes, UTC.
    """

    host: str
    had: int
    has: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """One registry at one instant.

    Attributes:
        registry: Its name in `Mesh.discovery`.
        kind: `kubernetes`, `consul`, ...; a plugin's own name.
        heard: When it last answered, UTC; None if it never did.
        since: When it came into this state, UTC.
        problem: Why it does not answer, or what of its answer can't be used.
        services: How many it lists.
        instances: How many instances these have.
        held: Losses that are not believed yet.
        flapping: Instances that come and go too often, as `host address`, and are left out until they are steady.
    """

    registry: str
    kind: str
    knowledge: Knowledge
    heard: datetime | None = None
    since: datetime | None = None
    problem: Diagnostic | None = None
    services: int = 0
    instances: int = 0
    held: tuple[Held, ...] = ()
    flapping: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listed:
    """A service as it is used: guarded, damped, and perhaps remembered."""

    registry: str
    found: Found


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """What all registries say, at one instant.

    Attributes:
        generation: Grows with every change.
        services: By host; where several registries list one, in the order of `Mesh.discovery`. What did not change from one
            catalogue to the next is the same object.
        standings: One for each registry, in the order of `Mesh.discovery`.
    """

    generation: int = 0
    services: Mapping[str, tuple[Listed, ...]] = field(default_factory=lambda: MappingProxyType({}))
    standings: tuple[Standing, ...] = ()

    @property
    def silent(self) -> tuple[str, ...]:
        """Registries of which nothing at all is known: what they would list must not be taken for gone."""
        return tuple(item.registry for item in self.standings if item.knowledge is Knowledge.SILENT)


NOTHING = Catalogue()
"""Without registries."""
