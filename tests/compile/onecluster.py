"""A service with one DestinationRule, and the cluster that a sidecar has of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from reconciler.compile import Compiled, Prototypes
from reconciler.compile.clusters import Built, Clusters
from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.compile.sources import FilesSource
from reconciler.compile.tls import Site
from reconciler.compile.viewer import Viewer
from reconciler.model.protos import decode, to_dict
from reconciler.model.proxy import Certificates
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.services import Endpoint, declared
from tests.compile.instances import listing
from tests.compile.meshes import (
    compiled,
    documents,
    house_templates,
    mesh_of,
    messages,
    only,
    service,
    sidecar_proxy,
    workload,
)

HOST = "a.default.svc.cluster.local"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"

SERVICE = documents(
    service("a", "9080", "7070/GRPC", "5432/TCP", extra="  addresses: [127.0.0.9]"),
    workload("a1", app="a", address="10.0.0.1"),
    workload("a2", app="a", address="10.0.0.2", version="v2"),
    workload("c", app="c", address="10.0.0.9"),
    sidecar_proxy("c"),
)


def rule(policy: str, *, subsets: str = "[]", host: str = "a", name: str = "a") -> str:
    """A DestinationRule with this traffic policy, in flow style."""
    return f"""
kind: DestinationRule
metadata: {{name: {name}}}
spec:
  host: "{host}"
  trafficPolicy: {policy}
  subsets: {subsets}
"""


def built(policy: str, *more: str, base: str = SERVICE, subsets: str = "[]", **templates: str) -> Compiled:
    """What the service and the rule compile to."""
    return compiled(documents(base, rule(policy, subsets=subsets), *more), **templates)


def cluster(result: Compiled, port: int = 9080, subset: str = "", host: str = HOST) -> dict[str, Any]:
    """A cluster of the only proxy."""
    return messages(only(result), ResourceType.CLUSTER)[f"outbound|{port}|{subset}|{host}"]


def options(result: Compiled, port: int = 9080) -> dict[str, Any]:
    """The HTTP options of a cluster; empty if it has none."""
    found: dict[str, Any] = cluster(result, port).get("typed_extension_protocol_options", {}).get(HTTP_OPTIONS, {})
    return {name: value for name, value in found.items() if name != "@type"}


def codes(result: Compiled) -> list[str]:
    """The codes of what was found, each once, sorted."""
    return sorted({finding.code for finding in result.findings})


CALLER = Viewer(namespace="default")
EDGE = Viewer(namespace="default", gateway=True)
SITE = Site(FilesSource("/e"), Certificates())


def clusters_of(*texts: str, found: Mapping[str, Sequence[Endpoint]] = MappingProxyType({})) -> Clusters:
    """The clusters of these documents; `found` are instances that registries list, by host."""
    mesh = mesh_of(*texts)
    services = [listing(item, *found[item.host]) if item.host in found else item for item in declared(mesh)]
    index = Index.of(mesh, services)
    return Clusters(index, Prototypes.parse(house_templates()), interception=mesh.settings.interception)


def alone(ref: ClusterRef, *texts: str, viewer: Viewer = CALLER, site: Site = SITE) -> Built:
    """One cluster, without a proxy around it."""
    return clusters_of(*texts).resources(ref, site, viewer=viewer)


def content(item: Resource | None) -> dict[str, Any]:
    """A resource as plain values."""
    assert item is not None
    return to_dict(decode(item))
