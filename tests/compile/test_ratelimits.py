"""RateLimits in what is compiled: where limits stand, which proxies ask whom, and what does not change."""

from __future__ import annotations

from typing import Any

from reconciler.compile import MeshCompiler, Prototypes
from reconciler.model.resource import ResourceId, ResourceType, View
from reconciler.model.services import declared
from tests.compile.meshes import (
    compiled,
    documents,
    gateway_proxy,
    house_templates,
    manager,
    mesh_of,
    messages,
    only,
    routes,
    service,
    sidecar_proxy,
    workload,
)

_HOST = "a.default.svc.cluster.local"
_LOCAL, _OF_RULES = "envoy.filters.http.local_ratelimit", "envoy.filters.http.local_ratelimit.routes"
_RULES = """
kind: VirtualService
metadata: {name: rules}
spec:
  hosts: [a]
  gateways: [mesh, edge]
  http:
  - {name: one, match: [{uri: {prefix: /one}}], route: [{destination: {host: a}}]}
  - {name: two, route: [{destination: {host: a}}]}
"""
_EDGE = """
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: edge}, servers: [{port: {number: 8080, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""
_SIDECAR = documents(
    service("a"), service("rates", "8081/GRPC"), workload("w", app="a", address="10.0.0.1"), sidecar_proxy("w")
)
_GATEWAY = documents(service("a"), service("rates", "8081/GRPC"), _EDGE, gateway_proxy())
_LOCALLY = "local: [{name: all, requests: 3, per: 1m}]"
_TOGETHER = "global: {service: {host: rates}, domain: d, limits: [{name: all, requests: 3, unit: DAY}]}"
_TO_RULE = "virtualService: {name: rules, routes: [one]}"
_TO_WORKLOADS = "workloads: {labels: {app: a}}"


def _limit(target: str, limits: str, name: str = "limit", namespace: str = "default") -> str:
    spec = f"{{target: {{{target}}}, {limits}}}"
    return f"kind: RateLimit\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}"


def _limited(item: dict[str, Any]) -> list[str]:
    return sorted(item.get("typed_per_filter_config", {}))


def _filters(view: View, listener: str) -> list[str]:
    return [item["name"].removeprefix("envoy.filters.http.") for item in manager(view, listener)["http_filters"]]


def _listeners(view: View) -> dict[ResourceId, str]:
    return {item.id: item.version for item in view.of_type(ResourceType.LISTENER)}


def test_a_local_limit_of_a_rule_changes_its_routes_and_no_listener() -> None:
    """Connections live on while a limit comes, changes and goes."""
    without = only(compiled(documents(_SIDECAR, _RULES)))
    view = only(compiled(documents(_SIDECAR, _RULES, _limit(_TO_RULE, _LOCALLY))))
    assert _listeners(view) == _listeners(without)
    one, two = routes(view, "9080")[f"{_HOST}:9080"]
    assert (_limited(one), _limited(two)) == ([_OF_RULES], [])


def test_a_gateways_limit_stands_in_its_route_configuration() -> None:
    """There it is one count for all virtual hosts, and no listener changes."""
    without = only(compiled(documents(_GATEWAY, _RULES)))
    view = only(compiled(documents(_GATEWAY, _RULES, _limit("gateway: edge", _LOCALLY))))
    assert _listeners(view) == _listeners(without)
    (configuration,) = messages(view, ResourceType.ROUTE).values()
    assert _limited(configuration) == [_LOCAL]
    assert not any(_limited(route) for host in configuration["virtual_hosts"] for route in host["routes"])


def test_a_bucket_is_the_policys() -> None:
    """Requests come back over the time, the burst is the size; without one it is the requests."""
    limits = "local: [{name: x, requests: 5, per: 1m, burst: 8}, {name: y, requests: 2}]"
    view = only(compiled(documents(_SIDECAR, _RULES, _limit(_TO_RULE, limits))))
    route, _ = routes(view, "9080")[f"{_HOST}:9080"]
    found = route["typed_per_filter_config"][_OF_RULES]
    assert [item["token_bucket"] for item in found["descriptors"]] == [
        {"max_tokens": 8, "tokens_per_fill": 5, "fill_interval": "60s"},
        {"max_tokens": 2, "tokens_per_fill": 2, "fill_interval": "1s"},
    ]
    assert found["always_consume_default_token_bucket"] is False


def test_a_workloads_limit_stands_at_its_application_and_nowhere_else() -> None:
    """Only inbound, only in its namespace, only with its labels."""
    view = only(compiled(documents(_SIDECAR, _RULES, _limit(_TO_WORKLOADS, _LOCALLY))))
    assert _limited(manager(view, "10.0.0.1_9080")["route_config"]) == [_LOCAL]
    assert "typed_per_filter_config" not in str(messages(view, ResourceType.ROUTE))
    others = [_limit("workloads: {labels: {app: b}}", _LOCALLY), _limit(_TO_WORKLOADS, _LOCALLY, namespace="other")]
    for other in others:
        view = only(compiled(documents(_SIDECAR, _RULES, other)))
        assert _limited(manager(view, "10.0.0.1_9080")["route_config"]) == []


def test_who_can_be_concerned_by_a_global_limit_asks_its_service() -> None:
    """The filter is on the side that the target is at, with the service's cluster beside it."""
    asking = "ratelimit.default.limit"
    cases = {_TO_RULE: (True, False), _TO_WORKLOADS: (False, True), "gateway: edge": (False, False)}
    for target, (out, inward) in cases.items():
        view = only(compiled(documents(_SIDECAR, _EDGE, _RULES, _limit(target, _TOGETHER))))
        assert (asking in _filters(view, "127.0.0.1_9080")) is out, target
        assert (asking in _filters(view, "10.0.0.1_9080")) is inward, target
        edge = only(compiled(documents(_GATEWAY, _RULES, _limit(target, _TOGETHER))))
        assert (asking in _filters(edge, "0.0.0.0_8080")) is (target != _TO_WORKLOADS), target
        for found, asks in ((view, out or inward), (edge, target != _TO_WORKLOADS)):
            clusters = messages(found, ResourceType.CLUSTER)
            if asks:
                assert "outbound|8081||rates.default.svc.cluster.local" in clusters


def test_a_rule_that_others_cannot_see_asks_nobody_there() -> None:
    """ExportTo and gateways keep the filter from proxies that never carry the rules out."""
    for change in (("hosts: [a]", "hosts: [a]\n  exportTo: [other]"), ("[mesh, edge]", "[edge]")):
        view = only(compiled(documents(_SIDECAR, _EDGE, _RULES.replace(*change), _limit(_TO_RULE, _TOGETHER))))
        assert "ratelimit.default.limit" not in _filters(view, "127.0.0.1_9080")


def test_a_changed_global_limit_changes_no_listener() -> None:
    """What is counted stands in routes and in the service's configuration; the filter only knows whom to ask."""
    more = _TOGETHER.replace("limits: [", "limits: [{name: more, requests: 1, unit: HOUR, by: [{path: true}]}, ")
    views = [only(compiled(documents(_SIDECAR, _RULES, _limit(_TO_RULE, item)))) for item in (_TOGETHER, more)]
    assert _listeners(views[0]) == _listeners(views[1])
    assert views[0].version != views[1].version


def test_a_delegates_rules_are_limited_where_its_root_is_carried_out() -> None:
    """A RateLimit names the document in which the rule is written, by the name that it has there."""
    root = _RULES.replace("name: one, match: [{uri: {prefix: /one}}], route: [{destination: {host: a}}]", "name: one, delegate: {name: leaf}")  # fmt: skip
    leaf = "kind: VirtualService\nmetadata: {name: leaf}\nspec: {http: [{name: mine, match: [{uri: {prefix: /one}}], route: [{destination: {host: a}}]}]}"
    limits = _limit("virtualService: {name: leaf, routes: [mine]}", f"{_LOCALLY}, {_TOGETHER}")
    view = only(compiled(documents(_SIDECAR, root, leaf, limits)))
    one, two = routes(view, "9080")[f"{_HOST}:9080"]
    assert one["name"] == "one-mine"
    assert _limited(one) == [_OF_RULES, "envoy.filters.http.ratelimit.default.limit"]
    assert _limited(two) == []
    assert "ratelimit.default.limit" in _filters(view, "127.0.0.1_9080")


def test_an_edited_rule_keeps_its_limits() -> None:
    """Compiling one mesh after another gives what compiling each by itself gives."""
    texts = [documents(_GATEWAY, _limit(_TO_RULE, _LOCALLY)), _RULES]
    first, second = mesh_of(*texts), mesh_of(texts[0], _RULES.replace("prefix: /one", "prefix: /uno"))
    compiler = MeshCompiler(Prototypes.parse(house_templates()))
    services = declared(first)
    compiler.compile(first, services)
    rest = {name: getattr(first, name) for name in first.__dataclass_fields__ if name != "virtual_services"}
    edited = compiler.compile(type(first)(**rest, virtual_services=second.virtual_services), services)
    fresh = MeshCompiler(Prototypes.parse(house_templates())).compile(second, declared(second))
    assert only(edited).version == only(fresh).version
    (configuration,) = messages(only(edited), ResourceType.ROUTE).values()
    assert [_limited(route) for route in configuration["virtual_hosts"][0]["routes"]] == [[_OF_RULES], []]


def test_of_two_limits_for_the_same_the_first_by_name_holds() -> None:
    """Validation refuses them; what is compiled all the same does not depend on the order of files."""
    a, b = (_limit(_TO_WORKLOADS, _LOCALLY.replace("3", str(number)), name) for number, name in ((1, "a"), (2, "b")))
    one, other = (only(compiled(documents(_SIDECAR, *pair))) for pair in ((a, b), (b, a)))
    assert one.version == other.version
    found = manager(one, "10.0.0.1_9080")["route_config"]["typed_per_filter_config"][_LOCAL]
    assert found["stat_prefix"] == "default.a"
