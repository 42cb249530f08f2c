"""Meshes for tests, from YAML, without the policy room: no validation beyond the model's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from reconciler.compile import Compiled, Prototypes, compile_mesh
from reconciler.model.destinationrule import DestinationRule
from reconciler.model.gateway import Gateway
from reconciler.model.healthcheck import HealthCheck
from reconciler.model.key import DEFAULT_NAMESPACE, Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.protos import decode, to_dict
from reconciler.model.proxy import MeshSpec, Proxy
from reconciler.model.ratelimit import RateLimit
from reconciler.model.resource import ResourceType, View
from reconciler.model.serviceentry import ServiceEntry, WorkloadEntry
from reconciler.model.services import declared
from reconciler.model.sidecar import Sidecar
from reconciler.model.spec import Spec
from reconciler.model.virtualservice import VirtualService
from reconciler.settings import shipped
from reconciler.yamldoc import load

_KINDS: Mapping[str, tuple[str, type[Spec]]] = {
    "DestinationRule": ("destination_rules", DestinationRule),
    "Gateway": ("gateways", Gateway),
    "HealthCheck": ("health_checks", HealthCheck),
    "Proxy": ("proxies", Proxy),
    "RateLimit": ("rate_limits", RateLimit),
    "ServiceEntry": ("service_entries", ServiceEntry),
    "Sidecar": ("sidecars", Sidecar),
    "VirtualService": ("virtual_services", VirtualService),
    "WorkloadEntry": ("workload_entries", WorkloadEntry),
}


def mesh_of(*texts: str) -> Mesh:
    """The mesh of these YAML documents; each text is a file `mesh-N.yaml`. `apiVersion` may be left out."""
    found: dict[str, list[Policy[Any]]] = {}
    settings = MeshSpec()
    for number, text in enumerate(texts):
        for index, document in enumerate(load(text.encode())):
            spec = json.dumps(document.get("spec", {}))
            if document["kind"] == "Mesh":
                settings = MeshSpec.model_validate_json(spec)
                continue
            field, type_ = _KINDS[document["kind"]]
            meta = document["metadata"]
            key = Key(meta.get("namespace", DEFAULT_NAMESPACE), meta["name"])
            origin = Origin(f"policies/mesh-{number}.yaml", index)
            policy = Policy(document["kind"], key, type_.model_validate_json(spec), origin)
            found.setdefault(field, []).append(policy)
    ordered = {field: tuple(sorted(items, key=lambda item: item.key)) for field, items in found.items()}
    return Mesh(settings=settings, **ordered)


def house_templates() -> dict[str, str]:
    """The templates that the product ships."""
    return {path.name: path.read_text() for path in shipped("envoy-templates").glob("*.yaml")}


def compiled(*texts: str, **overrides: str) -> Compiled:
    """What these documents compile to, with some house templates overridden (`cluster` for `cluster.yaml`)."""
    mesh = mesh_of(*texts)
    changed = {f"{name.replace('_', '-')}.yaml": text for name, text in overrides.items()}
    return compile_mesh(mesh, declared(mesh), Prototypes.parse(house_templates() | changed))


def only(result: Compiled) -> View:
    """The view of the only proxy."""
    (view,) = result.views.values()
    return view


def messages(view: View, type_: ResourceType) -> dict[str, dict[str, Any]]:
    """The resources of one type as plain values, by name."""
    return {item.id.name: to_dict(decode(item)) for item in view.of_type(type_)}


def manager(view: View, listener: str) -> dict[str, Any]:
    """The HTTP connection manager of a listener."""
    (chain,) = messages(view, ResourceType.LISTENER)[listener]["filter_chains"]
    (network_filter,) = chain["filters"]
    config: dict[str, Any] = network_filter["typed_config"]
    return config


def routes(view: View, name: str) -> dict[str, list[dict[str, Any]]]:
    """The routes of a route configuration, by virtual host."""
    hosts = messages(view, ResourceType.ROUTE)[name]["virtual_hosts"]
    return {host["name"]: host.get("routes", []) for host in hosts}


def service(name: str, *ports: str, namespace: str = "default", extra: str = "") -> str:
    """A ServiceEntry for `<name>.<namespace>.svc.cluster.local`; ports as `9080` or `9080/GRPC`."""
    listed = ""
    for port in ports or ("9080",):
        number, _, protocol = port.partition("/")
        listed += f"  - {{number: {number}, name: p{number}, protocol: {protocol or 'HTTP'}}}\n"
    return f"""
kind: ServiceEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  hosts: [{name}.{namespace}.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports:
{listed}  workloadSelector: {{labels: {{app: {name}}}}}
{extra}"""


def workload(name: str, *, app: str, address: str, version: str = "v1", namespace: str = "default") -> str:
    """A WorkloadEntry with `app` and `version` labels."""
    return f"""
kind: WorkloadEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{address: {address}, labels: {{app: {app}, version: {version}}}}}
"""


def sidecar_proxy(name: str, namespace: str = "default") -> str:
    """A Proxy for the workload of the same name, pushed to by files."""
    return f"""
kind: Proxy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{workload: {name}, admin: "unix:///run/{name}.sock", push: {{files: {{directory: /var/lib/envoy/{name}}}}}}}
"""


def gateway_proxy(name: str = "edge", namespace: str = "default") -> str:
    """A Proxy with the label `istio: edge`, pushed to by files."""
    return f"""
kind: Proxy
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  labels: {{istio: edge}}
  admin: "http://127.0.0.1:9901"
  push: {{files: {{directory: /var/lib/envoy/{name}}}}}
"""


def documents(*texts: str) -> str:
    """One multi-document file."""
    return "\n---\n".join(texts)
