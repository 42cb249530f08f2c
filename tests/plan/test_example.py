from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from envoy.config.route.v3.route_components_pb2 import Route, RouteAction

from reconciler.compile import Prototypes, compile_mesh
from reconciler.model.key import Key
from reconciler.model.plan import Plan
from reconciler.model.proxy import Guards
from reconciler.model.resource import ResourceType, View
from reconciler.model.services import declared
from reconciler.plan import check, compare_views, splits, subject_of
from reconciler.policy import FolderTree, load
from reconciler.settings import shipped


def _views(root: Path) -> Mapping[Key, View]:
    loaded = load(FolderTree(root))
    assert loaded.mesh is not None
    return compile_mesh(loaded.mesh, declared(loaded.mesh), Prototypes.parse(loaded.templates)).views


def _canary(root: Path, v1: int, v2: int) -> Mapping[Key, View]:
    """The worked example with the weights of its canary changed, as a person would."""
    shutil.copytree(shipped("policies"), root / "policies")
    path = root / "policies" / "reviews" / "traffic.yaml"
    text = path.read_text(encoding="utf-8")
    changed = text.replace("weight: 100 ", f"weight: {v1} ").replace("weight: 0 ", f"weight: {v2} ")
    assert changed != text
    path.write_text(changed, encoding="utf-8")
    return _views(root)


def _plan(before: Mapping[Key, View], after: Mapping[Key, View]) -> Plan:
    return Plan(commit="", proxies=tuple(compare_views(before.get(key), after[key]) for key in sorted(after)))


def test_leaving_out_a_routes_action_is_not_ambiguous() -> None:
    """Paths leave out `.route.`, so no field of a route may have the name of one of its action's."""
    assert not set(Route.DESCRIPTOR.fields_by_name) & set(RouteAction.DESCRIPTOR.fields_by_name)


def test_the_example_compared_with_itself_needs_nothing() -> None:
    """Compiled twice, equal twice."""
    root = shipped("policies").parent
    assert _plan(_views(root), _views(root)).empty


def test_a_weight_in_the_example_is_one_route_of_the_proxies_that_call_it(tmp_path: Path) -> None:
    """From YAML to the plan: the split that moved, under the names of the policies, and nothing else anywhere."""
    plan = _plan(_views(shipped("policies").parent), _canary(tmp_path, 95, 5))
    changes = [(str(proxy.proxy), change) for proxy in plan.proxies for change in proxy.changes]
    assert [(proxy, str(change.id)) for proxy, change in changes] == [("default/productpage-v1", "route http_proxy")]
    path = "virtual_hosts[reviews.default.svc.cluster.local:9080].routes[primary].weighted_clusters"
    assert [(item.path, item.old, item.new) for item in changes[0][1].fields] == [
        (f"{path}[v1].weight", 100, 95),
        (f"{path}[v2].weight", 0, 5),
    ]
    assert subject_of(plan) == "reviews v2 0% -> 5%"


def test_the_guards_know_the_example(tmp_path: Path) -> None:
    """A jump is refused, and going back to what was verified is not."""
    before, after = _views(shipped("policies").parent), _canary(tmp_path, 10, 90)
    limits = Guards()
    (refusal,) = check(_plan(before, after), views=after, limits=limits)
    assert refusal.message == (
        "route primary of reviews.default.svc.cluster.local:9080 in http_proxy: v2 would go from 0% to 90%, up 90 points; "
        "the limit is 50 in one change, on productpage-v1"
    )
    back = _plan(after, before)
    assert [item.code for item in check(back, views=before, limits=limits)] == ["guard-weight-increase"]
    known = [split for view in before.values() for split in splits(view)]
    assert check(back, views=before, limits=limits, verified=lambda: known) == ()


def test_the_first_push_of_the_example_is_not_refused() -> None:
    """Proxies that have nothing may get everything."""
    views = _views(shipped("policies").parent)
    assert check(_plan({}, views), views=views, limits=Guards()) == ()
    assert sum(len(view.of_type(ResourceType.ROUTE)) for view in views.values()) > 0
