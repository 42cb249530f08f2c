"""HealthChecks in what is compiled: each field in Envoy's words, which clusters have them, and what can't be checked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.compile import MeshCompiler, Prototypes, compile_mesh
from reconciler.compile.names import ClusterRef
from reconciler.model.resource import ResourceType
from reconciler.model.services import declared
from tests.compile.instances import instance, listing
from tests.compile.meshes import (
    compiled,
    documents,
    house_templates,
    mesh_of,
    messages,
    only,
    service,
    sidecar_proxy,
    workload,
)
from tests.compile.onecluster import HOST, SERVICE, alone, built, cluster, codes, content, rule

_SUBSETS = "[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"


def check(fields: str = "tcp: {}", *, host: str = "a", name: str = "a", namespace: str = "default") -> str:
    """A HealthCheck of these fields."""
    return f"kind: HealthCheck\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{host: '{host}', {fields}}}"


def _one(fields: str, port: int = 9080) -> dict[str, Any]:
    (found,) = cluster(built("{}", check(fields)), port)["health_checks"]
    value: dict[str, Any] = found
    return value


def test_what_nobody_says() -> None:
    """The defaults; the pace is the same whether anybody calls or not, and jitter is a tenth."""
    assert _one("tcp: {}") == {
        "timeout": "1s",
        "interval": "10s",
        "interval_jitter_percent": 10,
        "unhealthy_threshold": 3,
        "healthy_threshold": 2,
        "reuse_connection": True,
        "no_traffic_interval": "10s",
        "no_traffic_healthy_interval": "10s",
        "tcp_health_check": {},
    }


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "interval: 500ms",
            {"interval": "0.500s", "no_traffic_interval": "0.500s", "no_traffic_healthy_interval": "0.500s"},
        ),
        ("timeout: 250ms", {"timeout": "0.250s"}),
        ("unhealthyThreshold: 5", {"unhealthy_threshold": 5}),
        ("healthyThreshold: 1", {"healthy_threshold": 1}),
        ("noTrafficInterval: 5m", {"no_traffic_healthy_interval": "300s"}),
        ("initialJitter: 2s", {"initial_jitter": "2s"}),
        ("intervalJitter: 3s", {"interval_jitter": "3s", "interval_jitter_percent": None}),
        ("reuseConnection: false", {"reuse_connection": False}),
    ],
)
def test_times_and_thresholds(fields: str, expected: dict[str, Any]) -> None:
    """Each field is Envoy's of the same name, except that a pace without traffic is for instances that are well."""
    found = _one(f"tcp: {{}}, {fields}")
    assert {name: found.get(name) for name in expected} == expected


_APPLICATION = """
kind: Proxy
metadata: {name: c}
spec: {workload: c, push: {ads: {client: grpc}}}
"""
_ANY = [{"start": "100", "end": "600"}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("path: /healthz", {"path": "/healthz", "host": HOST, "method": "GET"}),
        ("path: /, host: x.example.com:81", {"path": "/", "host": "x.example.com:81", "method": "GET"}),
        ("path: /, method: HEAD", {"path": "/", "host": HOST, "method": "HEAD"}),
        (
            "path: /, expectedStatuses: [{start: 200, end: 299}, {start: 404, end: 404}]",
            {
                "path": "/",
                "host": HOST,
                "method": "GET",
                "expected_statuses": [{"start": "200", "end": "300"}, {"start": "404", "end": "405"}],
            },
        ),
        (
            "path: /, headers: {x-b: two, x-a: ''}",
            {
                "path": "/",
                "host": HOST,
                "method": "GET",
                "request_headers_to_add": [
                    {
                        "header": {"key": name, **value},
                        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
                        "keep_empty_value": True,
                    }
                    for name, value in (("x-a", {}), ("x-b", {"value": "two"}))
                ],
            },
        ),
    ],
)
def test_a_request(fields: str, expected: dict[str, Any]) -> None:
    """The host is the service's, ends belong to ranges, and any other status counts as one failure."""
    found = _one(f"http: {{{fields}}}")["http_health_check"]
    assert found == expected | {"retriable_statuses": _ANY}


def test_a_call() -> None:
    """By gRPC the authority is the service's host."""
    assert _one("grpc: {}, ports: [7070]", 7070)["grpc_health_check"] == {"authority": HOST}
    found = _one("grpc: {serviceName: s.S, authority: x}, ports: [7070]", 7070)["grpc_health_check"]
    assert found == {"service_name": "s.S", "authority": "x"}


def test_requests_are_spoken_as_the_port_speaks() -> None:
    """HTTP/2 to a port of HTTP/2; another port that is asked, and a port that speaks as its client does, get HTTP/1.1."""
    said = "http: {path: /}"
    assert _one(said, 7070)["http_health_check"]["codec_client_type"] == "HTTP2"
    elsewhere = _one(f"{said}, port: 8080", 7070)
    assert "codec_client_type" not in elsewhere["http_health_check"]
    assert elsewhere["tls_options"] == {"alpn_protocols": ["http/1.1"]}
    as_client = built("{connectionPool: {http: {useClientProtocol: true}}}", check(said))
    (found,) = cluster(as_client)["health_checks"]
    assert (found["tls_options"], "codec_client_type" in found["http_health_check"]) == (
        {"alpn_protocols": ["http/1.1"]},
        False,
    )
    assert "tls_options" not in _one(said)


def test_who_leaves_is_gone_and_connections_stay() -> None:
    """An instance that leaves discovery is not kept for its good health; requests in flight end unless it is said otherwise."""
    found = cluster(built("{}", check()))
    assert found["ignore_health_on_host_removal"] is True
    assert "close_connections_on_host_health_failure" not in found
    assert cluster(built("{}", check("tcp: {}, closeConnections: true")))["close_connections_on_host_health_failure"]


@pytest.mark.parametrize(
    ("policy", "fields", "percent"),
    [
        ("{}", "", 1),
        ("{outlierDetection: {}}", "", 1),
        ("{outlierDetection: {minHealthPercent: 30}}", "", 30),
        ("{outlierDetection: {minHealthPercent: 0}}", "", 0),
        ("{outlierDetection: {minHealthPercent: 30}}", ", panicThreshold: 0", 0),
        ("{}", ", panicThreshold: 70", 70),
    ],
)
def test_all_are_asked_only_when_none_is_well(policy: str, fields: str, percent: int) -> None:
    """Envoy would send to failed instances as soon as half of them have; a number that somebody wrote goes before ours."""
    found = cluster(built(policy, check(f"tcp: {{}}{fields}")))["common_lb_config"]["healthy_panic_threshold"]
    assert found.get("value", 0) == percent


def _checked(*texts: str, subsets: str = "[]") -> list[str]:
    """The clusters with checks, as `port/subset`."""
    found = messages(only(built("{}", *texts, subsets=subsets)), ResourceType.CLUSTER)
    return sorted("/".join(name.split("|")[1:3]) for name, item in found.items() if "health_checks" in item)


def test_every_port_and_subset_of_its_host_by_default() -> None:
    """The service as a whole and each subset, at each port; other services have none."""
    other = documents(service("b", "9080"), workload("b1", app="b", address="10.0.0.5"))
    whole = [f"{port}/{subset}" for port in (5432, 7070, 9080) for subset in ("", "v1", "v2")]
    assert _checked(other, check(), subsets=_SUBSETS) == whole
    assert _checked(other, check(host=HOST, namespace="elsewhere"), subsets=_SUBSETS) == whole
    assert _checked(other, check(namespace="elsewhere"), subsets=_SUBSETS) == []


def test_named_ports_and_subsets_alone() -> None:
    """With subsets named, the service as a whole is not checked."""
    assert _checked(check("tcp: {}, ports: [9080]"), subsets=_SUBSETS) == ["9080/", "9080/v1", "9080/v2"]
    assert _checked(check("tcp: {}, ports: [9080, 7070], subsets: [v2]"), subsets=_SUBSETS) == ["7070/v2", "9080/v2"]


def test_documents_with_ports_of_their_own_stand_beside_each_other() -> None:
    """One asks by gRPC, the other only connects; of two for the same the first by name holds."""
    result = built("{}", check("grpc: {}, ports: [7070]", name="z"), check("tcp: {}, ports: [5432, 7070]", name="zz"))
    asked = {port: cluster(result, port).get("health_checks", []) for port in (5432, 7070, 9080)}
    found = {
        port: [name for item in items for name in item if name.endswith("_health_check")]
        for port, items in asked.items()
    }
    assert found == {5432: ["tcp_health_check"], 7070: ["grpc_health_check"], 9080: []}


def _asked(*texts: str, ref: ClusterRef) -> list[dict[str, Any]]:
    found = alone(ref, *texts)
    given = content(found.endpoints) if found.endpoints else content(found.cluster)["load_assignment"]
    listed = [item["endpoint"] for group in given["endpoints"] for item in group["lb_endpoints"]]
    return sorted(listed, key=lambda item: str(item["address"]))


def test_another_port_stands_with_each_endpoint() -> None:
    """Envoy looks at no other place for it; endpoints that are called at that port, and Unix sockets, have none to name."""
    entry = """
kind: ServiceEntry
metadata: {name: x}
spec:
  hosts: [x.example.com]
  resolution: STATIC
  ports: [{number: 80, name: p, protocol: HTTP}]
  endpoints: [{address: 10.0.0.1}, {address: 10.0.0.2, ports: {p: 8081}}, {address: "unix:///run/x.sock"}]
"""
    asked = check("http: {path: /}, port: 8081", host="x.example.com")
    endpoints = _asked(entry, asked, ref=ClusterRef("x.example.com", 80))
    assert [item.get("health_check_config") for item in endpoints] == [None, {"port_value": 8081}, None]
    names = (
        entry.replace("STATIC", "DNS")
        .replace(', {address: "unix:///run/x.sock"}', "")
        .replace("10.0.0.1", "one")
        .replace("10.0.0.2", "two")
    )
    endpoints = _asked(names, asked, ref=ClusterRef("x.example.com", 80))
    assert [item.get("health_check_config") for item in endpoints] == [{"port_value": 8081}, None]


def test_only_what_speaks_http2_is_asked_by_grpc() -> None:
    """Envoy would refuse the cluster; it is compiled without checks, and where it is written is said."""
    result = built("{}", check("grpc: {}"))
    assert [port for port in (9080, 7070, 5432) if "health_checks" in cluster(result, port)] == [7070]
    found = [item for item in result.findings if item.code == "health-check-protocol"]
    assert {item.message.split(" of ")[0] for item in found} == {"port 5432", "port 9080"}
    assert {(item.severity, item.path) for item in found} == {("error", ("spec", "grpc"))}
    upgraded = built("{connectionPool: {http: {h2UpgradePolicy: UPGRADE}}}", check("grpc: {}, ports: [9080]"))
    assert "grpc_health_check" in cluster(upgraded)["health_checks"][0]
    assert codes(upgraded) == []


def test_what_is_known_only_when_it_is_called_is_not_checked() -> None:
    """A host that each request names has no instances to ask."""
    entry = """
kind: ServiceEntry
metadata: {name: x}
spec:
  hosts: ["*.example.com"]
  resolution: DYNAMIC_DNS
  ports: [{number: 80, name: p, protocol: HTTP}]
"""
    found = alone(ClusterRef("*.example.com", 80), entry, check("http: {path: /, host: h}", host="*.example.com"))
    assert "health_checks" not in content(found.cluster)
    assert [(item.code, item.path) for item in found.findings] == [("no-effect", ("spec", "host"))]


def test_a_server_name_that_only_requests_have() -> None:
    """With TLS and no `sni` there is none in checks, which is said; nothing is said of connections or of a name that is there."""
    said = "http: {path: /}, ports: [9080]"
    assert codes(built("{tls: {mode: SIMPLE}}", check(said))) == ["health-check-name"]
    assert codes(built("{tls: {mode: SIMPLE, sni: x}}", check(said))) == []
    assert codes(built("{tls: {mode: SIMPLE}}", check("tcp: {}, ports: [9080]"))) == []


def test_grpc_applications_check_nothing() -> None:
    """They get the cluster without checks, and are told so where the check is written."""
    result = compiled(
        documents(
            service("a", "7070/GRPC"),
            workload("a1", app="a", address="10.0.0.1"),
            workload("c", app="c", address="10.0.0.2"),
        ),
        _APPLICATION,
        check(),
    )
    view = only(result)
    assert not any("health_checks" in item for item in messages(view, ResourceType.CLUSTER).values())
    said = [item for item in view.unsupported if "HealthCheck" in item.message]
    assert [(item.code, item.path) for item in said] == [("grpc-unsupported-field", ("spec", "host"))]


def test_a_service_is_checked_by_every_proxy_that_calls_it() -> None:
    """Sidecars of any namespace, whatever DestinationRules they have of their own."""
    texts = documents(
        SERVICE,
        workload("d", app="d", address="10.0.0.7", namespace="far"),
        sidecar_proxy("d", namespace="far"),
        check(),
    )
    found = compiled(texts, rule("{}"))
    for view in found.views.values():
        assert "health_checks" in messages(view, ResourceType.CLUSTER)[f"outbound|9080||{HOST}"]


def test_a_check_that_comes_or_goes_is_compiled_as_if_it_were_the_first() -> None:
    """Whatever was compiled before, and although no other document has changed."""
    prototypes = Prototypes.parse(house_templates())
    compiler = MeshCompiler(prototypes)
    plain = mesh_of(documents(SERVICE, rule("{}")))
    services = declared(plain)
    checks = [
        mesh_of(check(fields)).health_checks for fields in ("tcp: {}", "tcp: {}, interval: 1s", "tcp: {}, port: 81")
    ]
    for health_checks in ((), *checks, ()):
        mesh = replace(plain, health_checks=health_checks)
        assert compiler.compile(mesh, services) == compile_mesh(mesh, services, prototypes)


def test_instances_that_registries_list_are_asked_at_the_other_port_too() -> None:
    """Now, and whenever others come without a compile."""
    mesh = mesh_of(documents(SERVICE, rule("{}"), check("http: {path: /}, port: 8081, ports: [9080]")))
    services = [listing(item, instance("10.9.9.9", name="p9080")) for item in declared(mesh)]
    view = only(compile_mesh(mesh, services, Prototypes.parse(house_templates())))
    name = f"outbound|9080||{HOST}"
    (given,) = (item for item in view.of_type(ResourceType.ENDPOINTS) if item.id.name == name)
    assert given.recipe is not None
    newer = given.recipe.at((instance("10.9.9.8", name="p9080"), instance("10.9.9.7", 8081, name="p9080")))
    asked = {
        item["endpoint"]["address"]["socket_address"]["address"]: item["endpoint"].get("health_check_config")
        for group in content(newer)["endpoints"]
        for item in group["lb_endpoints"]
    }
    assert {address: asked[address] for address in ("10.9.9.8", "10.9.9.7")} == {
        "10.9.9.8": {"port_value": 8081},
        "10.9.9.7": None,
    }


@pytest.mark.parametrize(
    ("policy", "fields", "percent"),
    [
        ("{}", "", 0),
        ("{outlierDetection: {}}", "", 0),
        ("{outlierDetection: {minHealthPercent: 30}}", "", 30),
        ("{outlierDetection: {minHealthPercent: 30}}", ", panicThreshold: 1", 1),
    ],
)
def test_what_a_platform_calls_unwell_is_not_called_because_checks_fail(policy: str, fields: str, percent: int) -> None:
    """On services that registries list there is no panic, as in Istio, unless somebody wrote a number."""
    mesh = mesh_of(documents(SERVICE, rule(policy), check(f"tcp: {{}}{fields}")))
    services = [listing(item, instance("10.9.9.9", name="p9080")) for item in declared(mesh)]
    found = messages(only(compile_mesh(mesh, services, Prototypes.parse(house_templates()))), ResourceType.CLUSTER)
    threshold = found[f"outbound|9080||{HOST}"]["common_lb_config"]["healthy_panic_threshold"]
    assert threshold.get("value", 0) == percent
