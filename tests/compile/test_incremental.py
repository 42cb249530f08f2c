"""Compiling one mesh after another gives what compiling each by itself gives, and leaves alone what a change does not concern."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compile import Compiled, MeshCompiler, Prototypes, compile_mesh
from reconciler.compile.incremental import edited_rules
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Origin
from reconciler.model.resource import ResourceType
from reconciler.model.rollout import Rollout
from reconciler.model.services import Service, declared
from reconciler.model.virtualservice import VirtualService
from tests.compile.meshes import (
    compiled,
    documents,
    gateway_proxy,
    house_templates,
    mesh_of,
    only,
    service,
    sidecar_proxy,
    workload,
)

PROTOTYPES = Prototypes.parse(house_templates())

_RULES = """
kind: VirtualService
metadata: {name: NAME}
spec:
  hosts: [HOST]
  gateways: [mesh, edge]
  http:
  - name: primary
    route:
    - {destination: {host: a, subset: v1}, weight: 90}
    - {destination: {host: a, subset: v2}, weight: 10}
"""
_SUBSETS = "kind: DestinationRule\nmetadata: {name: a}\nspec: {host: a, subsets: [{name: v1}, {name: v2}]}"
_EDGE = (
    "kind: Gateway\nmetadata: {name: edge}\nspec: {selector: {istio: edge}, servers: "
    "[{port: {number: 8080, name: http, protocol: HTTP}, hosts: ['*']}]}"
)
_BASE = (
    service("a", "80"), service("b", "80"), _SUBSETS, _EDGE, gateway_proxy(), sidecar_proxy("a-v1"),
    workload("a-v1", app="a", address="127.0.0.11"),
)  # fmt: skip


def _rules(name: str, host: str) -> str:
    return _RULES.replace("NAME", name).replace("HOST", host)


_MESH = mesh_of(
    documents(*_BASE, _rules("a", "a"), _rules("b", "b"), _rules("wild", '"*.example"'), _rules("own", "x.org"))
)
_SERVICES = declared(_MESH)

_EDITS: Sequence[tuple[str, str]] = (
    ('"weight":90', '"weight":85'),
    ('"weight":10', '"weight":0'),
    ('"subset":"v1"', '"subset":"v3"'),
    ('"name":"primary"', '"name":"primary","match":[{"port":7}]'),
    ('"name":"primary"', '"name":"primary","match":[{"uri":{"prefix":"/x"}}]'),
    ('"name":"primary"', '"name":"primary","retries":{"attempts":1}'),
    ('"host":"a"', '"host":"b"'),
    ('"hosts":["', '"hosts":["other.example","'),
    ('"gateways":["mesh"', '"gateways":["default/edge","mesh"'),
    ('"gateways"', '"exportTo":["."],"gateways"'),
)


def _edited(mesh: Mesh, number: int, edit: tuple[str, str]) -> Mesh:
    """The mesh with one VirtualService changed as text; every other object stays the same."""
    old = mesh.virtual_services[number]
    text = old.spec.model_dump_json(by_alias=True, exclude_unset=True)
    spec = VirtualService.model_validate_json(re.sub(re.escape(edit[0]), edit[1], text, count=1))
    changed = replace(old, spec=spec)
    return replace(
        mesh, virtual_services=(*mesh.virtual_services[:number], changed, *mesh.virtual_services[number + 1 :])
    )


def _same(one: Compiled, other: Compiled) -> bool:
    return one.findings == other.findings and {key: dict(view.resources) for key, view in one.views.items()} == {
        key: dict(view.resources) for key, view in other.views.items()
    }


def _compiler() -> tuple[MeshCompiler, Compiled]:
    compiler = MeshCompiler(PROTOTYPES)
    return compiler, compiler.compile(_MESH, _SERVICES)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 3), st.sampled_from(_EDITS)), min_size=1, max_size=6))
def test_what_was_compiled_before_never_shows(edits: list[tuple[int, tuple[str, str]]]) -> None:
    """After any edits, one after another, views and findings are those of a compile from nothing, byte by byte."""
    compiler, _ = _compiler()
    mesh = _MESH
    for number, edit in edits:
        mesh = _edited(mesh, number, edit)
        assert _same(compiler.compile(mesh, _SERVICES), compile_mesh(mesh, _SERVICES, PROTOTYPES))


def test_a_changed_weight_makes_new_routes_and_nothing_else() -> None:
    """Everything but the route configurations with this rule is the very same object as before."""
    compiler, before = _compiler()
    after = compiler.compile(_edited(_MESH, 0, _EDITS[0]), _SERVICES)
    for key, view in after.views.items():
        changed = {id_ for id_, item in view.resources.items() if item is not before.views[key].resources[id_]}
        assert {id_.type for id_ in changed} == {ResourceType.ROUTE}
        assert {id_.name for id_ in changed} <= {"80", "http.8080"}


def test_where_a_rollout_stands_is_nothing_to_compile() -> None:
    """A step moves a weight and the status of its rollout in one commit: no more is compiled than for the weight alone."""
    spec = {"target": {"virtualService": {"name": "a"}}, "stable": "v1", "canary": "v2", "steps": [{"setWeight": 5}]}
    rollout = Rollout.model_validate_json(json.dumps(spec))
    after = _edited(_MESH, 0, _EDITS[0])
    after = replace(after, rollouts=(Policy("Rollout", Key("default", "a"), rollout, Origin("r.yaml", 0)),))
    assert edited_rules(_MESH, after) == {Key("default", "a"): after.virtual_services[0]}


def test_another_service_leaves_the_clusters_of_the_others_alone() -> None:
    """After any change, resources whose documents are the same are the very same objects, in every view."""
    compiler, before = _compiler()
    services = tuple(replace(item, endpoints=()) if item.host.startswith("b.") else item for item in _SERVICES)
    after = compiler.compile(_MESH, services)
    assert _same(after, compile_mesh(_MESH, services, PROTOTYPES))
    fresh = [
        item.id.name
        for key, view in after.views.items()
        for item in view.of_type(ResourceType.CLUSTER)
        if item is not before.views[key].resources.get(item.id) and item.id.name.startswith("outbound|")
    ]
    assert fresh
    assert all(name.endswith("|b.default.svc.cluster.local") for name in fresh)


def test_another_destination_rule_makes_the_clusters_of_its_host_anew() -> None:
    """Subsets and policies of one host are no matter of the others."""
    compiler, before = _compiler()
    text = documents(*_BASE[:2], _SUBSETS.replace("{name: v2}", "{name: v2, labels: {version: v2}}"))
    mesh = replace(_MESH, destination_rules=mesh_of(text).destination_rules)
    after = compiler.compile(mesh, _SERVICES)
    assert _same(after, compile_mesh(mesh, _SERVICES, PROTOTYPES))
    for key, view in after.views.items():
        for item in view.of_type(ResourceType.CLUSTER):
            if item.id.name.endswith("|b.default.svc.cluster.local"):
                assert item is before.views[key].resources[item.id]


def test_rules_that_begin_to_hold_make_a_new_virtual_host() -> None:
    """A host that no service has, and whose rules held nowhere, appears once they do."""
    silent = _edited(_MESH, 2, _EDITS[3])
    compiler = MeshCompiler(PROTOTYPES)
    compiler.compile(silent, _SERVICES)
    assert _same(compiler.compile(_MESH, _SERVICES), compile_mesh(_MESH, _SERVICES, PROTOTYPES))


def test_only_rules_count_as_edited_rules() -> None:
    """Other hosts, gateways or visibility, delegation, and any other document are a mesh of their own."""
    for number, edit in enumerate(_EDITS):
        found = edited_rules(_MESH, _edited(_MESH, 0, edit))
        assert (found is None) is (number >= 7), edit
    delegating = _edited(_MESH, 0, ('"name":"primary"', '"delegate":{"name":"b"},"name":"primary"'))
    assert edited_rules(_MESH, delegating) is None
    assert edited_rules(_MESH, replace(_MESH, gateways=())) is None
    assert edited_rules(_MESH, replace(_MESH, virtual_services=_MESH.virtual_services[1:])) is None


def test_other_services_are_another_mesh() -> None:
    """Discovered instances come with other services: nothing of the last compile is used."""
    compiler, _ = _compiler()
    fewer: tuple[Service, ...] = _SERVICES[:1]
    assert _same(compiler.compile(_MESH, fewer), compile_mesh(_MESH, fewer, PROTOTYPES))


def test_a_runtime_proxy_gets_its_new_weights() -> None:
    """Weights that are pushed as runtime keys follow an edited rule too."""
    proxy = """
kind: Proxy
metadata: {name: foreign}
spec:
  admin: "http://127.0.0.1:9901"
  push: {runtime: {routes: [{virtualService: a, route: primary, prefix: p, clusters: {v1: one, v2: two}}]}}
"""
    mesh = mesh_of(documents(*_BASE[:3], _rules("a", "a"), proxy))
    services = declared(mesh)
    compiler = MeshCompiler(PROTOTYPES)
    compiler.compile(mesh, services)
    after = compiler.compile(_edited(mesh, 0, _EDITS[0]), services)
    (view,) = after.views.values()
    assert {id_.name: item.body for id_, item in view.resources.items()} == {"p.one": b"85", "p.two": b"10"}


def test_compiling_in_one_go_is_the_same() -> None:
    """`compile_mesh` is a compiler that knows of nothing."""
    text = documents(service("a"), sidecar_proxy("a-v1"), workload("a-v1", app="a", address="127.0.0.11"))
    mesh = mesh_of(text)
    view = only(MeshCompiler(PROTOTYPES).compile(mesh, declared(mesh)))
    assert view.version == only(compiled(text)).version
