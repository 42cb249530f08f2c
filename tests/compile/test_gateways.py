"""What a gateway opens, and for whom."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.model.resource import ResourceType, View
from tests.compile.meshes import compiled, documents, gateway_proxy, manager, messages, only, routes, service

_BASE = documents(service("a"), service("b"), gateway_proxy())


def _gateway(
    name: str = "g", *, hosts: str = '["*"]', port: int = 80, bind: str = "", selector: str = "{istio: edge}",
    namespace: str = "default",
) -> str:  # fmt: skip
    where = f"bind: {bind}, " if bind else ""
    server = f"{{{where}port: {{number: {port}, name: http, protocol: HTTP}}, hosts: {hosts}}}"
    meta = f"{{name: {name}, namespace: {namespace}}}"
    return f"kind: Gateway\nmetadata: {meta}\nspec: {{selector: {selector}, servers: [{server}]}}"


def _rules(name: str, hosts: str, http: str, gateways: str = "[g]", namespace: str = "default") -> str:
    meta = f"{{name: {name}, namespace: {namespace}}}"
    return f"kind: VirtualService\nmetadata: {meta}\nspec: {{hosts: {hosts}, gateways: {gateways}, http: {http}}}"


_TO_A = "[{name: a, route: [{destination: {host: a.default.svc.cluster.local}}]}]"


def _view(*texts: str) -> View:
    return only(compiled(documents(_BASE, *texts)))


def _hosts(view: View, name: str = "http.80") -> dict[str, list[str]]:
    return {item["name"]: item["domains"] for item in messages(view, ResourceType.ROUTE)[name]["virtual_hosts"]}


def test_a_gateway_listens_on_all_addresses_and_trusts_no_client() -> None:
    """Named after Istio; clients' addresses are the real ones, routes come by RDS."""
    view = _view(_gateway())
    (listener,) = messages(view, ResourceType.LISTENER).values()
    assert listener["name"] == "0.0.0.0_80"
    assert listener["traffic_direction"] == "OUTBOUND"
    assert listener["enable_reuse_port"] is False
    http = manager(view, "0.0.0.0_80")
    assert http["stat_prefix"] == "outbound_0.0.0.0_80;"
    assert http["use_remote_address"] is True
    assert http["rds"]["route_config_name"] == "http.80"


@pytest.mark.parametrize(
    ("bind", "listener", "name"),
    [
        ("127.0.0.1", "127.0.0.1_80", "http.80.127.0.0.1"),
        ('"::1"', "::1_80", "http.80.::1"),
        ("0.0.0.0", "0.0.0.0_80", "http.80"),  # noqa: S104 -- the case in question
    ],
)
def test_a_bind_address_is_in_the_names(bind: str, listener: str, name: str) -> None:
    """So that one port of two addresses has two route configurations; all addresses are the default."""
    view = _view(_gateway(bind=bind))
    assert set(messages(view, ResourceType.LISTENER)) == {listener}
    assert set(messages(view, ResourceType.ROUTE)) == {name}


@pytest.mark.parametrize(
    ("selector", "opened"),
    [("{istio: edge}", True), ("{}", True), ("{istio: other}", False), ("{istio: edge, zone: a}", False)],
)
def test_the_selector_decides_which_proxies_open_it(selector: str, opened: bool) -> None:  # noqa: FBT001 -- a parameter
    """All of its labels must be the proxy's; none selects every gateway."""
    assert bool(messages(_view(_gateway(selector=selector)), ResourceType.LISTENER)) is opened


def test_an_open_port_without_routes_answers_404() -> None:
    """The listener exists, and says that there is nothing: Envoy's 404 of a virtual host without routes."""
    view = _view(_gateway(), _rules("x", '["x.example.com"]', _TO_A, gateways="[another]"))
    assert routes(view, "http.80") == {"blackhole:80": []}
    assert messages(view, ResourceType.CLUSTER) == {}


@pytest.mark.parametrize(
    "silent",
    ["http: [{match: [{port: 81}], route: [{destination: {host: a}}]}]", "tcp: [{route: [{destination: {host: a}}]}]"],
)
def test_a_host_without_rules_here_is_left_to_the_wildcard(silent: str) -> None:
    """A VirtualService whose rules are for another port, or not for requests, takes none from others, as in Istio."""
    exact = f"kind: VirtualService\nmetadata: {{name: x}}\nspec: {{hosts: [x.example.com], gateways: [g], {silent}}}\n"
    view = _view(_gateway(), exact, _rules("all", '["*.example.com"]', _TO_A))
    assert set(routes(view, "http.80")) == {"*.example.com:80"}


@pytest.mark.parametrize(
    ("server", "rules", "expected"),
    [
        ('["*"]', '["x.example.com"]', ["x.example.com"]),
        ('["x.example.com"]', '["*"]', ["x.example.com"]),
        ('["*.example.com"]', '["x.example.com", "y.example.org"]', ["x.example.com"]),
        ('["x.example.com"]', '["*.example.com"]', ["x.example.com"]),
        ('["a.example.com", "b.example.com"]', '["*"]', ["a.example.com", "b.example.com"]),
        ('["default/*"]', '["x.example.com"]', ["x.example.com"]),
        ('["./*"]', '["x.example.com"]', ["x.example.com"]),
        ('["*/*"]', '["x.example.com"]', ["x.example.com"]),
        ('["other/*"]', '["x.example.com"]', []),
        ('["x.example.com"]', '["y.example.com"]', []),
        ('["*"]', "[a]", ["a.default.svc.cluster.local"]),
    ],
)
def test_hosts_are_what_server_and_virtual_service_have_in_common(server: str, rules: str, expected: list[str]) -> None:
    """The narrower of both, if the server's namespace allows the VirtualService's."""
    view = _view(_gateway(hosts=server), _rules("r", rules, _TO_A))
    found: Any = [name.removesuffix(":80") for name in _hosts(view) if not name.startswith("blackhole")]
    assert found == expected


def test_an_ipv6_host_is_in_brackets() -> None:
    """As `Host` headers have it; without them no request would be for it."""
    view = _view(_gateway(), _rules("six", '["2001:db8::1"]', _TO_A))
    assert list(_hosts(view).values()) == [["[2001:db8::1]"]]


def test_gateways_are_named_with_or_without_their_namespace() -> None:
    """`name` in the VirtualService's own namespace, `namespace/name` in another."""
    view = _view(
        _gateway(),
        _rules("near", '["near.example.com"]', _TO_A, gateways="[g]"),
        _rules("far", '["far.example.com"]', _TO_A, gateways="[default/g]", namespace="other"),
        _rules("wrong", '["wrong.example.com"]', _TO_A, gateways="[g]", namespace="other"),
    )
    assert _hosts(view) == {"far.example.com:80": ["far.example.com"], "near.example.com:80": ["near.example.com"]}


def test_rules_for_one_host_are_put_together_and_those_for_everything_come_last() -> None:
    """In order of the VirtualServices' names; otherwise the first one's catch-all would hide the second."""
    view = _view(
        _gateway(),
        _rules("one", '["x.example.com"]', "[{name: p, match: [{uri: {prefix: /p}}], route: [{destination: {host: a}}]},"
               "{name: rest, route: [{destination: {host: a}}]}]"),
        _rules("two", '["x.example.com"]', "[{name: q, match: [{uri: {prefix: /q}}], route: [{destination: {host: b}}]}]"),
    )  # fmt: skip
    assert [route["name"] for route in routes(view, "http.80")["x.example.com:80"]] == ["p", "q", "rest"]


def test_gateways_on_one_port_are_one_listener() -> None:
    """Their hosts are put together, each with its own VirtualServices."""
    result = compiled(
        documents(
            _BASE,
            _gateway("g", hosts='["x.example.com"]'),
            _gateway("h", hosts='["y.example.com"]'),
            _rules("x", '["*"]', _TO_A, gateways="[g]"),
            _rules("y", '["*"]', _TO_A, gateways="[h]"),
        )
    )
    assert result.findings == ()
    assert set(messages(only(result), ResourceType.LISTENER)) == {"0.0.0.0_80"}
    assert list(_hosts(only(result))) == ["x.example.com:80", "y.example.com:80"]


def test_virtual_services_of_the_mesh_are_not_the_gateways() -> None:
    """Only those that name it."""
    view = _view(_gateway(), _rules("m", '["m.example.com"]', _TO_A, gateways="[mesh]"))
    assert list(_hosts(view)) == ["blackhole:80"]
