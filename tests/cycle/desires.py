"""What commits ask for: folders of policies, compiled as a pass compiles them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from reconciler.cycle import silent
from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.report import Stopwatch
from reconciler.model.key import Key
from reconciler.policy import FolderTree
from reconciler.rollouts.course import Course, course_of
from tests.e2e.rig import GATEWAY, MESH, SERVICE

EDGE = Key("default", "edge")
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: details}
spec:
  hosts: ["details.example.com"]
  gateways: [edge]
  http:
  - name: primary
    match: [{uri: {prefix: /a}, name: a}, {uri: {prefix: /b}}]
    route:
    - {destination: {host: details, subset: v1}, weight: %(stable)s}
    - {destination: {host: details, subset: v2}, weight: %(canary)s}
  - name: other
    route:
    - {destination: {host: details, subset: v1}, weight: %(other_stable)s}
    - {destination: {host: details, subset: v2}, weight: %(other)s}
"""
ROLLOUT = """\
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata: {name: details}
spec:
  target: {virtualService: {name: details, routes: [primary]}}
  stable: v1
  canary: v2
  steps: [{setWeight: 20}, {setWeight: 100}]
"""
STATUS = "status: {phase: %s, step: %d, run: v1->v2, steps: %s}\n"
RUNTIME = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: legacy}
spec:
  admin: http://127.0.0.1:1
  push:
    runtime:
      routes:
      - {virtualService: default/details, route: primary, prefix: routing.a, clusters: {v1: one, v2: two}}
      - {virtualService: default/details, route: other, prefix: routing.b, clusters: {v1: uno, v2: due}}
"""


def policies(*, canary: int = 0, other: int = 0, **more: str) -> dict[str, str]:
    """A gateway and an Envoy that someone else configures, in front of two versions; other documents by file name."""
    weights = {"canary": canary, "stable": 100 - canary, "other": other, "other_stable": 100 - other}
    values = {"name": "edge", "port": 8080, "admin": "/run/edge.sock", "directory": "/var/lib/edge"}
    files = {
        "mesh": MESH,
        "details": SERVICE % {"v1": 81, "v2": 82},
        "edge": GATEWAY % values,
        "routes": ROUTES % weights,
        "rollout": ROLLOUT,
        "legacy": RUNTIME,
    }
    return files | more


def desired(folder: Path, files: Mapping[str, str]) -> Desired:
    """What these documents ask for."""
    (folder / "policies").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / f"policies/{name}.yaml").write_text(text)
    return Compiler().desired(FolderTree(folder), Stopwatch(silent))


def course(found: Desired) -> Course:
    """Its only rollout."""
    (policy,) = found.source.rollouts
    return course_of(found.source, policy)


def at_step(step: int, *, phase: str = "Progressing", rollout: str = ROLLOUT, folder: Path) -> str:
    """The rollout with a status of a run over its steps as they are."""
    digest = course(desired(folder / "digest", policies(rollout=rollout))).digest
    return rollout + STATUS % (phase, step, digest)
