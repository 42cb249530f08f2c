"""Compiled views in real Envoys: they are accepted, and requests go where the policies say."""

from __future__ import annotations

import subprocess
from collections import Counter
from contextlib import ExitStack, closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
import re2

from reconciler.compile import Compiled, Prototypes, compile_mesh
from reconciler.envoy.binary import EnvoyProcess, find_envoy
from reconciler.http import HttpClient
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.services import declared
from reconciler.policy.checks.regex import regex_problem
from reconciler.settings import AdminSettings
from tests.compile.envoys import application, envoy, free_port, write_bootstrap, write_view
from tests.compile.meshes import documents, house_templates, mesh_of

_SERVICE = """
kind: ServiceEntry
metadata: {{name: reviews}}
spec:
  hosts: [reviews.default.svc.cluster.local]
  resolution: STATIC
  ports: [{{number: 9080, name: http, protocol: HTTP}}]
  workloadSelector: {{labels: {{app: reviews}}}}
---
kind: DestinationRule
metadata: {{name: reviews}}
spec: {{host: reviews, subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]}}
---
kind: WorkloadEntry
metadata: {{name: reviews-v1}}
spec: {{address: 127.0.0.1, ports: {{http: {inbound}}}, labels: {{app: reviews, version: v1}}}}
---
kind: WorkloadEntry
metadata: {{name: reviews-v2}}
spec: {{address: 127.0.0.1, ports: {{http: {second}}}, labels: {{app: reviews, version: v2}}}}
---
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  gateways: [mesh, edge]
  http:
  - name: testers
    match: [{{headers: {{x-tester: {{exact: "yes"}}}}}}]
    route: [{{destination: {{host: reviews, subset: v2}}}}]
  - name: primary
    match: [{{uri: {{prefix: /reviews}}}}]
    route:
    - {{destination: {{host: reviews, subset: v1}}, weight: 75}}
    - {{destination: {{host: reviews, subset: v2}}, weight: 25}}
---
kind: Gateway
metadata: {{name: edge}}
spec:
  servers: [{{bind: 127.0.0.1, port: {{number: {edge}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
---
kind: Sidecar
metadata: {{name: reviews-v1}}
spec:
  workloadSelector: {{labels: {{version: v1}}}}
  ingress: [{{port: {{number: {inbound}}}, defaultEndpoint: "127.0.0.1:{first}"}}]
  egress:
  - {{port: {{number: {outbound}, protocol: HTTP_PROXY}}, hosts: ["*/*"]}}
"""

_GRPC = """
kind: ServiceEntry
metadata: {name: books}
spec:
  hosts: [books.example.com, "*.books.example.com"]
  resolution: STATIC
  ports: [{number: 9090, name: grpc, protocol: GRPC}, {number: 80, name: http}]
  endpoints: [{address: 192.0.2.1, weight: 2}, {address: "2001:db8::1"}]
---
kind: VirtualService
metadata: {name: books}
spec:
  hosts: [books.example.com]
  http:
  - match: [{uri: {regex: "/v[0-9]+/.*"}, headers: {x-a: {}, x-b: {prefix: b}}}, {uri: {exact: /}}]
    timeout: 1500ms
    retries: {attempts: 3, perTryTimeout: 1s, backoff: 25ms, retryOn: "503,reset"}
    route: [{destination: {host: books.example.com}, weight: 3}, {destination: {host: nobody.example.com}, weight: 0}]
"""

_PROXIES = """
kind: Proxy
metadata: {{name: edge}}
spec: {{admin: "unix://{folder}/edge.sock", push: {{files: {{directory: "{folder}/edge"}}}}}}
---
kind: Proxy
metadata: {{name: reviews-v1}}
spec: {{workload: reviews-v1, admin: "unix://{folder}/v1.sock", push: {{files: {{directory: "{folder}/v1"}}}}}}
"""


def _compile(mesh: Mesh, prototypes: Prototypes) -> Compiled:
    result = compile_mesh(mesh, declared(mesh), prototypes)
    assert result.findings == ()
    return result


def _answers(port: int, host: str, path: str, count: int, headers: dict[str, str] | None = None) -> Counter[str]:
    """Bodies of good answers and statuses of others, on one connection."""
    found: Counter[str] = Counter()
    with closing(HTTPConnection("127.0.0.1", port, timeout=10)) as client:
        for _ in range(count):
            client.request("GET", path, headers={"host": host, **(headers or {})})
            answer = client.getresponse()
            body = answer.read().decode()
            found[body if answer.status == 200 else str(answer.status)] += 1
    return found


def test_requests_pass_from_gateway_and_application_to_the_service(tmp_path: Path) -> None:
    """Gateway to sidecar to application, and application through its own sidecar: by match, by weight, or refused."""
    prototypes = Prototypes.parse(house_templates())
    with ExitStack() as stack:
        first, second = stack.enter_context(application("v1")), stack.enter_context(application("v2"))
        edge, inbound, outbound = free_port(), free_port(), free_port()
        mesh = mesh_of(
            documents(
                _SERVICE.format(
                    inbound=inbound, second=second, first=first, edge=edge, outbound=outbound, folder=tmp_path
                ),
                _PROXIES.format(folder=tmp_path),
            )
        )
        result = _compile(mesh, prototypes)
        for proxy in mesh.proxies:
            folder = tmp_path / f"run-{proxy.key.name}"
            folder.mkdir()
            stack.enter_context(envoy(proxy, result.views[proxy.key], prototypes, folder))
        full = "reviews.default.svc.cluster.local"
        split = _answers(edge, full, "/reviews/1", 400)
        assert set(split) == {"v1", "v2"}
        assert 50 <= split["v2"] <= 150  # 25% of 400 is 100, sd 8.7: six of them are one in a billion
        assert _answers(edge, full, "/elsewhere", 5, {"x-tester": "yes"}) == {"v2": 5}
        assert _answers(edge, full, "/elsewhere", 5) == {"404": 5}
        assert _answers(edge, "unknown.example", "/reviews", 5) == {"404": 5}
        assert set(_answers(outbound, "reviews:9080", "/reviews/1", 100)) == {"v1", "v2"}
        assert _answers(outbound, "unknown.example", "/", 5) == {"502": 5}
        assert _answers(inbound, "anything", "/any", 5) == {"v1": 5}
        log = "".join((tmp_path / f"run-{proxy.key.name}" / "envoy.log").read_text() for proxy in mesh.proxies)
        assert "deprecated" not in log.lower()


def test_our_admin_endpoint_answers_what_is_read_and_nothing_else(tmp_path: Path) -> None:
    """A rendered bootstrap's admin endpoint: a socket for its owner alone, that can't stop or change the Envoy."""
    prototypes = Prototypes.parse(house_templates())
    mesh = mesh_of(_PROXIES.format(folder=tmp_path))
    result = _compile(mesh, prototypes)
    proxy = mesh.proxies[0]
    with envoy(proxy, result.views[proxy.key], prototypes, tmp_path):
        assert (tmp_path / "edge.sock").stat().st_mode & 0o777 == 0o600
        with HttpClient(proxy.spec.admin, AdminSettings()) as client:
            for path in (
                "/ready", "/stats?type=TextReadouts&filter=version_text", "/config_dump?include_eds", "/clusters",
                "/listeners?format=json", "/server_info", "/init_dump", "/runtime",
            ):  # fmt: skip
                assert client.get(path).status == 200, path
            for path in ("/quitquitquit", "/runtime_modify?a=1", "/drain_listeners", "/logging?level=trace"):
                assert client.post(path).status == 403, path
            stats = client.get("/stats?type=TextReadouts&filter=version_text").body.decode()
        assert 'cluster_manager.cds.version_text: "1"' in stats
        assert 'listener_manager.lds.version_text: "1"' in stats


def test_two_envoys_never_share_a_port_in_silence(tmp_path: Path) -> None:
    """Without SO_REUSEPORT the second of two Envoys that are given one port says so, instead of taking half the traffic."""
    prototypes = Prototypes.parse(house_templates())
    port = free_port()
    text = f"""
kind: Gateway
metadata: {{name: edge}}
spec:
  servers: [{{bind: 127.0.0.1, port: {{number: {port}, name: http, protocol: HTTP}}, hosts: ["*"]}}]
"""
    with ExitStack() as stack:
        for name in ("a", "b"):
            folder = tmp_path / name
            folder.mkdir()
            mesh = mesh_of(documents(text, _PROXIES.format(folder=folder)))
            proxy = mesh.proxy(Key("default", "edge"))
            assert proxy is not None
            view = _compile(mesh, prototypes).views[proxy.key]
            stack.enter_context(envoy(proxy, view, prototypes, folder))
        assert "cannot bind" in (tmp_path / "b" / "envoy.log").read_text()


def test_envoy_takes_expressions_as_large_as_validation_lets_through(tmp_path: Path) -> None:
    """Envoy's own limit of 100 instructions would reject lists of a dozen words; ours is the bootstrap's, and validation's."""
    part = "([a-z\u00e0-\u00ff]{1,90}){1,9}"
    pattern = part * 9
    assert 25_000 < re2.compile(pattern).programsize < 2**15
    assert regex_problem(pattern) == ""
    assert "instructions" in regex_problem(part * 11)
    text = f"""
kind: VirtualService
metadata: {{name: words}}
spec:
  hosts: [words.example.com]
  gateways: [edge]
  http:
  - match: [{{uri: {{regex: "{pattern}"}}}}]
    route: [{{destination: {{host: words.example.com}}}}]
---
kind: Gateway
metadata: {{name: edge}}
spec: {{servers: [{{bind: 127.0.0.1, port: {{number: {free_port()}, name: http, protocol: HTTP}}, hosts: ["*"]}}]}}
"""
    prototypes = Prototypes.parse(house_templates())
    mesh = mesh_of(documents(text, _PROXIES.format(folder=tmp_path)))
    proxy = mesh.proxies[0]
    view = _compile(mesh, prototypes).views[proxy.key]
    with envoy(proxy, view, prototypes, tmp_path), HttpClient(proxy.spec.admin, AdminSettings()) as client:
        stats = client.get("/stats?type=Counters&filter=http.*update_(success|rejected)").text
    assert [line.rpartition(": ")[2] for line in sorted(stats.splitlines())] == ["0", "1"], stats


@pytest.mark.parametrize("name", ["edge", "reviews-v1"])
def test_envoy_validates_what_is_compiled(tmp_path: Path, name: str) -> None:
    """`envoy --mode validate` accepts a bootstrap, and a running Envoy the files it points at, down to the last field."""
    prototypes = Prototypes.parse(house_templates())
    inbound, second, first, edge, outbound = (free_port() for _ in range(5))
    text = _SERVICE.format(inbound=inbound, second=second, first=first, edge=edge, outbound=outbound)
    mesh = mesh_of(documents(text, _GRPC, _PROXIES.format(folder=tmp_path)))
    proxy = mesh.proxy(Key("default", name))
    assert proxy is not None
    assert proxy.spec.push.files is not None
    write_view(_compile(mesh, prototypes).views[proxy.key], Path(proxy.spec.push.files.directory))
    path = write_bootstrap(proxy, prototypes, tmp_path / "bootstrap.json")
    done = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", str(path), "--log-level", "error"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    with EnvoyProcess(bootstrap=path, admin=proxy.spec.admin, log=tmp_path / "envoy.log"):
        with HttpClient(proxy.spec.admin, AdminSettings()) as client:
            stats = client.get("/stats?type=Counters&filter=update_(rejected|failure)").text
        counts = {line.rpartition(": ")[2] for line in stats.splitlines()}
    assert counts == {"0"}, stats
    assert "deprecated" not in (tmp_path / "envoy.log").read_text().lower()
