"""The services that a mesh declares, from one load to the next: what did not change is the same object.

Who compiles services may so tell by `is` which of them are as they were.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.serviceentry import ServiceEntry, WorkloadEntry
from reconciler.model.services import Service, Workloads, behind, one_per_host, services_of


@dataclass(frozen=True, slots=True)
class _Known:
    """What was worked out, and from what."""

    entry: Policy[ServiceEntry]
    workloads: tuple[Policy[WorkloadEntry], ...]
    services: tuple[Service, ...]


class Services:
    """As `model.services.declared`, of one mesh after another. The meshes' unchanged documents must be the same objects."""

    def __init__(self) -> None:
        self._last: Mesh | None = None
        self._known: dict[Key, _Known] = {}
        self._services: tuple[Service, ...] = ()

    def of(self, mesh: Mesh) -> tuple[Service, ...]:
        """The services of a mesh, sorted by host; the same tuple as for the last mesh if none has changed."""
        if self._last is None or mesh.settings.domain != self._last.settings.domain:
            self._known = {}
        elif (
            mesh.service_entries is self._last.service_entries and mesh.workload_entries is self._last.workload_entries
        ):
            self._last = mesh
            return self._services
        workloads = Workloads(mesh.workload_entries)
        domain = mesh.settings.domain
        self._known = {entry.key: self._one(entry, behind(entry, workloads), domain) for entry in mesh.service_entries}
        self._last = mesh
        found = one_per_host(service for known in self._known.values() for service in known.services)
        if not _same(found, self._services):
            self._services = found
        return self._services

    def _one(self, entry: Policy[ServiceEntry], workloads: tuple[Policy[WorkloadEntry], ...], domain: str) -> _Known:
        known = self._known.get(entry.key)
        if known is not None and known.entry is entry and _same(known.workloads, workloads):
            return known
        return _Known(entry, workloads, services_of(entry, workloads, domain=domain))


def _same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    return len(one) == len(other) and all(a is b for a, b in zip(one, other, strict=True))
