"""Merging, compiling and the newest endpoints together: what an endpoint change comes to without a pass is what a pass would make."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.compile import Prototypes, compile_mesh
from reconciler.discovery.merging.merger import Merged, Merger
from reconciler.discovery.merging.newest import Newest
from reconciler.model.discovered import Catalogue, Found, Instance
from reconciler.model.mesh import Mesh
from reconciler.model.resource import View
from reconciler.model.services import Health
from reconciler.policy import Loaded, load
from tests.discovery.declaring import HTTP, catalogue
from tests.policy.memory import BASE, MemoryTree
from tests.policy.rules.documents import answer, doc
from tests.policy.rules.registries import registries

TWO, ONLY, APP = (f"{name}.default.svc.cluster.local" for name in ("two", "only", "a"))
INSTANCES = st.lists(
    st.builds(
        Instance,
        address=st.sampled_from(["10.2.0.1", "10.2.0.2", "10.2.0.3", "fd00::1"]),
        ports=st.sampled_from([{"http": 1}, {"http": 2, "other": 3}, {"other": 4}]),
        labels=st.sampled_from([{}, {"version": "v1"}, {"app": "a", "version": "v1"}]),
        weight=st.integers(1, 3),
        health=st.sampled_from(Health),
        locality=st.sampled_from(["", "r/z", "r/y"]),
    ),
    max_size=5,
).map(tuple)
PROXY = "spec: {workload: a-v1, admin: 'http://127.0.0.1:1', push: {ads: {}}}\n"


def written() -> Loaded:
    """A mesh in which a service of Git, one of the registry's own and one with a selector take instances."""
    rules = doc("DestinationRule", "spec: {host: only, subsets: [{name: v1, labels: {version: v1}}]}\n")
    routes = answer("route: [{destination: {host: only, subset: v1}}]")
    return load(
        MemoryTree(
            {
                "policies/base.yaml": BASE,
                "policies/mesh.yaml": registries("{name: k, kubernetes: {}}"),
                "policies/rules.yaml": "---\n".join([rules, routes, doc("Proxy", PROXY)]),
            }
        )
    )


LOADED = written()


def listed(two: tuple[Instance, ...], only: tuple[Instance, ...]) -> Catalogue:
    """What the registry has."""
    return catalogue(("k", Found(host=TWO, instances=two)), ("k", Found(host=ONLY, ports=(HTTP,), instances=only)))


def views(mesh: Mesh, merged: Merged) -> list[View]:
    """Of all proxies."""
    return [*compile_mesh(mesh, merged.services, Prototypes.parse(LOADED.templates)).views.values()]


@settings(max_examples=20)
@given(INSTANCES, INSTANCES, INSTANCES, INSTANCES)
def test_the_newest_endpoints_are_those_that_a_pass_would_compile(
    two: tuple[Instance, ...], only: tuple[Instance, ...], more: tuple[Instance, ...], others: tuple[Instance, ...]
) -> None:
    """For every resource of every proxy; and nothing that has no recipe differs."""
    assert LOADED.mesh is not None
    merger, newest = Merger(), Newest()
    before = merger.merged(LOADED.services, LOADED.mesh, listed(two, only))
    after = merger.merged(LOADED.services, LOADED.mesh, listed(more, others))
    assert after.lasting is before.lasting
    assert before.endpoints.keys() == {TWO, ONLY, APP}
    newest.update(after.endpoints)
    for old, new in zip(views(LOADED.mesh, before), views(LOADED.mesh, after), strict=True):
        fresh = [newest.fresh(item) for item in old.resources.values()]
        assert [(item.id, item.version) for item in fresh] == [
            (item.id, item.version) for item in new.resources.values()
        ]
        assert old.version == new.version
        assert all(
            item is mine for item, mine in zip(fresh, old.resources.values(), strict=True) if mine.recipe is None
        )


def test_the_mesh_has_what_is_tried() -> None:
    """A load assignment that takes instances, of each of the three services."""
    assert LOADED.mesh is not None
    merged = Merger().merged(LOADED.services, LOADED.mesh, listed((), ()))
    hosts = {item.recipe.host for view in views(LOADED.mesh, merged) for item in view.resources.values() if item.recipe}
    assert hosts == {TWO, ONLY, APP}
