"""What holds for every mesh with gRPC applications in it."""

from __future__ import annotations

import re
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compile import Compiled, MeshCompiler, Prototypes, compile_mesh
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.protos import decode, to_dict
from reconciler.model.resource import ResourceType
from reconciler.model.services import declared
from reconciler.model.virtualservice import VirtualService
from tests.compile.applications import application, said
from tests.compile.meshes import documents, house_templates, mesh_of, service, sidecar_proxy, workload
from tests.compile.strategies import texts

_PROTOTYPES = Prototypes.parse(house_templates())
_FEW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_APPLICATIONS = (application("grpc"), application("grpc", namespace="shop"), application("server", workload="a-1"))


def _compiled(mesh: Mesh) -> Compiled:
    return compile_mesh(mesh, declared(mesh), _PROTOTYPES)


@_FEW
@given(documents_=texts())
def test_no_envoy_notices_an_application(documents_: list[str]) -> None:
    """Every other proxy has the same view, byte by byte, with and without gRPC applications beside it."""
    without = _compiled(mesh_of(*documents_)).views
    beside = _compiled(mesh_of(*documents_, *_APPLICATIONS)).views
    assert {key: beside[key] for key in without} == without


@_FEW
@given(documents_=texts())
def test_nothing_in_an_applications_view_points_nowhere(documents_: list[str]) -> None:
    """Every listener has its routes, every route its clusters, every EDS cluster its endpoints."""
    compiled = _compiled(mesh_of(*documents_, *_APPLICATIONS))
    for name in (Key("default", "grpc"), Key("shop", "grpc")):
        view = compiled.views[name]
        listeners = {item.id.name for item in view.of_type(ResourceType.LISTENER)}
        assert listeners == {item.id.name for item in view.of_type(ResourceType.ROUTE)}
        clusters = {item.id.name: to_dict(decode(item)) for item in view.of_type(ResourceType.CLUSTER)}
        led = re.findall(
            r"'outbound\|[^']*'", str([to_dict(decode(item)) for item in view.of_type(ResourceType.ROUTE)])
        )
        assert {item.strip("'") for item in led} <= clusters.keys()
        pushed = {name for name, cluster in clusters.items() if cluster["type"] == "EDS"}
        assert pushed == {item.id.name for item in view.of_type(ResourceType.ENDPOINTS)}
        assert not view.of_type(ResourceType.SECRET)


_RULES = """
kind: VirtualService
metadata: {name: NAME}
spec:
  hosts: [HOST]
  http:
  - name: primary
    route:
    - {destination: {host: a, subset: v1}, weight: 90}
    - {destination: {host: a, subset: v2}, weight: 10}
"""
_MESH = mesh_of(
    documents(
        service("a", "80"), service("b", "80"), sidecar_proxy("a-1"), workload("a-1", app="a", address="127.0.0.11"),
        "kind: DestinationRule\nmetadata: {name: a}\nspec: {host: a, subsets: [{name: v1}, {name: v2}]}",
        _RULES.replace("NAME", "a").replace("HOST", "a"), _RULES.replace("NAME", "own").replace("HOST", "x.org"),
        *_APPLICATIONS,
    )
)  # fmt: skip
_SERVICES = declared(_MESH)
_EDITS = (
    ('"weight":90', '"weight":85'),
    ('"subset":"v1"', '"subset":"v2"'),
    ('"name":"primary"', '"name":"primary","match":[{"port":7}]'),
    ('"name":"primary"', '"name":"primary","rewrite":{"uri":"/x"}'),
    ('"name":"primary"', '"name":"primary","match":[{"queryParams":{"a":{}}}]'),
    ('"host":"a"', '"host":"b"'),
    ('"rewrite":{"uri":"/x"},', ""),
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


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 1), st.sampled_from(_EDITS)), min_size=1, max_size=6))
def test_what_was_compiled_before_never_shows(edits: list[tuple[int, tuple[str, str]]]) -> None:
    """After any edits, views, what they leave out, and findings are those of a compile from nothing."""
    compiler = MeshCompiler(_PROTOTYPES)
    compiler.compile(_MESH, _SERVICES)
    mesh = _MESH
    for number, edit in edits:
        mesh = _edited(mesh, number, edit)
        assert compiler.compile(mesh, _SERVICES) == compile_mesh(mesh, _SERVICES, _PROTOTYPES)


def test_a_changed_weight_makes_new_routes_and_nothing_else() -> None:
    """One route configuration of each client: what goes over the wire."""
    compiler = MeshCompiler(_PROTOTYPES)
    before = compiler.compile(_MESH, _SERVICES)
    after = compiler.compile(_edited(_MESH, 0, _EDITS[0]), _SERVICES)
    for key in (Key("default", "grpc"), Key("default", "server"), Key("shop", "grpc")):
        old, new = before.views[key], after.views[key]
        changed = [id_ for id_, item in new.resources.items() if item is not old.resources[id_]]
        assert [(id_.type, id_.name) for id_ in changed] == [(ResourceType.ROUTE, "a.default.svc.cluster.local:80")]


def test_an_edited_rule_says_anew_what_it_asks_for_in_vain() -> None:
    """What is left out belongs to the rules, and changes with them."""
    compiler = MeshCompiler(_PROTOTYPES)
    compiler.compile(_MESH, _SERVICES)
    changed = _edited(_MESH, 0, _EDITS[3])
    view = compiler.compile(changed, _SERVICES).views[Key("shop", "grpc")]
    assert said(view) == [("grpc-unsupported-field", "rewrite")]
    assert said(compiler.compile(_MESH, _SERVICES).views[Key("shop", "grpc")]) == []
