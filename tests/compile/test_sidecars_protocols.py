"""Outbound listeners of every protocol: where they are, what they do with connections, and what is said where they can't be."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import Compiled
from reconciler.errors import Severity
from reconciler.model.resource import ResourceType, View
from tests.compile.meshes import compiled, documents, messages, only, sidecar_proxy, workload

_CALLER = documents(workload("w", app="x", address="10.0.0.1"), sidecar_proxy("w"))


def _service(name: str, *ports: str, extra: str = "resolution: STATIC", namespace: str = "default") -> str:
    """A ServiceEntry `<name>.example.com` with ports such as `443/TLS`."""
    listed = ", ".join(
        f"{{number: {port.partition('/')[0]}, name: p{port.partition('/')[0]}, protocol: {port.partition('/')[2] or 'HTTP'}}}"
        for port in ports
    )
    return f"""
kind: ServiceEntry
metadata: {{name: {name.replace("*", "any")}, namespace: {namespace}}}
spec: {{hosts: ["{name}.example.com"], ports: [{listed}], endpoints: [{{address: 192.0.2.9}}], {extra}}}
"""


def _at(*addresses: str) -> str:
    return f"resolution: STATIC, addresses: [{', '.join(addresses)}]"


def _sidecar(spec: str) -> str:
    return f"kind: Sidecar\nmetadata: {{name: s}}\nspec: {spec}"


def _result(*texts: str) -> Compiled:
    return compiled(documents(_CALLER, *texts))


def _listeners(view: View) -> dict[str, dict[str, Any]]:
    return messages(view, ResourceType.LISTENER)


def _chains(listener: dict[str, Any]) -> list[tuple[dict[str, Any], str]]:
    """What each chain matches, and where it leads: a cluster, or the route configuration of HTTP."""
    found = []
    for chain in listener["filter_chains"]:
        config = chain["filters"][-1]["typed_config"]
        leads = config["rds"]["route_config_name"] if "rds" in config else config["cluster"]
        found.append((chain.get("filter_chain_match", {}), leads))
    return found


def _codes(result: Compiled) -> list[str]:
    return [finding.code for finding in result.findings]


def test_a_service_with_an_address_is_there_too() -> None:
    """HTTP by the same route configuration; freely, because the machine may not have the address (yet)."""
    view = only(_result(_service("web", "80", extra=_at("10.9.0.1", "2001:db8::1"))))
    found = _listeners(view)
    assert set(found) == {"127.0.0.1_80", "10.9.0.1_80", "2001:db8::1_80"}
    assert {name: listener.get("freebind") for name, listener in found.items()} == {
        "127.0.0.1_80": None,
        "10.9.0.1_80": True,
        "2001:db8::1_80": True,
    }
    assert {leads for listener in found.values() for _, leads in _chains(listener)} == {"80"}
    assert list(messages(view, ResourceType.ROUTE)) == ["80"]
    (host, _) = messages(view, ResourceType.ROUTE)["80"]["virtual_hosts"]
    assert {"10.9.0.1", "[2001:db8::1]"} <= set(host["domains"])


def test_no_listener_takes_an_endpoints_place() -> None:
    """Where a service's own endpoint is, connections need no sidecar to get there."""
    view = only(_result(_service("web", "80", extra=_at("192.0.2.9"))))
    assert set(_listeners(view)) == {"127.0.0.1_80"}


def test_tls_goes_by_server_name_on_loopback_and_needs_none_at_its_own_address() -> None:
    """An address says which service is meant, unless two share it."""
    view = only(
        _result(
            _service("a", "443/TLS", extra=_at("10.9.0.1")),
            _service("b", "443/HTTPS", extra=_at("10.9.0.2")),
            _service("c", "443/TLS", extra=_at("10.9.0.2")),
        )
    )
    found = _listeners(view)
    names = {host: f"outbound|443||{host}.example.com" for host in "abc"}
    assert _chains(found["127.0.0.1_443"]) == [
        ({"server_names": [f"{host}.example.com"]}, names[host]) for host in "abc"
    ]
    assert "default_filter_chain" not in found["127.0.0.1_443"]
    assert [item["name"] for item in found["127.0.0.1_443"]["listener_filters"]] == [
        "envoy.filters.listener.tls_inspector"
    ]
    assert _chains(found["10.9.0.1_443"]) == [({}, names["a"])]
    assert "listener_filters" not in found["10.9.0.1_443"]
    assert _chains(found["10.9.0.2_443"]) == [({"server_names": [f"{host}.example.com"]}, names[host]) for host in "bc"]


def test_services_of_the_mesh_have_short_server_names_too() -> None:
    """As clients of the namespace may call them; never one that is another service's full name."""
    text = """
kind: ServiceEntry
metadata: {name: web}
spec: {hosts: [web.default.svc.cluster.local, web.default], resolution: STATIC, ports: [{number: 443, name: p, protocol: TLS}]}
"""
    chains = _chains(_listeners(only(_result(text)))["127.0.0.1_443"])
    assert [match["server_names"] for match, _ in chains] == [
        ["web.default"],
        ["web.default.svc.cluster.local", "web", "web.default.svc"],
    ]


def test_plain_http_and_tls_share_a_port() -> None:
    """Told apart by what the connection begins with."""
    listener = _listeners(only(_result(_service("a", "80"), _service("b", "80/TLS"))))["127.0.0.1_80"]
    assert _chains(listener) == [
        ({"transport_protocol": "raw_buffer"}, "80"),
        ({"server_names": ["b.example.com"]}, "outbound|80||b.example.com"),
    ]


def test_tcp_without_an_address_is_named_and_has_no_listener() -> None:
    """With what to write; a block of addresses is none that can be listened on."""
    result = _result(_service("db", "5432/TCP"), _service("wide", "5433/MONGO", extra=_at("10.9.0.0/16")))
    assert _listeners(only(result)) == {}
    assert messages(only(result), ResourceType.CLUSTER) == {}
    assert _codes(result) == ["tcp-without-address"] * 2
    first = result.findings[0]
    assert (first.severity, first.path) == (Severity.WARNING, ("spec", "addresses"))
    assert "`addresses`" in first.hint
    assert "Sidecar" in first.hint
    assert "REDIRECT" in first.hint


def test_blocks_are_named_where_the_service_is_reached_otherwise() -> None:
    """HTTP is on loopback; only the block is of no use."""
    assert _codes(_result(_service("web", "80", extra=_at("10.9.0.0/16")))) == ["address-block"]


def test_tcp_and_http_at_one_place_clash() -> None:
    """Nothing in a connection tells them apart: both are named, HTTP stays."""
    result = _result(_service("db", "80/TCP", extra=_at("10.9.0.1")), _service("web", "80", extra=_at("10.9.0.1")))
    (finding,) = result.findings
    assert finding.code == "port-clash"
    assert "10.9.0.1:80 may be for db.example.com or for the HTTP services" in finding.message
    assert _chains(_listeners(only(result))["10.9.0.1_80"]) == [({}, "80")]


def test_two_tcp_services_at_one_place_clash() -> None:
    """The first by host keeps it."""
    result = _result(*(_service(name, "1/TCP", extra=_at("10.9.0.1")) for name in ("b", "a")))
    (finding,) = result.findings
    assert "b.example.com or for a.example.com" in finding.message
    assert _chains(_listeners(only(result))["10.9.0.1_1"]) == [({}, "outbound|1||a.example.com")]


def test_all_subsets_of_a_tcp_service_are_there_before_a_rule_needs_them() -> None:
    """A new share of a split finds its cluster warm."""
    rule = """
kind: DestinationRule
metadata: {name: db}
spec: {host: db.example.com, subsets: [{name: v1, labels: {version: v1}}]}
"""
    view = only(_result(_service("db", "1/TCP", extra=_at("10.9.0.1")), rule))
    assert set(messages(view, ResourceType.CLUSTER)) == {"outbound|1||db.example.com", "outbound|1|v1|db.example.com"}


def test_rules_of_several_virtual_services_for_one_host() -> None:
    """One for its requests, one for its connections: as in Istio, both hold; the more exact host goes first."""
    rules = """
kind: VirtualService
metadata: {name: a-wide}
spec:
  hosts: ["*.example.com"]
  tls: [{match: [{sniHosts: ["*.example.com", web.example.com]}], route: [{destination: {host: other.example.com}}]}]
---
kind: VirtualService
metadata: {name: b-exact}
spec: {hosts: [web.example.com], tls: [{match: [{sniHosts: [web.example.com]}], route: [{destination: {host: web.example.com}}]}]}
"""
    result = _result(_service("web", "443/TLS"), _service("other", "443/TLS"), rules)
    chains = _chains(_listeners(only(result))["127.0.0.1_443"])
    leads = {name: cluster for match, cluster in chains for name in match["server_names"]}
    assert leads["*.example.com"] == "outbound|443||other.example.com"
    names = [name for match, _ in chains for name in match["server_names"]]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize(("to", "seen"), [("['*']", True), ("[.]", False), ("[default]", True), ("['~']", False)])
def test_services_that_are_not_exported_to_the_proxy_have_no_listener(to: str, *, seen: bool) -> None:
    """Of any protocol."""
    texts = [
        _service(name, port, namespace="shop", extra=f"{_at(f'10.9.0.{number}')}, exportTo: {to}")
        for number, (name, port) in enumerate([("web", "80"), ("tls", "443/TLS"), ("db", "1/TCP")])
    ]
    view = only(_result(*texts))
    assert bool(_listeners(view)) is seen
    assert bool(messages(view, ResourceType.CLUSTER)) is seen


def test_rules_that_are_not_exported_to_the_proxy_do_not_hold() -> None:
    """Nor those out of the Sidecar's scope."""
    rule = """
kind: VirtualService
metadata: {name: db, namespace: shop}
spec: {hosts: [db.example.com], exportTo: [%s], tcp: [{route: [{destination: {host: other.example.com}}]}]}
"""
    services = (
        _service("db", "1/TCP", extra=_at("10.9.0.1")), _service("other", "1/TCP", extra=_at("10.9.0.2"))
    )  # fmt: skip
    other = "outbound|1||other.example.com"
    assert _chains(_listeners(only(_result(*services, rule % "'*'")))["10.9.0.1_1"]) == [({}, other)]
    own = "outbound|1||db.example.com"
    assert _chains(_listeners(only(_result(*services, rule % ".")))["10.9.0.1_1"]) == [({}, own)]
    scope = _sidecar('{egress: [{hosts: ["./*"]}]}')
    assert _chains(_listeners(only(_result(*services, rule % "'*'", scope)))["10.9.0.1_1"]) == [({}, own)]


def _egress(protocol: str, hosts: str = '"*/*"', more: str = "") -> str:
    return _sidecar(f"{{egress: [{{port: {{number: 3306, protocol: {protocol}}}, hosts: [{hosts}]{more}}}]}}")


def test_an_egress_listener_of_tcp_is_for_the_service_of_its_port_or_the_only_port() -> None:
    """On loopback by default; what it names needs no addresses then."""
    result = _result(_service("db", "3306/MYSQL"), _egress("TCP"))
    assert result.findings == ()
    assert _chains(_listeners(only(result))["127.0.0.1_3306"]) == [({}, "outbound|3306||db.example.com")]
    result = _result(_service("db", "5432/TCP"), _egress("MYSQL", '"./db.example.com"', ", bind: 127.0.0.8"))
    assert _chains(_listeners(only(result))["127.0.0.8_3306"]) == [({}, "outbound|5432||db.example.com")]


def test_an_egress_listener_of_tcp_with_several_services_names_two() -> None:
    """Connections can't be for both."""
    result = _result(_service("a", "3306/TCP"), _service("b", "3306/TCP"), _egress("TCP"))
    (finding,) = result.findings
    assert (finding.code, finding.path) == ("port-clash", ("spec", "egress", 0, "port", "number"))
    assert "b.example.com or for a.example.com" in finding.message


def test_an_egress_listener_without_a_service_is_not_opened() -> None:
    """Envoy wants a filter chain, and there is nowhere to go."""
    result = _result(_service("web", "80", "81"), _egress("TCP", '"./none.example.com"'))
    assert _listeners(only(result)) == {}


def test_an_egress_listener_of_tls_goes_by_server_name() -> None:
    """Whatever the services call their ports."""
    listener = _listeners(only(_result(_service("a", "3306/TLS"), _service("b", "3306/TCP"), _egress("HTTPS"))))[
        "127.0.0.1_3306"
    ]
    assert [match for match, _ in _chains(listener)] == [
        {"server_names": ["a.example.com"]},
        {"server_names": ["b.example.com"]},
    ]


def test_iptables_needs_interception() -> None:
    """Said in both directions, and the listener binds its port."""
    result = _result(
        _service("db", "3306/TCP"),
        """
kind: Sidecar
metadata: {name: s}
spec:
  workloadSelector: {labels: {app: x}}
  ingress: [{port: {number: 99, protocol: TCP}, captureMode: IPTABLES, defaultEndpoint: "127.0.0.1:98"}]
  egress: [{port: {number: 3306, protocol: TCP}, captureMode: IPTABLES, hosts: ["*/*"]}]
""",
    )
    assert _codes(result) == ["capture-mode"] * 2
    assert set(_listeners(only(result))) == {"127.0.0.1_3306", "10.0.0.1_99"}


@pytest.mark.parametrize("where", ["mesh", "sidecar"])
def test_an_egress_proxy_gets_what_no_chain_takes(where: str) -> None:
    """TLS for unknown names by a default chain, requests for unknown hosts by the last virtual host; its cluster is there."""
    policy = "outboundTrafficPolicy: {egressProxy: {host: proxy.example.com, port: {number: 3128}}}"
    egress = 'egress: [{hosts: ["./a.example.com", "./b.example.com"]}]'
    mesh = f"kind: Mesh\nmetadata: {{name: mesh}}\nspec: {{{policy}}}" if where == "mesh" else ""
    own = _sidecar(f"{{{egress}}}" if where == "mesh" else f"{{{egress}, {policy}}}")
    texts = [item for item in (mesh, own) if item]
    view = only(_result(_service("a", "80"), _service("b", "80/TLS"), _service("proxy", "3128", "1"), *texts))
    listener = _listeners(view)["127.0.0.1_80"]
    (last,) = listener["default_filter_chain"]["filters"]
    proxy = "outbound|3128||proxy.example.com"
    assert last["typed_config"]["cluster"] == proxy
    host = messages(view, ResourceType.ROUTE)["80"]["virtual_hosts"][-1]
    assert (host["name"], host["domains"]) == ("allow_any", ["*"])
    assert host["routes"][0]["route"] == {"cluster": proxy, "timeout": "0s"}
    assert proxy in messages(view, ResourceType.CLUSTER)


def test_a_sidecars_own_traffic_policy_goes_before_the_meshs() -> None:
    """As a whole: a Sidecar with a mode and no proxy has no proxy."""
    mesh = "kind: Mesh\nmetadata: {name: mesh}\nspec: {outboundTrafficPolicy: {egressProxy: {host: proxy.example.com}}}"
    own = _sidecar('{egress: [{hosts: ["*/*"]}], outboundTrafficPolicy: {mode: REGISTRY_ONLY}}')
    view = only(_result(mesh, own, _service("a", "80"), _service("proxy", "3128")))
    assert messages(view, ResourceType.ROUTE)["80"]["virtual_hosts"][-1]["name"] == "block_all"
    view = only(_result(mesh, _service("a", "80"), _service("proxy", "3128")))
    (route,) = messages(view, ResourceType.ROUTE)["80"]["virtual_hosts"][-1]["routes"]
    assert route["route"]["cluster"] == "outbound|3128||proxy.example.com"


def test_hosts_that_requests_name_are_looked_up_by_filters_that_no_route_changes() -> None:
    """A wildcard service without endpoints: every HTTP listener and the chain of its server name can look names up."""
    wild = """
kind: ServiceEntry
metadata: {name: wild}
spec:
  hosts: ["*.wild.example.org"]
  resolution: DYNAMIC_DNS
  location: MESH_EXTERNAL
  ports: [{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]
"""
    found = _listeners(only(_result(wild, _service("web", "81"))))
    for name in ("127.0.0.1_80", "127.0.0.1_81"):
        (chain,) = found[name]["filter_chains"]
        filters = [item["name"] for item in chain["filters"][0]["typed_config"]["http_filters"]]
        assert any("dynamic_forward_proxy" in item for item in filters), filters
    (chain,) = found["127.0.0.1_443"]["filter_chains"]
    assert chain["filter_chain_match"]["server_names"] == ["*.wild.example.org"]
    assert len(chain["filters"]) == 2
    assert "sni_dynamic_forward_proxy" in chain["filters"][0]["name"]
