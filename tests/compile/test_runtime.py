"""The view of an Envoy that someone else configures."""

from __future__ import annotations

import pytest

from reconciler.errors import Severity
from reconciler.model.resource import ResourceType, View
from tests.compile.meshes import compiled, documents, only

_RULES = """
kind: VirtualService
metadata: {name: reviews}
spec:
  hosts: [reviews]
  http:
  - name: primary
    route:
    - {destination: {host: reviews, subset: v1}, weight: 95}
    - {destination: {host: reviews, subset: v2}, weight: 5}
"""
_MAPPING = "{virtualService: reviews, route: primary, prefix: routing.reviews, clusters: {v1: one, v2: two}}"


def _view(rules: str = _RULES, *mappings: str) -> View:
    proxy = f"""
kind: Proxy
metadata: {{name: foreign}}
spec:
  admin: http://127.0.0.1:9901
  push: {{runtime: {{routes: [{", ".join(mappings or (_MAPPING,))}]}}}}
"""
    return only(compiled(documents(rules, proxy)))


def _keys(view: View) -> dict[str, str]:
    assert all(item.id.type is ResourceType.RUNTIME for item in view.resources.values())
    return {item.id.name: item.body.decode() for item in view.resources.values()}


def _codes(view: View) -> list[str]:
    return [finding.code for finding in view.unsupported]


def test_each_destination_of_a_mapped_route_is_a_key() -> None:
    """`<prefix>.<Envoy's cluster>` to the weight as written, and nothing else."""
    view = _view()
    assert _keys(view) == {"routing.reviews.one": "95", "routing.reviews.two": "5"}
    assert view.unsupported == ()


def test_a_mapped_cluster_that_gets_nothing_has_weight_zero() -> None:
    """Its configured weight would take part in the split otherwise."""
    view = _view(_RULES, _MAPPING.replace("v2: two", "v2: two, v3: three"))
    assert _keys(view) == {"routing.reviews.one": "95", "routing.reviews.two": "5", "routing.reviews.three": "0"}


def test_the_only_route_needs_no_name() -> None:
    """With one rule there is nothing to confuse."""
    assert len(_keys(_view(_RULES, _MAPPING.replace("route: primary, ", "")))) == 2


def test_two_destinations_of_one_subset_add_up() -> None:
    """They are one cluster, and so one key."""
    rules = f"{_RULES}    - {{destination: {{host: reviews, subset: v2}}, weight: 3}}\n"
    assert _keys(_view(rules))["routing.reviews.two"] == "8"


@pytest.mark.parametrize(
    ("rules", "mapping", "code"),
    [
        (_RULES, _MAPPING.replace("route: primary", "route: nope"), "runtime-unknown-route"),
        (_RULES, _MAPPING.replace("reviews, route", "other/reviews, route"), "runtime-unknown-route"),
        (_RULES + "  - {route: [{destination: {host: b}}]}\n", _MAPPING.replace("route: primary, ", ""), "runtime-unknown-route"),
        (_RULES.partition("    - {destination: {host: reviews, subset: v2}")[0], _MAPPING, "runtime-unweighted-route"),
        (_RULES, _MAPPING.replace(", v2: two", ""), "runtime-unmapped-destination"),
        (_RULES, _MAPPING.replace("v2: two", "v2: one"), "runtime-shared-cluster"),
        (_RULES.replace("host: reviews, subset: v2", "host: elsewhere, subset: v1"), _MAPPING, "runtime-shared-cluster"),
    ],
)  # fmt: skip
def test_a_split_that_cannot_be_pushed_whole_is_not_pushed_at_all(rules: str, mapping: str, code: str) -> None:
    """Envoy would mix some weights of ours with some of its own; the mapping is pointed at, and named."""
    view = _view(rules, mapping)
    assert _keys(view) == {}
    finding = view.unsupported[0]
    assert finding.code == code
    assert finding.severity is Severity.ERROR
    assert finding.origin is not None
    assert finding.path == ("spec", "push", "runtime", "routes", 0)
    assert "default/foreign" in finding.message
    assert finding.hint


def test_two_routes_never_write_one_key() -> None:
    """The first mapping keeps it."""
    rules = _RULES + _RULES.partition("  http:\n")[2].replace("primary", "second").replace("95", "50")
    second = _MAPPING.replace("primary", "second")
    view = _view(rules, _MAPPING, second)
    assert _keys(view)["routing.reviews.one"] == "95"
    assert _codes(view) == ["runtime-key"]


def test_other_rules_of_a_mapped_virtual_service_are_named() -> None:
    """The proxy doesn't get them, and the plan says so."""
    view = _view(_RULES + "  - {name: rest, route: [{destination: {host: b}}]}\n")
    (finding,) = view.unsupported
    assert finding.code == "runtime-unmapped-route"
    assert finding.severity is Severity.WARNING
    assert "rest" in finding.message
    assert finding.path == ("spec", "http", 1)
    assert len(_keys(view)) == 2


def test_what_a_mapped_rule_says_besides_its_weights_is_named() -> None:
    """Each field at its place; the weights are pushed all the same."""
    rules = _RULES.replace(
        "  - name: primary\n",
        "  - name: primary\n    match: [{uri: {prefix: /a}}]\n    timeout: 0s\n    retries: {attempts: 0}\n",
    )
    view = _view(rules)
    assert _codes(view) == ["runtime-unsupported-field"] * 3
    assert [finding.path[-1] for finding in view.unsupported] == ["match", "retries", "timeout"]
    assert len(_keys(view)) == 2
