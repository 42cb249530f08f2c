"""Meshes with gRPC applications, and what is read of their views."""

from __future__ import annotations

from typing import Any

from reconciler.compile import Compiled
from reconciler.model.key import Key
from reconciler.model.protos import decode, to_dict
from reconciler.model.resource import ResourceId, ResourceType, View
from tests.compile.meshes import compiled, documents

HOST = "reviews.default.svc.cluster.local"
TARGET = f"{HOST}:9080"

SUBSETS = """
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""


def application(name: str = "app", *, workload: str = "", namespace: str = "default", extra: str = "") -> str:
    """A Proxy that is a gRPC application."""
    own = f"workload: {workload}, " if workload else ""
    return f"""
kind: Proxy
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{own}push: {{ads: {{client: grpc}}}}{extra}}}
"""


def reviews(*endpoints: str, extra: str = "resolution: STATIC") -> str:
    """The service, with endpoints as `{address: 10.1.0.1, ...}`."""
    listed = "".join(f"  - {item}\n" for item in endpoints)
    return f"""
kind: ServiceEntry
metadata: {{name: reviews}}
spec:
  hosts: [{HOST}]
  location: MESH_INTERNAL
  {extra}
  ports: [{{number: 9080, name: grpc, protocol: GRPC}}]
  endpoints:
{listed or "  - {address: 10.1.0.1, labels: {version: v1}}"}
"""


def rules(*rules_: str) -> str:
    """The VirtualService of the service, with these `http` rules."""
    listed = "".join(f"  - {item}\n" for item in rules_)
    return f"kind: VirtualService\nmetadata: {{name: reviews}}\nspec:\n  hosts: [reviews]\n  http:\n{listed}"


def rule(policy: str) -> str:
    """A DestinationRule for the service with this `trafficPolicy`."""
    return f"kind: DestinationRule\nmetadata: {{name: reviews}}\nspec: {{host: reviews, trafficPolicy: {{{policy}}}}}"


def result(*texts: str) -> Compiled:
    """What these documents and the application `app` compile to."""
    return compiled(documents(*texts, application()))


def view(*texts: str) -> View:
    """The view of the application `app`."""
    return result(*texts).views[Key("default", "app")]


def message(view_: View, type_: ResourceType, name: str) -> dict[str, Any]:
    """One resource of a view as plain values."""
    return to_dict(decode(view_.resources[ResourceId(type_, name)]))


def routes(view_: View, name: str = TARGET) -> list[dict[str, Any]]:
    """The routes behind a name."""
    (host,) = message(view_, ResourceType.ROUTE, name)["virtual_hosts"]
    assert host["domains"] == ["*"]
    found: list[dict[str, Any]] = host.get("routes", [])
    return found


def names(view_: View, type_: ResourceType) -> list[str]:
    """The names of a view's resources of one type."""
    return [item.id.name for item in view_.of_type(type_)]


def said(view_: View) -> list[tuple[str, str]]:
    """What a view says is not carried out: codes, and the last step of the place."""
    return [(finding.code, str(finding.path[-1])) for finding in view_.unsupported]
