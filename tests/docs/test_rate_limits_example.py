from __future__ import annotations

from reconciler.compile import Prototypes, compile_mesh
from reconciler.compile.counting import service_configurations
from reconciler.model.services import declared
from reconciler.policy import load
from reconciler.yamldoc import dump
from tests.docs.blocks import blocks
from tests.docs.generate import TOP
from tests.policy.memory import MemoryTree

_PAGE = TOP / "docs" / "rate-limits.md"
_AROUND = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: ratelimit}
spec:
  hosts: [ratelimit.default.svc.cluster.local]
  resolution: STATIC
  ports: [{number: 8081, name: grpc, protocol: GRPC}]
  endpoints: [{address: 10.0.0.9}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v1}
spec: {address: 10.0.0.1, labels: {app: reviews}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec: {hosts: [reviews], http: [{name: primary, route: [{destination: {host: reviews}}]}]}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: reviews-v1}
spec: {workload: reviews-v1, admin: "unix:///run/a.sock", push: {files: {directory: /var/lib/envoy/a}}}
"""


def test_the_examples_of_rate_limits_are_valid_and_render_as_they_say() -> None:
    """What people copy works, and the configuration that is shown is the one that is printed for it."""
    first, together, rendered = blocks(_PAGE, "yaml")
    loaded = load(MemoryTree({"policies/all.yaml": f"{_AROUND}---\n{first}---\n{together}"}))
    assert [str(item) for item in loaded.diagnostics] == []
    assert loaded.mesh is not None
    compiled = compile_mesh(loaded.mesh, declared(loaded.mesh), Prototypes.parse(loaded.templates))
    assert [item.message for item in compiled.findings if item.code != "port-clash"] == []
    assert dump(service_configurations(loaded.mesh.rate_limits)["shop"]) == rendered
