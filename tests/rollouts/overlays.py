"""A service with two versions and a rollout between them, loaded as a repository is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.model.mesh import Mesh
from reconciler.model.virtualservice import HTTPRoute
from reconciler.policy import load
from tests.policy.memory import MemoryTree

ROLLOUT = "default/reviews"
RUN = "v1->v2"

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  resolution: STATIC
  ports: [{name: http, number: 80}]
  endpoints:
  - {address: 127.0.0.1, ports: {http: V1}, labels: {version: v1}}
  - {address: 127.0.0.1, ports: {http: V2}, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
"""
SHARES = (
    "[{destination: {host: reviews, subset: v1}, weight: 90}, {destination: {host: reviews, subset: v2}, weight: 10}]"
)
OTHER = """\
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: other}
spec: {hosts: [other.example.com], gateways: [edge], http: [{route: [{destination: {host: reviews}}]}]}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {role: edge}
  servers: [{bind: 127.0.0.1, port: {number: PORT, name: http, protocol: HTTP}, hosts: ["*"]}]
"""
HEADER = "setHeaderRoute: {name: qa, match: [{headerName: x-canary, headerValue: {exact: 'yes'}}]}"
MIRROR = "setMirrorRoute: {name: shadow, percentage: 25}"
PRIMARY = f"name: primary, route: {SHARES}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One rollout, and where it stands.

    Attributes:
        http: The rules of the VirtualService, as items of a YAML list in one line.
        steps: Items, in the same way.
    """

    http: str = f"{{{PRIMARY}}}"
    steps: str = "{setWeight: 10}"
    routes: str = "[primary]"
    step: int = 0
    phase: str = "Progressing"
    run: str = RUN
    more: str = ""
    ports: Mapping[str, int] | None = None

    def text(self) -> str:
        """The file."""
        ports = self.ports or {"v1": 1, "v2": 2, "edge": 8080}
        service = SERVICE.replace("V1", str(ports["v1"])).replace("V2", str(ports["v2"]))
        status = f"status: {{phase: {self.phase}, step: {self.step}, run: '{self.run}'}}\n" if self.phase else ""
        return (
            f"{service}apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {{name: reviews}}\n"
            f"spec: {{hosts: [reviews, reviews.example.com], gateways: [mesh, edge], http: [{self.http}]}}\n---\n"
            "apiVersion: reconciler/v1alpha1\nkind: Rollout\nmetadata: {name: reviews}\n"
            f"spec: {{target: {{virtualService: {{name: reviews, routes: {self.routes}}}}}, "
            f"stable: v1, canary: v2, steps: [{self.steps}]}}\n{status}"
            f"{OTHER.replace('PORT', str(ports['edge']))}{self.more}"
        )

    def mesh(self) -> Mesh:
        """What it loads as."""
        loaded = load(MemoryTree({"policies/reviews.yaml": self.text()}))
        assert loaded.mesh is not None, loaded.errors
        return loaded.mesh


def rules(mesh: Mesh, name: str = "reviews") -> tuple[HTTPRoute, ...]:
    """The rules of its VirtualService."""
    (policy,) = (item for item in mesh.virtual_services if item.key.name == name)
    return policy.spec.http
