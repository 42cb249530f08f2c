"""A registry as small as they come: a file in Prometheus's format, replaced by rename, and the settings of a mesh that name it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

MESH = "policies/mesh.yaml"


class Targets:
    """The instances of one service that are not in Git.

    Args:
        path: The file, in a folder that is there.
        app: The service; instances carry it as the label `job`.
        ports: Where its instances are on 127.0.0.1, by version.
    """

    def __init__(self, path: Path, *, app: str, ports: Mapping[str, int]) -> None:
        self.path = path
        self._app = app
        self._ports = dict(ports)

    @property
    def text(self) -> str:
        """What the file says."""
        return self.path.read_text()

    def publish(self, *versions: str, draining: str = "") -> float:
        """List these instances and no others, one of them as draining.

        Returns:
            When the file had its name, by `time.monotonic`, or a moment before.
        """
        groups = [self._group(version, version == draining) for version in versions]
        draft = self.path.with_name(f"{self.path.name}.new")
        draft.write_text("[" + ",\n ".join(json.dumps(group) for group in groups) + "]\n")
        begin = time.monotonic()
        draft.replace(self.path)
        return begin

    def named_in(self, mesh: bytes) -> bytes:
        """A file whose last document is a Mesh without registries, with this one."""
        return (
            mesh
            + (
                "\n  # Where instances are found that are not in Git.\n"
                f"  discovery:\n  - name: targets\n    fileSd: {{files: [{json.dumps(str(self.path))}]}}\n"
            ).encode()
        )

    def _group(self, version: str, draining: bool) -> dict[str, object]:
        labels = {"job": self._app, "version": version} | ({"__health__": "draining"} if draining else {})
        return {"targets": [f"127.0.0.1:{self._ports[version]}"], "labels": labels}
