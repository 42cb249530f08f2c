"""Instances come and go without a compile: recipes make the load assignments, and nothing else looks at what registries list."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.compile import Compiled, MeshCompiler, Prototypes, compile_mesh
from reconciler.compile.clusters.encoding import assembled, chosen
from reconciler.compile.clusters.endpoints import assignment, fitted
from reconciler.compile.clusters.localities import Spread
from reconciler.model.protos import decode, resource
from reconciler.model.resource import ResourceType, View
from reconciler.model.services import Endpoint, Health, Port, Service, declared
from tests.compile import instances
from tests.compile.applications import application
from tests.compile.instances import instance, listing, made_by, same
from tests.compile.meshes import (
    documents,
    gateway_proxy,
    house_templates,
    mesh_of,
    messages,
    only,
    service,
    sidecar_proxy,
    workload,
)
from tests.compile.strategies import texts

PROTOTYPES = Prototypes.parse(house_templates())
_FEW = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
_APPLICATION = application("grpc")


@_FEW
@given(data=st.data(), documents_=texts())
def test_instances_change_nothing_but_what_recipes_make(data: st.DataObject, documents_: list[str]) -> None:
    """With other instances the views, their gaps and all findings are the same, but for what the old recipes make of them."""
    mesh = mesh_of(*documents_, _APPLICATION)
    first, second = data.draw(instances.pairs(declared(mesh)))
    old, new = compile_mesh(mesh, first, PROTOTYPES), compile_mesh(mesh, second, PROTOTYPES)
    assert new.findings == old.findings
    assert new.views.keys() == old.views.keys()
    for key, view in old.views.items():
        assert new.views[key].unsupported == view.unsupported
        made = {id_: made_by(item, second) if item.recipe else item for id_, item in view.resources.items()}
        assert [*made.values()] == [*new.views[key].resources.values()]
        assert view.discovered == new.views[key].discovered
        for item in (view.resources[id_] for id_ in view.discovered):
            again = made_by(item, first)
            assert again == item
            assert again.recipe is item.recipe
        assert view.version == new.views[key].version
    compiler = MeshCompiler(PROTOTYPES)
    compiler.compile(mesh, first)
    assert same(compiler.compile(mesh, second), new)
    assert same(compiler.compile(replace(mesh, gateways=()), second), _alone(replace(mesh, gateways=()), second))


def _alone(mesh: Any, services: list[Service]) -> Compiled:
    return compile_mesh(mesh, services, PROTOTYPES)


_SPREADS = st.sampled_from(
    [
        None,
        Spread(locality="eu/a/1"),
        Spread(labels=(("version", "v1"), ("topology.kubernetes.io/region", "us")), locality="eu"),
        Spread(labels=(("version", "v1"),)),
        Spread(shares=(("eu/a/1", 70), ("eu", 20), ("*", 10))),
        Spread(shares=(("us/*", 100),)),
    ]
)
_HOST = Service(host="x", namespace="n", ports=(Port(80, "p", "HTTP", 80),), endpoints=(), origin=None)  # type: ignore[arg-type]


@given(found=instances.endpoints(_HOST), near=_SPREADS, probed=st.sampled_from([0, 80, 7]))
def test_load_assignments_are_put_together_as_they_are_written(
    found: list[Endpoint], near: Spread | None, probed: int
) -> None:
    """The bytes made of encoded endpoints are those of the whole message in its canonical form."""
    kept = chosen(found, port="p", labels={}, probed=probed)
    whole = assignment("c", [(item, item.ports["p"]) for item, _ in kept], near, probed=probed)
    assert assembled("c", kept, near) == resource(ResourceType.ENDPOINTS, whole)


@given(given_=st.lists(st.integers(1, 2**32 - 1), max_size=20))
def test_what_is_too_heavy_to_stand_together_weighs_less(given_: list[int]) -> None:
    """In the same proportions, but that nobody weighs nothing; what is not too heavy stays as it is."""
    found = fitted(given_)
    if sum(given_) < 2**32:
        assert found is None
        return
    assert found is not None
    assert sum(found) < 2**32
    assert min(found) >= 1
    share = Fraction(2**32, sum(given_))
    assert all(abs(new - old * share) <= 2 + len(given_) for new, old in zip(found, given_, strict=True))


@pytest.mark.parametrize("resolution", ["STATIC", "DNS"])
def test_endpoints_that_git_declares_may_be_too_heavy_too(resolution: str) -> None:
    """Wherever they are written: Envoy would refuse them, and a cluster with them."""
    entry = f"""
kind: ServiceEntry
metadata: {{name: h}}
spec:
  hosts: [h.example.com]
  resolution: {resolution}
  ports: [{{number: 80, name: p, protocol: HTTP}}]
  endpoints: [{{address: 10.0.0.1, weight: 4294967295}}, {{address: 10.0.0.2, weight: 4294967295}}]
"""
    view = only(
        compile_mesh(
            mesh_of(documents(entry, workload("c", app="c", address="10.0.0.9"), sidecar_proxy("c"))),
            declared(mesh_of(entry)),
            PROTOTYPES,
        )
    )
    type_ = ResourceType.ENDPOINTS if resolution == "STATIC" else ResourceType.CLUSTER
    found = messages(view, type_)["outbound|80||h.example.com"]
    (group,) = (found if resolution == "STATIC" else found["load_assignment"])["endpoints"]
    assert [item["load_balancing_weight"] for item in group["lb_endpoints"]] == [2**31 - 2] * 2


_BASE = (
    service("a", "80", "9090/GRPC"), service("b", "80"),
    "kind: DestinationRule\nmetadata: {name: a}\nspec: {host: a, subsets: [{name: v2, labels: {version: v2}}]}",
    workload("a-1", app="a", address="10.0.0.1"),
)  # fmt: skip
_MESH = mesh_of(documents(*_BASE, gateway_proxy(), sidecar_proxy("a-1")))
_HOST_A = "a.default.svc.cluster.local"


def _with(*found: Endpoint, mesh: Any = _MESH) -> list[Service]:
    return [listing(item, *found) if item.host == _HOST_A else item for item in declared(mesh)]


def _view(*found: Endpoint, more: str = "") -> View:
    mesh = mesh_of(
        documents(*_BASE, workload("c", app="c", address="10.0.0.9"), sidecar_proxy("c"), more or "kind: Mesh")
    )
    return only(compile_mesh(mesh, _with(*found, mesh=mesh), PROTOTYPES))


def _members(view: View, *, subset: str = "", port: int = 80) -> list[tuple[str, int, str]]:
    found = messages(view, ResourceType.ENDPOINTS)[f"outbound|{port}|{subset}|{_HOST_A}"]
    return [
        (
            host["endpoint"]["address"]["socket_address"]["address"],
            host["load_balancing_weight"],
            host.get("health_status", ""),
        )
        for group in found.get("endpoints", [])
        for host in group["lb_endpoints"]
    ]


def test_instances_join_the_endpoints_that_git_declares() -> None:
    """Each at its own port and in its subset; one that does not know the port is left out of it."""
    view = _view(
        instance("10.2.0.1", labels={"version": "v2"}),
        instance("10.2.0.2", 9090, name="p9090"),
    )
    assert _members(view) == [("10.0.0.1", 1, ""), ("10.2.0.1", 1, "")]
    assert _members(view, subset="v2") == [("10.2.0.1", 1, "")]
    assert _members(view, port=9090) == [("10.0.0.1", 1, ""), ("10.2.0.2", 1, "")]


def test_of_two_in_one_place_the_first_is_taken_and_gits_own_before_all() -> None:
    """However the address is written."""
    view = _view(
        instance("10.0.0.1", weight=7, health=Health.DRAINING),
        instance("2001:db8::1", weight=5),
        instance("2001:DB8:0::1", weight=3),
    )
    assert sorted(_members(view)) == [("10.0.0.1", 1, ""), ("2001:db8::1", 5, "")]


def test_what_a_platform_says_of_an_instance_becomes_its_status() -> None:
    """Of a healthy one nothing is said, as of one that Git declares."""
    view = _view(*(instance(f"10.2.0.{number}", health=health) for number, health in enumerate(Health)))
    assert [status for _, _, status in _members(view)] == ["", "", "UNHEALTHY", "DRAINING"]


def test_unwell_instances_are_not_panicked_over_unless_somebody_says_so() -> None:
    """A discovered service has no panic threshold, but for that of its policy; others are as they were."""
    policy = "kind: DestinationRule\nmetadata: {name: q}\nspec: {host: a, trafficPolicy: {outlierDetection: {minHealthPercent: 30}}}"
    for more, expected in (("", {}), (policy, {"value": 30.0})):
        clusters = messages(_view(more=more), ResourceType.CLUSTER)
        threshold = clusters[f"outbound|80||{_HOST_A}"]["common_lb_config"]["healthy_panic_threshold"]
        assert threshold == expected
        assert "common_lb_config" not in clusters["outbound|80||b.default.svc.cluster.local"]


def test_who_is_trusted_is_a_matter_of_the_service() -> None:
    """An instance's account by itself changes no cluster; the service's accounts do, beside those of Git's endpoints."""
    mesh = mesh_of(
        documents(
            *_BASE[:3],
            "kind: WorkloadEntry\nmetadata: {name: a-1}\nspec: {address: 10.0.0.1, serviceAccount: mine, labels: {app: a}}",
            "kind: DestinationRule\nmetadata: {name: t}\nspec: {host: a, trafficPolicy: {tls: {mode: ISTIO_MUTUAL}}}",
            "kind: Mesh\nspec: {certificates: {directory: /c, certificateChain: /c/c, privateKey: /c/k, rootCertificate: /c/r}}",
            workload("c", app="c", address="10.0.0.9"),
            sidecar_proxy("c"),
        )
    )
    services = _with(instance("10.2.0.1", service_account="theirs"), mesh=mesh)
    known = [replace(item, accounts=frozenset({"theirs"})) if item.discovered else item for item in services]
    name = f"outbound|80||{_HOST_A}"
    for given_, accounts in ((services, ["mine"]), (known, ["mine", "theirs"])):
        view = only(compile_mesh(mesh, given_, PROTOTYPES))
        text = str(messages(view, ResourceType.CLUSTER)[name])
        assert [item for item in ("mine", "theirs") if f"/sa/{item}'" in text] == accounts
        found = str(messages(view, ResourceType.ENDPOINTS)[name])
        # Before the cluster trusts it, requests to it would fail.
        assert ("10.2.0.1" in found) == ("theirs" in accounts)


@pytest.mark.parametrize(
    ("tls", "waits"),
    [
        ("{mode: ISTIO_MUTUAL}", True),
        ("{mode: ISTIO_MUTUAL, subjectAltNames: [x]}", False),
        ("{mode: SIMPLE}", False),
        ("{mode: DISABLE}", False),
    ],
)
def test_an_instance_waits_only_for_a_cluster_that_has_to_trust_it(tls: str, *, waits: bool) -> None:
    """Where accounts are what connections are checked by; one of which no account is known is left to Envoy."""
    mesh = mesh_of(
        documents(
            *_BASE[:3],
            f"kind: DestinationRule\nmetadata: {{name: t}}\nspec: {{host: a, trafficPolicy: {{tls: {tls}}}}}",
            workload("c", app="c", address="10.0.0.9"),
            sidecar_proxy("c"),
        )
    )
    known, new, unsaid = (
        instance(f"10.2.0.{n}", service_account=sa) for n, sa in enumerate(("known", "new", ""), start=1)
    )
    services = _with(known, mesh=mesh)
    services = [replace(item, accounts=frozenset({"known"})) if item.discovered else item for item in services]
    name = f"outbound|80||{_HOST_A}"
    view = only(compile_mesh(mesh, services, PROTOTYPES))
    recipe = next(item.recipe for item in view.resources.values() if item.recipe and item.id.name == name)
    text = str(decode(recipe.at([known, new, unsaid])))
    assert [item for item in (1, 2, 3) if f"10.2.0.{item}" in text] == ([1, 3] if waits else [1, 2, 3])
    services = _with(known, mesh=mesh)
    view = only(compile_mesh(mesh, services, PROTOTYPES))
    recipe = next(item.recipe for item in view.resources.values() if item.recipe and item.id.name == name)
    assert "10.2.0.2" in str(decode(recipe.at([known, new])))  # any identity of the mesh will do


def test_other_instances_exchange_load_assignments_and_arrange_nothing() -> None:
    """Everything else is the very same object, and proxies share what is new."""
    compiler = MeshCompiler(PROTOTYPES)
    mesh = mesh_of(documents(*_BASE, gateway_proxy(), sidecar_proxy("a-1"), sidecar_proxy("a-1", "shop")))
    first = _with(instance("10.2.0.1"), mesh=mesh)
    before = compiler.compile(mesh, first)
    second = [listing(item, instance("10.2.0.2"), instance("10.2.0.3")) if item.discovered else item for item in first]
    after = compiler.compile(mesh, second)
    assert same(after, compile_mesh(mesh, second, PROTOTYPES))
    changed = {
        (key, id_): item
        for key, view in after.views.items()
        for id_, item in view.resources.items()
        if item is not before.views[key].resources[id_]
    }
    assert {id_ for _, id_ in changed} == {
        id_ for view in after.views.values() for id_ in view.discovered if _HOST_A in id_.name
    }
    assert len({id(item) for item in changed.values()}) == len({id_ for _, id_ in changed})


@pytest.mark.parametrize("field", ["addresses", "ports", "discovered", "own endpoints", "resolution"])
def test_another_service_is_compiled_anew(field: str) -> None:
    """Whatever else changes of a service, with or without other instances."""
    other: dict[str, Any] = {
        "addresses": {"addresses": ("127.0.0.77",)},
        "ports": {"ports": declared(_MESH)[1].ports},
        "discovered": {"discovered": False},
        "own endpoints": {"endpoints": (instance("10.2.0.1"),)},
        "resolution": {"resolution": "DNS"},
    }
    compiler = MeshCompiler(PROTOTYPES)
    services = _with(instance("10.2.0.1"))
    compiler.compile(_MESH, services)
    changed = [replace(item, **other[field]) if item.host == _HOST_A else item for item in services]
    assert same(compiler.compile(_MESH, changed), compile_mesh(_MESH, changed, PROTOTYPES))


def test_a_service_that_another_one_hides_says_nothing() -> None:
    """Of two with one host the first by namespace is used, and its instances alone."""
    compiler = MeshCompiler(PROTOTYPES)
    services = _with(instance("10.2.0.1"))
    hidden = [replace(item, namespace="zzz") for item in services if item.discovered]
    compiler.compile(_MESH, [*services, *hidden])
    moved = [*services, *(listing(item, instance("10.2.0.2")) for item in hidden)]
    assert same(compiler.compile(_MESH, moved), compile_mesh(_MESH, services, PROTOTYPES))


def test_grpc_applications_are_given_only_what_may_be_called() -> None:
    """Unwell instances are left out for them, and what can't be called is complained of for Git's own alone."""
    mesh = mesh_of(documents(*_BASE, application("grpc")))
    found = [instance("10.2.0.1", health=health) for health in Health][1:]
    view = only(
        compile_mesh(mesh, _with(*found, instance("10.2.0.2"), instance("unix:///run/x"), mesh=mesh), PROTOTYPES)
    )
    assert [address for address, _, _ in _members(view)] == ["10.0.0.1", "10.2.0.2"]
    assert not [finding for finding in view.unsupported if finding.code == "grpc-unreachable"]
