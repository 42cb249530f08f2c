"""Local limits in a real Envoy: who is let through, who is not, and what they are told."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.compile import Prototypes, compile_mesh
from reconciler.model.services import declared
from tests.compile.envoys import application, envoy, free_port
from tests.compile.limited import EDGE, HOST, HOURLY, ONE, Client, gateway, limit
from tests.compile.meshes import documents, house_templates, mesh_of


def test_a_gateway_lets_a_burst_through_and_no_more(tmp_path: Path) -> None:
    """The bucket's size counts at once; every host and path draws from the one bucket, answers of Envoy's own too."""
    policy = limit(f"{EDGE}, local: [{{name: all, requests: 2, burst: 4, {HOURLY}}}]")
    with gateway(tmp_path, policy) as client:
        assert client.statuses(1) == [200]
        assert client.statuses(1, host="b.example.com") == [200]
        assert client.statuses(1, "/gone") == [410]
        assert client.statuses(1, "/one") == [200]
        assert client.statuses(2, "/one") == [429, 429]
        assert client.statuses(1, host="nobody.example.com") == [404], "what no route takes is refused anyway"


def test_a_bucket_fills_again(tmp_path: Path) -> None:
    """What is let through on average is what the policy says: after a refusal a request gets through in time."""
    policy = limit(f"{EDGE}, local: [{{name: all, requests: 1, per: 300ms}}]")
    with gateway(tmp_path, policy) as client:
        seen = client.statuses(2)
        while 429 not in seen:
            seen += client.statuses(1)
        while seen[-1] != 200:
            seen += client.statuses(1)
    assert set(seen) == {200, 429}


def test_a_rule_is_limited_and_its_neighbours_are_not(tmp_path: Path) -> None:
    """Only requests that the named rule takes are counted."""
    policy = limit(f"{ONE}, local: [{{name: all, requests: 2, {HOURLY}}}]")
    with gateway(tmp_path, policy) as client:
        assert client.statuses(3, "/one") == [200, 200, 429]
        assert client.statuses(4, "/two") == [200] * 4


def test_every_rule_of_a_virtual_service_has_its_own_count(tmp_path: Path) -> None:
    """Without names all rules are limited, each by itself, those that send nothing on too."""
    policy = limit(f"target: {{virtualService: {{name: rules}}}}, local: [{{name: all, requests: 1, {HOURLY}}}]")
    with gateway(tmp_path, policy) as client:
        assert client.statuses(2, "/one") == [200, 429]
        assert client.statuses(2, "/gone") == [410, 429]
        assert client.statuses(2, "/two") == [200, 429]


def test_limits_of_a_gateway_and_of_a_rule_both_hold(tmp_path: Path) -> None:
    """What limits the place counts what the rule lets through, and does not replace its limits."""
    rule = limit(f"{ONE}, local: [{{name: all, requests: 2, {HOURLY}}}]", "rule")
    edge = limit(f"{EDGE}, local: [{{name: all, requests: 4, {HOURLY}}}], response: {{status: 503}}", "edge")
    with gateway(tmp_path, rule, edge) as client:
        assert client.statuses(3, "/one") == [200, 200, 429]
        assert client.statuses(2, "/two") == [200, 503]
        assert client.statuses(1, "/one") == [503]


def test_several_limits_all_hold(tmp_path: Path) -> None:
    """A request needs a token of each; what the narrowest one refuses takes none from the others."""
    limits = f"{{name: posts, requests: 1, {HOURLY}, match: {{method: {{exact: POST}}}}}}, {{name: all, requests: 4, {HOURLY}}}"
    with gateway(tmp_path, limit(f"{EDGE}, local: [{limits}]")) as client:
        assert client.statuses(2) == [200, 200]
        assert client.statuses(2, method="POST") == [200, 429]
        assert client.statuses(2) == [200, 429]


def test_every_user_has_a_bucket(tmp_path: Path) -> None:
    """A value of the header has its own count; a request without the header has none."""
    policy = limit(f"{EDGE}, local: [{{name: user, requests: 2, {HOURLY}, by: [{{header: X-User}}]}}]")
    with gateway(tmp_path, policy) as client:
        assert client.statuses(3, x_user="ann") == [200, 200, 429]
        assert client.statuses(3, x_user="bob") == [200, 200, 429]
        assert client.statuses(4) == [200] * 4
        many = [client.get(x_user=str(number)).status for number in range(200)]
        assert many == [200] * 200
        assert client.statuses(1, x_user="ann") == [429]


def test_every_path_has_a_bucket(tmp_path: Path) -> None:
    """A path is counted without its query."""
    policy = limit(f"{EDGE}, local: [{{name: path, requests: 2, {HOURLY}, by: [{{path: true}}]}}]")
    with gateway(tmp_path, policy) as client:
        assert [client.get(f"/a?n={number}").status for number in range(3)] == [200, 200, 429]
        assert client.statuses(3, "/b") == [200, 200, 429]


def test_combinations_have_buckets(tmp_path: Path) -> None:
    """Of several things to count by, each combination of values has a count."""
    by = "by: [{queryParameter: key}, {remoteAddress: true}, {header: ':authority'}]"
    with gateway(tmp_path, limit(f"{EDGE}, local: [{{name: key, requests: 1, {HOURLY}, {by}}}]")) as client:
        assert client.statuses(2, "/?key=1") == [200, 429]
        assert client.statuses(2, "/?key=2") == [200, 429]
        assert client.statuses(2, "/?key=1", host="b.example.com") == [200, 429]
        assert client.statuses(3) == [200] * 3


@pytest.mark.parametrize(
    ("match", "counted", "free"),
    [
        ("path: {exact: /a.b}", [("/a.b", {}), ("/a.b?x=1", {})], [("/a.b/c", {}), ("/aXb", {})]),
        ("path: {prefix: /a}", [("/a", {}), ("/ab?x=1", {})], [("/b", {})]),
        ("path: {regex: '/a|/b'}", [("/a", {}), ("/b?x=1", {})], [("/ab", {}), ("/c", {})]),
        ("authority: {prefix: a.}", [("/", {})], [("/", {"host": "b.example.com"})]),
        ("headers: {x: {}}", [("/", {"x": "1"})], [("/", {})]),
        ("headers: {x: {exact: a}, y: {regex: b+}}", [("/", {"x": "a", "y": "bb"})], [("/", {"x": "a"}), ("/", {"y": "b"})]),
        ("withoutHeaders: {x: {exact: a}}", [("/", {"x": "b"}), ("/", {})], [("/", {"x": "a"})]),
        ("queryParams: {k: {exact: v}}", [("/?k=v", {})], [("/?k=w", {}), ("/", {})]),
        ("headers: {x: {}}, queryParams: {k: {}}", [("/?k=", {"x": "1"})], [("/?k=", {}), ("/", {"x": "1"})]),
    ],
)  # fmt: skip
def test_a_limit_is_about_what_matches(
    tmp_path: Path, match: str, counted: list[tuple[str, dict[str, str]]], free: list[tuple[str, dict[str, str]]]
) -> None:
    """Requests that do not match are not counted; those that do share the bucket."""
    policy = limit(f"{EDGE}, local: [{{name: some, requests: {len(counted)}, {HOURLY}, match: {{{match}}}}}]")
    with gateway(tmp_path, policy) as client:
        for path, headers in free * 2:
            assert client.get(path, **headers).status == 200, (path, headers)
        assert [client.get(path, **headers).status for path, headers in counted] == [200] * len(counted)
        for path, headers in counted:
            assert client.get(path, **headers).status == 429, (path, headers)


def test_a_refusal_says_what_the_policy_says(tmp_path: Path) -> None:
    """Status and headers are the policy's, and clients can see how much is left."""
    response = "response: {status: 503, headers: {x-limited: 'by %REQ(:authority)%', retry-after: '5'}, rateLimitHeaders: true}"
    policy = limit(f"{EDGE}, local: [{{name: all, requests: 1, {HOURLY}}}], {response}")
    with gateway(tmp_path, policy) as client:
        first, second = client.get(), client.get()
    assert (first.status, first.headers["x-ratelimit-limit"], first.headers["x-ratelimit-remaining"]) == (200, "1", "0")
    assert first.headers["x-limited"] is None
    assert (second.status, second.headers["x-limited"], second.headers["retry-after"]) == (503, f"by {HOST}", "5")
    assert second.headers["x-ratelimit-remaining"] == "0"


def test_a_refused_grpc_call_is_told_in_its_terms(tmp_path: Path) -> None:
    """GRPC's clients get RESOURCE_EXHAUSTED, not an HTTP error."""
    policy = limit(f"{EDGE}, local: [{{name: all, requests: 1, {HOURLY}}}]")
    with gateway(tmp_path, policy) as client:
        client.get()
        answer = client.get(method="POST", content_type="application/grpc")
    assert (answer.status, answer.headers["grpc-status"]) == (200, "8")


def test_a_template_without_the_filters_is_given_them(tmp_path: Path) -> None:
    """A policy repository's own template can't switch limits off unnoticed."""
    bare = "http_filters: [{name: r, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]"
    limits = [
        limit(f"{EDGE}, local: [{{name: all, requests: 3, {HOURLY}}}], response: {{status: 503}}", "edge"),
        limit(f"{ONE}, local: [{{name: all, requests: 1, {HOURLY}}}]", "rule"),
    ]
    with gateway(tmp_path, *limits, templates={"http-connection-manager.yaml": bare}) as client:
        assert client.statuses(2, "/one") == [200, 429]
        assert client.statuses(2, "/two") == [200, 503]


def _sidecar(name: str, port: int, application_port: int, directory: Path) -> str:
    """A workload `app: NAME`, called at a port, and its sidecar."""
    directory.mkdir()
    return f"""
kind: WorkloadEntry
metadata: {{name: {name}}}
spec: {{address: 127.0.0.1, labels: {{app: {name}}}}}
---
kind: Proxy
metadata: {{name: {name}}}
spec: {{workload: {name}, admin: "http://127.0.0.1:{free_port()}", push: {{files: {{directory: {directory}}}}}}}
---
kind: Sidecar
metadata: {{name: {name}}}
spec:
  workloadSelector: {{labels: {{app: {name}}}}}
  ingress:
  - {{port: {{number: {port}, name: http, protocol: HTTP}}, defaultEndpoint: "127.0.0.1:{application_port}"}}
  egress: [{{hosts: ["~/*"]}}]
"""


def test_a_sidecar_limits_requests_to_its_workload(tmp_path: Path) -> None:
    """Requests to the workloads that are selected are counted, and those to others are not."""
    ports = {name: free_port() for name in ("a", "b")}
    with ExitStack() as stack:
        texts = [
            _sidecar(name, port, stack.enter_context(application(name)), tmp_path / name)
            for name, port in ports.items()
        ]
        policy = limit(f"target: {{workloads: {{labels: {{app: a}}}}}}, local: [{{name: all, requests: 2, {HOURLY}}}]")
        mesh = mesh_of(documents(*texts, policy))
        prototypes = Prototypes.parse(house_templates())
        views = compile_mesh(mesh, declared(mesh), prototypes).views
        for proxy in mesh.proxies:
            folder = tmp_path / f"{proxy.key.name}.run"
            folder.mkdir()
            stack.enter_context(envoy(proxy, views[proxy.key], prototypes, folder))
        assert Client("127.0.0.1", ports["a"]).statuses(3) == [200, 200, 429]
        assert Client("127.0.0.1", ports["b"]).statuses(4) == [200] * 4
