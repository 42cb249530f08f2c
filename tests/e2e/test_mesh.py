"""Sidecar to sidecar: the shipped example with its seven Envoys, all on files, and a service that joins and leaves it."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.demo.backends import App, Backends
from reconciler.cli.demo.ports import Ports
from reconciler.cli.demo.stage import Stage
from reconciler.cli.demo.traffic import Traffic
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.plan import GUARD_CODES
from reconciler.settings import AdminSettings
from tests.e2e.on_files import example_on_files

UNKNOWN = "502"
"""What a sidecar answers for a host that it knows nothing of."""
ALLOW = ["--allow", ",".join(sorted(GUARD_CODES))]

SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: extra}
spec:
  hosts: [extra.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: 9080, name: http, protocol: HTTP}]
  workloadSelector: {labels: {app: extra}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: extra}
spec:
  host: extra
  subsets: [{name: v1, labels: {version: v1}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: extra}
spec:
  hosts: [extra]
  http:
  - name: primary
    route: [{destination: {host: extra, subset: v1}}]
"""
WORKLOAD = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: extra-v1}
spec:
  address: 127.0.0.1
  ports: {http: %(inbound)d}
  labels: {app: extra, version: v1}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: extra-v1}
spec:
  workloadSelector: {labels: {app: extra}}
  ingress:
  - port: {number: %(inbound)d, protocol: HTTP, name: http}
    defaultEndpoint: 127.0.0.1:%(app)d
  egress: [{hosts: ["~/*"]}]
"""
PROXY = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: extra-v1}
spec:
  workload: extra-v1
  admin: unix://%(folder)s/admin.sock
  push: {files: {directory: %(folder)s/xds}}
"""
CALLER = "policies/productpage/v1.yaml"
CLOSED = re.compile(r"  ingress:\n.*\n.*\n")
FILES = {
    "service": "policies/extra/service.yaml", "workload": "policies/extra/open.yaml",
    "closed": "policies/extra/closed.yaml", "proxy": "policies/extra/proxy.yaml",
}  # fmt: skip


@dataclass(frozen=True)
class Extra:
    """A service that the example doesn't have: its application runs, and its sidecar's Envoy, with nothing in it."""

    stage: Stage
    places: Mapping[str, Any]
    caller: bytes

    def commit(self, message: str, *present: str) -> None:
        """Have these parts of it in Git, and the caller know it or not."""
        workload = WORKLOAD % self.places
        texts = {
            "service": SERVICE,
            "workload": workload,
            "closed": CLOSED.sub("", workload),
            "proxy": PROXY % self.places,
        }
        known = b"    - ./extra.default.svc.cluster.local\n" if "service" in present else b""
        mark = b"    - ./reviews.default.svc.cluster.local\n"
        assert mark in self.caller
        files: dict[str, bytes | None] = {CALLER: self.caller.replace(mark, mark + known)}
        for part, file in FILES.items():
            if part in present:
                files[file] = texts[part].encode()
            elif (self.stage.clone.path / file).exists():
                files[file] = None
        self.stage.clone.commit(message, files)

    def listeners(self) -> int:
        """How many listeners its Envoy has."""
        with HttpClient(f"unix://{self.places['folder']}/admin.sock", AdminSettings()) as client:
            return len(client.get("/listeners").body.split(b"\n")) - 1

    def calls(self) -> Traffic:
        """What productpage's application would send to its sidecar."""
        return Traffic(
            port=self.stage.egress("productpage-v1"),
            authority="extra:9080", target="http://extra:9080/extra", watch="extra", rate=0, connections=2,
        )  # fmt: skip


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with Stage(policies=example_on_files(tmp_path)) as stage:
        assert stage.reconcile().code == 0
        yield stage


@pytest.fixture
def extra(stage: Stage) -> Iterator[Extra]:
    folder = stage.root / "envoy" / "extra"
    folder.mkdir()
    with ExitStack() as stack:
        ports = stack.enter_context(Ports())
        places: dict[str, Any] = {"folder": folder, "inbound": ports.reserve(), "app": ports.reserve()}
        app = App(app="extra", version="v1", listener=ports.listen(places["app"]))
        stack.enter_context(Backends([app], log=folder / "app.log"))
        found = Extra(stage, places, stage.clone.read(CALLER))
        stage.clone.branch("bootstrap")
        found.commit("Where extra's sidecar is", "workload", "proxy")
        bootstrap = stage.reconcile("bootstrap", "--proxy", "extra-v1", "--ref", "bootstrap")
        assert bootstrap.code == 0, bootstrap.err
        (folder / "bootstrap.yaml").write_text(bootstrap.out)
        stage.clone.git("switch", "--quiet", "main")
        envoy = EnvoyProcess(
            bootstrap=folder / "bootstrap.yaml", admin=f"unix://{folder}/admin.sock", log=folder / "log"
        )
        stack.callback(envoy.stop)
        envoy.start()
        yield found


@contextmanager
def unharmed(stage: Stage) -> Iterator[None]:
    """Constant load on everything else, of which no request may fail."""
    with stage.traffic(rate=100) as traffic:
        yield
    tally = traffic.tally()
    assert tally.requests > 0
    assert tally.failed == 0, (tally.outcomes, tally.failures)


def apply(stage: Stage, *arguments: str) -> Any:
    done = stage.reconcile("--output", "json", *arguments)
    assert done.code == 0, done.out + done.err
    return json.loads(done.out)


@pytest.mark.long
def test_a_service_comes_and_goes_under_load(stage: Stage, extra: Extra) -> None:
    """Callers get the route when the callee's sidecar is open, and lose it before that closes: 200 or unknown, never 503.

    Removed with its Proxy, the callee's Envoy keeps what it has; without that, its listener goes, last of all.
    """
    with unharmed(stage), extra.calls() as calls:
        for last, listeners in ((("closed", "proxy"), 0), ((), 1)):
            extra.commit("Add extra", "service", "workload", "proxy")
            apply(stage)
            assert extra.listeners() == 1
            served = calls.tally().outcomes["200"]
            while calls.tally().outcomes["200"] < served + 20:
                time.sleep(0.01)
            extra.commit("Remove extra", *last)
            apply(stage, *ALLOW)
            assert extra.listeners() == listeners
    tally = calls.tally()
    assert set(tally.outcomes) == {"200", UNKNOWN}, (tally.outcomes, tally.failures)


@pytest.mark.long
def test_a_whole_service_in_one_commit_is_live_at_once(stage: Stage, extra: Extra) -> None:
    """Every proxy that is touched is proven, and the first request after the pass is served."""
    extra.commit("Add extra", "service", "workload", "proxy")
    document = apply(stage)
    assert {item["proof"] for item in document["outcomes"]} == {"exact"}
    touched = {item["proxy"] for item in document["proxies"] if item["changes"]}
    assert touched == {"default/extra-v1", "default/productpage-v1"}
    with extra.calls() as calls:
        while not calls.tally().requests:
            time.sleep(0.01)
    assert calls.tally().failed == 0, calls.tally().failures


@pytest.mark.long
def test_a_callee_that_is_down_keeps_nobody_from_changing(stage: Stage) -> None:
    """Its callers go on and are proven, the pass exits 4 and names it; when it is back, it gets what it missed."""
    route = "policies/ratings/traffic.yaml"
    stage.envoys["ratings-v1"].kill()
    with unharmed(stage):
        text = stage.clone.read(route)
        stage.clone.commit("Wait longer for ratings", {route: text.replace(b"timeout: 2s", b"timeout: 3s")})
        done = stage.reconcile("--output", "json")
    document = json.loads(done.out)
    assert done.code == 4, document["errors"]
    outcomes = {item["proxy"]: item["outcome"] for item in document["outcomes"]}
    assert outcomes.pop("default/ratings-v1") == "unreachable"
    assert set(outcomes.values()) == {"applied"}
    changed = {item["proxy"] for item in document["proxies"] if item["changes"]}
    assert changed == {"default/reviews-v2", "default/reviews-v3"}
    stage.envoys["ratings-v1"].start()
    assert apply(stage)["receipt"]["subject"].endswith("live on 7/7 proxies")
