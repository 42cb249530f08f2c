from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.plan import Action
from reconciler.model.resource import Resource, ResourceType
from reconciler.plan.fields import Differ, Difference, Item, differences, render_path
from reconciler.plan.identity import UNORDERED, cluster_labels, name_elements, short_host

from .fleet import HOST, V1, V2, V3, build, canary, cluster, endpoints, route, routes, runtime, shown

PRIMARY = f"virtual_hosts[{HOST}:9080].routes[primary]"

_names = st.sampled_from(["a", "b", "c", "__d", "e.f", "g]", "outbound|1|v1|h", "outbound|1|v1|i"])
_scalars = st.booleans() | st.integers(-3, 3) | st.text(max_size=3)
_fields = st.sampled_from(["name", "routes", "clusters", "weight", "match", "order", "endpoint", "header", "__p"])
_trees: st.SearchStrategy[Any] = st.recursive(
    _scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(_fields, inner, max_size=4)
        | st.lists(st.fixed_dictionaries({"name": _names}, optional={"weight": inner, "match": inner}), max_size=4)
        | st.lists(st.integers(0, 3), max_size=4)
    ),
    max_leaves=20,
)


def _applied(old: Any, new: Any, found: tuple[Difference, ...]) -> Any:
    """A model of what differences mean, independent of how they are found: `old` with them applied.

    `new` is looked at only for how the elements of lists are called.
    """
    for item in found:
        if not item.steps:
            return item.new
    if isinstance(old, dict) and isinstance(new, dict):
        return _with(old, new, found)
    if isinstance(old, list) and isinstance(new, list):
        names = name_elements(old, new)
        there = dict(zip(names.old, old, strict=True))
        wanted = dict(zip(names.new, new, strict=True))
        changed = _with(there, wanted, tuple(item for item in found if not (item.order and len(item.steps) == 1)))
        order = [item.new for item in found if item.order and len(item.steps) == 1]
        return [changed[name] for name in (order[0] if order else changed)]
    assert not found
    return old


def _with(old: dict[str, Any], new: dict[str, Any], found: tuple[Difference, ...]) -> dict[str, Any]:
    out = dict(old)
    inner: dict[str, list[Difference]] = {}
    for item in found:
        head, *rest = item.steps
        if not rest and item.action is Action.DELETE:
            assert head in out
            del out[head]
        elif not rest and item.action is Action.CREATE:
            assert head not in out
        else:
            tail = Difference(tuple(rest), item.action, item.old, item.new, item.order)
            inner.setdefault(head, []).append(tail)
    for head, tails in inner.items():
        out[head] = _applied(out[head], new[head], tuple(tails))
    created = {item.steps[0]: item.new for item in found if len(item.steps) == 1 and item.action is Action.CREATE}
    # What comes is appended in the order it has in the new list.
    out.update({name: created[name] for name in new if name in created})
    return out


def _normal(value: Any, field: str = "") -> Any:
    """A tree in which lists without order are sorted; booleans are kept apart from numbers."""
    if isinstance(value, dict):
        return {key: _normal(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        items = [_normal(inner) for inner in value]
        return sorted(items, key=repr) if field in UNORDERED else items
    return (type(value).__name__, value)


@settings(deadline=None)
@given(_trees)
def test_equal_trees_have_no_differences(tree: Any) -> None:
    """diff(x, x) is empty."""
    assert differences(tree, tree) == ()
    assert differences(tree, tree, every_order=True) == ()


@settings(deadline=None)
@given(_trees, _trees)
def test_applying_the_differences_to_the_old_gives_the_new(old: Any, new: Any) -> None:
    """There is a difference for everything that differs, and for nothing else."""
    found = differences(old, new, every_order=True)
    assert _normal(_applied(old, new, found)) == _normal(new)
    for item in found:
        assert item.order or item.action is not Action.UPDATE or _normal(item.old) != _normal(item.new)


@settings(deadline=None)
@given(_trees)
def test_everything_of_a_tree_that_appears_is_one_difference(tree: Any) -> None:
    """A subtree that appears or goes is one difference with the subtree for its value."""
    assert differences({}, {"a": tree}) == (Difference(("a",), Action.CREATE, None, tree),)
    assert differences({"a": tree}, {}) == (Difference(("a",), Action.DELETE, tree, None),)


@settings(deadline=None)
@given(
    st.sampled_from(sorted(UNORDERED)),
    st.lists(st.fixed_dictionaries({"name": _names, "weight": _scalars}), unique_by=lambda item: item["name"]),
    st.randoms(use_true_random=False),
)
def test_the_order_of_sets_is_no_difference(field: str, items: list[Any], random: Any) -> None:
    """Lists to whose order Envoy gives no meaning are compared as sets."""
    shuffled = random.sample(items, len(items))
    assert differences({field: items}, {field: shuffled}) == ()


def test_a_weight_is_exactly_one_change() -> None:
    """One weight of a split: one line, by names, with numbers for values."""
    old, new = routes(route({V1: 99, V2: 1})), routes(route({V1: 99, V2: 5}))
    (change,) = Differ().fields(old, new)
    assert (change.path, change.old, change.new) == (f"{PRIMARY}.weighted_clusters[v2].weight", 1, 5)


def test_a_weight_of_zero_is_a_value() -> None:
    """A destination at weight 0 stays in the route, so its weight is 0 and not absent."""
    fields = Differ().fields(canary(0), canary(5))
    assert shown(fields) == [
        f"{PRIMARY}.weighted_clusters[v1].weight: 100 -> 95",
        f"{PRIMARY}.weighted_clusters[v2].weight: 0 -> 5",
    ]


def test_a_destination_that_joins_a_split_does_not_touch_the_others() -> None:
    """Elements are told apart by name, wherever they stand in the list."""
    old, new = routes(route({V1: 90, V2: 10})), routes(route({V3: 5, V1: 85, V2: 10}))
    assert [item.path.rpartition("weighted_clusters")[2] for item in Differ().fields(old, new)] == [
        "[v1].weight",
        "[v3]",
    ]


def test_a_subset_that_two_siblings_share_is_no_name() -> None:
    """Clusters are shown by subset only while that tells them apart."""
    other = "outbound|9080|v2|ratings.default.svc.cluster.local"
    (change,) = Differ().fields(routes(route({V2: 1, other: 1})), routes(route({V2: 2, other: 1})))
    assert change.path == f"{PRIMARY}.weighted_clusters[{V2}].weight"


def test_route_order_is_configuration() -> None:
    """The first route that matches is used, so changing places is a change, shown with names."""
    one, two = route(V1, name="one", prefix="/a"), route(V2, name="two", prefix="/b")
    (change,) = Differ().fields(routes(one, two), routes(two, one))
    assert change.path == f"virtual_hosts[{HOST}:9080].routes.order"
    assert (change.old, change.new) == (["one", "two"], ["two", "one"])


def test_a_route_put_first_shows_where_it_stands() -> None:
    """A route inserted before others takes their traffic; appended at the end it needs no order."""
    last, more = route(V1, name="last"), route(V2, name="more", prefix="/b")
    assert [item.path.rpartition("routes")[2] for item in Differ().fields(routes(last), routes(more, last))] == [
        ".order",
        "[more]",
    ]
    assert [item.path.rpartition("routes")[2] for item in Differ().fields(routes(last), routes(last, more))] == [
        "[more]"
    ]


def test_routes_that_share_a_name_are_told_apart_by_what_they_match() -> None:
    """Several conditions of one rule give several Envoy routes of one name."""
    a, b = route({V1: 9, V2: 1}, prefix="/a"), route({V1: 9, V2: 1}, prefix="/b")
    moved = route({V1: 9, V2: 3}, prefix="/b")
    (change,) = Differ().fields(routes(a, b), routes(a, moved))
    assert change.path.endswith(".routes[primary prefix=/b].weighted_clusters[v2].weight")


def test_a_route_without_a_name_is_known_by_what_it_matches() -> None:
    """Names are optional in Envoy."""
    old, new = routes(route(V1, name="", timeout="1s")), routes(route(V1, name="", timeout="2s"))
    assert shown(Differ().fields(old, new)) == [
        f"virtual_hosts[{HOST}:9080].routes[prefix=/].timeout: 1s -> 2s",
    ]


def test_routes_alike_in_name_and_match_are_counted() -> None:
    """The second of two identical conditions is dead configuration, and still shown."""
    old = routes(route(V1), route(V1, timeout="1s"))
    new = routes(route(V1), route(V1, timeout="2s"))
    (change,) = Differ().fields(old, new)
    assert change.path == f"virtual_hosts[{HOST}:9080].routes[primary prefix=/ #2].timeout"


def test_endpoints_are_known_by_address_and_port() -> None:
    """An instance that joins is one change, whatever its position."""
    (change,) = Differ().fields(endpoints(V1, "10.0.0.2"), endpoints(V1, "10.0.0.1", "10.0.0.2"))
    assert change.path == "endpoints[default].lb_endpoints[10.0.0.1:9080]"
    assert change.old is None


def test_header_options_and_filters_and_scalars_are_known_by_their_names() -> None:
    """Every repeated field has an identity where its elements have one."""
    header = {"header": {"key": "x-a", "value": "1"}}
    changed = {"header": {"key": "x-a", "value": "2"}}
    found = differences({"add": [{"header": {"key": "x"}}, header]}, {"add": [{"header": {"key": "x"}}, changed]})
    assert [render_path(item.steps) for item in found] == ["add[x-a].header.value"]
    filters = differences({"filters": [{"name": "hcm", "n": 1}]}, {"filters": [{"name": "hcm", "n": 2}]})
    assert [render_path(item.steps) for item in filters] == ["filters[hcm].n"]
    codes = differences({"codes": [503]}, {"codes": [503, 504]})
    assert [render_path(item.steps) for item in codes] == ["codes[504]"]
    socket = {"endpoint": {"address": {"socket_address": {"address": "::1", "port_value": 1}}}}
    pipe = {"endpoint": {"address": {"pipe": {"path": "/run/x.sock"}}}}
    assert name_elements([socket, pipe], []).old == ("[::1]:1", "/run/x.sock")


def test_elements_without_identity_are_compared_by_position() -> None:
    """There is nothing else to go by."""
    found = differences({"x": [{"k": 1}, {"k": 2}]}, {"x": [{"k": 1}, {"k": 3}, {"k": 4}]})
    assert [render_path(item.steps) for item in found] == ["x[1].k", "x[2]"]
    assert name_elements(["a", "a"], ["a"]).positional


def test_keys_of_maps_are_bracketed_where_dots_would_mislead() -> None:
    """A map's key may hold anything."""
    assert render_path(("options", "envoy.x.v3", "a")) == "options[envoy.x.v3].a"
    assert render_path(("routes", Item("r"), "route")) == "routes[r].route"
    assert render_path(("weighted_clusters", "clusters")) == "weighted_clusters.clusters"


def test_an_update_always_says_what() -> None:
    """Where only the order of a set or the encoding differs, that is the line: never an update with nothing to see."""
    hosts = [{"name": name, "domains": [name]} for name in ("a", "b")]
    old = build(ResourceType.ROUTE, {"name": "r", "virtual_hosts": hosts})
    new = build(ResourceType.ROUTE, {"name": "r", "virtual_hosts": hosts[::-1]})
    assert shown(Differ().fields(old, new)) == ["virtual_hosts.order: ['a', 'b'] -> ['b', 'a']"]
    # Field 4095 is no field of a Cluster: what an Envoy newer than our protobufs might send.
    unknown = Resource.of(ResourceType.CLUSTER, "c", cluster("c").body + b"\xf8\xff\x01\x01")
    assert [item.path for item in Differ().fields(cluster("c"), unknown)] == ["(content)"]
    garbage = Resource.of(ResourceType.CLUSTER, "c", b"\xff")
    assert shown(Differ().fields(garbage, unknown)) == ["(content): 1 bytes -> 9 bytes"]


def test_an_unknown_extension_is_shown_as_content() -> None:
    """An `Any` that our protobufs don't know can't be unpacked, and must not stop a plan."""
    known = cluster("c")
    # typed_extension_protocol_options (field 36) {"k": Any{type_url: "t/x"}}
    foreign = Resource.of(ResourceType.CLUSTER, "c", known.body + b"\xa2\x02\x0a\x0a\x01k\x12\x05\x0a\x03t/x")
    assert [item.path for item in Differ().fields(known, foreign)] == ["(content)"]


def test_runtime_values_are_numbers() -> None:
    """A runtime key has one value; weights are shown as the numbers they are."""
    assert shown(Differ().fields(runtime("r.v1", 5), runtime("r.v1", 25))) == ["value: 5 -> 25"]
    (change,) = Differ().fields(runtime("r.v1", "on"), runtime("r.v1", 25))
    assert (change.old, change.new) == ("on", 25)


def test_equal_versions_are_not_looked_into_and_pairs_are_compared_once() -> None:
    """Members of a fleet that change alike cost one comparison."""
    differ = Differ()
    assert differ.fields(canary(1), canary(1)) == ()
    assert differ.fields(canary(1), canary(2)) is differ.fields(canary(1), canary(2))


def test_cluster_labels_never_mislead() -> None:
    """A label that could mean two clusters is given to neither."""
    assert cluster_labels([V1, V2]) == {V1: "v1", V2: "v2"}
    plain = f"outbound|9080||{HOST}"
    assert cluster_labels([plain, V2]) == {plain: "reviews", V2: "v2"}
    assert cluster_labels([V2, "v2"]) == {V2: V2, "v2": "v2"}
    assert cluster_labels(["inbound|9080||"]) == {"inbound|9080||": "inbound|9080||"}


def test_short_hosts_are_what_people_say() -> None:
    """Only names of the mesh are shortened."""
    assert short_host(f"{HOST}:9080") == "reviews"
    assert short_host("api.example.com:443") == "api.example.com"
    assert short_host("::1") == "::1"
