"""Runtime values: what overrides the configuration is shown, what is in effect is told, and what would be ignored is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from reconciler.envoy import Admin, LiveWeightedRoute, RuntimeNotModifiableError, RuntimeValueError, matches
from reconciler.envoy.runtime import as_number
from reconciler.model.observation import Observation
from reconciler.model.proxy import RuntimePush, RuntimeRoute
from reconciler.model.resource import Resource
from reconciler.settings import AdminSettings
from tests.envoy.live import LISTENER, RUNTIME, Files, Live, at, chain, made, running, split, view

MAPPED = RuntimePush(
    routes=(RuntimeRoute(virtual_service="reviews", prefix="routing.reviews", clusters={"v1": "a", "v2": "b"}),)
)


def split_by_runtime(files: Files) -> Iterator[Resource]:
    """Clusters a and b behind a route configuration, and behind one that is inline in a pushed listener."""
    for name in ("a", "b"):
        yield files.cluster(name)
        yield files.endpoints(name, 1)
    yield files.route("subscribed", {"a": 90, "b": 10})
    yield files.listener("front", "subscribed")
    inline = split("inline", {"a": 1, "b": 3}, prefix="inline")
    yield made(LISTENER, {"name": "side", "address": at(0), "filter_chains": [chain("side", route_config=inline)]})


def static(weights: Mapping[str, int], prefix: str = "routing.reviews") -> dict[str, Any]:
    """What someone else has in a bootstrap."""
    inline = split("elsewhere", weights, prefix=prefix)
    fixed = [{"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name}} for name in weights]
    listener = {"name": "theirs", "address": at(0), "filter_chains": [chain("theirs", route_config=inline)]}
    return {"clusters": fixed, "listeners": [listener]}


@pytest.fixture
def live(envoy: str, short_path: Path) -> Iterator[Live]:
    """A fully configured proxy with runtime layers."""
    assert envoy
    with running(short_path, split_by_runtime) as lab:
        yield lab


@pytest.fixture
def theirs(envoy: str, short_path: Path) -> Iterator[Live]:
    """An Envoy that someone else configured, 90 to 10."""
    assert envoy
    with running(short_path, static_resources=static({"a": 90, "b": 10})) as lab:
        yield lab


def values(seen: Observation) -> dict[str, str]:
    """Runtime resources, readable."""
    return {id_.name: item.body.decode() for id_, item in seen.resources.items() if id_.type is RUNTIME}


def test_overrides_are_shown_and_shadow_the_view(live: Live) -> None:
    """A value set by hand is a resource that no view has; without it, everything is as before."""
    expected = view(split_by_runtime(live))
    assert values(live.observe()) == {}
    live.admin.set_runtime({"inline.a": "7", "inline.b": "0"})
    assert values(live.observe()) == {"inline.a": "7", "inline.b": "0"}
    assert live.admin.versions().overrides
    assert not matches(live.admin.versions(), expected)
    live.admin.set_runtime({"inline.a": "", "inline.b": ""})
    assert dict(live.observe().resources) == dict(expected.resources)
    assert matches(live.admin.versions(), expected)


def test_only_the_admin_layer_overrides(envoy: str, short_path: Path) -> None:
    """Values of layers that the bootstrap defines are configuration, whatever the layers are called."""
    assert envoy
    layers = [
        {"name": "admin", "static_layer": {"x.a": 5, "x.b": 6}},
        {"name": "hand", "admin_layer": {}},
        {"name": "top", "static_layer": {"x.b": 7}},
    ]
    with running(short_path, layered_runtime={"layers": layers}) as lab:
        assert values(lab.observe()) == {}
        lab.admin.set_runtime({"x.b": "8"})
        assert values(lab.observe()) == {"x.b": "8"}


def test_every_weighted_route_is_found(live: Live) -> None:
    """Subscribed to or inline, with the configured weights, which runtime values don't change."""
    expected = [
        LiveWeightedRoute(
            route_config="inline", virtual_host="all", route="primary", prefix="inline", clusters={"a": 1, "b": 3}
        ),
        LiveWeightedRoute(
            route_config="subscribed", virtual_host="all", route="primary", prefix="", clusters={"a": 90, "b": 10}
        ),
    ]
    live.admin.set_runtime({"inline.a": "7"})
    assert sorted(live.admin.runtime_routes(), key=lambda route: route.route_config) == expected


def test_static_routes_are_found_too(theirs: Live) -> None:
    """An Envoy that someone else configured may have nothing but a bootstrap."""
    (route,) = theirs.admin.runtime_routes()
    assert (route.prefix, dict(route.clusters)) == ("routing.reviews", {"a": 90, "b": 10})


def test_no_weighted_routes_are_none(envoy: str, short_path: Path) -> None:
    """An Envoy that has never had a route says so with an error of its own, which is no error to us."""
    assert envoy
    with running(short_path) as lab:
        assert lab.admin.runtime_routes() == ()
        assert values(lab.observe(runtime=MAPPED)) == {}


def test_what_is_in_effect_is_told(theirs: Live) -> None:
    """The configured weight until a value is set, the value then, and the configured one again after a restart."""
    assert values(theirs.observe(runtime=MAPPED)) == {"routing.reviews.a": "90", "routing.reviews.b": "10"}
    theirs.admin.set_runtime({"routing.reviews.a": "75", "routing.reviews.b": "25", "someone.else": "1"})
    seen = theirs.observe(runtime=MAPPED)
    assert values(seen) == {"routing.reviews.a": "75", "routing.reviews.b": "25"}
    assert set(seen.resources) == {id_ for id_ in seen.resources if id_.type is RUNTIME}
    assert not matches(theirs.admin.versions(), view(seen.resources.values()))
    assert theirs.observe(LISTENER, runtime=MAPPED).resources == {}
    theirs.process.kill()
    theirs.process.start()
    assert values(theirs.observe(runtime=MAPPED)) == {"routing.reviews.a": "90", "routing.reviews.b": "10"}


def test_a_value_that_envoy_ignores_is_not_in_effect(theirs: Live) -> None:
    """Envoy takes garbage with an OK and uses the configured weight; so that is what is told."""
    reply = theirs.admin._client.post("/runtime_modify", {"routing.reviews.a": "plenty", "routing.reviews.b": "5.7"})
    assert reply.text.strip() == "OK"
    assert values(theirs.observe(runtime=MAPPED)) == {"routing.reviews.a": "90", "routing.reviews.b": "5"}


def test_differently_configured_routes_of_one_prefix_equal_nothing(envoy: str, short_path: Path) -> None:
    """Where two live routes share keys and not weights, no single number is in effect."""
    assert envoy
    one, two = static({"a": 90, "b": 10}), static({"a": 80, "b": 10})
    two["listeners"][0] |= {"name": "second"}
    both = {"clusters": one["clusters"], "listeners": [*one["listeners"], *two["listeners"]]}
    with running(short_path, static_resources=both) as lab:
        seen = values(lab.observe(runtime=MAPPED))
    assert sorted(seen["routing.reviews.a"].split(", ")) == ["80", "90"]
    assert seen["routing.reviews.b"] == "10"


def test_many_keys_travel_in_one_call(theirs: Live) -> None:
    """Two thousand keys fit into a form; a query of that size is refused by Envoy."""
    wanted = {f"some.long.prefix.of.a.route.{index}": str(index) for index in range(2000)}
    theirs.admin.set_runtime(wanted)
    assert values(theirs.observe(RUNTIME)) == wanted


@pytest.mark.parametrize("name", ["a|b.c d", "x=1&y=2", "ü", "per%20cent", "a+b"])
def test_keys_may_have_any_characters(theirs: Live, name: str) -> None:
    """Cluster names have all kinds of characters, and so have keys."""
    theirs.admin.set_runtime({name: "3"})
    assert values(theirs.observe(RUNTIME)) == {name: "3"}


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "1e2", " 1", "٣", "12345678901", "true", "0x10"])
def test_what_is_no_weight_is_refused(theirs: Live, value: str) -> None:
    """Nothing is sent if any value is not a plain whole number, since Envoy would say OK and ignore it."""
    with pytest.raises(RuntimeValueError) as caught:
        theirs.admin.set_runtime({"fine": "1", "routing.reviews.a": value})
    assert caught.value.code == "runtime-value"
    assert "routing.reviews.a" in caught.value.message
    assert theirs.admin.versions().overrides == 0


def test_nothing_to_set_is_no_call(short_path: Path) -> None:
    """An empty mapping needs no Envoy."""
    with Admin(f"unix://{short_path}/none", AdminSettings()) as admin:
        admin.set_runtime({})


def test_without_an_admin_layer_it_says_so(envoy: str, short_path: Path) -> None:
    """There is no layer to write to unless the bootstrap has one; trying again won't help."""
    assert envoy
    with running(short_path, layered_runtime={"layers": [{"name": "fixed", "static_layer": {}}]}) as lab:
        with pytest.raises(RuntimeNotModifiableError) as caught:
            lab.admin.set_runtime({"a.b": "1"})
        assert caught.value.code == "runtime-no-admin-layer"
        assert lab.admin.address in caught.value.message
        assert "admin_layer" in caught.value.diagnostics[0].hint


def test_where_the_path_is_not_allowed_it_says_so(envoy: str, short_path: Path) -> None:
    """`allow_paths` decides what may be changed; the rest still works."""
    assert envoy
    allowed = [{"exact": "/ready"}, {"prefix": "/stats"}, {"prefix": "/config_dump"}]
    address = {"pipe": {"path": str(short_path / "admin.sock"), "mode": 0o600}}
    with running(short_path, admin={"address": address, "allow_paths": allowed}) as lab:
        with pytest.raises(RuntimeNotModifiableError) as caught:
            lab.admin.set_runtime({"a.b": "1"})
        assert caught.value.code == "runtime-forbidden"
        assert "/runtime_modify" in caught.value.diagnostics[0].hint
        assert lab.observe().reachable


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0), ("100", 100), ("05", 5), ("5.7", 5), (".5", 0), ("1e2", 100), (" 7 ", 7), ("+3", 3), ("-0", 0),
        ("", None), ("-3", None), ("abc", None), ("1_000", None), ("nan", None), ("inf", None), ("1e99", None), ("5%", None),
    ],
)  # fmt: skip
def test_numbers_are_read_as_envoy_reads_them(text: str, number: int | None) -> None:
    """A double without its fraction; what is none, or negative, counts as not set."""
    assert as_number(text) == number
