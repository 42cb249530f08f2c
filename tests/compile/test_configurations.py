"""Route configurations: which virtual hosts a proxy has, of whose rules, under which names."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import Compiled
from reconciler.model.key import Key
from reconciler.model.resource import ResourceType
from tests.compile.meshes import (
    compiled,
    documents,
    gateway_proxy,
    messages,
    only,
    routes,
    service,
    sidecar_proxy,
    workload,
)
from tests.compile.routed import HOST, NAME, SERVICES, TO_A, found, policy

_SHOP = documents(workload("s", app="s", address="10.0.0.9", namespace="shop"), sidecar_proxy("s", "shop"))
_GATEWAY = "kind: Gateway\nmetadata: {name: edge}\nspec: {servers: [{port: {number: 81, name: h, protocol: HTTP}, hosts: ['*']}]}"


def _hosts(*texts: str, name: str = "9080") -> dict[str, dict[str, Any]]:
    """The virtual hosts of the only proxy."""
    message = messages(only(compiled(documents(*texts))), ResourceType.ROUTE)[name]
    return {item["name"]: item for item in message["virtual_hosts"]}


def _names(result: Compiled, proxy: str = "default/w") -> list[str]:
    """The routes for `a` as a proxy has them."""
    return [item["name"] for item in routes(result.views[Key.parse(proxy)], "9080")[NAME]]


# Several VirtualServices for one host


def test_virtual_services_of_one_host_are_put_together_on_sidecars() -> None:
    """In order of their keys, whatever the file; what takes everything goes last. Istio drops all but the oldest."""
    texts = [
        policy(f"  - {{name: b1, {TO_A}}}\n", name="b"),
        policy(f"  - {{name: c1, match: [{{uri: {{exact: /c}}}}], {TO_A}}}\n", name="c", hosts=f"[{HOST}]"),
        policy(f"  - {{name: a1, match: [{{uri: {{exact: /a}}}}], {TO_A}}}\n", name="a"),
    ]
    for order in (texts, texts[::-1]):
        result = compiled(documents(SERVICES, *order))
        assert _names(result) == ["a1", "c1", "b1"]
        assert found(result) == []


def test_two_rules_that_take_everything_are_a_conflict_that_names_both() -> None:
    """The second would never be used, so it is said at each of the two; the first one works."""
    result = compiled(SERVICES, policy("name: one", name="one"), policy("name: two", name="two"))
    assert _names(result) == ["one"]
    first, second = found(result)
    assert {first.code, second.code} == {"conflicting-hosts"}
    assert [item.origin.file for item in (first, second) if item.origin] == [
        "policies/mesh-1.yaml",
        "policies/mesh-2.yaml",
    ]
    assert "VirtualService two in policies/mesh-2.yaml" in first.message
    assert "VirtualService one in policies/mesh-1.yaml" in second.message
    assert HOST in first.message


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("match: [{port: 9080}]", "match: [{port: 80}]"),
        ("match: [{sourceLabels: {app: w}}]", "match: [{sourceLabels: {app: z}}]"),
        ("match: [{sourceNamespace: default}]", "match: [{sourceNamespace: shop}]"),
    ],
)
def test_rules_that_never_meet_in_one_proxy_are_no_conflict(one: str, two: str) -> None:
    """Each takes everything where the other takes nothing."""
    result = compiled(SERVICES, policy(f"name: one, {one}", name="one"), policy(f"name: two, {two}", name="two"))
    assert found(result) == []
    assert _names(result) == ["one"]


def test_the_most_specific_host_has_the_rules() -> None:
    """A wildcard's are not put together with an exact host's."""
    texts = (policy("name: wild", name="a", hosts="['*.svc.cluster.local']"), policy("name: exact", name="z"))
    result = compiled(documents(SERVICES, *texts))
    assert _names(result) == ["exact"]
    assert found(result) == []


def test_at_gateways_the_more_exact_host_goes_first() -> None:
    """Both a wildcard's and an exact host's rules hold there; only equals can conflict."""
    texts = (
        policy("name: wild", name="a", hosts="['*']", extra="  gateways: [edge]\n"),
        policy("name: exact", name="z", extra="  gateways: [edge]\n"),
    )
    gateway = _GATEWAY.replace("'*'", f"'{HOST}'")
    result = compiled(documents(service("a"), gateway, gateway_proxy(), *texts))
    (view,) = result.views.values()
    assert [item["name"] for item in routes(view, "http.81")[f"{HOST}:81"]] == ["exact"]
    assert found(result) == []


# Who sees what


@pytest.mark.parametrize(
    ("export_to", "default", "shop"),
    [
        ("", ["x"], ["x"]),
        ("['*']", ["x"], ["x"]),
        ("[.]", ["x"], ["default"]),
        ("[shop]", ["default"], ["x"]),
        ("['~']", ["default"], ["default"]),
        ("[., shop]", ["x"], ["x"]),
    ],
)
def test_a_virtual_service_holds_for_proxies_that_it_is_exported_to(
    export_to: str, default: list[str], shop: list[str]
) -> None:
    """Others have the service's default route."""
    extra = f"  exportTo: {export_to}\n" if export_to else ""
    result = compiled(documents(SERVICES, _SHOP, policy("name: x", extra=extra)))
    assert (_names(result), _names(result, "shop/s")) == (default, shop)


def test_the_next_visible_virtual_service_holds() -> None:
    """One that a proxy doesn't see takes nothing from a less specific one that it sees."""
    hidden = policy("name: hidden", name="h", extra="  exportTo: [shop]\n")
    wild = policy("name: wild", name="w", hosts="['*.svc.cluster.local']")
    assert _names(compiled(documents(SERVICES, hidden, wild))) == ["wild"]


def test_a_service_is_no_virtual_host_where_it_is_not_exported() -> None:
    """Its namespace's own proxies have it."""
    private = service("private", extra="  exportTo: [.]\n")
    result = compiled(documents(SERVICES, private, _SHOP))
    name = "private.default.svc.cluster.local:9080"
    assert name in routes(result.views[Key("default", "w")], "9080")
    assert name not in routes(result.views[Key("shop", "s")], "9080")


def test_gateways_see_what_is_exported_to_their_namespace() -> None:
    """Not to the Gateway's, as in Istio."""
    texts = [
        policy(f"name: {name}", name=name, hosts=f"[{name}.com]", extra=f"  gateways: [edge]\n  exportTo: {to}\n")
        for name, to in (("all", "['*']"), ("own", "[.]"), ("other", "[shop]"))
    ]
    view = only(compiled(documents(service("a"), _GATEWAY, gateway_proxy(), *texts)))
    assert set(routes(view, "http.81")) == {"all.com:81", "own.com:81"}


# Services


def test_ports_that_are_not_http_have_no_virtual_host() -> None:
    """What is spoken there isn't routed by request."""
    http = service("h", "9080")
    mixed = service("m", "9080/TCP", "9081/HTTP", "9082/HTTPS")
    proxies = documents(workload("w", app="w", address="10.0.0.1"), sidecar_proxy("w"))
    assert set(_hosts(http, mixed, proxies)) == {"h.default.svc.cluster.local:9080", "block_all"}
    sidecar = 'kind: Sidecar\nmetadata: {name: s}\nspec: {egress: [{port: {number: 3128, protocol: HTTP_PROXY}, hosts: ["*/*"]}]}'
    assert set(_hosts(http, mixed, proxies, sidecar, name="http_proxy")) == {
        "h.default.svc.cluster.local:9080", "m.default.svc.cluster.local:9081", "block_all",
    }  # fmt: skip


def test_a_services_addresses_are_names_of_its() -> None:
    """Clients that ask by address reach it; blocks of addresses are no `Host`, and IPv6 stands in brackets there."""
    text = service("a", extra='  addresses: [10.9.9.9, "2001:db8::9", 10.8.0.0/16]\n')
    proxies = documents(workload("w", app="w", address="10.0.0.1"), sidecar_proxy("w"))
    assert _hosts(text, proxies)[NAME]["domains"] == [
        HOST, f"{HOST}.", "a", "a.default.svc", "a.default", "10.9.9.9", "[2001:db8::9]",
    ]  # fmt: skip


def test_an_address_of_two_services_is_the_firsts() -> None:
    """By name; Envoy refuses a domain twice."""
    texts = [service(name, extra="  addresses: [10.9.9.9]\n") for name in ("b", "a")]
    proxies = documents(workload("w", app="w", address="10.0.0.1"), sidecar_proxy("w"))
    found_hosts = _hosts(*texts, proxies)
    assert [name for name, host in found_hosts.items() if "10.9.9.9" in host["domains"]] == [NAME]


def test_a_virtual_service_without_http_rules_changes_nothing_for_requests() -> None:
    """One that is about TLS alone leaves the service's default route, and is no unknown host either."""
    text = "kind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a, x.com], tls: [{match: [{sniHosts: [x.com]}], route: [{destination: {host: a}}]}]}"
    on_80 = service("c", "80")
    view = only(compiled(documents(SERVICES, text, on_80)))
    assert [item["name"] for item in routes(view, "9080")[NAME]] == ["default"]
    assert set(routes(view, "80")) == {"c.default.svc.cluster.local:80", "block_all"}


# Gateways


def _redirected(*hosts: str) -> dict[str, dict[str, Any]]:
    """The virtual hosts of a gateway with rules for two hosts, where these hosts are redirected to https."""
    gateway = f"""
kind: Gateway
metadata: {{name: edge}}
spec:
  servers:
  - {{port: {{number: 81, name: h, protocol: HTTP}}, hosts: ["a.com", "b.com"]}}
  - {{port: {{number: 81, name: r, protocol: HTTP}}, hosts: [{", ".join(f"'{host}'" for host in hosts)}], tls: {{httpsRedirect: true}}}}
"""
    rules = policy("name: x", hosts="[a.com, b.com]", extra="  gateways: [edge]\n")
    return _hosts(service("a"), rules, gateway, gateway_proxy(), name="http.81")


def test_hosts_that_are_redirected_to_https_need_no_virtual_service() -> None:
    """Every request there is answered with a redirect, whatever routes there are."""
    hosts = _redirected("a.com", "c.com", "*.d.com")
    assert {name: item.get("require_tls") for name, item in hosts.items()} == {
        "a.com:81": "ALL", "b.com:81": None, "c.com:81": "ALL", "*.d.com:81": "ALL",
    }  # fmt: skip
    assert "routes" not in hosts["c.com:81"]
    assert hosts["a.com:81"]["routes"][0]["name"] == "x"


def test_a_redirected_wildcard_takes_the_hosts_under_it() -> None:
    """Those that have rules too."""
    assert {item.get("require_tls") for item in _redirected("*").values()} == {"ALL"}
