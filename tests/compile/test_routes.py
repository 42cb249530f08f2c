"""VirtualService rules as Envoy routes."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import Compiled, Prototypes, compile_mesh
from reconciler.errors import Severity
from reconciler.model.origin import Origin
from reconciler.model.protocol import Protocol
from reconciler.model.resource import ResourceType
from reconciler.model.services import Port, Service, declared
from tests.compile.meshes import (
    compiled,
    documents,
    house_templates,
    mesh_of,
    messages,
    only,
    routes,
    service,
    sidecar_proxy,
    workload,
)

_HOST = "a.default.svc.cluster.local"
_SERVICES = documents(service("a"), service("b"), workload("a1", app="a", address="10.0.0.1"), sidecar_proxy("a1"))


def _compiled(http: str, *more: str) -> Compiled:
    policy = f"kind: VirtualService\nmetadata: {{name: a}}\nspec:\n  hosts: [a]\n  http:\n{http}"
    return compiled(documents(_SERVICES, policy, *more))


def _routes(http: str, *more: str) -> list[dict[str, Any]]:
    return routes(only(_compiled(http, *more)), "9080")[f"{_HOST}:9080"]


def test_a_service_without_rules_has_one_default_route() -> None:
    """Nothing but the templates decides about it, and it has no metadata of a policy."""
    view = only(compiled(_SERVICES))
    (route,) = routes(view, "9080")[f"{_HOST}:9080"]
    assert route["name"] == "default"
    assert route["match"] == {"prefix": "/"}
    assert route["route"]["cluster"] == f"outbound|9080||{_HOST}"
    assert route["route"]["timeout"] == "0s"
    assert route["route"]["retry_policy"]["num_retries"] == 2
    assert "metadata" not in route


def test_each_match_is_a_route_in_order_with_a_name() -> None:
    """`name[.match name]`, and where each came from."""
    found = _routes("""
  - name: one
    match: [{name: x, uri: {exact: /x}}, {uri: {prefix: /y}}, {uri: {regex: "/z.*"}}]
    route: [{destination: {host: a}}]
  - match: [{name: only, uri: {prefix: /w}}]
    route: [{destination: {host: a}}]
  - route: [{destination: {host: b}}]
""")
    assert [route.get("name", "") for route in found] == ["one.x", "one", "one", "only", ""]
    assert [route["match"] for route in found] == [
        {"path": "/x"},
        {"prefix": "/y"},
        {"safe_regex": {"regex": "/z.*"}},
        {"prefix": "/w"},
        {"prefix": "/"},
    ]
    config = "/apis/networking.istio.io/v1/namespaces/default/virtual-service/a"
    assert {route["metadata"]["filter_metadata"]["istio"]["config"] for route in found} == {config}


def test_headers_are_matched_by_value_or_by_presence_in_order_of_their_names() -> None:
    """An empty matcher asks for presence, as does Istio's regex `*`."""
    (route, _) = _routes("""
  - match: [{headers: {z: {exact: "1"}, b: {prefix: p}, c: {regex: "r+"}, a: {}, d: {regex: "*"}}}]
    route: [{destination: {host: a}}]
  - route: [{destination: {host: a}}]
""")
    assert route["match"] == {
        "prefix": "/",
        "headers": [
            {"name": "a", "present_match": True},
            {"name": "b", "string_match": {"prefix": "p"}},
            {"name": "c", "string_match": {"safe_regex": {"regex": "r+"}}},
            {"name": "d", "present_match": True},
            {"name": "z", "string_match": {"exact": "1"}},
        ],
    }


@pytest.mark.parametrize("match", ["", "match: [{uri: {prefix: /}}]", 'match: [{uri: {regex: ".*"}}]'])
def test_nothing_follows_a_rule_that_matches_everything(match: str) -> None:
    """What can't be reached is not in Envoy."""
    found = _routes(f"""
  - name: all
    {match}
    route: [{{destination: {{host: a}}}}]
  - name: never
    route: [{{destination: {{host: b}}}}]
""")
    assert [route["name"] for route in found] == ["all"]


def test_a_split_keeps_its_weights_as_written() -> None:
    """Any total is good for Envoy, and a destination of weight 0 stays, so that a first step changes one number."""
    (route,) = _routes("""
  - route:
    - {destination: {host: a, subset: v1}, weight: 7}
    - {destination: {host: b}, weight: 0}
""")
    assert route["route"]["weighted_clusters"] == {
        "clusters": [
            {"name": f"outbound|9080|v1|{_HOST}", "weight": 7},
            {"name": "outbound|9080||b.default.svc.cluster.local", "weight": 0},
        ]
    }


def test_a_single_destination_is_a_cluster_whatever_its_weight() -> None:
    """As in Istio."""
    (route,) = _routes("  - route: [{destination: {host: b}, weight: 5}]\n")
    assert route["route"]["cluster"] == "outbound|9080||b.default.svc.cluster.local"
    assert "weighted_clusters" not in route["route"]


def test_timeouts_are_of_the_rule() -> None:
    """Without `max_stream_duration`: where that is, Envoy ignores the timeout (see `test_routes_real`)."""
    (route,) = _routes("  - {timeout: 1500ms, route: [{destination: {host: a}}]}\n")
    assert route["route"]["timeout"] == "1.500s"
    assert "max_stream_duration" not in route["route"]


def test_no_timeout_leaves_grpc_clients_their_own() -> None:
    """Written or not: `grpc-timeout` headers are honoured without a limit, as the template says."""
    for timeout in ("", "timeout: 0s, "):
        (route,) = _routes(f"  - {{{timeout}route: [{{destination: {{host: a}}}}]}}\n")
        assert route["route"]["timeout"] == "0s"
        assert route["route"]["max_stream_duration"] == {"grpc_timeout_header_max": "0s"}


def test_retries_are_put_on_top_of_the_defaults() -> None:
    """Numbers in `retryOn` are status codes; the host predicate of the template stays."""
    (route,) = _routes("""
  - retries: {attempts: 4, perTryTimeout: 2s, retryOn: "503, reset,429,503", backoff: 50ms}
    route: [{destination: {host: a}}]
""")
    policy = route["route"]["retry_policy"]
    assert policy["num_retries"] == 4
    assert policy["retry_on"] == "reset,retriable-status-codes"
    assert policy["retriable_status_codes"] == [503, 429]
    assert policy["per_try_timeout"] == "2s"
    assert policy["retry_back_off"] == {"base_interval": "0.050s"}
    assert policy["retry_host_predicate"][0]["name"] == "envoy.retry_host_predicates.previous_hosts"


def test_attempts_mean_something_where_the_template_has_no_retries() -> None:
    """Envoy retries nothing without a condition."""
    policy = "kind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], http: [{retries: {attempts: 3}, route: [{destination: {host: a}}]}]}"
    view = only(compiled(documents(_SERVICES, policy), route="route: {timeout: 0s}"))
    (route,) = routes(view, "9080")[f"{_HOST}:9080"]
    assert route["route"]["retry_policy"]["num_retries"] == 3
    assert route["route"]["retry_policy"]["retry_on"].startswith("connect-failure,")
    (other,) = routes(view, "9080")["b.default.svc.cluster.local:9080"]
    assert "retry_policy" not in other["route"]


def test_no_attempts_are_no_retries() -> None:
    """`attempts: 0` turns the default off."""
    (route,) = _routes("  - {retries: {attempts: 0}, route: [{destination: {host: a}}]}\n")
    assert "retry_policy" not in route["route"]


@pytest.mark.parametrize(
    ("ports", "written", "expected"),
    [(("8000",), "", 8000), (("9080", "8000"), "", 9080), (("9080", "8000"), ", port: {number: 8000}", 8000)],
)
def test_the_port_of_a_destination(ports: tuple[str, ...], written: str, expected: int) -> None:
    """The one that is written, else the service's only one, else the listener's."""
    (route,) = _routes(f"  - route: [{{destination: {{host: c{written}}}}}]\n", service("c", *ports))
    assert route["route"]["cluster"] == f"outbound|{expected}||c.default.svc.cluster.local"


def test_a_destination_without_a_port_to_choose_is_an_error() -> None:
    """Several ports, and none of them the listener's: the compiler doesn't guess."""
    result = _compiled(
        "  - route: [{destination: {host: b}, weight: 1},{destination: {host: c}, weight: 1}]\n",
        service("c", "81", "82"),
    )
    (finding,) = [item for item in result.findings if item.code != "port-clash"]
    assert finding.code == "destination-port"
    assert finding.path == ("spec", "http", 0, "route", 1, "destination")
    assert "81, 82" in finding.message


def test_a_port_that_registries_do_not_list_is_a_warning() -> None:
    """Who registers an instance elsewhere stops nobody's commit; but who reads the plan finds why requests fail."""
    rule = "kind: VirtualService\nmetadata: {name: a}\nspec: {hosts: [a], http: [{route: [{destination: {host: far, port: {number: 81}}}]}]}"
    mesh = mesh_of(documents(_SERVICES, rule))
    for number, codes in ((81, []), (80, ["destination-port"])):
        port = Port(number=number, name="http", protocol=Protocol.HTTP, target=number)
        far = Service("far.default.svc.cluster.local", "default", (port,), (), Origin("", 0), discovered=True)
        result = compile_mesh(mesh, (*declared(mesh), far), Prototypes.parse(house_templates()))
        found = [item for item in result.findings if item.code != "port-clash"]
        assert [item.code for item in found] == codes
        assert all((item.severity, item.hint) == (Severity.WARNING, "it has 80") for item in found)


def test_a_host_that_nobody_declares_is_a_cluster_without_endpoints() -> None:
    """It may be discovered later; until then its requests are a 503, not a refused configuration."""
    view = only(_compiled("  - route: [{destination: {host: later}}]\n"))
    name = "outbound|9080||later.default.svc.cluster.local"
    assert messages(view, ResourceType.ENDPOINTS)[name] == {"cluster_name": name}
    assert name in messages(view, ResourceType.CLUSTER)
