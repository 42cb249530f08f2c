"""What a sidecar listens on, and whom it knows."""

from __future__ import annotations

import pytest

from reconciler.model.key import Key
from reconciler.model.resource import ResourceType, View
from tests.compile.meshes import (
    compiled,
    documents,
    manager,
    messages,
    only,
    routes,
    service,
    sidecar_proxy,
    workload,
)

_BASE = documents(
    service("a", "9080"),
    service("b", "9080", "80"),
    service("c", "7070", namespace="other"),
    workload("w", app="x", address="10.0.0.1"),
    sidecar_proxy("w"),
)


def _sidecar(spec: str, name: str = "s", namespace: str = "default") -> str:
    return f"kind: Sidecar\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}"


def _view(*texts: str) -> View:
    return only(compiled(documents(_BASE, *texts)))


def _hosts(view: View, name: str) -> dict[str, list[str]]:
    return {item["name"]: item["domains"] for item in messages(view, ResourceType.ROUTE)[name]["virtual_hosts"]}


def test_without_a_sidecar_each_service_port_is_a_listener_on_loopback() -> None:
    """Without interception, an application reaches `b:80` at 127.0.0.1:80; routes come by RDS under the port's name."""
    view = _view()
    assert set(messages(view, ResourceType.LISTENER)) == {"127.0.0.1_80", "127.0.0.1_7070", "127.0.0.1_9080"}
    assert set(messages(view, ResourceType.ROUTE)) == {"80", "7070", "9080"}
    listener = messages(view, ResourceType.LISTENER)["127.0.0.1_9080"]
    assert listener["traffic_direction"] == "OUTBOUND"
    assert listener["enable_reuse_port"] is False
    http = manager(view, "127.0.0.1_9080")
    assert http["stat_prefix"] == "outbound_127.0.0.1_9080;"
    assert http["use_remote_address"] is False
    assert http["normalize_path"] is True
    assert http["rds"]["route_config_name"] == "9080"
    assert http["rds"]["config_source"]["path_config_source"]["path"] == "/var/lib/envoy/w/routes/9080.pb"
    assert http["http_filters"][-1]["name"] == "envoy.filters.http.router"


def test_virtual_hosts_are_the_services_of_the_port_and_unknown_hosts_are_refused_last() -> None:
    """By all names that the proxy's namespace may use, without ports, because those are ignored in Host."""
    hosts = _hosts(_view(), "9080")
    assert list(hosts) == ["a.default.svc.cluster.local:9080", "b.default.svc.cluster.local:9080", "block_all"]
    assert hosts["a.default.svc.cluster.local:9080"] == [
        "a.default.svc.cluster.local",
        "a.default.svc.cluster.local.",
        "a",
        "a.default.svc",
        "a.default",
    ]
    assert hosts["block_all"] == ["*"]
    assert "c" not in _hosts(_view(), "7070")["c.other.svc.cluster.local:7070"]
    (route,) = routes(_view(), "9080")["block_all"]
    assert route["direct_response"] == {"status": 502}
    config = messages(_view(), ResourceType.ROUTE)["9080"]
    assert config["ignore_port_in_host_matching"] is True
    assert config["validate_clusters"] is False
    assert config["max_direct_response_body_size_bytes"] == 1048576
    assert config["virtual_hosts"][0]["include_request_attempt_count"] is True


@pytest.mark.parametrize("mode", ["ALLOW_ANY", "REGISTRY_ONLY"])
def test_both_traffic_modes_refuse_unknown_hosts(mode: str) -> None:
    """Without interception there is no original destination to pass them to."""
    view = _view(f"kind: Mesh\nmetadata: {{name: mesh}}\nspec: {{outboundTrafficPolicy: {{mode: {mode}}}}}")
    assert list(_hosts(view, "9080"))[-1] == "block_all"


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ('["*/*"]', {"a", "b", "c"}),
        ('["./*"]', {"a", "b"}),
        ('["other/*"]', {"c"}),
        ('["./a.default.svc.cluster.local", "*/c.other.svc.cluster.local"]', {"a", "c"}),
        ('["*/*.other.svc.cluster.local"]', {"c"}),
        ('["~/*"]', set()),
    ],
)
def test_egress_hosts_are_the_scope(hosts: str, expected: set[str]) -> None:
    """Nothing out of scope is in the proxy: no cluster, no virtual host, no listener."""
    view = _view(_sidecar(f"{{egress: [{{hosts: {hosts}}}]}}"))
    assert {name.split("|")[3].split(".")[0] for name in messages(view, ResourceType.CLUSTER)} == expected
    assert {name.split(".")[0] for config in messages(view, ResourceType.ROUTE) for name in _hosts(view, config)} - {
        "block_all"
    } == expected


def test_a_virtual_service_out_of_scope_does_not_route() -> None:
    """Its service is in scope and has its default route."""
    policy = """
kind: VirtualService
metadata: {name: a, namespace: other}
spec: {hosts: [a.default.svc.cluster.local], http: [{name: theirs, route: [{destination: {host: c}}]}]}
"""
    seen = routes(_view(policy), "9080")["a.default.svc.cluster.local:9080"]
    unseen = routes(_view(policy, _sidecar('{egress: [{hosts: ["./*"]}]}')), "9080")["a.default.svc.cluster.local:9080"]
    assert [route["name"] for route in seen] == ["theirs"]
    assert [route["name"] for route in unseen] == ["default"]


def test_a_route_brings_its_cluster_into_scope() -> None:
    """What a visible VirtualService routes to is there, in scope or not."""
    policy = """
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a], http: [{route: [{destination: {host: c.other.svc.cluster.local}}]}]}
"""
    view = _view(policy, _sidecar('{egress: [{hosts: ["./a.default.svc.cluster.local"]}]}'))
    assert set(messages(view, ResourceType.CLUSTER)) == {
        "outbound|9080||a.default.svc.cluster.local",
        "outbound|7070||c.other.svc.cluster.local",
    }


def test_the_sidecar_that_selects_the_workload_comes_before_the_namespaces() -> None:
    """Selector, then the namespace's default, then none; another namespace's is nobody's."""
    default = _sidecar('{egress: [{hosts: ["other/*"]}]}', "default")
    chosen = _sidecar('{workloadSelector: {labels: {app: x}}, egress: [{hosts: ["./*"]}]}', "z")
    wrong = _sidecar('{workloadSelector: {labels: {app: y}}, egress: [{hosts: ["~/*"]}]}', "a")
    foreign = _sidecar('{egress: [{hosts: ["~/*"]}]}', "a", "other")
    assert set(messages(_view(default, chosen, wrong, foreign), ResourceType.ROUTE)) == {"80", "9080"}
    assert set(messages(_view(default, wrong, foreign), ResourceType.ROUTE)) == {"7070"}
    assert set(messages(_view(wrong, foreign), ResourceType.ROUTE)) == {"80", "7070", "9080"}


def test_an_egress_listener_replaces_the_default_ones() -> None:
    """Where it says, for the services of its port; without any listener besides."""
    view = _view(_sidecar('{egress: [{port: {number: 9080}, bind: 127.0.0.5, hosts: ["*/*"]}]}'))
    assert set(messages(view, ResourceType.LISTENER)) == {"127.0.0.5_9080"}
    assert set(messages(view, ResourceType.ROUTE)) == {"9080"}
    assert {name.split("|")[1] for name in messages(view, ResourceType.CLUSTER)} == {"9080"}


def test_listeners_of_one_port_have_route_configurations_of_their_own() -> None:
    """Istio's name goes to the one on 127.0.0.1, and each routes only what it may."""
    view = _view(
        _sidecar(
            "{egress: [{port: {number: 9080}, bind: 127.0.0.5, hosts: [./a.default.svc.cluster.local]},"
            "{port: {number: 9080}, bind: 127.0.0.6, hosts: [./b.default.svc.cluster.local]},"
            '{hosts: ["./*"]}]}'
        )
    )
    names = {item: manager(view, item)["rds"]["route_config_name"] for item in messages(view, ResourceType.LISTENER)}
    assert names == {
        "127.0.0.1_80": "80",
        "127.0.0.1_9080": "9080",
        "127.0.0.5_9080": "9080.127.0.0.5",
        "127.0.0.6_9080": "9080.127.0.0.6",
    }
    assert list(_hosts(view, "9080.127.0.0.5")) == ["a.default.svc.cluster.local:9080", "block_all"]


def test_a_written_listener_takes_the_place_of_the_default_one() -> None:
    """Its scope holds on its address and port, the catch-all's everywhere else."""
    view = _view(
        _sidecar('{egress: [{port: {number: 9080}, hosts: [./a.default.svc.cluster.local]}, {hosts: ["./*"]}]}')
    )
    assert set(messages(view, ResourceType.LISTENER)) == {"127.0.0.1_9080", "127.0.0.1_80"}
    assert list(_hosts(view, "9080")) == ["a.default.svc.cluster.local:9080", "block_all"]


def test_an_http_proxy_routes_to_every_port_by_host_and_port() -> None:
    """Domains have their port, which clients leave out if it is 80."""
    view = _view(_sidecar('{egress: [{port: {number: 3128, protocol: HTTP_PROXY}, hosts: ["*/*"]}]}'))
    assert set(messages(view, ResourceType.LISTENER)) == {"127.0.0.1_3128"}
    hosts = _hosts(view, "http_proxy")
    assert set(hosts) == {
        "a.default.svc.cluster.local:9080",
        "b.default.svc.cluster.local:80",
        "b.default.svc.cluster.local:9080",
        "c.other.svc.cluster.local:7070",
        "block_all",
    }
    assert "b:9080" in hosts["b.default.svc.cluster.local:9080"]
    assert "b" not in hosts["b.default.svc.cluster.local:9080"]
    assert {"b", "b:80"} <= set(hosts["b.default.svc.cluster.local:80"])
    # Envoy would match only bare names with it.
    assert "ignore_port_in_host_matching" not in messages(view, ResourceType.ROUTE)["http_proxy"]


def test_http_proxies_with_different_content_have_different_names() -> None:
    """Two listeners never share a route configuration that only one of them is meant to have."""
    view = _view(
        _sidecar(
            "{egress: [{port: {number: 3128, protocol: HTTP_PROXY}, hosts: [./a.default.svc.cluster.local]},"
            "{port: {number: 3129, protocol: HTTP_PROXY}, hosts: [./b.default.svc.cluster.local]}]}"
        )
    )
    assert set(messages(view, ResourceType.ROUTE)) == {"http_proxy", "http_proxy.127.0.0.1_3129"}
    assert "a.default.svc.cluster.local:9080" in _hosts(view, "http_proxy")
    assert "b.default.svc.cluster.local:9080" in _hosts(view, "http_proxy.127.0.0.1_3129")


def test_hosts_that_only_a_virtual_service_has_are_on_port_80() -> None:
    """As in Istio: a made-up name for other services, where clients say no port."""
    policy = """
kind: VirtualService
metadata: {name: shop}
spec: {hosts: [shop.example.com, "*.example.org"], http: [{route: [{destination: {host: a}}]}]}
"""
    view = _view(policy)
    assert _hosts(view, "80")["shop.example.com:80"] == ["shop.example.com", "shop.example.com."]
    assert _hosts(view, "80")["*.example.org:80"] == ["*.example.org"]
    assert "shop.example.com:9080" not in _hosts(view, "9080")


def test_a_wildcard_virtual_service_is_for_services_without_their_own() -> None:
    """The most specific host that matches decides."""
    policies = """
kind: VirtualService
metadata: {name: all}
spec: {hosts: ["*.default.svc.cluster.local"], http: [{name: wild, route: [{destination: {host: b}}]}]}
---
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a], http: [{name: own, route: [{destination: {host: b}}]}]}
"""
    found = routes(_view(policies), "9080")
    assert [route["name"] for route in found["a.default.svc.cluster.local:9080"]] == ["own"]
    assert [route["name"] for route in found["b.default.svc.cluster.local:9080"]] == ["wild"]


def test_no_domain_is_in_two_virtual_hosts() -> None:
    """Envoy would refuse them all; a service's full name is never lost to another's short one."""
    text = """
kind: ServiceEntry
metadata: {name: odd}
spec: {hosts: [A.default], resolution: STATIC, ports: [{number: 9080, name: http}]}
"""
    hosts = _hosts(_view(text), "9080")
    domains = [domain.lower() for item in hosts.values() for domain in item]
    assert len(domains) == len(set(domains))
    assert "A.default" in hosts["A.default:9080"]
    assert "a.default" not in hosts["a.default.svc.cluster.local:9080"]


def test_a_virtual_service_of_a_gateway_is_not_the_sidecars() -> None:
    """Only those bound to `mesh`, the default."""
    policy = """
kind: VirtualService
metadata: {name: a}
spec: {hosts: [a], gateways: [g], http: [{name: outside, route: [{destination: {host: b}}]}]}
"""
    assert [route["name"] for route in routes(_view(policy), "9080")["a.default.svc.cluster.local:9080"]] == ["default"]


_INBOUND = documents(
    service("a", "9080", "7070/GRPC"), workload("a1", app="a", address="10.0.0.1"), sidecar_proxy("a1")
)
_QUIET = '{egress: [{hosts: ["~/*"]}]}'


def test_each_endpoint_port_is_an_inbound_listener_in_front_of_the_application() -> None:
    """On the workload's address, to 127.0.0.1, without anything that is pushed by itself."""
    view = only(compiled(documents(_INBOUND, _sidecar(_QUIET))))
    assert set(messages(view, ResourceType.LISTENER)) == {"10.0.0.1_9080", "10.0.0.1_7070"}
    assert messages(view, ResourceType.ROUTE) == {}
    assert messages(view, ResourceType.ENDPOINTS) == {}
    assert messages(view, ResourceType.LISTENER)["10.0.0.1_9080"]["traffic_direction"] == "INBOUND"
    http = manager(view, "10.0.0.1_9080")
    assert http["stat_prefix"] == "inbound_10.0.0.1_9080;"
    assert http["route_config"]["name"] == "inbound|9080||"
    (host,) = http["route_config"]["virtual_hosts"]
    assert (host["name"], host["domains"]) == ("inbound|http|9080", ["*"])
    (route,) = host["routes"]
    assert route["route"]["cluster"] == "inbound|9080||"
    assert route["route"]["timeout"] == "0s"
    assert route["route"]["retry_policy"]["retry_on"] == "reset-before-request"
    cluster = messages(view, ResourceType.CLUSTER)["inbound|9080||"]
    (locality,) = cluster["load_assignment"]["endpoints"]
    (host,) = locality["lb_endpoints"]
    assert host["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 9080}


def test_grpc_is_not_retried_at_the_application() -> None:
    """As in Istio."""
    http = manager(only(compiled(documents(_INBOUND, _sidecar(_QUIET)))), "10.0.0.1_7070")
    assert "retry_policy" not in http["route_config"]["virtual_hosts"][0]["routes"][0]["route"]


def test_services_that_disagree_about_a_port_are_an_error() -> None:
    """One application can't be spoken to in HTTP/1.1 for one service and in HTTP/2 for another."""
    text = """
kind: ServiceEntry
metadata: {name: again}
spec:
  hosts: [again.example.com]
  resolution: STATIC
  ports: [{number: 99, name: grpc, protocol: GRPC, targetPort: 9080}]
  workloadSelector: {labels: {app: a}}
"""
    result = compiled(documents(_INBOUND, text, _sidecar(_QUIET)))
    (finding,) = result.findings
    assert finding.code == "port-protocol"
    assert "HTTP in a.default.svc.cluster.local, GRPC in again.example.com" in finding.message


@pytest.mark.parametrize(
    ("endpoint", "address"),
    [
        ("127.0.0.1:8000", {"socket_address": {"address": "127.0.0.1", "port_value": 8000}}),
        ("0.0.0.0:8000", {"socket_address": {"address": "10.0.0.1", "port_value": 8000}}),
        ("[::1]:8000", {"socket_address": {"address": "::1", "port_value": 8000}}),
        ("unix:///run/app.sock", {"pipe": {"path": "/run/app.sock"}}),
    ],
)
def test_ingress_listeners_replace_the_automatic_ones(endpoint: str, address: dict[str, object]) -> None:
    """With the port, the address and the application that they say."""
    ingress = f'{{port: {{number: 15000}}, bind: 10.0.0.7, defaultEndpoint: "{endpoint}"}}'
    view = only(compiled(documents(_INBOUND, _sidecar(f"{{ingress: [{ingress}], {_QUIET[1:]}"))))
    assert set(messages(view, ResourceType.LISTENER)) == {"10.0.0.7_15000"}
    (cluster,) = messages(view, ResourceType.CLUSTER).values()
    assert cluster["name"] == "inbound|15000||"
    assert cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] == address


def test_ingress_listeners_of_one_port_have_clusters_of_their_own() -> None:
    """Two addresses, one port, two applications."""
    ingress = ", ".join(
        f'{{port: {{number: 80, protocol: HTTP2}}, bind: 10.0.0.{n}, defaultEndpoint: "127.0.0.1:800{n}"}}'
        for n in (1, 2)
    )
    view = only(compiled(documents(_INBOUND, _sidecar(f"{{ingress: [{ingress}], {_QUIET[1:]}"))))
    assert set(messages(view, ResourceType.CLUSTER)) == {"inbound|80||", "inbound|80|10.0.0.2|"}


@pytest.mark.parametrize("endpoint", ["127.0.0.1", "10.0.0.9:80", "127.0.0.1:0", "127.0.0.1:99999", "unix://", "x"])
def test_a_default_endpoint_that_is_none_is_an_error(endpoint: str) -> None:
    """It names the field, and nothing is opened in its place."""
    ingress = f'{{port: {{number: 15000}}, defaultEndpoint: "{endpoint}"}}'
    result = compiled(documents(_INBOUND, _sidecar(f"{{ingress: [{ingress}], {_QUIET[1:]}")))
    (finding,) = result.findings
    assert finding.code == "default-endpoint"
    assert finding.path == ("spec", "ingress", 0, "defaultEndpoint")
    assert messages(only(result), ResourceType.LISTENER) == {}


def test_a_workload_without_a_document_has_only_its_outbound_side() -> None:
    """Validation refuses it; the compiler doesn't fall over it."""
    view = compiled(documents(service("a"), sidecar_proxy("nobody"))).views[Key("default", "nobody")]
    assert set(messages(view, ResourceType.LISTENER)) == {"127.0.0.1_9080"}
