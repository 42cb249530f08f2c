"""What one host comes to: from what Git declares of it and what registries list, to its endpoints and the notes on what is unused.

The rules of a merge, for one host; `merging` knows which hosts there are and which have to be looked at again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from operator import is_

from reconciler.discovery.merging.accounts import Accounts
from reconciler.discovery.merging.defining import Behind, with_workloads
from reconciler.discovery.merging.leftovers import Place, foreign, left_out, no_ports, not_static
from reconciler.discovery.merging.offers import Offer, take
from reconciler.discovery.merging.selection import Place as Source
from reconciler.model.discovered import Instance, Listed
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding, Origin
from reconciler.model.serviceentry import Resolution, ServiceEntry
from reconciler.model.services import Endpoint, Service, Workloads

Chosen = tuple[tuple[Source, tuple[Instance, ...]], ...]
"""Instances that a ServiceEntry selects, and where each are from."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a mesh says that is needed for its hosts: its registries, ServiceEntries and WorkloadEntries.

    Attributes:
        names: Of the registries, in order.
        positions: Of each, by name.
        networks: That each one's instances are taken from; all, where there are none.
        entries: ServiceEntries by where they stand, which their services know.
    """

    names: tuple[str, ...] = ()
    positions: Mapping[str, int] = field(default_factory=dict)
    networks: Mapping[str, frozenset[str]] = field(default_factory=dict)
    entries: Mapping[Origin, Policy[ServiceEntry]] = field(default_factory=dict)
    workloads: Workloads = field(default_factory=lambda: Workloads(()))
    domain: str = ""

    @classmethod
    def of(cls, mesh: Mesh) -> Around:
        """Of this mesh."""
        registries = mesh.settings.discovery
        return cls(
            names=tuple(item.name for item in registries),
            positions={item.name: number for number, item in enumerate(registries)},
            networks={item.name: frozenset(item.networks) for item in registries},
            entries={entry.origin: entry for entry in mesh.service_entries},
            workloads=Workloads(mesh.workload_entries),
            domain=mesh.settings.domain,
        )

    def usable(self, raw: tuple[Listed, ...]) -> tuple[Listed, ...]:
        """What registries of this mesh list, in their order."""
        known = [item for item in raw if item.registry in self.positions]
        return tuple(sorted(known, key=lambda item: self.positions[item.registry]))

    def place(self, host: str, declared: Service | None) -> Place:
        """Where notes about a host point."""
        return Place(host, self.entries.get(declared.origin) if declared is not None else None, self.domain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """Everything that the outcome for one host depends on, beside what Git declares and the settings."""

    listed: tuple[Listed, ...]
    chosen: Chosen
    workloads: Behind
    selecting: bool

    def same(self, other: Inputs) -> bool:
        """Whether it is known to be what it was, without looking into anything."""
        return (
            [item.registry for item in self.listed] == [item.registry for item in other.listed]
            and identical([item.found for item in self.listed], [item.found for item in other.listed])
            and self.selecting == other.selecting
            and len(self.chosen) == len(other.chosen)
            and all(a[0] == b[0] and a[1] is b[1] for a, b in zip(self.chosen, other.chosen, strict=True))
            and self.workloads.foreign == other.workloads.foreign
            and identical(self.workloads.entries, other.workloads.entries)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a host comes to, and from what.

    Attributes:
        raw: What the catalogue had for it.
    """

    inputs: Inputs
    lasting: Service | None
    service: Service | None
    endpoints: tuple[Endpoint, ...] = ()
    notes: tuple[Finding, ...] = ()
    raw: tuple[Listed, ...] = ()
    declared: Service | None = None

    def keeping(self, before: Outcome) -> Outcome:
        """The same with the objects of before where they are equal."""
        lasting = before.lasting if self.lasting == before.lasting else self.lasting
        endpoints = before.endpoints if self.endpoints == before.endpoints else self.endpoints
        same = lasting is before.lasting and endpoints is before.endpoints
        return replace(
            self,
            lasting=lasting,
            endpoints=endpoints,
            service=before.service if same else lasting if self.service is self.lasting else self.service,
        )


@dataclass(frozen=True, slots=True)
class Making:
    """What one host's inputs come to.

    Attributes:
        accounts: That instances have had so far; told of those that they have.
    """

    inputs: Inputs
    around: Around
    place: Place
    accounts: Accounts

    def of(self, declared: Service | None, defined: Service | None) -> Outcome:
        """With the notes on what is not used."""
        listed = self.inputs.listed
        if defined is None or not defined.ports:
            notes = (no_ports(self.place, listed),) if listed else ()
            return Outcome(inputs=self.inputs, lasting=defined, service=defined, notes=notes)
        workloads = self.inputs.workloads
        service = with_workloads(defined, workloads.entries)
        notes = (foreign(self.place, service, listed, workloads.foreign),) if workloads.foreign else ()
        if service.resolution is Resolution.STATIC and (listed or self.inputs.selecting):
            taken = take(self._offers(), service.ports, service.endpoints, named=False)
            notes = (*notes, *left_out(self.place, service, taken.left))
            lasting = replace(service, discovered=True, accounts=self._known(service, taken.endpoints))
            return Outcome(
                inputs=self.inputs,
                lasting=lasting,
                service=_with(lasting, taken.endpoints),
                endpoints=taken.endpoints,
                notes=notes,
            )
        if declared is None and service.resolution is Resolution.DNS:
            taken = take(self._offers(), service.ports, service.endpoints, named=True)
            notes = (*notes, *left_out(self.place, service, taken.left))
            service = _with(service, taken.endpoints)
        else:
            unused = [self.around.names[position] for (position, _), _ in self.inputs.chosen]
            unused += [item.registry for item in listed if item.found.instances]
            notes = (*notes, not_static(self.place, service, unused)) if unused else notes
        return Outcome(inputs=self.inputs, lasting=service, service=service, notes=notes)

    def _known(self, service: Service, endpoints: tuple[Endpoint, ...]) -> frozenset[str]:
        """The service accounts of these, and of those that the same registries have listed for the same service before."""
        found = frozenset(item.service_account for item in endpoints if item.service_account)
        entry = self.around.entries.get(service.origin)
        selector = entry.spec.workload_selector if entry is not None else None
        return self.accounts.with_these(service.host, found, basis=(service.namespace, selector, self.around.names))

    def _offers(self) -> Iterator[Offer]:
        for item in self.inputs.listed:
            found, networks = item.found, self.around.networks[item.registry]
            yield Offer(item.registry, found.instances, ports=found.ports, networks=networks)
        for (position, _), instances in self.inputs.chosen:
            registry = self.around.names[position]
            yield Offer(registry, instances, networks=self.around.networks[registry], chosen=True)


def _with(service: Service, endpoints: tuple[Endpoint, ...]) -> Service:
    return replace(service, endpoints=(*service.endpoints, *endpoints)) if endpoints else service


def identical(one: Collection[object], other: Collection[object]) -> bool:
    """Whether these are the same objects in the same order."""
    return len(one) == len(other) and all(map(is_, one, other))
