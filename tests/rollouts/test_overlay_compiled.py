"""What the compiler makes of rules that a rollout has put in: they belong to the rule that they are made from."""

from __future__ import annotations

import pytest

from reconciler.compile import Compiled, Prototypes, compile_mesh
from reconciler.model.key import Key
from reconciler.model.resource import ResourceType
from reconciler.model.services import declared
from reconciler.rollouts.overlay import overlaid
from tests.compile.meshes import house_templates, messages, routes
from tests.rollouts.overlays import HEADER, PRIMARY, Case

EDGE = """\
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: edge}
spec: {labels: {role: edge}, admin: "http://127.0.0.1:9901", push: {files: {directory: /edge}}}
"""
LIMIT = """\
---
apiVersion: reconciler/v1alpha1
kind: RateLimit
metadata: {name: reviews}
spec:
  target: {virtualService: {name: reviews, routes: [primary]}}
  local: [{name: all, requests: 10, per: 1s}]
"""
MAPPED = """\
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: foreign}
spec:
  admin: "http://127.0.0.1:9902"
  push: {runtime: {routes: [{virtualService: reviews, ROUTE prefix: p, clusters: {v1: one, v2: two}}]}}
"""


def compiled(case: Case) -> Compiled:
    """What its mesh compiles to, with what is in force."""
    mesh = overlaid(case.mesh())
    return compile_mesh(mesh, declared(mesh), Prototypes.parse(house_templates()))


def test_a_limited_rule_is_limited_for_who_has_the_header_too() -> None:
    """A header must not be a way around a RateLimit that names the rule."""
    view = compiled(Case(steps=f"{{{HEADER}}}", more=EDGE + LIMIT)).views[Key("default", "edge")]
    (hosts,) = [
        found for name, found in routes(view, "http.8080.127.0.0.1").items() if name.startswith("reviews.example.com")
    ]
    assert [route["name"] for route in hosts] == ["primary.qa", "primary"]
    limits = [route["typed_per_filter_config"]["envoy.filters.http.local_ratelimit.routes"] for route in hosts]
    assert limits[0] == limits[1]


def test_a_finding_points_at_the_rule_that_is_written() -> None:
    """Rules that are put in stand in no file."""
    delayed = "fault: {delay: {fixedDelay: 1s, percentage: {value: 100}}}, timeout: 1s"
    first = "{name: first, match: [{uri: {prefix: /first}}], route: [{destination: {host: reviews}}]}"
    case = Case(http=f"{first}, {{{PRIMARY}, {delayed}}}", steps=f"{{{HEADER}}}", more=EDGE)
    paths = {finding.path for finding in compiled(case).findings if finding.code == "fault-retries"}
    assert paths == {("spec", "http", 1, "fault")}


@pytest.mark.parametrize("route", ["", "route: primary,"])
def test_weights_still_reach_an_envoy_that_someone_else_configures(route: str) -> None:
    """The mapping means the rule of the document; what was put in is named, as it can't be pushed there."""
    view = compiled(Case(steps=f"{{{HEADER}}}", more=MAPPED.replace("ROUTE", route))).views[Key("default", "foreign")]
    assert {item.id.name: item.body for item in view.of_type(ResourceType.RUNTIME)} == {"p.one": b"90", "p.two": b"10"}
    (finding,) = view.unsupported
    assert (finding.code, finding.path) == ("runtime-unmapped-route", ("spec", "http", 0))
    assert "primary.qa" in finding.message
    assert messages(view, ResourceType.ROUTE) == {}
