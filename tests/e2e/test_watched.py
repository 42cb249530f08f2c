"""A daemon that looks at Git once an hour: a webhook wakes it, and a real Prometheus sees what it does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.docs.metrics import rules
from tests.docs.test_metrics import queries
from tests.e2e.rig import clean_environment, git
from tests.envoy.live import until
from tests.prometheus.server import Prometheus
from tests.rollouts.repo import ROLLOUT, ROUTES, SERVICES
from tests.web.webhooks.world import SECRET, github, push, request
from tests.web.world import raw

_HTTP = re.compile(r"HTTP on http://(\S+)")
_FLEET = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: gone}
spec: {labels: {app: gone}, admin: "unix:///nobody/listens/here", push: {files: {directory: /nowhere}}}
"""


class Watched:
    """A running daemon, its repository, and what it serves."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder = folder
        self.address = address

    def get(self, path: str) -> bytes:
        with HttpClient(f"http://{self.address}", AdminSettings()) as http:
            return http.get(path).body

    def head(self) -> str:
        """The commit of the newest pass."""
        return str(json.loads(self.get("/v1/status"))["pass"]["head"])

    def commit(self, text: str) -> str:
        """Push a commit; its id."""
        (self.folder / "clone" / "note").write_text(text)
        return push_all(self.folder / "clone", text)

    def hook(self, body: bytes) -> tuple[int, Any]:
        status, _, said = raw(self.address, request("github", github(body), body))
        return status, json.loads(said)


def push_all(clone: Path, message: str) -> str:
    git("-C", str(clone), "add", "-A")
    git("-C", str(clone), "commit", "-q", "-m", message)
    git("-C", str(clone), "push", "-q", "origin", "main")
    return git("-C", str(clone), "rev-parse", "HEAD").strip()


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    folder = tmp_path_factory.mktemp("watched")
    git("init", "-q", "--bare", "-b", "main", str(folder / "policies.git"))
    git("clone", "-q", str(folder / "policies.git"), str(folder / "clone"), quiet=True)
    (folder / "clone" / "policies").mkdir()
    for name, text in {"fleet": _FLEET, "services": SERVICES, "routes": ROUTES, "rollout": ROLLOUT}.items():
        (folder / "clone" / "policies" / f"{name}.yaml").write_text(text)
    push_all(folder / "clone", "Start")
    secret, log = folder / "secret", folder / "log"
    secret.write_bytes(SECRET)
    command = [
        sys.executable, "-m", "reconciler", "daemon", "--repo", str(folder / "policies.git"),
        "--interval", "1h", "--drift-interval", "1h", "--http", "127.0.0.1:0", "--webhook", f"github={secret}",
    ]  # fmt: skip
    environment = clean_environment() | {"XDG_CACHE_HOME": str(folder / "cache")}
    with log.open("wb") as sink, subprocess.Popen(command, stderr=sink, env=environment) as process:
        try:
            until(lambda: " ready\n" in log.read_text() or process.poll() is not None)
            found = _HTTP.search(log.read_text())
            assert found is not None, log.read_text()
            yield Watched(folder, found[1])
        finally:
            process.terminate()
            assert process.wait(20) == 0
    assert "Traceback" not in log.read_text()


def test_a_push_and_its_webhook_are_a_pass_at_once(watched: Watched) -> None:
    """Well within the hour; and what the webhook says of the commit is not what is believed, only that there is one."""
    commit = watched.commit("a change")
    assert watched.hook(push(after="f" * 40)) == (202, {"schema_version": 1, "result": "woken"})
    until(lambda: watched.head() == commit)
    assert watched.hook(push(after="f" * 40)) == (202, {"schema_version": 1, "result": "replay"})
    assert b'reconciler_webhook_deliveries_total{kind="github",result="woken"} 1.0' in watched.get("/metrics")


def test_a_real_prometheus_reads_the_daemon(watched: Watched, tmp_path: Path) -> None:
    """What is exposed arrives, with its labels; the proxy that can't be reached is named."""
    commit = watched.head()
    prometheus = Prometheus(tmp_path, int(watched.address.rpartition(":")[2]))
    prometheus.start()
    try:
        with HttpClient(prometheus.address, AdminSettings()) as http:

            def found(query: str) -> list[dict[str, Any]]:
                answer = json.loads(http.get(f"/api/v1/query?query={query}").body)
                return [item["metric"] for item in answer["data"]["result"]]

            until(lambda: bool(found("rate(process_cpu_seconds_total[1m])")))  # there have been two scrapes
            (applied,) = found("reconciler_applied_commit_info")
            (gone,) = found("reconciler_proxy_trouble")
            (phase,) = found("reconciler_rollout_phase==1")
            (built,) = found("reconciler_build_info")
            passes = found("reconciler_passes_total>0")
            memory = found("process_resident_memory_bytes")
            asked = [*queries(), *(str(rule["expr"]) for rule in rules())]
            answers = [json.loads(http.get(f"/api/v1/query?query={quote(query)}").body) for query in asked]
    finally:
        prometheus.stop()
    assert (applied["head"], applied["ref"]) == (commit, "main")
    assert (gone["proxy"], gone["state"]) == ("default/gone", "unreachable")
    assert phase["rollout"] == "default/reviews"
    assert built["version"]
    assert {item["result"] for item in passes} == {"unconfirmed"}
    assert memory
    assert [query for query, answer in zip(asked, answers, strict=True) if answer["status"] != "success"] == []
    stages = next(answer for query, answer in zip(asked, answers, strict=True) if "stage_duration" in query)
    assert {"load", "compile"} <= {item["metric"]["stage"] for item in stages["data"]["result"]}
