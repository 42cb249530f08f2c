"""Clusters and endpoints in gRPC's terms: what can be said is, and what can't sends nobody anywhere."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from reconciler.compile.proxyless.endpoints import assignment
from reconciler.model.resource import ResourceType, View
from tests.compile.applications import HOST, SUBSETS, application, message, reviews, routes, rule, said, view
from tests.compile.meshes import compiled, documents

_NAME = f"outbound|9080||{HOST}"
_OWN = "certificates: {certificateChain: /c/tls.crt, privateKey: /c/tls.key, rootCertificate: /c/ca.crt}"


def _cluster(found: View) -> dict[str, Any]:
    return message(found, ResourceType.CLUSTER, _NAME)


def _groups(found: View) -> list[tuple[str, int, int]]:
    """Of each locality, its place, priority and weight."""
    groups = message(found, ResourceType.ENDPOINTS, _NAME).get("endpoints", [])
    return [
        ("/".join(item["locality"].values()), item.get("priority", 0), item["load_balancing_weight"]) for item in groups
    ]


def _mine(*texts: str) -> View:
    """The view of an application with a certificate of its own."""
    (found,) = compiled(documents(*texts, application(extra=f", {_OWN}"))).views.values()
    return found


@pytest.mark.parametrize(
    ("balancer", "policy", "expected"),
    [
        ("simple: ROUND_ROBIN", "ROUND_ROBIN", []),
        ("simple: LEAST_REQUEST", "ROUND_ROBIN", ["simple"]),
        ("simple: RANDOM", "ROUND_ROBIN", ["simple"]),
        ("consistentHash: {httpHeaderName: who}", "RING_HASH", []),
        ("consistentHash: {httpHeaderName: who, maglev: {}}", "RING_HASH", ["consistentHash"]),
        ("consistentHash: {useSourceIp: true}", "RING_HASH", ["consistentHash"]),
        ("consistentHash: {httpCookie: {name: a}}", "RING_HASH", ["consistentHash"]),
        ("simple: ROUND_ROBIN, warmup: {duration: 1s}", "ROUND_ROBIN", ["warmup"]),
    ],
)
def test_load_balancing_is_round_robin_or_a_ring(balancer: str, policy: str, expected: list[str]) -> None:
    """Every other policy is refused by gRPC; who asked for one by name is told."""
    found = view(reviews(), rule(f"loadBalancer: {{{balancer}}}"))
    assert _cluster(found).get("lb_policy", "ROUND_ROBIN") == policy
    assert said(found) == [("grpc-unsupported-field", name) for name in expected]


def test_a_ring_is_looked_up_by_a_header_and_keeps_its_size() -> None:
    """The route says which header; keys that gRPC can't hash stay away from it."""
    found = view(reviews(), rule("loadBalancer: {consistentHash: {httpHeaderName: who, minimumRingSize: 64}}"))
    assert _cluster(found)["ring_hash_lb_config"] == {"minimum_ring_size": "64"}
    (route,) = routes(found)
    assert route["route"]["hash_policy"] == [{"header": {"header_name": "who"}}]
    other = view(reviews(), rule("loadBalancer: {consistentHash: {useSourceIp: true}}"))
    assert "hash_policy" not in routes(other)[0]["route"]


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("outlierDetection: {consecutive5xxErrors: 3}", ["outlierDetection"]),
        ("connectionPool: {tcp: {maxConnections: 3, connectTimeout: 1s}}", ["connectTimeout", "maxConnections"]),
        ("connectionPool: {http: {http2MaxRequests: 3, h2UpgradePolicy: UPGRADE}}", []),
        ("connectionPool: {http: {maxRetries: 3}}", ["maxRetries"]),
        ("retryBudget: {percent: 10}", ["retryBudget"]),
        ("portLevelSettings: [{port: {number: 9080}, outlierDetection: {interval: 1s}}]", ["outlierDetection"]),
    ],
)
def test_what_a_destination_rule_asks_for_in_vain_is_said_where_it_stands(policy: str, expected: list[str]) -> None:
    """Each setting without effect is a warning at its place in the DestinationRule."""
    found = view(reviews(), rule(policy))
    assert said(found) == [("grpc-unsupported-field", name) for name in expected]
    assert all(finding.origin and finding.path[:2] == ("spec", "trafficPolicy") for finding in found.unsupported)


def test_outlier_detection_is_left_out_whole() -> None:
    """What is left of Envoy's would be an order to eject by success rate."""
    assert "outlier_detection" not in _cluster(view(reviews(), rule("outlierDetection: {consecutive5xxErrors: 3}")))


def test_the_limit_of_requests_is_kept() -> None:
    """The one limit that gRPC has (A32)."""
    found = _cluster(view(reviews(), rule("connectionPool: {http: {http2MaxRequests: 3}}")))
    assert found["circuit_breakers"]["thresholds"][0]["max_requests"] == 3


def test_localities_weigh_what_their_endpoints_do() -> None:
    """A locality without a weight is passed over by gRPC, be it nowhere; Envoy gives each endpoint its share."""
    found = view(
        reviews("{address: 10.1.0.1, locality: a/b}", "{address: 10.1.0.2, locality: a/b}", "{address: 10.1.0.3}")
    )
    assert _groups(found) == [("", 0, 1), ("a/b", 0, 2)]


def test_endpoints_of_different_weight_are_localities_of_their_own() -> None:
    """Its round robin knows no weights; a ring does, and is left as it is."""
    text = reviews("{address: 10.1.0.1, weight: 3}", "{address: 10.1.0.2}", "{address: 10.1.0.3}")
    assert _groups(view(text)) == [("weight-1", 0, 2), ("weight-3", 0, 3)]
    ring = view(text, rule("loadBalancer: {consistentHash: {httpHeaderName: who}}"))
    assert _groups(ring) == [("", 0, 5)]


def test_a_subset_has_its_endpoints() -> None:
    """Subsets are clusters of their own."""
    found = view(
        reviews("{address: 10.1.0.1, labels: {version: v1}}", "{address: 10.1.0.2, labels: {version: v2}}"), SUBSETS
    )
    (group,) = message(found, ResourceType.ENDPOINTS, f"outbound|9080|v2|{HOST}")["endpoints"]
    (member,) = group["lb_endpoints"]
    assert member["endpoint"]["address"]["socket_address"] == {"address": "10.1.0.2", "port_value": 9080}


def test_unix_sockets_are_left_out_and_said() -> None:
    """All endpoints are refused for one that is no IP address."""
    found = view(reviews("{address: 10.1.0.1}", "{address: 'unix:///a', ports: {}}"))
    assert _groups(found) == [("", 0, 1)]
    assert said(found) == [("grpc-unreachable", "endpoints")]


def test_a_service_of_one_name_is_looked_up() -> None:
    """As Envoy does it; a name of several is nowhere, and it is said."""
    found = view(reviews("{address: a.example}", extra="resolution: DNS"))
    cluster = _cluster(found)
    assert cluster["type"] == "LOGICAL_DNS"
    (group,) = cluster["load_assignment"]["endpoints"]
    assert group["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]["address"] == "a.example"
    assert found.of_type(ResourceType.ENDPOINTS) == ()
    several = view(reviews("{address: a.example}", "{address: b.example}", extra="resolution: DNS"))
    assert (_cluster(several)["type"], _groups(several)) == ("EDS", [])
    assert said(several) == [("grpc-unreachable", "resolution")]


def test_a_service_without_endpoints_is_no_fault_of_grpc() -> None:
    """Nobody could call it."""
    found = view(reviews(extra="resolution: STATIC").split("  endpoints:")[0])
    assert _groups(found) == []
    assert found.unsupported == ()


def test_mutual_tls_takes_certificates_from_the_bootstrap() -> None:
    """The provider of the proxy's own files, on both sides of the handshake, and no secret by xDS (A29)."""
    names = "subjectAltNames: ['spiffe://a/b']"
    found = _mine(reviews(), rule(f"tls: {{mode: ISTIO_MUTUAL, {names}}}"))
    context = _cluster(found)["transport_socket"]["typed_config"]["common_tls_context"]
    assert context == {
        "tls_certificate_provider_instance": {"instance_name": "default"},
        "validation_context": {
            "ca_certificate_provider_instance": {"instance_name": "default"},
            "match_subject_alt_names": [{"exact": "spiffe://a/b"}],
        },
    }
    assert found.of_type(ResourceType.SECRET) == ()
    assert found.unsupported == ()


def test_public_certificates_are_those_of_the_host() -> None:
    """SIMPLE without files trusts what the machine trusts (A82)."""
    found = view(reviews(), rule("tls: {mode: SIMPLE, sni: a.example}"))
    context = _cluster(found)["transport_socket"]["typed_config"]["common_tls_context"]
    assert context["validation_context"]["system_root_certs"] == {}
    assert said(found) == [("grpc-unsupported-field", "sni")]


@pytest.mark.parametrize(
    "tls",
    [
        "mode: SIMPLE, caCertificates: /other/ca.crt",
        "mode: MUTUAL, clientCertificate: /o/tls.crt, privateKey: /o/tls.key, caCertificates: /c/ca.crt",
        "mode: SIMPLE, credentialName: some",
        "mode: SIMPLE, insecureSkipVerify: true",
        "mode: ISTIO_MUTUAL, caCrl: /c/crl.pem",
    ],
)
def test_tls_that_grpc_cant_do_is_never_left_out(tls: str) -> None:
    """A cluster that can't be called as securely as the policy asks can't be called."""
    found = _mine(reviews(), rule(f"tls: {{{tls}}}"))
    assert "transport_socket" not in _cluster(found)
    assert _groups(found) == []
    assert said(found) == [("grpc-unreachable", "tls")]


def test_the_proxy_protocol_is_no_grpc() -> None:
    """An endpoint that waits for it would not understand."""
    found = view(reviews(), rule("proxyProtocol: {version: V1}"))
    assert _groups(found) == []
    assert said(found) == [("grpc-unreachable", "proxyProtocol")]


_MEMBERS = st.lists(st.integers(1, 5), max_size=5)
_GROUPS = st.lists(st.tuples(st.integers(0, 2), st.one_of(st.none(), st.integers(1, 9)), _MEMBERS), max_size=6)


@given(groups=_GROUPS, hashed=st.booleans())
def test_every_endpoint_keeps_its_share_of_its_priority(
    groups: list[tuple[int, int | None, list[int]]], *, hashed: bool
) -> None:
    """What Envoy would send it by the weights of localities and endpoints, gRPC does by the weights of localities alone."""
    given_ = ClusterLoadAssignment(cluster_name="c")
    shares: dict[tuple[int, int], float] = {}
    for number, (priority, weight, sizes) in enumerate(groups):
        group = given_.endpoints.add(priority=priority)
        group.locality.region = str(number)
        if weight:
            group.load_balancing_weight.value = weight
        for position, size in enumerate(sizes):
            port = 1000 + 10 * number + position
            group.lb_endpoints.add().CopyFrom(_member(port, size))
            shares[priority, port] = (weight or sum(sizes)) * size / sum(sizes)
    out = assignment(given_, hashed=hashed)
    assert sorted({group.priority for group in out.endpoints}) == list(range(len({priority for priority, _ in shares})))
    found = {
        member.endpoint.address.socket_address.port_value: (group.priority, _share(group, member, hashed=hashed))
        for group in out.endpoints
        for member in group.lb_endpoints
    }
    assert set(found) == {port for _, port in shares}
    for number, priority in enumerate(sorted({priority for priority, _ in shares})):
        wanted = {port: share for (place, port), share in shares.items() if place == priority}
        have = {port: share for port, (place, share) in found.items() if place == number}
        assert {port: share / sum(have.values()) for port, share in have.items()} == pytest.approx(
            {port: share / sum(wanted.values()) for port, share in wanted.items()}
        )


def _share(group: Any, member: Any, *, hashed: bool) -> float:
    sizes = [item.load_balancing_weight.value for item in group.lb_endpoints]
    assert hashed or len(set(sizes)) == 1
    return float(group.load_balancing_weight.value * member.load_balancing_weight.value / sum(sizes))


def _member(port: int, weight: int) -> Any:
    value = {
        "endpoint": {"address": {"socket_address": {"address": "10.0.0.1", "port_value": port}}},
        "load_balancing_weight": weight,
    }
    return json_format.ParseDict(value, ClusterLoadAssignment().endpoints.add().lb_endpoints.add())
