"""What Git declares and what registries list, as one set of services: the step between the catalogue and the compiler.

By Istio's rules, where they don't say otherwise themselves (`defining`): a host in several places is one service, and instances
add up; Git's own go first, then those of registries in the order of `Mesh.discovery`; a ServiceEntry's `workloadSelector` also
selects instances, and a registry's selector also selects WorkloadEntries. Only services of resolution STATIC take instances.

A function of its three arguments, but for service accounts, which stay (`accounts`). `Merger` remembers what it came to for each
host, so that a change costs the hosts that it concerns; it never asks a registry, and knows neither proxies nor views.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from reconciler.discovery.merging.accounts import Accounts
from reconciler.discovery.merging.defining import Behind, behind, define
from reconciler.discovery.merging.outcomes import Around, Inputs, Making, Outcome, identical
from reconciler.discovery.merging.selection import Selection, Selector
from reconciler.model.discovered import Catalogue, Listed
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding, Origin
from reconciler.model.serviceentry import ServiceEntry
from reconciler.model.services import Endpoint, Service

_NONE: Mapping[str, tuple[Endpoint, ...]] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The services that there are. What did not change from one call to the next is the same object, the tuples as wholes too.

    Attributes:
        services: Sorted by host, with all their endpoints.
        lasting: The same without discovered endpoints: another tuple exactly if something changed that a pass has to carry out.
        endpoints: The discovered ones of every service with `discovered`, by host; () where there are none at the moment.
        notes: What of the registries' services and instances is not used; warnings, in the order of hosts.
    """

    services: tuple[Service, ...]
    lasting: tuple[Service, ...]
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=lambda: _NONE)
    notes: tuple[Finding, ...] = ()


class Merger:
    """Merges one catalogue after another. Not for several threads at once.

    Args:
        accounts: The service accounts that instances have had so far; shared by the mergers of several commits, so that a new commit
            by itself takes trust away from nobody.
    """

    def __init__(self, accounts: Accounts | None = None) -> None:
        self._accounts = accounts or Accounts()
        self._mesh: Mesh | None = None
        self._around = Around()
        self._selectors: list[Selector] = []
        self._selection = Selection()
        self._seen: Mapping[str, tuple[Listed, ...]] = {}
        self._known: dict[str, Outcome] = {}
        self._merged = Merged(services=(), lasting=())

    def merged(self, declared: Sequence[Service], mesh: Mesh, catalogue: Catalogue) -> Merged:
        """All services.

        Args:
            declared: By Git, each host once; unchanged ones the same objects as in the last call.
            mesh: That they are declared in. What registries list that its `Mesh.discovery` does not have is not used.
            catalogue: What registries list; what did not change is the same object as in the last one.
        """
        if not mesh.settings.discovery:
            self._mesh, self._known, self._seen = None, {}, {}
            services = tuple(declared)
            return Merged(services=services, lasting=services)
        stale = self._settle(declared, mesh)
        affected = self._follow(catalogue.services)
        by_host = {service.host: service for service in declared}
        known: dict[str, Outcome] = {}
        moved = False
        for host in sorted({*by_host, *catalogue.services}):
            service, raw = by_host.get(host), catalogue.services.get(host, ())
            now = before = self._known.get(host)
            if stale or now is None or now.raw is not raw or now.declared is not service or host in affected:
                now = self._outcome(host, service, raw, before)
            known[host] = now
            moved = moved or now is not before
        self._accounts.forget(self._known.keys() - known.keys())
        if moved or len(known) != len(self._known):
            self._merged = _put_together(known, self._merged)
        self._known = known
        return self._merged

    def _settle(self, declared: Sequence[Service], mesh: Mesh) -> bool:
        """Take in what the mesh says of registries, selectors and workloads; whether any host may be concerned."""
        last, self._mesh = self._mesh, mesh
        settings = mesh.settings
        if last is None or last.settings.discovery != settings.discovery or last.settings.domain != settings.domain:
            last = None
            self._known, self._selectors, self._selection, self._seen = {}, [], Selection(), {}
        elif last.service_entries is mesh.service_entries and last.workload_entries is mesh.workload_entries:
            return False
        self._around = Around.of(mesh)
        selectors = [*_selectors(declared, self._around.entries)]
        if selectors != self._selectors:
            self._selectors, self._selection, self._seen = selectors, Selection(selectors), {}
        return True

    def _follow(self, services: Mapping[str, tuple[Listed, ...]]) -> set[str]:
        """The hosts whose selectors select something else now."""
        affected: set[str] = set()
        before, self._seen = self._seen, services
        if not self._selectors or before is services:
            return affected
        for host in before.keys() - services.keys():
            affected |= self._exchange(host, before[host], ())
        for host, raw in services.items():
            old = before.get(host, ())
            if old is not raw:
                affected |= self._exchange(host, old, raw)
        return affected

    def _exchange(self, host: str, before: tuple[Listed, ...], after: tuple[Listed, ...]) -> set[str]:
        olds, news = ({item.registry: item.found for item in self._around.usable(raw)} for raw in (before, after))
        affected: set[str] = set()
        for registry in {**olds, **news}:
            if olds.get(registry) is not news.get(registry):
                place = (self._around.positions[registry], host)
                affected |= self._selection.replace(place, news.get(registry))
        return affected

    def _outcome(self, host: str, declared: Service | None, raw: tuple[Listed, ...], before: Outcome | None) -> Outcome:
        """What a host comes to; the same object if it came to that from the same before."""
        listed = self._around.usable(raw)
        defined = define(declared, listed)
        inputs = Inputs(
            listed=listed,
            chosen=self._selection.of(host),
            workloads=behind(defined, listed, self._around.workloads) if defined is not None else Behind(),
            selecting=defined is not None and self._selection.may_select(host, defined.namespace),
        )
        if before is not None and before.declared is declared and before.inputs.same(inputs):
            return before if before.raw is raw else replace(before, raw=raw)
        found = Making(inputs, self._around, self._around.place(host, declared), self._accounts).of(declared, defined)
        if found.lasting is None or not found.lasting.discovered:
            self._accounts.forget([host])
        return replace(found if before is None else found.keeping(before), raw=raw, declared=declared)


def _selectors(declared: Sequence[Service], entries: Mapping[Origin, Policy[ServiceEntry]]) -> Iterator[Selector]:
    for service in declared:
        entry = entries.get(service.origin)
        selector = entry.spec.workload_selector if entry is not None else None
        if selector is not None:
            yield Selector(service.host, service.namespace, selector.labels)


def _put_together(known: Mapping[str, Outcome], last: Merged) -> Merged:
    services = tuple(item.service for item in known.values() if item.service is not None)
    lasting = tuple(item.lasting for item in known.values() if item.lasting is not None)
    endpoints = {
        host: item.endpoints for host, item in known.items() if item.lasting is not None and item.lasting.discovered
    }
    notes = tuple(note for item in known.values() for note in item.notes)
    same = endpoints.keys() == last.endpoints.keys() and identical(endpoints.values(), last.endpoints.values())
    return Merged(
        services=last.services if identical(services, last.services) else services,
        lasting=last.lasting if identical(lasting, last.lasting) else lasting,
        endpoints=last.endpoints if same else MappingProxyType(endpoints),
        notes=last.notes if notes == last.notes else notes,
    )
