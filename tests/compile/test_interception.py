"""Sidecars to which iptables sends connections: the two listeners, those behind them, and where the rest goes."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import Compiled
from reconciler.model.resource import ResourceType, View
from tests.compile.meshes import compiled, documents, messages, only, service, sidecar_proxy, workload


def _mesh(mode: str = "ALLOW_ANY") -> str:
    return f"kind: Mesh\nmetadata: {{name: mesh}}\nspec: {{interception: REDIRECT, outboundTrafficPolicy: {{mode: {mode}}}}}"


def _result(*texts: str, mode: str = "ALLOW_ANY", address: str = "10.0.0.1") -> Compiled:
    return compiled(documents(workload("w", app="x", address=address), sidecar_proxy("w"), _mesh(mode), *texts))


def _listeners(view: View) -> dict[str, dict[str, Any]]:
    return messages(view, ResourceType.LISTENER)


def _leads(chain: dict[str, Any]) -> str:
    config = chain["filters"][-1]["typed_config"]
    found: str = config.get("cluster", "http")
    return found


def _tcp(name: str, *addresses: str, port: int = 5432, protocol: str = "TCP") -> str:
    return f"""
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.example.com]
  addresses: [{", ".join(f'"{item}"' for item in addresses)}]
  resolution: STATIC
  ports: [{{number: {port}, name: p, protocol: {protocol}}}]
  endpoints: [{{address: 192.0.2.1}}]
"""


@pytest.mark.parametrize(("mode", "rest"), [("ALLOW_ANY", "PassthroughCluster"), ("REGISTRY_ONLY", "BlackHoleCluster")])
def test_virtual_outbound_hands_over_or_passes_on(mode: str, rest: str) -> None:
    """By the original destination; what was meant for its own port is closed, for it would come back for ever."""
    listener = _listeners(only(_result(mode=mode)))["virtualOutbound"]
    assert listener["address"]["socket_address"] == {"address": "0.0.0.0", "port_value": 15001}  # noqa: S104 -- Istio's
    assert listener["use_original_dst"] is True
    assert [item["name"] for item in listener["listener_filters"]] == ["envoy.filters.listener.original_dst"]
    (closed,) = listener["filter_chains"]
    assert closed["name"] == "virtualOutbound-blackhole"
    assert closed["filter_chain_match"] == {"destination_port": 15001}
    assert _leads(closed) == "BlackHoleCluster"
    assert listener["default_filter_chain"]["name"] == "virtualOutbound-catchall-tcp"
    assert _leads(listener["default_filter_chain"]) == rest


def test_virtual_inbound_has_a_chain_for_each_port() -> None:
    """Counted as Istio does; the rest goes to the application at the address that was asked for."""
    listener = _listeners(only(_result(service("x", "80", "5432/TCP"))))["virtualInbound"]
    assert listener["address"]["socket_address"]["port_value"] == 15006
    assert "use_original_dst" not in listener or listener["use_original_dst"] is False
    chains = {chain["name"]: chain for chain in listener["filter_chains"]}
    assert {name: chain["filter_chain_match"] for name, chain in chains.items()} == {
        "virtualInbound-blackhole": {"destination_port": 15006},
        "0.0.0.0_80": {"destination_port": 80},
        "0.0.0.0_5432": {"destination_port": 5432},
    }
    assert chains["0.0.0.0_80"]["filters"][0]["typed_config"]["stat_prefix"] == "inbound_0.0.0.0_80;"
    assert _leads(chains["0.0.0.0_5432"]) == "inbound|5432||"
    assert _leads(listener["default_filter_chain"]) == "InboundPassthroughCluster"


def test_the_special_clusters() -> None:
    """Where connections were going, nowhere, and the application; each under Istio's name."""
    clusters = messages(only(_result()), ResourceType.CLUSTER)
    assert clusters["PassthroughCluster"]["type"] == "ORIGINAL_DST"
    assert clusters["PassthroughCluster"]["lb_policy"] == "CLUSTER_PROVIDED"
    assert "load_assignment" not in clusters["BlackHoleCluster"]
    source = clusters["InboundPassthroughCluster"]["upstream_bind_config"]["source_address"]
    assert source == {"address": "127.0.0.6", "port_value": 0}


def test_http_waits_at_all_addresses_whatever_the_services_addresses() -> None:
    """Nothing binds; unknown hosts go where the request was going."""
    view = only(_result(_tcp("web", "10.9.0.1", port=80, protocol="HTTP")))
    listener = _listeners(view)["0.0.0.0_80"]
    assert listener["bind_to_port"] is False
    (chain,) = listener["filter_chains"]
    assert _leads(chain) == "http"
    assert "10.9.0.1_80" not in _listeners(view)
    last = messages(view, ResourceType.ROUTE)["80"]["virtual_hosts"][-1]
    assert last["name"] == "allow_any"
    assert last["routes"][0]["route"] == {"cluster": "PassthroughCluster", "timeout": "0s"}


def test_tcp_is_told_apart_by_address_block_or_port() -> None:
    """A single address is a listener of its own, as in Istio; blocks and what has no address share one."""
    found = _listeners(
        only(_result(_tcp("one", "10.9.0.1"), _tcp("block", "10.8.0.0/16", "10.7.0.0/16"), _tcp("rest")))
    )
    assert {name for name in found if name.endswith("5432")} == {"10.9.0.1_5432", "0.0.0.0_5432"}
    (chain,) = found["10.9.0.1_5432"]["filter_chains"]
    assert _leads(chain) == "outbound|5432||one.example.com"
    assert "freebind" not in found["10.9.0.1_5432"]
    blocks, rest = found["0.0.0.0_5432"]["filter_chains"]
    assert [item["address_prefix"] for item in blocks["filter_chain_match"]["prefix_ranges"]] == [
        "10.8.0.0",
        "10.7.0.0",
    ]
    assert _leads(blocks) == "outbound|5432||block.example.com"
    assert (rest.get("filter_chain_match"), _leads(rest)) == (None, "outbound|5432||rest.example.com")
    assert found["0.0.0.0_5432"]["default_filter_chain"]["name"] == "PassthroughFilterChain"


def test_two_services_of_one_block_clash() -> None:
    """The first by host keeps it."""
    (finding,) = _result(_tcp("a", "10.8.0.0/16"), _tcp("b", "10.8.0.0/16")).findings
    assert finding.code == "port-clash"
    assert "b.example.com or for a.example.com" in finding.message


def test_tls_without_an_address_goes_by_server_name_beside_blocks() -> None:
    """And unknown names where they were going."""
    found = _listeners(
        only(
            _result(
                _tcp("a", protocol="TLS", port=443),
                _tcp("b", "10.8.0.0/16", protocol="TLS", port=443),
                _tcp("c", "10.9.0.1", protocol="TLS", port=443),
            )
        )
    )
    one, two = found["0.0.0.0_443"]["filter_chains"]
    assert one["filter_chain_match"] == {"server_names": ["a.example.com"]}
    assert two["filter_chain_match"]["server_names"] == ["b.example.com"]
    assert two["filter_chain_match"]["prefix_ranges"]
    assert found["0.0.0.0_443"]["continue_on_listener_filters_timeout"] is True
    assert _leads(found["0.0.0.0_443"]["default_filter_chain"]) == "PassthroughCluster"
    assert "filter_chain_match" not in found["10.9.0.1_443"]["filter_chains"][0]


def test_http_and_tcp_on_one_port_clash_unless_addresses_tell() -> None:
    """TCP without an address would take every request of the port."""
    web = service("web", "80")
    (finding,) = _result(web, _tcp("db", port=80)).findings
    assert (finding.code, finding.path) == ("port-clash", ("spec", "addresses"))
    result = _result(web, _tcp("db", "10.9.0.1", "10.8.0.0/16", port=80))
    assert result.findings == ()
    assert [_leads(chain) for chain in _listeners(only(result))["0.0.0.0_80"]["filter_chains"]] == [
        "http",
        "outbound|80||db.example.com",
    ]


def test_an_application_on_loopback_is_where_its_family_is() -> None:
    """A workload with an IPv6 address has listeners, and its application, there."""
    view = only(_result(service("x", "80", "1/TCP"), address="2001:db8::7"))
    found = _listeners(view)
    assert found["virtualInbound"]["address"]["socket_address"]["address"] == "::"
    assert found["virtualOutbound"]["address"]["socket_address"]["address"] == "::"
    assert "::_80" in found
    clusters = messages(view, ResourceType.CLUSTER)
    (host,) = clusters["inbound|80||"]["load_assignment"]["endpoints"][0]["lb_endpoints"]
    assert host["endpoint"]["address"]["socket_address"]["address"] == "::1"
    assert clusters["InboundPassthroughCluster"]["upstream_bind_config"]["source_address"]["address"] == "::6"


def test_a_listener_that_binds_passes_nothing_on() -> None:
    """A connection to an HTTP_PROXY has no original destination."""
    sidecar = """
kind: Sidecar
metadata: {name: s}
spec: {egress: [{port: {number: 3128, protocol: HTTP_PROXY}, hosts: ["*/*"]}, {hosts: ["*/*"]}]}
"""
    view = only(_result(sidecar, service("web", "80")))
    listener = _listeners(view)["127.0.0.1_3128"]
    assert "bind_to_port" not in listener
    assert "default_filter_chain" not in listener
    configurations = messages(view, ResourceType.ROUTE)
    assert configurations["http_proxy"]["virtual_hosts"][-1]["name"] == "block_all"
    assert configurations["80"]["virtual_hosts"][-1]["name"] == "allow_any"


@pytest.mark.parametrize("port", [15001, 15006])
def test_the_ports_of_interception_are_nobodys(port: int) -> None:
    """A service without an address on one of them would take the listener's place; with one it is told apart."""
    result = _result(_tcp("db", port=port))
    (finding,) = result.findings
    assert finding.code == "port-clash"
    assert {"virtualOutbound", "virtualInbound"} == set(_listeners(only(result)))
    assert _result(_tcp("db", "10.9.0.1", port=port)).findings == ()


def test_an_application_on_a_port_of_interception_clashes() -> None:
    """Neither could bind."""
    (finding,) = _result(service("x", "15006/TCP"), _quiet()).findings
    assert finding.code == "port-clash"
    assert "the application of sidecar default/w" in finding.message


def _quiet() -> str:
    return "kind: Sidecar\nmetadata: {name: quiet}\nspec: {egress: [{hosts: ['~/*']}]}"


def test_no_outbound_listener_clashes_with_the_application() -> None:
    """Nothing but the two listeners binds: a service of the workload's own port is no problem."""
    assert _result(service("x", "80")).findings == ()


def test_an_egress_proxy_gets_what_no_listener_takes() -> None:
    """Its cluster is there even if there is no other listener."""
    sidecar = """
kind: Sidecar
metadata: {name: s}
spec: {egress: [{hosts: ["~/*"]}], outboundTrafficPolicy: {egressProxy: {host: proxy.example.com, port: {number: 3128}}}}
"""
    view = only(_result(sidecar, _tcp("proxy", port=3128)))
    listener = _listeners(view)["virtualOutbound"]
    assert _leads(listener["default_filter_chain"]) == "outbound|3128||proxy.example.com"
    assert "outbound|3128||proxy.example.com" in messages(view, ResourceType.CLUSTER)
