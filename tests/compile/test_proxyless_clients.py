"""What a gRPC client gets: a listener and routes for each name it can call, in gRPC's terms, and the clusters behind."""

from __future__ import annotations

import pytest

from reconciler.errors import Severity
from reconciler.model.key import Key
from reconciler.model.resource import ResourceType
from tests.compile.applications import (
    HOST,
    SUBSETS,
    TARGET,
    application,
    message,
    names,
    reviews,
    routes,
    rules,
    said,
    view,
)
from tests.compile.meshes import compiled, documents, service, workload

_V1 = "{destination: {host: reviews, subset: v1}, weight: 80}"
_V2 = "{destination: {host: reviews, subset: v2}, weight: 20}"
_ALL = "route: [{destination: {host: reviews}}]"


def test_each_name_has_a_listener_routes_and_all_clusters_that_these_may_lead_to() -> None:
    """`xds:///<host>:<port>` is one listener for the client itself, with one route configuration of that name."""
    found = view(reviews(), SUBSETS, rules(f"{{route: [{_V1}, {_V2}]}}"))
    listener = message(found, ResourceType.LISTENER, TARGET)
    manager = listener["api_listener"]["api_listener"]
    assert manager["rds"]["route_config_name"] == TARGET
    assert "ads" in manager["rds"]["config_source"]
    assert [item["name"] for item in manager["http_filters"]] == [
        "envoy.filters.http.fault",
        "envoy.filters.http.router",
    ]
    assert "address" not in listener
    clusters = [f"outbound|9080|{subset}|{HOST}" for subset in ("v1", "v2", "")]
    assert names(found, ResourceType.CLUSTER) == names(found, ResourceType.ENDPOINTS) == clusters
    assert names(found, ResourceType.LISTENER) == names(found, ResourceType.ROUTE) == [TARGET]
    assert found.unsupported == ()


def test_a_split_is_weighted_clusters_and_nothing_else() -> None:
    """Weights come as they are written; what only an Envoy reads stays away."""
    (route,) = routes(view(reviews(), SUBSETS, rules(f"{{name: primary, route: [{_V1}, {_V2}]}}")))
    assert route["name"] == "primary"
    assert route["route"].pop("weighted_clusters") == {
        "clusters": [
            {"name": f"outbound|9080|v1|{HOST}", "weight": 80},
            {"name": f"outbound|9080|v2|{HOST}", "weight": 20},
        ]
    }
    assert route["route"] == {
        "max_stream_duration": {"grpc_timeout_header_max": "0s"},
        "retry_policy": {"retry_on": "unavailable,cancelled", "num_retries": 2},
    }


def test_clusters_are_round_robin_over_ads_without_what_grpc_refuses() -> None:
    """A whole cluster is refused for least requests, which is the house's default for Envoys."""
    cluster = message(view(reviews()), ResourceType.CLUSTER, f"outbound|9080||{HOST}")
    assert cluster["type"] == "EDS"
    assert cluster.get("lb_policy", "ROUND_ROBIN") == "ROUND_ROBIN"
    assert "ads" in cluster["eds_cluster_config"]["eds_config"]
    assert set(cluster) <= {"name", "type", "eds_cluster_config", "circuit_breakers"}
    assert cluster["circuit_breakers"] == {"thresholds": [{"max_requests": 4294967295}]}


def test_a_timeout_is_the_longest_duration_of_a_call() -> None:
    """There is no other word for it in gRPC (A31)."""
    (route,) = routes(view(reviews(), rules(f"{{timeout: 1.5s, {_ALL}}}")))
    assert route["route"]["max_stream_duration"] == {"max_stream_duration": "1.500s"}
    assert "timeout" not in route["route"]


@pytest.mark.parametrize(
    ("retries", "expected"),
    [
        ("{attempts: 3, retryOn: 'unavailable,internal'}", {"retry_on": "unavailable,internal", "num_retries": 3}),
        ("{attempts: 0}", None),
        ("{attempts: 1, retryOn: 'connect-failure'}", None),
        (
            "{attempts: 1, retryOn: unavailable, backoff: 1s}",
            {"retry_on": "unavailable", "num_retries": 1, "retry_back_off": {"base_interval": "1s"}},
        ),
    ],
)
def test_retries_keep_the_conditions_that_grpc_has(retries: str, expected: dict[str, object] | None) -> None:
    """A policy without any such condition is none: gRPC retries what never left the client by itself."""
    (route,) = routes(view(reviews(), rules(f"{{retries: {retries}, {_ALL}}}")))
    assert route["route"].get("retry_policy") == expected


def test_a_header_that_must_not_match_may_be_absent() -> None:
    """To gRPC an absent header matches nothing, inverted or not, so absent and different are routes of their own."""
    found = routes(view(reviews(), rules(f"{{match: [{{withoutHeaders: {{who: {{exact: me}}, a: {{}}}}}}], {_ALL}}}")))
    headers = [{item["name"]: item for item in route["match"]["headers"]} for route in found]
    assert [item["a"] for item in headers] == [{"name": "a", "present_match": True, "invert_match": True}] * 2
    assert [item["who"] for item in headers] == [
        {"name": "who", "present_match": True, "invert_match": True},
        {"name": "who", "string_match": {"exact": "me"}, "invert_match": True},
    ]


@pytest.mark.parametrize(
    ("matcher", "count"), [("{prefix: me}", 2), ("{regex: '.*'}", 1), ("{regex: 'me|you'}", 2), ("{regex: '(?P<'}", 2)]
)
def test_a_header_that_is_absent_is_the_empty_text(matcher: str, count: int) -> None:
    """As to Envoy: what must not match `.*` must be something else than absent."""
    found = routes(view(reviews(), rules(f"{{match: [{{withoutHeaders: {{who: {matcher}}}}}], {_ALL}}}")))
    assert len(found) == count


def test_many_headers_that_must_not_match_make_no_thousands_of_routes() -> None:
    """Each doubles the routes, so beyond a few they have to be absent, and it is said."""
    listed = ", ".join(f"h{number}: {{exact: a}}" for number in range(20))
    found = view(reviews(), rules(f"{{match: [{{withoutHeaders: {{{listed}}}}}], {_ALL}}}"))
    assert len(routes(found)) == 16
    assert said(found) == [("grpc-unsupported-match", "withoutHeaders")]


def test_rules_for_query_parameters_are_for_nobody() -> None:
    """A gRPC call has none, so such a route is left out; with the parameters left out it would take every call."""
    found = view(
        reviews(), rules(f"{{match: [{{queryParams: {{a: {{exact: b}}}}}}], {_ALL}}}", f"{{name: rest, {_ALL}}}")
    )
    assert [route["name"] for route in routes(found)] == ["rest"]
    assert said(found) == [("grpc-unsupported-match", "queryParams")]


def test_faults_are_injected_by_the_client_itself() -> None:
    """Delays and aborts are gRPC's too (A33); what the fault filter has beside them is not."""
    fault = "{delay: {fixedDelay: 1s, percentage: {value: 50}}, abort: {grpcStatus: ABORTED, percentage: {value: 1}}}"
    found = view(reviews(), rules(f"{{fault: {fault}, corsPolicy: {{allowOrigins: [{{exact: a}}]}}, {_ALL}}}"))
    (route,) = routes(found)
    assert set(route["typed_per_filter_config"]) == {"envoy.filters.http.fault"}
    config = route["typed_per_filter_config"]["envoy.filters.http.fault"]
    assert config["delay"]["fixed_delay"] == "1s"
    assert config["abort"]["grpc_status"] == 10
    assert said(found) == [("grpc-unsupported-field", "corsPolicy")]


@pytest.mark.parametrize(
    ("fields", "action"),
    [("redirect: {uri: /x}", "redirect"), ("directResponse: {status: 200}", "directResponse")],
)
def test_answers_that_grpc_does_not_have_keep_their_requests(fields: str, action: str) -> None:
    """Their calls fail, as gRPC has it, rather than fall to the rule that follows."""
    found = view(reviews(), rules(f"{{match: [{{uri: {{prefix: /a}}}}], {fields}}}", f"{{{_ALL}}}"))
    first, second = routes(found)
    assert "route" not in first
    assert "cluster" in second["route"]
    assert said(found) == [("grpc-unsupported-answer", action)]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("rewrite: {uri: /x}", ["rewrite"]),
        ("mirror: {host: reviews}", ["mirror"]),
        ("mirrors: [{destination: {host: reviews}}]", ["mirrors"]),
        ("headers: {request: {set: {a: b}}}", ["headers"]),
        ("retries: {attempts: 2, perTryTimeout: 1s, retryOn: unavailable}", ["perTryTimeout"]),
        ("retries: {attempts: 2, retryRemoteLocalities: true}", ["retryRemoteLocalities"]),
        ("retries: {attempts: 2, retryIgnorePreviousHosts: false}", ["retryIgnorePreviousHosts"]),
        ("retries: {attempts: 9}", ["attempts"]),
        ("retries: {attempts: 2, retryOn: '5xx,unavailable'}", ["retryOn"]),
        ("match: [{uri: {prefix: /a}, statPrefix: x}]", ["statPrefix"]),
        ("retries: {attempts: 0, perTryTimeout: 1s}", []),
    ],
)
def test_what_a_rule_asks_for_in_vain_is_said_where_it_stands(fields: str, expected: list[str]) -> None:
    """Each field that gRPC can't carry out is a warning with its place; the route goes on without it."""
    found = view(reviews(), rules(f"{{{fields}, {_ALL}}}"))
    assert said(found) == [("grpc-unsupported-field", name) for name in expected]
    assert {finding.severity for finding in found.unsupported} <= {Severity.WARNING}
    assert all(finding.origin and finding.path[:3] == ("spec", "http", 0) for finding in found.unsupported)
    assert len(routes(found)) == 1


@pytest.mark.parametrize(
    ("match", "step"),
    [
        ("method: {exact: POST}", "method"),
        ("scheme: {exact: http}", "scheme"),
        ("authority: {prefix: reviews}", "authority"),
        ("headers: {user-agent: {prefix: grpc}}", "user-agent"),
        ("headers: {':authority': {prefix: a}}", ":authority"),
        ("headers: {x-bin: {exact: a}}", "x-bin"),
        ("withoutHeaders: {host: {exact: a}}", "host"),
    ],
)
def test_what_grpc_does_not_look_at_when_it_chooses_is_said(match: str, step: str) -> None:
    """Pseudo headers, and headers that are added later, match nothing (measured: `tests/proxyless`)."""
    found = view(reviews(), rules(f"{{match: [{{{match}}}], {_ALL}}}"))
    assert said(found) == [("grpc-unsupported-match", step)]


def test_headers_of_a_share_are_said_once() -> None:
    """And several names with one rule don't say it several times."""
    share = "{destination: {host: reviews}, headers: {request: {set: {a: b}}}}"
    text = documents(reviews(), rules(f"{{route: [{share}]}}").replace("[reviews]", f"[reviews, {HOST}]"))
    assert said(view(text)) == [("grpc-unsupported-field", "headers")]


def test_a_rate_limit_for_a_rule_is_said_at_the_limit() -> None:
    """No proxy of its own means nobody who counts."""
    limit = (
        "kind: RateLimit\nmetadata: {name: few}\nspec: {target: {virtualService: {name: reviews}}, "
        "local: [{name: all, requests: 1, per: 1s}]}"
    )
    found = view(reviews(), rules(f"{{{_ALL}}}"), limit)
    assert said(found) == [("grpc-unsupported-field", "target")]
    assert "rate_limits" not in routes(found)[0]["route"]


def test_a_rule_that_cant_be_translated_is_said_for_the_whole_mesh_and_fails_its_calls() -> None:
    """As for Envoys: an error of the policy, not of gRPC."""
    found = compiled(documents(reviews(), rules(f"{{route: [{_V1.replace('80', '-1')}, {_V2}]}}"), application()))
    assert "route-untranslatable" in {finding.code for finding in found.findings}
    (route,) = routes(found.views[Key("default", "app")])
    assert route["direct_response"] == {"status": 500}


def test_hosts_that_only_rules_have_can_be_called_at_port_80() -> None:
    """A name of one's own for a split over services, as for Envoys."""
    text = rules(f"{{{_ALL}}}").replace("hosts: [reviews]", "hosts: [shop.example, '*.wild']")
    found = view(reviews(), text)
    assert names(found, ResourceType.LISTENER) == [TARGET, "shop.example:80"]
    (route,) = routes(found, "shop.example:80")
    assert route["route"]["cluster"] == f"outbound|9080||{HOST}"


def test_ports_that_speak_no_http_and_wildcards_have_no_name() -> None:
    """They are no gRPC services by their own word."""
    wild = "kind: ServiceEntry\nmetadata: {name: wild}\nspec: {hosts: ['*.example'], resolution: NONE, ports: [{number: 80, name: http, protocol: HTTP}]}"
    found = view(service("a", "80", "90/TCP", "91/HTTPS", "92/GRPC"), wild)
    assert names(found, ResourceType.LISTENER) == [f"a.default.svc.cluster.local:{port}" for port in (80, 92)]


def test_visibility_is_what_it_is_for_envoys() -> None:
    """`exportTo`, and the labels and the Sidecar of the workload, decide what a client can call and how."""
    sidecar = (
        "kind: Sidecar\nmetadata: {name: s}\nspec: {egress: [{port: {number: 90, protocol: HTTP, name: x}, "
        "hosts: ['./a.default.svc.cluster.local']}, {hosts: ['./b.default.svc.cluster.local']}]}"
    )
    mesh = documents(
        service("a", "80", "90"), service("b", "80", "90"), service("c", "80", extra="  exportTo: [shop]\n"), sidecar,
        workload("w", app="w", address="10.0.0.1"), application("with", workload="w"), application("without"),
    )  # fmt: skip
    views = compiled(mesh).views
    end = "default.svc.cluster.local"
    assert names(views[Key("default", "without")], ResourceType.LISTENER) == [
        f"a.{end}:80", f"a.{end}:90", f"b.{end}:80", f"b.{end}:90",
    ]  # fmt: skip
    assert names(views[Key("default", "with")], ResourceType.LISTENER) == [f"a.{end}:90", f"b.{end}:80"]


def test_source_labels_choose_rules_for_clients() -> None:
    """A rule of their own is how gRPC clients get a route where Envoys get an answer."""
    mesh = documents(
        reviews(), workload("w", app="w", address="10.0.0.1"), application(workload="w"),
        rules(f"{{name: own, match: [{{sourceLabels: {{app: w}}}}], {_ALL}}}", "{redirect: {uri: /x}}"),
    )  # fmt: skip
    found = compiled(mesh).views[Key("default", "app")]
    assert [route["name"] for route in routes(found)] == ["own"]
    assert found.unsupported == ()
