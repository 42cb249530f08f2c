"""What a client asks for, and what it is sent for that: Envoy's "xDS REST and gRPC protocol", rule by rule."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.resource import Resource, ResourceType
from tests.xds.client import FENCE
from tests.xds.conftest import Proxy
from tests.xds.lab import (
    CLUSTER,
    DELTA,
    ENDPOINTS,
    LISTENER,
    ROUTE,
    SECRET,
    SOTW,
    VARIANTS,
    address,
    cluster,
    endpoints,
    eventually,
    listener,
    made,
    route,
    secret,
    static_cluster,
)

both = pytest.mark.parametrize("variant", VARIANTS)
A, B, C = (static_cluster(name, 1) for name in "abc")
A2 = static_cluster("a", 2)
RA, RB = route("a", "a"), route("b", "b")
MAKE: dict[ResourceType, Callable[[str], Resource]] = {
    SECRET: secret,
    CLUSTER: lambda name: static_cluster(name, 1),
    ENDPOINTS: lambda name: endpoints(name, 1),
    LISTENER: lambda name: made(LISTENER, name=name, address={"pipe": {"path": f"@{name}"}}),
    ROUTE: lambda name: route(name, "a"),
}
types = pytest.mark.parametrize("type_", MAKE, ids=str)
streams = pytest.mark.parametrize("own", [False, True], ids=["aggregated", "own-stream"])


@both
@types
@streams
def test_names_that_are_asked_for_are_sent_once(variant: str, type_: ResourceType, own: bool, proxy: Proxy) -> None:  # noqa: FBT001
    """All four variants and all types: what is asked for by name comes, an ACK is not answered, another request adds to it."""
    a, b = MAKE[type_]("a"), MAKE[type_]("b")
    proxy.publish(a, b)
    peer = proxy.connect(variant, type_ if own else None)
    fence = type_ if own else ROUTE
    peer.ask(type_, "a")
    assert peer.take(type_).has(a)
    peer.quiet(fence)
    peer.ask(type_, "b")
    whole = variant == SOTW and type_ in {CLUSTER, LISTENER}
    assert peer.take(type_).has(*((a, b) if whole else (b,)))
    peer.quiet(fence)


@both
@types
@streams
def test_what_changes_is_sent_and_nothing_else(variant: str, type_: ResourceType, own: bool, proxy: Proxy) -> None:  # noqa: FBT001
    """A publish is news of what differs; publishing the same again is none, and what was not asked for is nobody's business."""
    a, b, c = (MAKE[type_](name) for name in "abc")
    proxy.publish(a, c)
    peer = proxy.connect(variant, type_ if own else None)
    fence = type_ if own else ROUTE
    peer.ask(type_, "a", "b")
    first = peer.take(type_)
    assert first.has(a)
    assert first.removed == ({"b"} if variant == DELTA else set())
    proxy.publish(a, c)
    peer.quiet(fence)
    proxy.publish(a, b, c)
    whole = variant == SOTW and type_ in {CLUSTER, LISTENER}
    assert peer.take(type_).has(*((a, b) if whole else (b,)))
    peer.quiet(fence)


@both
def test_without_any_name_sets_are_asked_for_whole(variant: str, proxy: Proxy) -> None:
    """Clusters and listeners: a client that has never named any gets all, also what is added later."""
    proxy.publish(A, B)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    assert peer.take(CLUSTER).has(A, B)
    proxy.publish(A, B, C)
    assert peer.take(CLUSTER).has(*((C,) if variant == DELTA else (A, B, C)))
    proxy.publish(C)
    last = peer.take(CLUSTER)
    assert (last.names, last.removed) == ((set(), {"a", "b"}) if variant == DELTA else ({"c"}, set()))
    peer.quiet()


@both
@pytest.mark.parametrize("type_", [SECRET, ENDPOINTS, ROUTE], ids=str)
def test_without_any_name_nothing_else_is_asked_for(variant: str, type_: ResourceType, proxy: Proxy) -> None:
    """Only clusters and listeners can be asked for without naming them."""
    proxy.publish(MAKE[type_]("a"))
    peer = proxy.connect(variant)
    peer.ask(type_)
    peer.quiet()


@both
def test_a_client_with_nothing_is_told_that_there_is_nothing(variant: str, proxy: Proxy) -> None:
    """An Envoy waits for a first response before it serves, so an empty set is sent too; once."""
    proxy.plane.publish(proxy.key, [RA, route(FENCE, "a")])
    peer = proxy.connect(variant)
    for type_ in (CLUSTER, LISTENER):
        peer.ask(type_)
        got = peer.take(type_)
        assert (got.bodies, got.removed) == ({}, frozenset())
    peer.quiet()


@both
def test_nothing_is_said_before_there_is_a_publish(variant: str, proxy: Proxy) -> None:
    """A server that has just started does not know yet that there is nothing: an Envoy that serves keeps what it has."""
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.ask(ROUTE, "a")
    eventually(lambda: len(proxy.plane.unasked(proxy.key)) == 0 and proxy.plane.state(proxy.key).connected)
    proxy.publish(A, RA)
    assert peer.take(CLUSTER).has(A)
    assert peer.take(ROUTE).has(RA)
    peer.quiet()


def test_the_specs_example_of_leaving_the_wildcard_in_sotw(proxy: Proxy) -> None:
    """Nothing, then `*` and A, then A, then nothing: all, all, A only, and none. "Unsubscribing From Resources"."""
    proxy.publish(A, B)
    peer = proxy.connect(SOTW)
    peer.ask(CLUSTER)
    assert peer.take(CLUSTER).has(A, B)
    peer.ask(CLUSTER, "*", "a")
    assert peer.take(CLUSTER).has(A, B)  # a is newly named, so it has to come (again)
    peer.ask(CLUSTER, drop=["*"])
    peer.quiet()
    proxy.publish(A2, C)
    assert peer.take(CLUSTER).has(A2)
    peer.ask(CLUSTER, drop=["a"])
    peer.quiet()
    proxy.publish(A, B, C)
    peer.quiet()
    peer.ask(CLUSTER, "*")
    assert peer.take(CLUSTER).has(A, B, C)


def test_the_specs_example_of_leaving_the_wildcard_in_delta(proxy: Proxy) -> None:
    """Nothing, then A too, then no `*`, then no A: all, A once more, A only, and none."""
    proxy.publish(A, B)
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER)
    assert peer.take(CLUSTER).has(A, B)
    peer.ask(CLUSTER, "a")
    assert peer.take(CLUSTER).has(A)
    proxy.publish(A, B, C)
    assert peer.take(CLUSTER).has(C)
    peer.ask(CLUSTER, drop=["*"])
    peer.quiet()
    proxy.publish(A2)
    got = peer.take(CLUSTER)
    assert got.has(A2)
    assert not got.removed
    peer.ask(CLUSTER, drop=["a"])
    peer.quiet()
    proxy.publish(A, B)
    peer.quiet()
    peer.ask(CLUSTER, "*")
    assert peer.take(CLUSTER).has(A, B)


def test_who_asks_for_all_again_is_sent_all_again(proxy: Proxy) -> None:
    """In delta a name that is subscribed to again must be sent again; `*` is a name, and its answer may be empty."""
    proxy.publish(A, B)
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER, "*")
    assert peer.take(CLUSTER).has(A, B)
    peer.ask(CLUSTER, "*")
    assert peer.take(CLUSTER).has(A, B)
    proxy.plane.publish(proxy.key, [RA, route(FENCE, "a")])
    assert peer.take(CLUSTER).removed == {"a", "b", FENCE}
    peer.ask(CLUSTER, drop=["*"])
    peer.ask(CLUSTER, "*")
    got = peer.take(CLUSTER)
    assert (got.bodies, got.removed) == ({}, frozenset())
    peer.quiet()


@pytest.mark.parametrize(("name", "removed"), [("b", set()), ("x", {"x"})], ids=["in the wildcard", "not in it"])
def test_who_lets_go_of_a_name_beside_the_wildcard_is_told_what_it_is(
    name: str, removed: set[str], proxy: Proxy
) -> None:
    """Delta: such a client can't know whether the wildcard has that name too, so the server must say."""
    proxy.publish(A, B)
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER, "*", name)
    peer.take(CLUSTER)
    peer.ask(CLUSTER, drop=[name])
    got = peer.take(CLUSTER)
    assert (got.names, got.removed) == ({name} - removed, removed)
    peer.quiet()


@both
def test_who_lets_go_of_a_name_hears_no_more_of_it_until_it_asks_again(variant: str, proxy: Proxy) -> None:
    """Unsubscribing is not answered; subscribing again is, changed or not."""
    proxy.publish(RA, RB)
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a", "b")
    assert peer.take(ROUTE).has(RA, RB)
    peer.ask(ROUTE, drop=["b"])
    peer.quiet()
    proxy.publish(RA, route("b", "c"))
    peer.quiet()
    peer.ask(ROUTE, "b")
    assert peer.take(ROUTE).has(route("b", "c"))
    peer.ask(ROUTE, drop=["b"])
    peer.ask(ROUTE, "b")
    assert peer.take(ROUTE).has(route("b", "c"))
    peer.quiet()


def test_a_name_that_is_asked_for_twice_in_delta_is_sent_twice(proxy: Proxy) -> None:
    """The client may have forgotten it, for reasons of its own; a name that was never asked for can be let go of."""
    proxy.publish(RA)
    peer = proxy.connect(DELTA)
    for _ in range(2):
        peer.ask(ROUTE, "a")
        assert peer.take(ROUTE).has(RA)
    peer.ask(ROUTE, drop=["never"])
    peer.quiet()


def test_a_missing_name_is_said_to_be_missing_in_delta_and_comes_when_it_appears(proxy: Proxy) -> None:
    """Named in `removed_resources` at once; remembered; sent when it exists; and its going is told."""
    proxy.publish()
    peer = proxy.connect(DELTA)
    peer.ask(ENDPOINTS, "a")
    assert peer.take(ENDPOINTS).removed == {"a"}
    proxy.publish(endpoints("a", 1), endpoints("b", 1))
    assert peer.take(ENDPOINTS).has(endpoints("a", 1))
    proxy.publish()
    assert peer.take(ENDPOINTS).removed == {"a"}
    peer.quiet()


def test_a_missing_name_is_not_answered_in_sotw_and_comes_when_it_appears(proxy: Proxy) -> None:
    """There is no way to say that a name is missing: of types that are asked for by name, only what exists is sent."""
    proxy.publish()
    peer = proxy.connect(SOTW)
    peer.ask(ENDPOINTS, "a")
    peer.quiet()
    proxy.publish(endpoints("a", 1), endpoints("b", 1))
    assert peer.take(ENDPOINTS).has(endpoints("a", 1))
    proxy.publish()
    peer.quiet()


@both
def test_everything_of_a_publish_comes_in_order(variant: str, proxy: Proxy) -> None:
    """Secrets, clusters, endpoints, listeners, routes: what is referred to first, whatever the order of the requests."""
    proxy.publish()
    peer = proxy.connect(variant)
    for type_ in reversed(MAKE):
        peer.ask(type_, "a")
    eventually(lambda: all(id_.name != "a" for id_ in proxy.plane.unasked(proxy.key)))
    for _ in range(5 if variant == DELTA else 2):
        peer.take(None)
    peer.quiet()
    proxy.publish(*(make("a") for make in MAKE.values()))
    assert [peer.take(type_).type for type_ in MAKE] == list(MAKE)
    peer.quiet()


@both
def test_changed_clusters_get_their_endpoints_once_more(variant: str, proxy: Proxy) -> None:
    """Envoy warms a changed cluster until endpoints come after it, changed or not; those of other clusters stay."""
    ends = [endpoints("a", 1), endpoints("other", 2), endpoints("b", 3)]
    named = cluster("x", eds_cluster_config={"eds_config": {"ads": {}}, "service_name": "other"})
    proxy.publish(cluster("a"), named, cluster("b"), *ends)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    peer.ask(ENDPOINTS, "a", "other", "b")
    assert peer.take(ENDPOINTS).has(*ends)
    slow = cluster(
        "x", connect_timeout="2s", eds_cluster_config={"eds_config": {"ads": {}}, "service_name": "other"}
    )  # fmt: skip
    proxy.publish(cluster("a", connect_timeout="2s"), slow, cluster("b"), *ends)
    peer.take(CLUSTER)
    assert peer.take(ENDPOINTS).has(*ends[:2])
    peer.quiet()


@both
def test_endpoints_asked_for_after_their_changed_cluster_come_though_the_client_has_them(
    variant: str, proxy: Proxy
) -> None:
    """On a reconnect Envoy says that it has the endpoints of a cluster that has just changed, and waits for them all the same."""
    ends = endpoints("a", 1)
    proxy.publish(cluster("a", connect_timeout="2s"), ends)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER, had={"a": "old"}, version="old")
    assert peer.take(CLUSTER).names == {"a"}
    peer.ask(ENDPOINTS, "a", had={"a": ends.version}, version="old")
    assert peer.take(ENDPOINTS).has(ends)
    peer.quiet()


@both
@types
def test_more_than_fits_into_one_response_comes_in_several(variant: str, type_: ResourceType, proxy: Proxy) -> None:
    """Peers with gRPC's own limit take 4 MB; a set in SotW has to be whole, and no name ever comes twice."""
    filler = "x" * 200_000
    makers: dict[ResourceType, Callable[[str], Resource]] = {
        SECRET: lambda name: secret(name, text=filler),
        CLUSTER: lambda name: static_cluster(name, 1, alt_stat_name=filler),
        ENDPOINTS: lambda name: made(
            ENDPOINTS,
            cluster_name=name,
            endpoints=[{"locality": {"region": filler}, "lb_endpoints": [{"endpoint": {"address": address(1)}}]}],
        ),
        LISTENER: lambda name: made(LISTENER, name=name, address={"pipe": {"path": f"@{name}"}}, stat_prefix=filler),
        ROUTE: lambda name: route(name, "a", internal_only_headers=[filler]),
    }
    names = [f"n{index:02}" for index in range(8)]
    proxy.publish(*map(makers[type_], names), listener("l", 1, "r"))
    peer = proxy.connect(variant)
    peer.ask(type_, *names)
    if variant == SOTW and type_ in {CLUSTER, LISTENER}:
        assert peer.take(type_).names == set(names)
    else:
        found = [peer.take(type_) for _ in range(4)]
        assert all(got.size < 600_000 for got in found)
        assert [name for got in found for name in sorted(got.names)] == names
    peer.quiet()


def test_a_huge_number_of_removals_comes_in_several_responses_too(proxy: Proxy) -> None:
    """Names count: a client that asks for a hundred thousand that do not exist gets no message that it can't take."""
    proxy.publish()
    peer = proxy.connect(DELTA)
    names = [f"{index:05}{'x' * 40}" for index in range(20_000)]
    peer.ask(ROUTE, *names)
    found: set[str] = set()
    while len(found) < len(names):
        got = peer.take(ROUTE)
        assert got.size < 600_000
        assert not found & got.removed
        found |= got.removed
    peer.quiet()


@both
def test_two_streams_of_one_proxy_are_served_both(variant: str, proxy: Proxy) -> None:
    """As on a hot restart: the new process has nothing and gets everything, and the old one goes on."""
    proxy.publish(A)
    old, new = proxy.connect(variant), proxy.connect(variant)
    old.ask(CLUSTER)
    assert old.take(CLUSTER).has(A)
    new.ask(CLUSTER)
    assert new.take(CLUSTER).has(A)
    proxy.publish(A2)
    assert old.take(CLUSTER).has(A2)
    assert new.take(CLUSTER).has(A2)
    old.close()
    proxy.publish(A)
    assert new.take(CLUSTER).has(A)
    state = proxy.plane.wait(proxy.key, timeout=10)
    assert (state.connected, state.streams, state.settled) == (True, 2, True)
    new.quiet()
