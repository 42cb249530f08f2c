"""Clusters and endpoints."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.resource import ResourceType
from tests.compile.meshes import compiled, documents, gateway_proxy, messages, only, service, sidecar_proxy, workload

_BASE = documents(
    service("a", "9080", "7070/GRPC"),
    workload("a1", app="a", address="10.0.0.1"),
    workload("a2", app="a", address="10.0.0.2", version="v2"),
    sidecar_proxy("a1"),
)
_HOST = "a.default.svc.cluster.local"


def _clusters(*texts: str) -> dict[str, Any]:
    return messages(only(compiled(documents(_BASE, *texts))), ResourceType.CLUSTER)


def _rule(spec: str, name: str = "a", namespace: str = "default") -> str:
    return f"kind: DestinationRule\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}"


def test_each_port_and_each_subset_of_it_is_a_cluster_with_endpoints() -> None:
    """Named after Istio; a subset's endpoints are those with its labels."""
    text = _rule("{host: a, subsets: [{name: v1, labels: {version: v1}}, {name: none, labels: {version: v9}}]}")
    view = only(compiled(documents(_BASE, text)))
    names = {f"outbound|{port}|{subset}|{_HOST}" for port in (9080, 7070) for subset in ("", "v1", "none")}
    assert set(messages(view, ResourceType.ENDPOINTS)) == names
    assert set(messages(view, ResourceType.CLUSTER)) == names | {"inbound|9080||", "inbound|7070||"}
    found = {
        name.split("|")[2]: [
            host["endpoint"]["address"]["socket_address"]["address"]
            for locality in assignment.get("endpoints", [])
            for host in locality["lb_endpoints"]
        ]
        for name, assignment in messages(view, ResourceType.ENDPOINTS).items()
    }
    assert found == {"": ["10.0.0.1", "10.0.0.2"], "v1": ["10.0.0.1"], "none": []}


def test_defaults_are_istios() -> None:
    """Least request, ten seconds to connect, no circuit breaker of Envoy's own, endpoints by EDS."""
    cluster = _clusters()[f"outbound|9080||{_HOST}"]
    assert cluster["type"] == "EDS"
    assert cluster["lb_policy"] == "LEAST_REQUEST"
    assert cluster["connect_timeout"] == "10s"
    (threshold,) = cluster["circuit_breakers"]["thresholds"]
    assert {threshold[name] for name in ("max_connections", "max_pending_requests", "max_requests", "max_retries")} == {
        4294967295
    }
    source = cluster["eds_cluster_config"]["eds_config"]
    assert source["path_config_source"]["path"] == f"/var/lib/envoy/a1/endpoints/outbound|9080||{_HOST}.pb"
    assert source["resource_api_version"] == "V3"
    assert "alt_stat_name" not in cluster


@pytest.mark.parametrize(
    ("rule", "subset", "base"),
    [
        ("", "LEAST_REQUEST", "LEAST_REQUEST"),
        ("trafficPolicy: {loadBalancer: {simple: RANDOM}},", "RANDOM", "RANDOM"),
        ("trafficPolicy: {loadBalancer: {simple: LEAST_CONN}},", "LEAST_REQUEST", "LEAST_REQUEST"),
    ],
)
def test_a_subset_has_the_rules_load_balancer(rule: str, subset: str, base: str) -> None:
    """Unless it says otherwise; the old LEAST_CONN is LEAST_REQUEST."""
    found = _clusters(_rule(f"{{host: a, {rule} subsets: [{{name: v1}}]}}"))
    assert found[f"outbound|9080|v1|{_HOST}"]["lb_policy"] == subset
    assert found[f"outbound|9080||{_HOST}"]["lb_policy"] == base


def test_a_subsets_load_balancer_overrides_the_rules() -> None:
    """Block by block."""
    found = _clusters(
        _rule(
            "{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: "
            "[{name: v1, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}}, {name: v2, trafficPolicy: {}}]}"
        )
    )
    # ROUND_ROBIN is the enum's zero, which proto3 leaves out.
    assert "lb_policy" not in found[f"outbound|9080|v1|{_HOST}"]
    assert found[f"outbound|9080|v2|{_HOST}"]["lb_policy"] == "RANDOM"


def test_metadata_says_which_rule_and_subset() -> None:
    """Where a cluster's settings came from can be read in the proxy."""
    found = _clusters(_rule("{host: a, subsets: [{name: v1}]}"))
    config = "/apis/networking.istio.io/v1/namespaces/default/destination-rule/a"
    assert found[f"outbound|9080|v1|{_HOST}"]["metadata"]["filter_metadata"] == {
        "istio": {"config": config, "subset": "v1"}
    }
    assert found[f"outbound|9080||{_HOST}"]["metadata"]["filter_metadata"] == {"istio": {"config": config}}


def test_grpc_ports_are_spoken_to_in_http2() -> None:
    """Towards the service and towards the application."""
    found = _clusters()
    for name in (f"outbound|7070||{_HOST}", "inbound|7070||"):
        (options,) = found[name]["typed_extension_protocol_options"].values()
        assert options["explicit_http_config"] == {"http2_protocol_options": {}}
    assert "typed_extension_protocol_options" not in found[f"outbound|9080||{_HOST}"]


def test_http2_is_put_on_top_of_an_operators_protocol_options() -> None:
    """A template's own HTTP options are kept for HTTP/2 ports."""
    text = """
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    common_http_protocol_options: {idle_timeout: 30s}
    explicit_http_config: {http_protocol_options: {}}
"""
    found = messages(only(compiled(_BASE, cluster=text)), ResourceType.CLUSTER)
    (grpc,) = found[f"outbound|7070||{_HOST}"]["typed_extension_protocol_options"].values()
    (plain,) = found[f"outbound|9080||{_HOST}"]["typed_extension_protocol_options"].values()
    assert grpc["common_http_protocol_options"] == plain["common_http_protocol_options"] == {"idle_timeout": "30s"}
    assert grpc["explicit_http_config"] == {"http2_protocol_options": {}}
    assert plain["explicit_http_config"] == {"http_protocol_options": {}}


def test_weights_and_ports_of_endpoints() -> None:
    """A WorkloadEntry's weight, and its own port where it has one; the service's target port otherwise."""
    text = """
kind: ServiceEntry
metadata: {name: x}
spec:
  hosts: [x.example.com]
  resolution: STATIC
  ports: [{number: 80, name: http, targetPort: 8080}]
  endpoints: [{address: 10.1.0.2, weight: 3, ports: {http: 81}}, {address: 10.1.0.1}]
"""
    view = only(compiled(documents(_BASE, text)))
    (locality,) = messages(view, ResourceType.ENDPOINTS)["outbound|80||x.example.com"]["endpoints"]
    found = {
        (*host["endpoint"]["address"]["socket_address"].values(), host["load_balancing_weight"])
        for host in locality["lb_endpoints"]
    }
    assert found == {("10.1.0.1", 8080, 1), ("10.1.0.2", 81, 3)}


def test_a_rule_of_the_clients_namespace_comes_before_the_services() -> None:
    """As in Istio: the client's team decides how it calls; without a word from it, the service's team does."""
    rules = (
        _rule(f"{{host: {_HOST}, subsets: [{{name: theirs}}]}}"),
        _rule(f"{{host: {_HOST}, subsets: [{{name: mine}}]}}", namespace="other"),
        _rule(f"{{host: {_HOST}, subsets: [{{name: never}}]}}", namespace="third"),
    )
    view = only(
        compiled(
            documents(
                service("a"),
                workload("c1", app="c", address="10.0.0.9", namespace="other"),
                sidecar_proxy("c1", "other"),
                *rules,
            )
        )
    )
    assert f"outbound|9080|mine|{_HOST}" in messages(view, ResourceType.CLUSTER)
    assert f"outbound|9080|theirs|{_HOST}" not in messages(view, ResourceType.CLUSTER)
    assert f"outbound|9080|theirs|{_HOST}" in _clusters(*rules)
    assert f"outbound|9080|never|{_HOST}" not in _clusters(*rules)


def test_the_most_specific_rule_holds_and_several_for_one_host_add_up() -> None:
    """A wildcard rule is for hosts that have none; subsets of several rules are put together, the first of a name wins."""
    found = _clusters(
        _rule('{host: "*.cluster.local", subsets: [{name: wild}]}', name="w"),
        _rule("{host: a, subsets: [{name: one}, {name: both, labels: {version: v1}}]}", name="a"),
        _rule(f"{{host: {_HOST}, subsets: [{{name: two}}, {{name: both, labels: {{version: v2}}}}]}}", name="b"),
        service("z"),
    )
    subsets = {name.split("|")[2] for name in found if name.startswith("outbound|9080") and name.endswith(_HOST)}
    assert subsets == {"", "one", "two", "both"}
    assert "outbound|9080|wild|z.default.svc.cluster.local" in found


def test_a_gateway_has_only_the_clusters_that_its_routes_use() -> None:
    """A gateway for one service doesn't learn of a thousand others."""
    text = documents(
        service("a"),
        service("b"),
        _rule("{host: a, subsets: [{name: v1}, {name: v2}]}"),
        gateway_proxy(),
        """
kind: Gateway
metadata: {name: g}
spec: {selector: {istio: edge}, servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}]}
""",
        """
kind: VirtualService
metadata: {name: a}
spec: {hosts: ["*"], gateways: [g], http: [{route: [{destination: {host: a, subset: v1}}]}]}
""",
    )
    assert set(messages(only(compiled(text)), ResourceType.CLUSTER)) == {f"outbound|9080|v1|{_HOST}"}
