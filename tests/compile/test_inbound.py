"""Inbound listeners of every protocol, and the application behind them."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import Compiled
from reconciler.model.resource import ResourceType
from tests.compile.meshes import compiled, documents, messages, only, service, sidecar_proxy, workload

_WORKLOAD = documents(workload("a1", app="a", address="10.0.0.1"), sidecar_proxy("a1"))


def _result(*texts: str, base: str = _WORKLOAD) -> Compiled:
    quiet = "kind: Sidecar\nmetadata: {name: quiet}\nspec: {egress: [{hosts: ['~/*']}]}"
    return compiled(documents(base, quiet, *texts))


def _sidecar(ingress: str, more: str = "") -> str:
    return f"""
kind: Sidecar
metadata: {{name: own}}
spec: {{workloadSelector: {{labels: {{app: a}}}}, ingress: [{ingress}], egress: [{{hosts: ["~/*"]}}]{more}}}
"""


def _chain(result: Compiled, listener: str) -> dict[str, Any]:
    (chain,) = messages(only(result), ResourceType.LISTENER)[listener]["filter_chains"]
    found: dict[str, Any] = chain
    return found


def _config(chain: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = chain["filters"][0]["typed_config"]
    return found


def _kind(chain: dict[str, Any]) -> str:
    return "tcp" if "cluster" in _config(chain) else "http"


@pytest.mark.parametrize(
    ("protocol", "kind"),
    [("HTTP", "http"), ("GRPC", "http"), ("GRPC-WEB", "http"), ("TCP", "tcp"), ("MYSQL", "tcp"), ("TLS", "tcp"), ("HTTPS", "tcp")],
)  # fmt: skip
def test_requests_are_looked_at_where_they_are_plain(protocol: str, kind: str) -> None:
    """TLS of a service is its application's to end: connections are passed on whole."""
    result = _result(service("a", f"7000/{protocol}"))
    chain = _chain(result, "10.0.0.1_7000")
    assert _kind(chain) == kind
    if kind == "tcp":
        assert _config(chain)["stat_prefix"] == _config(chain)["cluster"] == "inbound|7000||"
    assert "inbound|7000||" in messages(only(result), ResourceType.CLUSTER)


def test_services_that_disagree_whether_a_port_is_http_are_an_error() -> None:
    """Requests and bytes can't be looked at at once."""
    other = service("b", "7000/TCP").replace("{app: b}", "{app: a}")
    (finding,) = _result(service("a", "7000"), other).findings
    assert finding.code == "port-protocol"


def test_an_ingress_listener_without_an_endpoint_is_in_front_of_its_own_port() -> None:
    """On loopback, which needs another address for the listener."""
    result = _result(_sidecar("{port: {number: 7000, protocol: TCP}}"))
    (cluster,) = messages(only(result), ResourceType.CLUSTER).values()
    (host,) = cluster["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert host["endpoint"]["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 7000}


_TLS = "tls: {mode: SIMPLE, serverCertificate: /c/tls.crt, privateKey: /c/tls.key}"


@pytest.mark.parametrize(
    ("protocol", "kind", "alpn"), [("HTTPS", "http", ["h2", "http/1.1"]), ("TLS", "tcp", None), ("HTTP", "http", ["h2", "http/1.1"])]
)  # fmt: skip
def test_tls_that_an_ingress_listener_ends(protocol: str, kind: str, alpn: list[str] | None) -> None:
    """With a certificate that comes as a secret, so that a renewed one needs no push."""
    result = _result(_sidecar(f"{{port: {{number: 7000, protocol: {protocol}}}, {_TLS}}}"))
    chain = _chain(result, "10.0.0.1_7000")
    assert _kind(chain) == kind
    common = chain["transport_socket"]["typed_config"]["common_tls_context"]
    assert common.get("alpn_protocols") == alpn
    (secret,) = messages(only(result), ResourceType.SECRET)
    assert [item["name"] for item in common["tls_certificate_sds_secret_configs"]] == [secret]


def test_an_ingress_listener_without_its_certificate_is_not_opened() -> None:
    """Never without TLS instead."""
    result = _result(_sidecar("{port: {number: 7000, protocol: HTTPS}, tls: {mode: ISTIO_MUTUAL}}"))
    (finding,) = result.findings
    assert (finding.code, finding.path) == ("no-certificate", ("spec", "ingress", 0, "tls"))
    assert messages(only(result), ResourceType.LISTENER) == {}


def test_tls_that_is_passed_through() -> None:
    """`PASSTHROUGH`, the default mode, says the same as no `tls`."""
    result = _result(_sidecar("{port: {number: 7000, protocol: TLS}, tls: {mode: PASSTHROUGH}}"))
    chain = _chain(result, "10.0.0.1_7000")
    assert "transport_socket" not in chain
    assert _kind(chain) == "tcp"


_POOL = "{tcp: {maxConnections: 7, idleTimeout: 30s}, http: {http2MaxRequests: 9}}"


def test_limits_protect_the_application() -> None:
    """A listener's own, else the Sidecar's, also where listeners are automatic."""
    own = "{tcp: {maxConnections: 5}}"
    result = _result(
        _sidecar(
            f"{{port: {{number: 7000, protocol: TCP}}, connectionPool: {own}}}, {{port: {{number: 7001, protocol: TCP}}}}",
            f", inboundConnectionPool: {_POOL}",
        )
    )
    clusters = messages(only(result), ResourceType.CLUSTER)
    limits = {name: cluster["circuit_breakers"]["thresholds"][0] for name, cluster in clusters.items()}
    assert limits["inbound|7000||"]["max_connections"] == 5
    assert limits["inbound|7001||"]["max_connections"] == 7
    assert _config(_chain(result, "10.0.0.1_7001"))["idle_timeout"] == "30s"
    assert "idle_timeout" not in _config(_chain(result, "10.0.0.1_7000"))
    automatic = f"""
kind: Sidecar
metadata: {{name: own}}
spec: {{workloadSelector: {{labels: {{app: a}}}}, inboundConnectionPool: {_POOL}, egress: [{{hosts: ["~/*"]}}]}}
"""
    result = _result(service("a", "7000/GRPC"), automatic)
    cluster = messages(only(result), ResourceType.CLUSTER)["inbound|7000||"]
    assert cluster["circuit_breakers"]["thresholds"][0]["max_requests"] == 9
    (options,) = cluster["typed_extension_protocol_options"].values()
    assert "http2_protocol_options" in options["explicit_http_config"]
    assert options["common_http_protocol_options"]["idle_timeout"] == "30s"


def test_a_destination_rule_limits_the_callee_too() -> None:
    """As in Istio, for the endpoint port of its service port; the Sidecar goes before it, and rules for some callers don't count."""
    rule = f"""
kind: DestinationRule
metadata: {{name: a}}
spec: {{host: a, trafficPolicy: {{portLevelSettings: [{{port: {{number: 7000}}, connectionPool: {_POOL}}}]}}}}
"""
    others = """
kind: DestinationRule
metadata: {name: a-for-b}
spec: {host: a, workloadSelector: {matchLabels: {app: b}}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}
"""

    def limit(*texts: str, cluster: str = "inbound|7000||") -> int:
        clusters = messages(only(_result(service("a", "7000/TCP", "7001/TCP"), *texts)), ResourceType.CLUSTER)
        found: int = clusters[cluster]["circuit_breakers"]["thresholds"][0]["max_connections"]
        return found

    assert limit(rule, others) == 7
    assert limit(rule, cluster="inbound|7001||") == 4294967295
    own = _sidecar("{port: {number: 7000, protocol: TCP}, connectionPool: {tcp: {maxConnections: 5}}}")
    assert limit(rule, own) == 5
    assert limit(rule, _sidecar("{port: {number: 7000, protocol: TCP}}")) == 7


@pytest.mark.parametrize("address", ["unix:///run/app.sock", "app.example.com"])
def test_a_workload_that_can_not_be_listened_for_is_named(address: str) -> None:
    """Its outbound side is there all the same."""
    base = documents(workload("a1", app="a", address=address), sidecar_proxy("a1"))
    result = _result(service("a", "7000"), base=base)
    (finding,) = [item for item in result.findings if item.code == "workload-address"]
    assert finding.path == ("spec", "address")
    assert messages(only(result), ResourceType.LISTENER) == {}


def test_redirected_ingress_listeners_are_told_apart_by_port() -> None:
    """Two for one port can't both be had; one that opens its port itself is no part of it."""
    mesh = "kind: Mesh\nmetadata: {name: mesh}\nspec: {interception: REDIRECT}"
    first = '{port: {number: 7000}, defaultEndpoint: "127.0.0.1:1"}'
    second = '{port: {number: 7000, protocol: TCP}, defaultEndpoint: "127.0.0.1:2"'
    (finding,) = _result(mesh, _sidecar(f"{first}, {second}}}")).findings
    assert (finding.code, finding.path) == ("port-clash", ("spec", "ingress", 1, "port", "number"))
    result = _result(mesh, _sidecar(f"{first}, {second}, captureMode: NONE, bind: 10.0.0.7}}"))
    assert result.findings == ()
    assert "10.0.0.7_7000" in messages(only(result), ResourceType.LISTENER)
