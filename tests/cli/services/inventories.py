"""Meshes whose services Git and registries describe, and the documents that are made of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from reconciler.cli.services.inventory import inventory_document
from reconciler.cycle import Compiler, Desired, Inventory, silent
from reconciler.cycle.report import Stopwatch
from reconciler.model.discovered import Catalogue, Found, Instance, Listed, Standing
from reconciler.policy import FolderTree

AT = datetime(2026, 1, 1, 12, tzinfo=UTC)
SUFFIX = ".default.svc.cluster.local"
_MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {discovery: [{name: files, fileSd: {files: [/f.json]}}, {name: more, fileSd: {files: [/g.json]}}]}
"""
_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %(name)s}
spec:
  hosts: [%(name)s.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  exportTo: [%(to)s]
  ports: [{number: %(port)d, name: http, protocol: HTTP, targetPort: 8080}]
  workloadSelector: {labels: {app: %(name)s}}
"""
_WORKLOAD = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: %(name)s, namespace: %(namespace)s}
spec: {address: %(address)s, labels: {app: %(app)s}}
"""
_PROXY = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: %(name)s, namespace: %(namespace)s}
spec: {workload: %(name)s, admin: "unix:///run/%(name)s", push: {files: {directory: /x/%(name)s}}}
"""


def service(name: str, port: int, to: str = "'*'") -> str:
    """A ServiceEntry of namespace default, with this name's workloads behind it."""
    return _SERVICE % {"name": name, "port": port, "to": to}


def member(name: str, address: str, app: str, namespace: str = "default") -> str:
    """A workload with its sidecar."""
    values = {"name": name, "namespace": namespace, "address": address, "app": app}
    return f"{_WORKLOAD % values}---\n{_PROXY % values}"


def found(name: str, *instances: Instance, **fields: Any) -> Found:
    return Found(host=name + SUFFIX, instances=instances, **fields)


def catalogue(*listed: tuple[str, Found], standings: tuple[Standing, ...] = ()) -> Catalogue:
    services: dict[str, tuple[Listed, ...]] = {}
    for registry, item in listed:
        services[item.host] = (*services.get(item.host, ()), Listed(registry, item))
    return Catalogue(generation=1, services=services, standings=standings)


def desired(folder: Path, files: Mapping[str, str], known: Catalogue) -> Desired:
    """What these documents ask for, beside a mesh with two registries."""
    (folder / "policies").mkdir()
    for name, text in {"mesh": _MESH, **files}.items():
        (folder / f"policies/{name}.yaml").write_text(text)
    compiler = Compiler()
    compiler.discover(known)
    return compiler.desired(FolderTree(folder), Stopwatch(silent))


def document(folder: Path, files: Mapping[str, str], known: Catalogue) -> dict[str, Any]:
    """The document of services."""
    made = desired(folder, files, known)
    inventory = Inventory(desired=made, services=made.services, catalogue=known)
    return inventory_document(inventory, repository="/srv/p.git", ref="main", now=AT)


def of(whole: Mapping[str, Any], name: str) -> Any:
    """One service of it."""
    (item,) = (item for item in whole["services"] if item["host"] == name + SUFFIX)
    return item
