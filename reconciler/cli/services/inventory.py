"""The services of a mesh as one document: what Git declares and registries list, joined, and who may call it. Pure.

What `GET /v1/services` answers, and what `reconcile services` begins with; how callers see the instances is added by `sight`.
Here no text is escaped, and nothing is left out: that is for whoever shows it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.cli.registries import registry_document
from reconciler.cycle import Desired, Inventory
from reconciler.model.key import Key
from reconciler.model.origin import Origin
from reconciler.model.resource import ResourceType
from reconciler.model.services import Endpoint, Health, Port, Service

_OUTBOUND, _PARTS = "outbound", 4

Declared = dict[str, Any]
"""Where a document stands: `{file, document, line}`; the line is null until somebody looks it up."""


def inventory_document(inventory: Inventory, *, repository: str, ref: str, now: datetime) -> dict[str, Any]:
    """All services, registries and proxies.

    Args:
        inventory: One commit, and what registries list.
        repository: As users know it.
        ref: The branch that the commit is of.
        now: What ages are counted from.
    """
    desired, mesh = inventory.desired, inventory.desired.mesh
    named = {item.name for item in mesh.settings.discovery}
    listed = {
        host: names
        for host, found in inventory.catalogue.services.items()
        if (names := [item.registry for item in found if item.registry in named])
    }
    known = {service.host for service in inventory.services}
    service = _Services(desired, listed)
    return {
        "schema_version": 1,
        "repository": repository,
        "ref": ref,
        "commit": desired.commit,
        "domain": mesh.settings.domain,
        "now": now.isoformat(),
        "registries": [
            registry_document(item) for item in inventory.catalogue.standings if item.registry in named
        ],
        "services": [service.document(item) for item in inventory.services],
        "unused": [{"host": host, "registries": listed[host]} for host in sorted(listed.keys() - known)],
        "proxies": [
            {"proxy": str(item.key), "admin": item.spec.admin or None, "configured_here": item.spec.push.runtime is None}
            for item in mesh.proxies
        ],
    }  # fmt: skip


class _Services:
    """Makes the entry of one service after another.

    Args:
        desired: The commit.
        listed: Names of registries, by the hosts that they list.
    """

    def __init__(self, desired: Desired, listed: Mapping[str, list[str]]) -> None:
        self._listed = listed
        self._callers = callers(desired)
        self._declared = {service.host: service.origin for service in desired.declared_services}
        self._workloads = {item.key: item.origin for item in desired.mesh.workload_entries}
        self._of = sum(item.spec.push.runtime is None for item in desired.mesh.proxies)

    def document(self, service: Service) -> dict[str, Any]:
        origin = self._declared.get(service.host)
        ports = [self._callers.get((service.host, port.number), _NOBODY) for port in service.ports]
        everybody = sorted({key for found in ports for key in found.proxies})
        return {
            "host": service.host,
            "namespace": service.namespace,
            "location": str(service.location),
            "resolution": str(service.resolution),
            "addresses": list(service.addresses),
            "export_to": sorted(service.export_to),
            "ports": [_port(port, found, everybody) for port, found in zip(service.ports, ports, strict=True)],
            "declared": _place(origin) if origin is not None else None,
            "registries": self._listed.get(service.host, []),
            "counts": counted(item.health for item in service.endpoints),
            "callers": {"proxies": [str(key) for key in everybody], "of": self._of},
            "endpoints": [self._endpoint(service, item) for item in service.endpoints],
        }

    def _endpoint(self, service: Service, item: Endpoint) -> dict[str, Any]:
        origin = self._workloads.get(Key(service.namespace, item.workload)) if item.workload else service.origin
        return {
            "address": item.address,
            "ports": dict(item.ports),
            "labels": dict(item.labels),
            "locality": item.locality,
            "weight": item.weight,
            "health": str(item.health),
            "workload": item.workload,
            "service_account": item.service_account,
            "registry": item.registry or None,
            "declared": _place(origin) if origin is not None and not item.registry else None,
            "seen": None,
        }


@dataclass(frozen=True, slots=True)
class Callers:
    """Who may call one port of a service.

    Attributes:
        proxies: Those whose view has a cluster of it, in order.
        whole: Those of them that have one of all instances. Others, as gateways, have clusters of some subsets only.
    """

    proxies: tuple[Key, ...] = ()
    whole: tuple[Key, ...] = ()

    def document(self, everybody: Sequence[Key]) -> dict[str, list[str] | None]:
        """As JSON; what goes without saying is null."""
        return {
            "callers": None if len(self.proxies) == len(everybody) else [str(key) for key in self.proxies],
            "whole": None if len(self.whole) == len(self.proxies) else [str(key) for key in self.whole],
        }


_NOBODY = Callers()


def callers(desired: Desired) -> Mapping[tuple[str, int], Callers]:
    """The proxies that may call a host at a port: those whose view has a cluster of it.

    So `exportTo` and Sidecars are in force here as they are for traffic. A proxy that somebody else configures has no clusters of
    ours, and is nobody's caller here. An `ALLOW_ANY` mesh lets everybody connect to addresses besides; that is no call of a service.
    """
    found: dict[tuple[str, int], tuple[dict[Key, None], dict[Key, None]]] = {}
    for key in sorted(desired.views):
        for id_ in desired.views[key].resources:
            reference = cluster_of(id_.name) if id_.type is ResourceType.CLUSTER else None
            if reference is not None:
                some, whole = found.setdefault(reference[:2], ({}, {}))
                some[key] = None
                if not reference[2]:
                    whole[key] = None
    return {place: Callers(tuple(some), tuple(whole)) for place, (some, whole) in found.items()}


def cluster_of(name: str) -> tuple[str, int, str] | None:
    """Host, port and subset of an outbound cluster, by its name; None for any other."""
    parts = name.split("|", _PARTS - 1)
    if len(parts) != _PARTS or parts[0] != _OUTBOUND or not parts[1].isascii() or not parts[1].isdigit():
        return None
    return parts[3], int(parts[1]), parts[2]


def _port(port: Port, callers: Callers, everybody: Sequence[Key]) -> dict[str, Any]:
    return {"number": port.number, "name": port.name, "protocol": str(port.protocol), **callers.document(everybody)}


def counted(healths: Iterable[str]) -> dict[str, int]:
    """How many instances there are, and how many of each health, as their platforms say it."""
    counts = {"instances": 0} | {str(health): 0 for health in Health}
    for health in healths:
        counts["instances"] += 1
        counts[str(health)] += 1
    return counts


def _place(origin: Origin) -> Declared | None:
    return {"file": origin.file, "document": origin.document, "line": None} if origin.file else None
