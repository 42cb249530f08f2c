"""Header and mirror routes of rollouts in a real Envoy: where requests do go."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

from reconciler.compile import Prototypes, compile_mesh
from reconciler.http import HttpClient
from reconciler.model.key import Key
from reconciler.model.services import declared
from reconciler.rollouts.overlay import overlaid
from reconciler.settings import AdminSettings
from tests.compile.envoys import application, envoy, free_port
from tests.compile.meshes import house_templates
from tests.rollouts.overlays import HEADER, ROLLOUT, RUN, SHARES, Case

EDGE = """\
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: edge}
spec: {labels: {role: edge}, admin: "unix://FOLDER/edge.sock", push: {files: {directory: "FOLDER/edge"}}}
"""
NONE_YET = SHARES.replace("90", "100").replace("10}", "0}")
RULES = (
    "{name: first, match: [{uri: {prefix: /first}}], route: [{destination: {host: reviews, subset: v1}}]}, "
    f"{{name: primary, match: [{{uri: {{prefix: /}}}}], route: {NONE_YET}, headers: {{response: {{set: {{x-rule: primary}}}}}}}}"
)
MIRROR = "setMirrorRoute: {name: shadow, match: [{uri: {prefix: /copied}}]}"


class Edge:
    """A gateway that runs, with a version of the service behind each port."""

    def __init__(self, port: int, admin: str) -> None:
        self._port, self._admin = port, admin

    def get(self, path: str, headers: Mapping[str, str], times: int = 5) -> Counter[str]:
        """Who answers."""
        found: Counter[str] = Counter()
        with closing(HTTPConnection("127.0.0.1", self._port, timeout=10)) as client:
            for _ in range(times):
                client.request("GET", path, headers={"host": "reviews.example.com", **headers})
                answer = client.getresponse()
                found[answer.read().decode() + (answer.getheader("x-rule") or "")] += 1
        return found

    def requests(self, subset: str) -> int:
        """How many requests a subset has had, copies too."""
        with HttpClient(self._admin, AdminSettings()) as client:
            text = client.get(f"/stats?format=json&type=Counters&filter=%5C%7C{subset}%5C%7C.*upstream_rq_total$").text
        return sum(item["value"] for item in json.loads(text)["stats"])


@contextmanager
def edge(folder: Path, case: Case, *, aborted: bool = False) -> Iterator[Edge]:
    """A real Envoy for this case."""
    with ExitStack() as stack:
        ports = {name: stack.enter_context(application(name)) for name in ("v1", "v2")}
        ports["edge"] = free_port()
        case = replace(case, ports=ports, more=EDGE.replace("FOLDER", str(folder)))
        mesh = overlaid(case.mesh(), aborted={Key.parse(ROLLOUT): RUN} if aborted else {})
        prototypes = Prototypes.parse(house_templates())
        (proxy,) = mesh.proxies
        view = compile_mesh(mesh, declared(mesh), prototypes).views[proxy.key]
        stack.enter_context(envoy(proxy, view, prototypes, folder))
        yield Edge(ports["edge"], proxy.spec.admin)


def test_requests_go_where_header_and_mirror_routes_say(tmp_path: Path) -> None:
    """Who has the header gets the canary, with all else that the rule does; copies reach it too, and their answers nobody."""
    case = Case(http=RULES, steps=f"{{{HEADER}}}, {{{MIRROR}}}, {{setWeight: 1}}", step=1)
    with edge(tmp_path, case) as running:
        assert running.get("/", {"x-canary": "yes"}) == {"v2primary": 5}
        assert running.get("/", {"x-canary": "no"}) == running.get("/", {}) == {"v1primary": 5}
        assert running.get("/first", {"x-canary": "yes"}) == {"v1": 5}, "the first rule still has its requests"
        before = running.requests("v2")
        assert before == 5
        assert running.get("/copied", {}, 20) == {"v1primary": 20}
        assert running.get("/copied", {"x-canary": "yes"}) == {"v2primary": 5}
        assert _waited(running, before + 25) == before + 25, "each is copied once, and none that the canary has anyway"


def test_an_abort_sends_everybody_back(tmp_path: Path) -> None:
    """Though the file still gives the canary all traffic, and the header route is in force on main."""
    everything = RULES.replace("100}", "5}").replace("0}", "95}")
    with edge(tmp_path, Case(http=everything, steps=f"{{{HEADER}}}"), aborted=True) as running:
        assert running.get("/", {"x-canary": "yes"}, 50) == {"v1primary": 50}
        assert running.requests("v2") == 0


def _waited(running: Edge, wanted: int) -> int:
    """How many requests the canary has had, once there are as many as this; copies are sent in the background."""
    for _ in range(500):
        if (found := running.requests("v2")) >= wanted:
            return found
    return running.requests("v2")
