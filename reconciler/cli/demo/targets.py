"""A registry as small as they come: a file in Prometheus's format, replaced by rename, and the settings of a mesh that name it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from pathlib import Path

from reconciler.errors import BugError

MESH = "policies/mesh.yaml"
_NONE = b"discovery: []"


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

    @property
    def named(self) -> bytes:
        """What settings of a mesh say that have this registry and no other."""
        return f"discovery: [{{name: targets, fileSd: {{files: [{json.dumps(str(self.path))}]}}}}]".encode()

    def named_in(self, mesh: bytes) -> bytes:
        """The file with the settings of the example, with this registry.

        Raises:
            BugError: It does not say that there is none.
        """
        if _NONE not in mesh:
            raise BugError(f"the example's settings do not say {_NONE.decode()}")
        return mesh.replace(_NONE, self.named, 1)

    def _group(self, version: str, draining: bool) -> dict[str, object]:
        labels = {"job": self._app, "version": version} | ({"__health__": "draining"} if draining else {})
        return {"targets": [f"127.0.0.1:{self._ports[version]}"], "labels": labels}
