"""A mesh whose service has no instances in Git: a caller with a sidecar on ADS, applications, and a registry that lists them."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.e2e.sidecars import _CALLER, _LOG, _MESH, Sidecars

HOST = "b.default.svc.cluster.local"

_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: b}
spec:
  hosts: [b.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: %(port)d, name: http, protocol: HTTP}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: b}
spec:
  host: b
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
"""


class Listed(Sidecars):
    """As `Sidecars`, with the applications called directly: instances are listed, by whatever `registry` says.

    Args:
        folder: A new folder with a short path.
        registry: An entry of `Mesh.discovery`, as YAML in flow style.
    """

    def __init__(self, folder: Path, *, registry: str = "") -> None:
        self.targets = folder / "targets" / "b.json"
        self.targets.parent.mkdir()
        self.targets.write_text("[]")
        self.registry = registry or f'{{name: files, fileSd: {{files: ["{folder}/targets/*.json"], host: b}}}}'
        super().__init__(folder, instances=())

    def files(self, v1: int = 100, v2: int = 0) -> dict[str, str]:  # noqa: ARG002 -- there is no split
        return {
            "envoy-templates/access-log.yaml": _LOG,
            "policies/mesh.yaml": _MESH + f"  discovery: [{self.registry}]\n",
            "policies/b.yaml": _SERVICE % {"port": self.egress},
            "policies/a-1.yaml": _CALLER % {"egress": self.egress} + self._proxy("a-1"),
        }

    def group(self, *names: str, **labels: str) -> dict[str, Any]:
        """A target group with these applications."""
        return {"targets": [f"127.0.0.1:{self.apps[name]}" for name in names], "labels": labels}

    def list(self, groups: Iterable[dict[str, Any]]) -> float:
        """Have the file say this; when that was."""
        new = self.targets.with_suffix(".new")
        new.write_text(json.dumps([*groups]))
        at = time.monotonic()
        new.replace(self.targets)
        return at

    def hosts(self, cluster: str = "") -> list[str]:
        """The instances of b that a's sidecar has, as `address:port health`."""
        name = cluster or f"outbound|{self.egress}||{HOST}"
        found = json.loads(self.observe("a-1", "/clusters?format=json"))["cluster_statuses"]
        mine = next((item for item in found if item["name"] == name), {})
        return sorted(
            f"{host['address']['socket_address']['address']}:{host['address']['socket_address']['port_value']} "
            f"{host['health_status'].get('eds_health_status', '')}"
            for host in mine.get("host_statuses", ())
        )
