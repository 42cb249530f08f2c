"""Short forms for what tests of merging declare and list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.model.discovered import Catalogue, Found, Instance, Listed
from reconciler.model.discovery import Etcd, Registry
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.protocol import Protocol
from reconciler.model.proxy import MeshSpec
from reconciler.model.serviceentry import Resolution, ServiceEntry, ServicePort, WorkloadEntry, WorkloadSelector
from reconciler.model.services import Port

HTTP = Port(80, "http", Protocol.HTTP, 8080)


def instance(address: str, port: int = 8080, **fields: Any) -> Instance:
    """With one port, named `http`, if no `ports` are given."""
    return Instance(address=address, **{"ports": {"http": port}, **fields})


def catalogue(*found: tuple[str, Found]) -> Catalogue:
    """What registries, by name, list."""
    services: dict[str, tuple[Listed, ...]] = {}
    for registry, item in found:
        services[item.host] = (*services.get(item.host, ()), Listed(registry, item))
    return Catalogue(services=services)


def entry(host: str, number: int = 0, **fields: Any) -> Policy[ServiceEntry]:
    """A ServiceEntry of namespace `default`, with port 80 named `http` to 8080, STATIC, if nothing else is said."""
    selector = fields.pop("selector", None)
    namespace = fields.pop("namespace", "default")
    spec: dict[str, Any] = {
        "hosts": (host,),
        "ports": (ServicePort(number=80, name="http", target_port=8080),),
        "resolution": Resolution.STATIC,
        "workload_selector": None if selector is None else WorkloadSelector(labels=selector),
    }
    made = ServiceEntry(**{**spec, **fields})
    return Policy("ServiceEntry", Key(namespace, f"e{number}"), made, Origin("policies/services.yaml", number))


def workload(name: str, address: str, labels: Mapping[str, str], number: int = 0) -> Policy[WorkloadEntry]:
    """A WorkloadEntry of namespace `default`."""
    spec = WorkloadEntry(address=address, labels=labels)
    return Policy("WorkloadEntry", Key("default", name), spec, Origin("policies/workloads.yaml", number))


def mesh(
    *entries: Policy[ServiceEntry],
    workloads: tuple[Policy[WorkloadEntry], ...] = (),
    registries: Mapping[str, tuple[str, ...]] | None = None,
) -> Mesh:
    """With registries `a` and `b`, or with these, by name with their networks."""
    known = {"a": (), "b": ()} if registries is None else registries
    listed = tuple(Registry(name=name, networks=networks, etcd=Etcd()) for name, networks in known.items())
    return Mesh(settings=MeshSpec(discovery=listed), service_entries=entries, workload_entries=workloads)
