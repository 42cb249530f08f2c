"""Connection pools and outlier detection: each field of a traffic policy in Envoy's words."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compile.meshes import compiled, documents
from tests.compile.onecluster import SERVICE, built, cluster, codes, options, rule

_NO_LIMIT = 4294967295


def _thresholds(policy: str) -> dict[str, Any]:
    (found,) = cluster(built(policy))["circuit_breakers"]["thresholds"]
    value: dict[str, Any] = found
    return value


@pytest.mark.parametrize(
    ("pool", "field"),
    [
        ("tcp: {maxConnections: 7}", "max_connections"),
        ("http: {http1MaxPendingRequests: 7}", "max_pending_requests"),
        ("http: {http2MaxRequests: 7}", "max_requests"),
        ("http: {maxRetries: 7}", "max_retries"),
    ],
)
def test_a_limit_is_a_circuit_breaker_and_the_others_stay_open(pool: str, field: str) -> None:
    """2^32-1 is no limit; Envoy's own 1024 never comes back."""
    found = _thresholds(f"{{connectionPool: {{{pool}}}}}")
    assert found.pop(field) == 7
    assert {found[name] for name in found if name.startswith("max_")} == {_NO_LIMIT}


def test_a_limit_of_0_is_no_limit() -> None:
    """As in Istio: 0 is the default, not "nothing gets through"."""
    found = _thresholds("{connectionPool: {tcp: {maxConnections: 0}, http: {http2MaxRequests: 0}}}")
    assert found == _thresholds("{}")


def test_a_limit_needs_no_template() -> None:
    """An operator who empties cluster.yaml still has what policies say."""
    result = built("{connectionPool: {tcp: {maxConnections: 3}}}", cluster="")
    assert cluster(result)["circuit_breakers"] == {"thresholds": [{"max_connections": 3}]}


@pytest.mark.parametrize(
    ("policy", "budget"),
    [
        ("{retryBudget: {}}", {}),
        (
            "{retryBudget: {percent: 25.5, minRetryConcurrency: 9}}",
            {"budget_percent": {"value": 25.5}, "min_retry_concurrency": 9},
        ),
        ("{retryBudget: {minRetryConcurrency: 0}}", {"min_retry_concurrency": 0}),
    ],
)
def test_a_retry_budget(policy: str, budget: dict[str, Any]) -> None:
    """What it leaves out is Envoy's default: 20%, 3."""
    assert _thresholds(policy)["retry_budget"] == budget


def test_connect_timeout_and_tcp_keepalive_hold_for_every_protocol() -> None:
    """Sockets count in whole seconds, and never in 0."""
    policy = "{connectionPool: {tcp: {connectTimeout: 250ms, tcpKeepalive: {probes: 3, time: 2h, interval: 300ms}}}}"
    result = built(policy)
    for port in (9080, 5432):
        found = cluster(result, port)
        assert found["connect_timeout"] == "0.250s"
        assert found["upstream_connection_options"]["tcp_keepalive"] == {
            "keepalive_probes": 3,
            "keepalive_time": 7200,
            "keepalive_interval": 1,
        }


def test_an_empty_keepalive_turns_it_on() -> None:
    """With the system's own times."""
    found = cluster(built("{connectionPool: {tcp: {tcpKeepalive: {}}}}"))
    assert found["upstream_connection_options"] == {"tcp_keepalive": {}}


@pytest.mark.parametrize(
    ("pool", "port", "found"),
    [
        ("{}", 9080, {}),
        ("{tcp: {idleTimeout: 5s}}", 9080, {"common_http_protocol_options": {"idle_timeout": "5s"}}),
        (
            "{tcp: {idleTimeout: 5s}, http: {idleTimeout: 6s}}",
            9080,
            {"common_http_protocol_options": {"idle_timeout": "6s"}},
        ),
        ("{http: {idleTimeout: 0s}}", 9080, {"common_http_protocol_options": {"idle_timeout": "0s"}}),
        (
            "{tcp: {maxConnectionDuration: 1m}, http: {maxRequestsPerConnection: 1}}",
            9080,
            {"common_http_protocol_options": {"max_connection_duration": "60s", "max_requests_per_connection": 1}},
        ),
        (
            "{http: {h2UpgradePolicy: UPGRADE, maxConcurrentStreams: 8}}",
            9080,
            {"explicit_http_config": {"http2_protocol_options": {"max_concurrent_streams": 8}}},
        ),
        ("{http: {h2UpgradePolicy: DO_NOT_UPGRADE, maxConcurrentStreams: 8}}", 9080, {}),
        (
            "{http: {http2KeepAlive: {interval: 30s, timeout: 5s}}}",
            7070,
            {
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "5s"}}
                }
            },
        ),
        (
            "{http: {http2KeepAlive: {interval: 30s}}}",
            7070,
            {
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}
                }
            },
        ),
        (
            "{http: {useClientProtocol: true, h2UpgradePolicy: UPGRADE}}",
            9080,
            {"use_downstream_protocol_config": {"http_protocol_options": {}, "http2_protocol_options": {}}},
        ),
        ("{tcp: {idleTimeout: 5s}, http: {h2UpgradePolicy: UPGRADE}}", 5432, {}),
    ],
)
def test_http_options(pool: str, port: int, found: dict[str, Any]) -> None:
    """HTTP's settings are for ports of HTTP; those of HTTP/2 where HTTP/2 is spoken; the client's protocol goes first.

    Envoy refuses options that don't say how HTTP is spoken, so plain ports say HTTP/1.1.
    """
    result = options(built(f"{{connectionPool: {pool}}}"), port)
    if found and "explicit_http_config" not in found and "use_downstream_protocol_config" not in found:
        found = {**found, "explicit_http_config": {"http_protocol_options": {}}}
    assert result == found


def test_http_options_stand_on_top_of_the_templates() -> None:
    """An operator's own options are kept where a policy says nothing of them."""
    text = """
typed_extension_protocol_options:
  envoy.extensions.upstreams.http.v3.HttpProtocolOptions:
    "@type": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions
    common_http_protocol_options: {idle_timeout: 30s, max_headers_count: 9}
    explicit_http_config: {http2_protocol_options: {max_concurrent_streams: 3}}
"""
    found = options(built("{connectionPool: {http: {idleTimeout: 1s}}}", cluster=text))
    assert found == {
        "common_http_protocol_options": {"idle_timeout": "1s", "max_headers_count": 9},
        "explicit_http_config": {"http2_protocol_options": {"max_concurrent_streams": 3}},
    }


@pytest.mark.parametrize(
    ("settings", "found"),
    [
        ("{}", {}),
        ("{consecutive5xxErrors: 3}", {"consecutive_5xx": 3, "enforcing_consecutive_5xx": 100}),
        ("{consecutive5xxErrors: 0}", {"consecutive_5xx": 0, "enforcing_consecutive_5xx": 0}),
        (
            "{consecutiveGatewayErrors: 2}",
            {"consecutive_gateway_failure": 2, "enforcing_consecutive_gateway_failure": 100},
        ),
        ("{consecutiveErrors: 2}", {"consecutive_gateway_failure": 2, "enforcing_consecutive_gateway_failure": 100}),
        (
            "{interval: 1s, baseEjectionTime: 1m, maxEjectionPercent: 60}",
            {"interval": "1s", "base_ejection_time": "60s", "max_ejection_percent": 60},
        ),
        (
            "{splitExternalLocalOriginErrors: true, consecutiveLocalOriginFailures: 4}",
            {
                "split_external_local_origin_errors": True,
                "enforcing_local_origin_success_rate": 0,
                "consecutive_local_origin_failure": 4,
                "enforcing_consecutive_local_origin_failure": 100,
            },
        ),
        ("{consecutiveLocalOriginFailures: 4}", {}),
    ],
)
def test_outlier_detection(settings: str, found: dict[str, Any]) -> None:
    """Counted causes are enforced always or never; success rates never eject; an ejected endpoint is never sent to in panic."""
    message = cluster(built(f"{{outlierDetection: {settings}}}"))
    assert message["outlier_detection"] == {"enforcing_success_rate": 0, **found}
    assert message["common_lb_config"] == {"healthy_panic_threshold": {}}


def test_min_health_percent_is_envoys_panic_threshold() -> None:
    """Below that share of healthy endpoints all of them get requests."""
    message = cluster(built("{outlierDetection: {minHealthPercent: 30}}"))
    assert message["common_lb_config"]["healthy_panic_threshold"] == {"value": 30}
    assert "common_lb_config" not in cluster(built("{}"))


@pytest.mark.parametrize(
    ("statuses", "matcher"),
    [
        (
            "[429]",
            {"http_response_headers_match": {"headers": [{"name": ":status", "string_match": {"exact": "429"}}]}},
        ),
        (
            "[503, 429, 503]",
            {
                "or_match": {
                    "rules": [
                        {
                            "http_response_headers_match": {
                                "headers": [{"name": ":status", "string_match": {"exact": code}}]
                            }
                        }
                        for code in ("429", "503")
                    ]
                }
            },
        ),
    ],
)
def test_statuses_that_count_as_failures(statuses: str, matcher: dict[str, Any]) -> None:
    """They take the place of 5xx."""
    found = options(built(f"{{outlierDetection: {{outlierDetectionHttpErrorCodes: {statuses}}}}}"))
    assert found["outlier_detection"] == {"error_matcher": matcher}


@pytest.mark.parametrize(("percent", "found"), [("", ["outlier-percent"]), (", maxEjectionPercent: 50", [])])
def test_ejection_that_rounds_down_to_nothing_is_said(percent: str, found: list[str]) -> None:
    """10% of two endpoints is none: Envoy would detect, and never eject."""
    result = built(f"{{outlierDetection: {{interval: 1s{percent}}}}}")
    assert codes(result) == found
    for finding in result.findings:
        assert finding.path == ("spec", "trafficPolicy", "outlierDetection")
        assert "maxEjectionPercent to 50" in finding.hint


def test_port_settings_and_subsets_have_pools_of_their_own() -> None:
    """A port's settings replace the whole policy; a subset's go before the rule's, block by block."""
    policy = (
        "{connectionPool: {tcp: {maxConnections: 1}}, outlierDetection: {maxEjectionPercent: 100}, portLevelSettings: "
        "[{port: {number: 7070}, connectionPool: {tcp: {maxConnections: 2}}}]}"
    )
    subsets = "[{name: v1, labels: {version: v1}, trafficPolicy: {connectionPool: {tcp: {maxConnections: 3}}}}]"
    result = compiled(documents(SERVICE, rule(policy, subsets=subsets)))
    limits = {
        (port, subset): cluster(result, port, subset)["circuit_breakers"]["thresholds"][0]["max_connections"]
        for port in (9080, 7070)
        for subset in ("", "v1")
    }
    assert limits == {(9080, ""): 1, (7070, ""): 2, (9080, "v1"): 3, (7070, "v1"): 3}
    assert "outlier_detection" in cluster(result, 9080, "v1")
    assert "outlier_detection" not in cluster(result, 7070)


_UNMET = "outlierDetection: {interval: 1s}"


@pytest.mark.parametrize(
    ("policy", "subsets", "path"),
    [
        (f"{{{_UNMET}}}", "[]", ("spec", "trafficPolicy", "outlierDetection")),
        (
            f"{{portLevelSettings: [{{port: {{number: 1}}, tls: {{}}}}, {{port: {{number: 9080}}, {_UNMET}}}]}}",
            "[]",
            ("spec", "trafficPolicy", "portLevelSettings", 1, "outlierDetection"),
        ),
        (
            "{tls: {}}",
            f"[{{name: v1}}, {{name: v2, trafficPolicy: {{{_UNMET}}}}}]",
            ("spec", "subsets", 1, "trafficPolicy", "outlierDetection"),
        ),
        (
            f"{{{_UNMET}}}",
            "[{name: v1, trafficPolicy: {portLevelSettings: [{port: {number: 9080}, tls: {}}]}}]",
            ("spec", "trafficPolicy", "outlierDetection"),
        ),
    ],
)
def test_what_is_found_points_at_the_block_that_holds(policy: str, subsets: str, path: tuple[Any, ...]) -> None:
    """The subset's or the port's own, or the rule's that they fall back to."""
    assert {finding.path for finding in built(policy, subsets=subsets).findings} == {path}


def test_what_is_found_points_at_the_document_that_says_it() -> None:
    """Of several rules for one host, each subset is its own document's, and the policy that of the first that has one."""
    first = rule("null", subsets="[{name: v1}]")
    second = rule(f"{{{_UNMET}}}", subsets=f"[{{name: v2, trafficPolicy: {{{_UNMET}}}}}]", name="b")
    found = compiled(documents(SERVICE), first, second).findings
    assert {finding.origin.file for finding in found if finding.origin} == {"policies/mesh-2.yaml"}
    assert {finding.path[:2] for finding in found} == {("spec", "trafficPolicy"), ("spec", "subsets")}
