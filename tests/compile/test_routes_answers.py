"""Answers that a proxy gives by itself: redirects, direct responses, faults, CORS; and the one for a rule that is wrong."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.route.v3.route_components_pb2 import DirectResponseAction, RedirectAction

from reconciler.compile.routes.errors import UntranslatableError
from reconciler.compile.routes.redirects import fill_direct_response, fill_redirect
from reconciler.compile.viewer import Place, Viewer
from reconciler.errors import Severity
from reconciler.model.protos import to_dict
from reconciler.model.virtualservice import HTTPBody, HTTPDirectResponse, HTTPRedirect, RedirectPort
from tests.compile.meshes import only, routes
from tests.compile.routed import NAME, TO_A, found, one, result, routed


def _redirect(redirect: HTTPRedirect, *, port: int = 8080, tls: bool = False) -> dict[str, Any]:
    message = RedirectAction()
    fill_redirect(message, redirect, Place(viewer=Viewer(namespace="n"), port=port, tls=tls))
    return to_dict(message)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        (0, {}),
        (301, {}),
        (302, {"response_code": "FOUND"}),
        (303, {"response_code": "SEE_OTHER"}),
        (307, {"response_code": "TEMPORARY_REDIRECT"}),
        (308, {"response_code": "PERMANENT_REDIRECT"}),
    ],
)
def test_every_code_that_redirects(code: int, expected: dict[str, Any]) -> None:
    """301 is the default, Istio's and Envoy's."""
    assert _redirect(HTTPRedirect(redirect_code=code)) == expected


def test_what_a_redirect_changes() -> None:
    """Whole path, or the matched prefix, which goes first; host and scheme."""
    assert _redirect(HTTPRedirect(uri="/x", authority="b.com", scheme="https")) == {
        "host_redirect": "b.com", "path_redirect": "/x", "scheme_redirect": "https",
    }  # fmt: skip
    assert _redirect(HTTPRedirect(uri="/x", prefix_rewrite="/y")) == {"prefix_rewrite": "/y"}


@pytest.mark.parametrize(
    ("redirect", "port", "tls", "expected"),
    [
        (HTTPRedirect(port=8443), 80, False, 8443),
        (HTTPRedirect(port=80), 81, False, None),
        (HTTPRedirect(port=80), 81, True, 80),
        (HTTPRedirect(port=443), 81, True, None),
        (HTTPRedirect(port=443), 81, False, 443),
        (HTTPRedirect(port=443, scheme="https"), 81, False, None),
        (HTTPRedirect(port=80, scheme="https"), 81, False, 80),
        (HTTPRedirect(derive_port=RedirectPort.FROM_REQUEST_PORT), 8080, False, 8080),
        (HTTPRedirect(derive_port=RedirectPort.FROM_REQUEST_PORT), 80, False, None),
        (HTTPRedirect(derive_port=RedirectPort.FROM_REQUEST_PORT), 443, True, None),
        (HTTPRedirect(derive_port=RedirectPort.FROM_PROTOCOL_DEFAULT), 8080, False, None),
    ],
)
def test_the_port_of_a_redirect(redirect: HTTPRedirect, port: int, *, tls: bool, expected: int | None) -> None:
    """A derived port is the listener's; the one that the scheme implies is left out."""
    assert _redirect(redirect, port=port, tls=tls).get("port_redirect") == expected


def test_a_redirect_is_instead_of_a_route_and_keeps_response_headers() -> None:
    """The template's action gives way."""
    route = one("  - {redirect: {authority: b.com}, headers: {response: {set: {x-why: moved}}}}\n")
    assert route["redirect"] == {"host_redirect": "b.com"}
    assert "route" not in route
    assert route["response_headers_to_add"][0]["header"] == {"key": "x-why", "value": "moved"}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", None),
        (", body: {string: hello}", {"inline_string": "hello"}),
        (", body: {bytes: aGk=}", {"inline_bytes": "aGk="}),
    ],
)
def test_a_direct_response(body: str, expected: dict[str, str] | None) -> None:
    """Status, and text or bytes."""
    answer = one(f"  - {{directResponse: {{status: 418{body}}}}}\n")["direct_response"]
    assert (answer["status"], answer.get("body")) == (418, expected)


def test_bytes_that_are_not_base64_are_an_error() -> None:
    """Nothing is guessed."""
    with pytest.raises(UntranslatableError, match="base64"):
        fill_direct_response(DirectResponseAction(), HTTPDirectResponse(status=200, body=HTTPBody(bytes="a b")))


def _filter(http: str, name: str) -> dict[str, Any]:
    config: dict[str, Any] = one(http)["typed_per_filter_config"][f"envoy.filters.http.{name}"]
    config.pop("@type")
    return config


def test_a_delay_and_an_abort_are_the_fault_filters() -> None:
    """Shares to the nearest millionth: 2.3% is not 2.2999%."""
    fault = "fault: {delay: {fixedDelay: 1500ms, percentage: {value: 2.3}}, abort: {httpStatus: 503, percentage: {value: 0.0001}}}"
    assert _filter(fault, "fault") == {
        "delay": {"fixed_delay": "1.500s", "percentage": {"numerator": 23000, "denominator": "MILLION"}},
        "abort": {"http_status": 503, "percentage": {"numerator": 1, "denominator": "MILLION"}},
    }


def test_shares_of_faults_that_are_not_written() -> None:
    """None for an abort, the older `percent` for a delay, as in Istio; gRPC's statuses go by name."""
    fault = "fault: {delay: {fixedDelay: 1s, percent: 7}, abort: {grpcStatus: UNAVAILABLE}}"
    assert _filter(fault, "fault") == {
        "delay": {"fixed_delay": "1s", "percentage": {"numerator": 7}},
        "abort": {"grpc_status": 14, "percentage": {}},
    }


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("fault: {delay: {fixedDelay: 1s}}, timeout: 2s", ["never makes a request time out"]),
        ("fault: {abort: {httpStatus: 500}}, retries: {attempts: 3}", ["not retried"]),
        ("fault: {abort: {httpStatus: 500}, delay: {fixedDelay: 1s}}, retries: {attempts: 3}, timeout: 1s", ["never", "not retried"]),
        ("fault: {abort: {httpStatus: 500}}, retries: {attempts: 0}", []),
        ("fault: {delay: {fixedDelay: 1s}}, timeout: 0s", []),
        ("fault: {delay: {fixedDelay: 1s}}, retries: {attempts: 1}", []),
        ("timeout: 2s, retries: {attempts: 3}", []),
    ],
)  # fmt: skip
def test_what_a_fault_does_not_do_is_said(written: str, words: list[str]) -> None:
    """Timeout and retries stay in the route; a warning says which of them the fault never meets."""
    compiled = result(written)
    warnings = found(compiled)
    assert [item.code for item in warnings] == ["fault-retries"] * len(words)
    assert {item.severity for item in warnings} <= {Severity.WARNING}
    assert all(any(word in item.message for item in warnings) for word in words)
    (route,) = routes(only(compiled), "9080")[NAME]
    assert ("timeout" in written and "0s" not in written) == (route["route"]["timeout"] != "0s")


def test_cors_in_full() -> None:
    """Lists are joined; preflights of other origins are sent on unless told otherwise."""
    policy = """corsPolicy: {allowOrigins: [{exact: "http://x.com"}, {prefix: "http://y"}, {regex: ".*z"}], allowMethods: [GET, PUT],
      allowHeaders: [a, b], exposeHeaders: [c], maxAge: 1h30m, allowCredentials: true}"""
    assert _filter(policy, "cors") == {
        "allow_origin_string_match": [{"exact": "http://x.com"}, {"prefix": "http://y"}, {"safe_regex": {"regex": ".*z"}}],
        "allow_methods": "GET,PUT",
        "allow_headers": "a,b",
        "expose_headers": "c",
        "max_age": "5400",
        "allow_credentials": True,
        "filter_enabled": {"default_value": {"numerator": 100}},
        "forward_not_matching_preflights": True,
    }  # fmt: skip


def test_cors_of_older_documents_and_without_preflights() -> None:
    """`allowOrigin` is exact; `IGNORE` keeps preflights of other origins."""
    config = _filter("corsPolicy: {allowOrigin: ['*'], unmatchedPreflights: IGNORE}", "cors")
    assert config["allow_origin_string_match"] == [{"exact": "*"}]
    assert config["forward_not_matching_preflights"] is False
    assert "allow_credentials" not in config


@pytest.mark.parametrize(
    "wrong",
    [
        "redirect: {redirectCode: 399}",
        "directResponse: {status: 200, body: {bytes: '!'}}",
        "directResponse: {status: -1}",
        "timeout: 1s",
        "fault: {abort: {grpcStatus: NOPE}}, route: [{destination: {host: a}}]",
        "route: [{destination: {host: a}}, {destination: {host: b}}]",
        "route: [{destination: {host: a}, weight: -1}, {destination: {host: b}, weight: 2}]",
        "route: [{destination: {host: a}, weight: 4294967295}, {destination: {host: b}, weight: 1}]",
        "retries: {attempts: 4294967296}, route: [{destination: {host: a}}]",
    ],
)
def test_a_rule_that_cannot_be_translated_is_an_error_for_its_own_requests_alone(wrong: str) -> None:
    """They get a 500, the rules around it work, and a finding says why."""
    http = f"""
  - {{name: before, match: [{{uri: {{exact: /a}}}}], {TO_A}}}
  - {{name: wrong, match: [{{uri: {{prefix: /b}}}}, {{uri: {{prefix: /c}}}}], {wrong}}}
  - {{name: after, {TO_A}}}
"""
    (finding,) = found(result(http))
    assert (finding.code, finding.path) == ("route-untranslatable", ("spec", "http", 1))
    before, first, second, after = routed(http)
    assert (before["name"], after["name"]) == ("before", "after")
    assert [first["match"], second["match"]] == [{"prefix": "/b"}, {"prefix": "/c"}]
    assert first["direct_response"] == second["direct_response"] == {"status": 500}


def test_a_rule_that_cannot_be_translated_asks_for_no_cluster() -> None:
    """What it leads to is nobody's."""
    compiled = result("  - route: [{destination: {host: a, subset: v8}}, {destination: {host: a, subset: v9}}]\n")
    assert not [item for item in only(compiled).resources if "v8" in item.name or "v9" in item.name]
