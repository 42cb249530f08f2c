"""Conditions of a match: those that an Envoy decides, and those that the compiler does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.compile import Prototypes
from reconciler.compile.index import Index
from reconciler.compile.routes import Translations
from reconciler.compile.routes.conditions import holds
from reconciler.compile.viewer import Place, Viewer
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Origin
from reconciler.model.services import declared
from reconciler.model.virtualservice import HTTPMatch, VirtualService
from tests.compile.meshes import compiled, documents, gateway_proxy, house_templates, mesh_of, only, routes
from tests.compile.routed import SERVICES, TO_A, one, policy, routed

_OWNER = Policy("VirtualService", Key("shop", "v"), VirtualService(), Origin("v.yaml", 0))


def _match(text: str) -> dict[str, Any]:
    match: dict[str, Any] = one(f"match: [{text}]")["match"]
    return match


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{uri: {exact: /x}, ignoreUriCase: true}", {"path": "/x", "case_sensitive": False}),
        ("{uri: {prefix: /x}, ignoreUriCase: true}", {"prefix": "/x", "case_sensitive": False}),
        ("{uri: {prefix: /x}, ignoreUriCase: false}", {"prefix": "/x"}),
    ],
)
def test_a_path_may_be_of_any_case(written: str, expected: dict[str, Any]) -> None:
    """`case_sensitive` stands only where it is not Envoy's default."""
    assert _match(written) == expected


def test_pseudo_headers_come_after_the_others() -> None:
    """Method, authority and scheme, in Istio's order."""
    match = _match(
        '{scheme: {exact: http}, method: {regex: "GET|HEAD"}, authority: {prefix: a.}, headers: {x: {exact: y}}}'
    )
    assert match["headers"] == [
        {"name": "x", "string_match": {"exact": "y"}},
        {"name": ":method", "string_match": {"safe_regex": {"regex": "GET|HEAD"}}},
        {"name": ":authority", "string_match": {"prefix": "a."}},
        {"name": ":scheme", "string_match": {"exact": "http"}},
    ]


def test_without_headers_are_inverted_and_absence_matches_nothing() -> None:
    """An absent header counts as an empty one, except where presence is what is asked; order is by name, then inversion."""
    match = _match("{headers: {b: {prefix: p}}, withoutHeaders: {c: {}, b: {exact: v}, a: {regex: r+}}}")
    assert match["headers"] == [
        {"name": "a", "string_match": {"safe_regex": {"regex": "r+"}}, "invert_match": True, "treat_missing_header_as_empty": True},
        {"name": "b", "string_match": {"prefix": "p"}},
        {"name": "b", "string_match": {"exact": "v"}, "invert_match": True, "treat_missing_header_as_empty": True},
        {"name": "c", "present_match": True, "invert_match": True},
    ]  # fmt: skip


def test_query_parameters_are_matched_by_value_or_presence_by_name() -> None:
    """A rule with one is no catch-all, whatever its path."""
    first, second = routed(f"""
  - match: [{{queryParams: {{z: {{exact: "1"}}, a: {{}}, m: {{regex: "x*"}}}}}}]
    {TO_A}
  - {{{TO_A}}}
""")
    assert first["match"] == {
        "prefix": "/",
        "query_parameters": [
            {"name": "a", "present_match": True},
            {"name": "m", "string_match": {"safe_regex": {"regex": "x*"}}},
            {"name": "z", "string_match": {"exact": "1"}},
        ],
    }
    assert second["match"] == {"prefix": "/"}


def test_a_stat_prefix_is_the_routes() -> None:
    """Of the match that has it, and of no other."""
    first, second = routed(f"  - {{match: [{{uri: {{exact: /x}}, statPrefix: x}}, {{uri: {{exact: /y}}}}], {TO_A}}}\n")
    assert first["stat_prefix"] == "x"
    assert "stat_prefix" not in second


def _place(gateways: str = "mesh", port: int = 80) -> Place:
    viewer = Viewer(namespace="shop", labels=(("app", "w"), ("version", "v1")))
    return Place(viewer=viewer, port=port, gateways=frozenset(gateways.split()))


@pytest.mark.parametrize(
    ("match", "place", "expected"),
    [
        (HTTPMatch(), _place(), True),
        (HTTPMatch(port=80), _place(), True),
        (HTTPMatch(port=81), _place(), False),
        (HTTPMatch(source_labels={"app": "w"}), _place(), True),
        (HTTPMatch(source_labels={"app": "w", "version": "v2"}), _place(), False),
        (HTTPMatch(source_namespace="shop"), _place(), True),
        (HTTPMatch(source_namespace="default"), _place(), False),
        (HTTPMatch(gateways=("edge",)), _place(), False),
        (HTTPMatch(gateways=("edge", "mesh")), _place(), True),
        (HTTPMatch(gateways=("edge",)), _place("shop/edge"), True),
        (HTTPMatch(gateways=("edge",)), _place("default/edge"), False),
        (HTTPMatch(gateways=("default/edge",)), _place("default/edge"), True),
        (HTTPMatch(gateways=("mesh",), source_labels={"app": "z"}, source_namespace="z"), _place(), True),
        (HTTPMatch(gateways=("mesh",), port=81), _place(), False),
    ],
)
def test_conditions_on_the_proxy(match: HTTPMatch, place: Place, *, expected: bool) -> None:
    """Port, gateways (in the document's namespace), or labels and namespace, which `gateways` overrides."""
    assert holds(match, owner=_OWNER, place=place) is expected


def test_a_rule_that_can_never_hold_is_left_out_with_all_its_clusters() -> None:
    """Its other matches stay; what it says of other proxies is in no view."""
    http = f"""
  - {{name: other, match: [{{sourceLabels: {{app: z}}}}], route: [{{destination: {{host: b, subset: v7}}}}]}}
  - {{name: half, match: [{{port: 1}}, {{uri: {{exact: /x}}}}], {TO_A}}}
  - {{name: rest, {TO_A}}}
"""
    view = only(compiled(documents(SERVICES, policy(http))))
    assert [route["name"] for route in routes(view, "9080")["a.default.svc.cluster.local:9080"]] == ["half", "rest"]
    assert not [item for item in view.resources if "v7" in item.name]


def test_one_document_says_different_things_to_sidecars_and_gateways() -> None:
    """`match.gateways` decides in each view, and a rule that takes everything in one doesn't end the other's."""
    gateway = "kind: Gateway\nmetadata: {name: edge}\nspec: {servers: [{port: {number: 81, name: h, protocol: HTTP}, hosts: ['*']}]}"
    http = f"""
  - {{name: inside, match: [{{gateways: [mesh]}}], {TO_A}}}
  - {{name: outside, match: [{{gateways: [edge]}}], {TO_A}}}
"""
    text = policy(http, extra="  gateways: [mesh, edge]\n")
    edge, sidecar = compiled(documents(SERVICES, text, gateway, gateway_proxy())).views.values()
    assert [item["name"] for item in routes(sidecar, "9080")["a.default.svc.cluster.local:9080"]] == ["inside"]
    assert [item["name"] for item in routes(edge, "http.81")["a.default.svc.cluster.local:81"]] == ["outside"]


def test_a_service_whose_rules_never_hold_has_the_default_route() -> None:
    """As if nobody had written them, as in Istio."""
    assert one("match: [{port: 1}]")["name"] == "default"


def _translations(*matches: str) -> tuple[Translations, Policy[VirtualService]]:
    mesh = mesh_of(SERVICES, policy(f"match: [{', '.join(matches)}]"))
    index = Index.of(mesh, declared(mesh))
    return Translations(index, Prototypes.parse(house_templates())), mesh.virtual_services[0]


@pytest.mark.parametrize(
    ("match", "shared"),
    [
        ("{uri: {exact: /x}}", {"labels", "namespace", "gateways", "tls"}),
        ("{sourceLabels: {app: w}}", {"namespace", "gateways", "tls"}),
        ("{sourceNamespace: shop}", {"labels", "gateways", "tls"}),
        ("{gateways: [mesh]}", {"labels", "namespace", "tls"}),
    ],
)
def test_places_that_differ_in_what_no_rule_looks_at_share_their_routes(match: str, shared: set[str]) -> None:
    """A proxy more costs nothing; a port more does."""
    translations, owner = _translations(match)
    place = _place()
    others = {
        "labels": replace(place, viewer=replace(place.viewer, labels=())),
        "namespace": replace(place, viewer=replace(place.viewer, namespace="default")),
        "gateways": replace(place, gateways=frozenset({"default/edge"})),
        "tls": replace(place, tls=True),
        "port": replace(place, port=81),
    }
    first = translations.of(owner, place)
    assert {name for name, other in others.items() if translations.of(owner, other) is first} == shared
