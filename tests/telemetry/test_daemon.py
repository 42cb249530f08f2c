"""A real daemon lists its fleet at both of its doors, as soon as a pass has read it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.e2e.rig import clean_environment, git
from tests.envoy.live import until

_FLEET = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {telemetry: {metrics: {port: 15090, address: 0.0.0.0}}}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: edge}
spec: {labels: {app: edge}, admin: "http://127.0.0.9:1", push: {ads: {}}}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: hidden}
spec: {labels: {app: edge}, push: {ads: {}}}
"""


def test_the_daemon_lists_its_fleet(folder: Path) -> None:
    """By HTTP and on its socket; one that nobody can find is left out."""
    git("init", "-q", "-b", "main", str(folder / "repo"))
    (folder / "repo" / "policies").mkdir()
    (folder / "repo" / "policies" / "fleet.yaml").write_text(_FLEET)
    git("-C", str(folder / "repo"), "add", "-A")
    git("-C", str(folder / "repo"), "commit", "-q", "-m", "Start")
    log, socket = folder / "daemon.log", folder / "d.s"
    options = ["--http", "127.0.0.1:0", "--ads", "127.0.0.1:0", "--daemon", str(socket), "--admin-timeout", "1s"]
    environ = clean_environment() | {"XDG_RUNTIME_DIR": str(folder), "XDG_CACHE_HOME": str(folder / "cache")}
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "reconciler", "daemon", "--repo", str(folder / "repo"), *options],
            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=environ,
        )  # fmt: skip
    try:
        until(lambda: "HTTP on http://" in log.read_text() or process.poll() is not None)
        found = re.search(r"HTTP on (http://\S+)", log.read_text())
        assert found is not None, log.read_text()
        for address in (found[1], f"unix://{socket}"):
            with HttpClient(address, AdminSettings()) as client:
                until(lambda client=client: client.get("/v1/targets").status == 200)  # type: ignore[misc]
                (group,) = json.loads(client.get("/v1/targets").body)
            assert group["targets"] == ["127.0.0.9:15090"]
            assert group["labels"]["proxy"] == "edge"
    finally:
        process.terminate()
        process.wait(20)
