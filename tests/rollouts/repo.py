"""A rollout in files: what a commit holds, loaded as a pass loads it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.model.mesh import Mesh
from reconciler.model.rollout import RolloutStatus
from reconciler.policy import FolderTree, load
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.ownership import Stand
from reconciler.rollouts.weights import standing

SERVICES = """\
# What is called.
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: reviews}
spec:
  hosts: [reviews.default.svc.cluster.local]
  ports: [{number: 9080, name: http, protocol: HTTP}]
  resolution: STATIC
  location: MESH_INTERNAL
  endpoints:
  - {address: 127.0.0.1, labels: {version: v1}}
  - {address: 127.0.0.2, labels: {version: v2}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews}
spec:
  host: reviews
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""

ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: primary
    timeout: 10s
    route:
    - destination: {host: reviews, subset: v1}
      weight: 100  # stable
    - destination: {host: reviews, subset: v2}
      weight: 0  # canary
"""

ROLLOUT = """\
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata: {name: reviews}
spec:
  target:
    virtualService: {name: reviews, routes: [primary]}
  stable: v1
  canary: v2
  steps:
  - setWeight: 5   # a few
  - pause: {}
  - setWeight: 25
  - setWeight: 100
# that's all
"""


@dataclass
class Folder:
    """Files in a folder, and a rollout in them."""

    root: Path

    def write(self, **changes: str) -> Folder:
        """Begin with the example, with other texts for `routes`, `rollout` or `services`."""
        texts = {"services": SERVICES, "routes": ROUTES, "rollout": ROLLOUT} | changes
        for name, text in texts.items():
            self.put({f"policies/{name}.yaml": text.encode()})
        return self

    def put(self, files: Mapping[str, bytes]) -> None:
        """Write files."""
        for path, data in files.items():
            target = self.root / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)

    def edit(self, path: str, old: str, new: str) -> None:
        """Change a text that is there."""
        text = self.text(path)
        assert re.search(re.escape(old), text), text
        self.put({path: text.replace(old, new).encode()})

    def read(self, path: str) -> bytes:
        """A file."""
        return (self.root / path).read_bytes()

    def text(self, path: str) -> str:
        """A file as text."""
        return self.read(path).decode()

    @property
    def mesh(self) -> Mesh:
        """What the files say."""
        loaded = load(FolderTree(self.root))
        assert loaded.mesh is not None, [str(item) for item in loaded.errors]
        return loaded.mesh

    @property
    def stand(self) -> Stand:
        """The rollout."""
        mesh = self.mesh
        return Stand(course_of(mesh, mesh.rollouts[0]), mesh)

    @property
    def course(self) -> Course:
        """The rollout's course."""
        return self.stand.course

    @property
    def weight(self) -> float:
        """What the canary has."""
        return standing(self.course, self.mesh).percent


def decision(course: Course, move: Move, status: RolloutStatus, **values: object) -> Decision:
    """A decision that leads to a status."""
    return Decision(rollout=course.key, move=move, before=course.status, status=status, **values)  # type: ignore[arg-type]
