"""What a gRPC server gets: a listener for each port of its workload, by the name that gRPC's bootstrap makes of an address."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import Compiled
from reconciler.compile.proxyless import SERVER
from reconciler.model.key import Key
from reconciler.model.resource import ResourceType, View
from tests.compile.applications import application, message, names, said
from tests.compile.meshes import compiled, documents, service, sidecar_proxy, workload

_OWN = ", certificates: {certificateChain: /c/tls.crt, privateKey: /c/tls.key, rootCertificate: /c/ca.crt}"


def _result(*texts: str, address: str = "10.0.0.1", ports: str = "9080/GRPC", extra: str = "") -> Compiled:
    mesh = (
        service("a", *ports.split()),
        workload("w", app="a", address=address),
        application(workload="w", extra=extra),
    )
    return compiled(documents(*mesh, *texts))


def _view(result: Compiled) -> View:
    return result.views[Key("default", "app")]


def _served(view: View) -> list[str]:
    return [name.removeprefix(SERVER) for name in names(view, ResourceType.LISTENER) if name.startswith(SERVER)]


def _chain(view: View, place: str) -> dict[str, Any]:
    listener = message(view, ResourceType.LISTENER, f"{SERVER}{place}")
    (chain,) = listener["filter_chains"]
    found: dict[str, Any] = chain
    return found


def _ingress(tls: str, *, protocol: str = "HTTPS") -> str:
    return (
        "kind: Sidecar\nmetadata: {name: s}\nspec: {workloadSelector: {labels: {app: a}}, ingress: [{port: "
        f"{{number: 9443, protocol: {protocol}, name: x}}, defaultEndpoint: '127.0.0.1:9443', {tls}}}]}}"
    )


def test_a_server_takes_its_calls_itself_at_its_address_and_at_all_addresses() -> None:
    """An inline route without a destination (A36), for whichever way the application binds its port."""
    view = _view(_result())
    assert _served(view) == ["0.0.0.0:9080", "10.0.0.1:9080", "[::]:9080"]
    listener = message(view, ResourceType.LISTENER, f"{SERVER}10.0.0.1:9080")
    assert listener["address"]["socket_address"] == {"address": "10.0.0.1", "port_value": 9080}
    (network_filter,) = _chain(view, "10.0.0.1:9080")["filters"]
    manager = network_filter["typed_config"]
    (host,) = manager["route_config"]["virtual_hosts"]
    assert host["domains"] == ["*"]
    assert host["routes"] == [{"name": "default", "match": {"prefix": "/"}, "non_forwarding_action": {}}]
    assert [item["name"] for item in manager["http_filters"]] == ["envoy.filters.http.router"]


def test_addresses_of_ipv6_stand_in_brackets() -> None:
    """As gRPC writes them."""
    assert _served(_view(_result(address="2001:db8::1"))) == ["[2001:db8::1]:9080", "[::]:9080"]


def test_an_application_without_a_workload_serves_nothing() -> None:
    """It is a client only, and no inbound side is made up for it."""
    view = compiled(documents(service("a"), application())).views[Key("default", "app")]
    assert _served(view) == []


def test_there_is_no_interception_and_no_application_cluster() -> None:
    """Whatever the Mesh says: nobody redirects connections for it."""
    view = _view(_result("kind: Mesh\nmetadata: {name: mesh}\nspec: {interception: REDIRECT}"))
    assert all(name.startswith("outbound|") for name in names(view, ResourceType.CLUSTER))
    assert not {"virtualInbound", "virtualOutbound"} & set(names(view, ResourceType.LISTENER))


def test_a_service_of_no_addresses_is_looked_up_even_where_others_are_redirected() -> None:
    """Resolution NONE means where a caller was going; a gRPC client was going to the name."""
    text = "kind: ServiceEntry\nmetadata: {name: b}\nspec: {hosts: [b.example], resolution: NONE, ports: [{number: 80, name: grpc, protocol: GRPC}]}"
    result = compiled(
        documents(text, application(), "kind: Mesh\nmetadata: {name: mesh}\nspec: {interception: REDIRECT}")
    )
    cluster = message(_view(result), ResourceType.CLUSTER, "outbound|80||b.example")
    assert cluster["type"] == "LOGICAL_DNS"
    assert _view(result).unsupported == ()


def test_ports_that_speak_no_http_are_not_served() -> None:
    """And it is said at the workload."""
    view = _view(_result(ports="9080/GRPC 90/TCP"))
    assert {place.rsplit(":", 1)[1] for place in _served(view)} == {"9080"}
    assert said(view) == [("grpc-not-served", "address")]


def test_a_server_asks_for_certificates_of_its_bootstrap() -> None:
    """ISTIO_MUTUAL on an ingress listener: its own certificate, and clients must show theirs (A29)."""
    view = _view(_result(_ingress("tls: {mode: ISTIO_MUTUAL}"), extra=_OWN))
    context = _chain(view, "10.0.0.1:9443")["transport_socket"]["typed_config"]
    assert context["require_client_certificate"] is True
    assert context["common_tls_context"] == {
        "tls_certificate_provider_instance": {"instance_name": "default"},
        "validation_context": {"ca_certificate_provider_instance": {"instance_name": "default"}},
    }
    assert view.unsupported == ()
    assert view.of_type(ResourceType.SECRET) == ()


def test_without_a_word_of_tls_there_is_none() -> None:
    """Envoys then take both; gRPC can't, and callers have to come as they are."""
    assert "transport_socket" not in _chain(_view(_result(extra=_OWN)), "10.0.0.1:9080")


@pytest.mark.parametrize(
    "tls",
    [
        "tls: {mode: SIMPLE, serverCertificate: /o/tls.crt, privateKey: /o/tls.key}",
        "tls: {mode: MUTUAL, credentialName: some}",
        "tls: {mode: ISTIO_MUTUAL, minProtocolVersion: TLSV1_3}",
        "tls: {mode: ISTIO_MUTUAL, subjectAltNames: [a]}",
        "tls: {mode: PASSTHROUGH}",
    ],
)
def test_what_secures_a_server_is_never_left_out(tls: str) -> None:
    """A port that gRPC can't secure as the policy asks gets no listener, and a server waits for one."""
    view = _view(_result(_ingress(tls), extra=_OWN))
    assert _served(view) == []
    assert [code for code, _ in said(view)] == ["grpc-not-served"]


def test_limits_of_a_workload_are_for_proxies() -> None:
    """Nobody stands before a gRPC server who could count."""
    limit = (
        "kind: RateLimit\nmetadata: {name: few}\nspec: {target: {workloads: {labels: {app: a}}}, "
        "local: [{name: all, requests: 1, per: 1s}]}"
    )
    pool = _ingress("connectionPool: {tcp: {maxConnections: 3}}", protocol="GRPC")
    view = _view(_result(limit, pool))
    assert [code for code, _ in said(view)] == ["grpc-unsupported-field"] * 2
    assert _served(view) == ["0.0.0.0:9443", "10.0.0.1:9443", "[::]:9443"]


def test_a_workload_that_is_nowhere_is_said_as_for_a_sidecar() -> None:
    """A server's listeners are named by its address."""
    result = _result(address="a.example")
    assert "workload-address" in {finding.code for finding in result.findings}
    assert _served(_view(result)) == []


def test_no_envoy_notices() -> None:
    """A gRPC application beside a sidecar: the sidecar's view, and what is found wrong, are what they were."""
    base = (service("a"), workload("w", app="a", address="10.0.0.1"), sidecar_proxy("w"))
    alone = compiled(documents(*base))
    beside = compiled(documents(*base, application(workload="w")))
    key = Key("default", "w")
    assert beside.views[key] == alone.views[key]
    assert beside.findings == alone.findings
