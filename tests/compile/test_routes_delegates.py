"""Delegates: rules that stand in another VirtualService, within the matches of the rule that delegates."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile.routes.narrowing import narrowed
from reconciler.errors import Severity
from reconciler.model.virtualservice import HTTPMatch, StringMatch
from tests.compile.meshes import compiled, documents, only, routes, service
from tests.compile.routed import NAME, SERVICES, TO_A, found, policy, result


def _delegate(http: str, *, name: str = "d", namespace: str = "default", extra: str = "") -> str:
    return policy(http, name=name, hosts="[]", namespace=namespace, extra=extra)


def _routed(root: str, *delegates: str) -> list[dict[str, Any]]:
    return routes(only(compiled(documents(SERVICES, policy(root), *delegates))), "9080")[NAME]


_ROOT = """
  - {name: root, match: [{uri: {prefix: /a}}], delegate: {name: d}}
  - {name: rest, route: [{destination: {host: b}}]}
"""


def test_a_delegates_rules_stand_in_place_of_the_rule_that_names_it() -> None:
    """Named after both, within its matches, in order, and what follows the rule still does."""
    found_routes = _routed(
        _ROOT,
        _delegate(f"""
  - {{name: x, match: [{{name: m, uri: {{prefix: /a/x}}}}, {{headers: {{h: {{}}}}}}], {TO_A}}}
  - {{{TO_A}}}
"""),
    )
    assert [(route["name"], route["match"]) for route in found_routes] == [
        ("root-x.m", {"prefix": "/a/x"}),
        ("root-x", {"prefix": "/a", "headers": [{"name": "h", "present_match": True}]}),
        ("root", {"prefix": "/a"}),
        ("rest", {"prefix": "/"}),
    ]
    config = "/apis/networking.istio.io/v1/namespaces/default/virtual-service/a"
    assert {route["metadata"]["filter_metadata"]["istio"]["config"] for route in found_routes} == {config}


def test_every_match_of_both_is_combined() -> None:
    """A product, in the order of the delegate's; a pair that doesn't fit is left out as long as another does."""
    root = "  - {match: [{uri: {prefix: /a}, name: r}, {uri: {prefix: /b}}], delegate: {name: d}}\n"
    leaf = "match: [{name: l, method: {exact: GET}}, {uri: {exact: /b/c}}]"
    assert [(item.get("name", ""), item["match"]) for item in _routed(root, _delegate(leaf))] == [
        ("r-l", {"prefix": "/a", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}),
        ("l", {"prefix": "/b", "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]}),
        ("", {"path": "/b/c"}),
    ]


def test_what_a_delegate_does_not_say_the_root_says() -> None:
    """Timeout, rewrite, mirrors and all that; what the delegate says itself, holds."""
    root = """
  - match: [{uri: {prefix: /a}}]
    delegate: {name: d}
    timeout: 1s
    rewrite: {uri: /z}
    headers: {request: {set: {from: root}}}
    retries: {attempts: 7}
    mirror: {host: b}
    mirrorPercentage: {value: 5}
    corsPolicy: {allowOrigin: [x]}
"""
    silent, loud = _routed(
        root,
        _delegate(f"""
  - {{match: [{{uri: {{prefix: /a/b}}}}], {TO_A}}}
  - {{timeout: 2s, rewrite: {{uri: /y}}, headers: {{request: {{set: {{from: leaf}}}}}}, retries: {{attempts: 0}}, mirrors: [{{destination: {{host: a}}}}], {TO_A}}}
"""),
    )
    assert (silent["route"]["timeout"], loud["route"]["timeout"]) == ("1s", "2s")
    assert (silent["route"]["prefix_rewrite"], loud["route"]["prefix_rewrite"]) == ("/z", "/y")
    assert [item["request_headers_to_add"][0]["header"]["value"] for item in (silent, loud)] == ["root", "leaf"]
    assert silent["route"]["retry_policy"]["num_retries"] == 7
    assert "retry_policy" not in loud["route"]
    assert [[item["cluster"] for item in route["route"]["request_mirror_policies"]] for route in (silent, loud)] == [
        ["outbound|9080||b.default.svc.cluster.local"],
        ["outbound|9080||a.default.svc.cluster.local"],
    ]
    assert all("envoy.filters.http.cors" in route["typed_per_filter_config"] for route in (silent, loud))


def test_names_are_meant_where_they_stand() -> None:
    """Short hosts of a delegate in its namespace, those of what it has from the root in the root's."""
    root = "  - {match: [{uri: {prefix: /a}}], delegate: {name: d, namespace: shop}, mirror: {host: b}}\n"
    leaf = _delegate("  - {route: [{destination: {host: c}}]}\n", namespace="shop")
    (route,) = _routed(root, leaf, service("c", namespace="shop"))
    assert route["route"]["cluster"] == "outbound|9080||c.shop.svc.cluster.local"
    assert route["route"]["request_mirror_policies"][0]["cluster"] == "outbound|9080||b.default.svc.cluster.local"


def test_conditions_on_the_proxy_stay_the_roots() -> None:
    """Its gateways, labels and namespace hold for the delegate's rules too; Istio loses them where both have matches."""
    root = "  - {match: [{sourceLabels: {app: z}}], delegate: {name: d}}\n  - {name: rest, route: [{destination: {host: b}}]}\n"
    assert [item["name"] for item in _routed(root, _delegate("match: [{uri: {prefix: /a}}]"))] == ["rest"]
    root = root.replace("sourceLabels: {app: z}", "gateways: [mesh]")
    assert len(_routed(root, _delegate("match: [{uri: {prefix: /a}}]"))) == 2


@pytest.mark.parametrize(
    ("delegate", "words"),
    [
        ("", "does not exist"),
        (policy("name: x", name="d", hosts="[b]"), "has hosts"),
        (_delegate("name: x", namespace="shop"), "does not exist"),
        (_delegate("name: x", extra="  exportTo: [shop]\n"), "is not exported to namespace default"),
        (_delegate("name: x", extra="  exportTo: ['~']\n"), "is not exported"),
    ],
)
def test_a_delegate_that_cannot_be_used_is_an_error_for_the_requests_that_are_its(delegate: str, words: str) -> None:
    """They get a 500; they don't go to the rules that follow, as they do in Istio."""
    compiled_mesh = result(_ROOT, *([delegate] if delegate else []))
    (finding,) = found(compiled_mesh)
    assert (finding.code, finding.path) == ("delegate-unusable", ("spec", "http", 0, "delegate"))
    assert words in finding.message
    lost, rest = routes(only(compiled_mesh), "9080")[NAME]
    assert (lost["name"], lost["match"], lost["direct_response"]) == ("root", {"prefix": "/a"}, {"status": 500})
    assert rest["name"] == "rest"


def test_a_delegate_does_not_delegate() -> None:
    """Its rule is an error, those beside it work."""
    leaf = f"  - {{match: [{{uri: {{prefix: /a/x}}}}], delegate: {{name: e}}}}\n  - {{name: good, {TO_A}}}\n"
    compiled_mesh = result(_ROOT, _delegate(leaf), _delegate("name: y", name="e"))
    (finding,) = found(compiled_mesh)
    assert (finding.code, finding.path) == ("delegate-unusable", ("spec", "http", 0, "delegate"))
    lost, good, _ = routes(only(compiled_mesh), "9080")[NAME]
    assert (lost["match"], lost["direct_response"]) == ({"prefix": "/a/x"}, {"status": 500})
    assert good["name"] == "root-good"


def test_a_rule_outside_the_roots_matches_is_left_out_with_a_warning() -> None:
    """The others of the delegate stay; Istio says nothing."""
    leaf = f"  - {{name: out, match: [{{uri: {{prefix: /b}}}}], {TO_A}}}\n  - {{name: in, {TO_A}}}\n"
    compiled_mesh = result(_ROOT, _delegate(leaf))
    (finding,) = found(compiled_mesh)
    assert (finding.code, finding.severity, finding.path) == (
        "delegate-conflict",
        Severity.WARNING,
        ("spec", "http", 0),
    )
    assert "root of default/a" in finding.message
    assert [item["name"] for item in routes(only(compiled_mesh), "9080")[NAME]] == ["root-in", "rest"]


_EXACT, _PREFIX, _REGEX, _ANY = (
    StringMatch(exact="/a/b"), StringMatch(prefix="/a"), StringMatch(regex="/a.*"), StringMatch(),
)  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "match", "expected"),
    [
        (HTTPMatch(uri=_PREFIX), HTTPMatch(uri=_EXACT), HTTPMatch(uri=_EXACT)),
        (HTTPMatch(uri=_PREFIX), HTTPMatch(), HTTPMatch(uri=_PREFIX)),
        (HTTPMatch(), HTTPMatch(uri=_REGEX), HTTPMatch(uri=_REGEX)),
        (HTTPMatch(uri=_REGEX), HTTPMatch(uri=_REGEX), HTTPMatch(uri=_REGEX)),
        (HTTPMatch(uri=_EXACT), HTTPMatch(uri=_PREFIX), None),
        (HTTPMatch(uri=_PREFIX), HTTPMatch(uri=_REGEX), None),
        (HTTPMatch(uri=_PREFIX), HTTPMatch(uri=_EXACT, ignore_uri_case=True), None),
        (HTTPMatch(uri=_PREFIX, ignore_uri_case=True), HTTPMatch(uri=StringMatch(prefix="/A/x"), ignore_uri_case=True), HTTPMatch(uri=StringMatch(prefix="/A/x"), ignore_uri_case=True)),
        (HTTPMatch(uri=_PREFIX, ignore_uri_case=True), HTTPMatch(), HTTPMatch(uri=_PREFIX, ignore_uri_case=True)),
        (HTTPMatch(method=_EXACT), HTTPMatch(scheme=_EXACT, authority=_EXACT), HTTPMatch(method=_EXACT, scheme=_EXACT, authority=_EXACT)),
        (HTTPMatch(headers={"x": _ANY, "y": _EXACT}), HTTPMatch(headers={"x": _REGEX, "z": _ANY}), HTTPMatch(headers={"x": _REGEX, "y": _EXACT, "z": _ANY})),
        (HTTPMatch(headers={"x": _EXACT}), HTTPMatch(headers={"x": _ANY}), None),
        (HTTPMatch(without_headers={"x": _EXACT}), HTTPMatch(without_headers={"x": _EXACT, "y": _ANY}), HTTPMatch(without_headers={"x": _EXACT, "y": _ANY})),
        (HTTPMatch(without_headers={"x": _PREFIX}), HTTPMatch(without_headers={"x": _EXACT}), None),
        (HTTPMatch(query_params={"q": _PREFIX}), HTTPMatch(query_params={"q": _EXACT}), HTTPMatch(query_params={"q": _EXACT})),
        (HTTPMatch(query_params={"q": _EXACT}), HTTPMatch(query_params={"q": _PREFIX}), None),
        (HTTPMatch(port=80), HTTPMatch(), HTTPMatch(port=80)),
        (HTTPMatch(port=80), HTTPMatch(port=81), None),
        (HTTPMatch(source_labels={"a": "1"}), HTTPMatch(source_labels={"b": "2"}), HTTPMatch(source_labels={"a": "1", "b": "2"})),
        (HTTPMatch(source_labels={"a": "1"}), HTTPMatch(source_labels={"a": "2"}), None),
        (HTTPMatch(source_namespace="n"), HTTPMatch(), HTTPMatch(source_namespace="n")),
        (HTTPMatch(source_namespace="n"), HTTPMatch(source_namespace="m"), None),
        (HTTPMatch(gateways=("g", "h")), HTTPMatch(gateways=("h",)), HTTPMatch(gateways=("h",))),
        (HTTPMatch(gateways=("g",)), HTTPMatch(), HTTPMatch(gateways=("g",))),
        (HTTPMatch(gateways=("g",)), HTTPMatch(gateways=("h",)), None),
        (HTTPMatch(stat_prefix="r"), HTTPMatch(), HTTPMatch(stat_prefix="r")),
        (HTTPMatch(stat_prefix="r"), HTTPMatch(stat_prefix="l"), HTTPMatch(stat_prefix="l")),
    ],
)  # fmt: skip
def test_a_match_within_another(limits: HTTPMatch, match: HTTPMatch, expected: HTTPMatch | None) -> None:
    """Each condition at least as narrow as its limit, the others put together; else there is none."""
    assert narrowed(limits, match) == expected
