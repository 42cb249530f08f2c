"""What a client answers, what it refuses, and what it says when it comes back."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest

from reconciler.model.resource import Resource, ResourceId, set_version
from reconciler.xds import Announcement, Hold
from tests.xds.client import FENCE, fences
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
    endpoints,
    eventually,
    ids,
    made,
    route,
    secret,
    static_cluster,
)

both = pytest.mark.parametrize("variant", VARIANTS)
A, B, C = (static_cluster(name, 1) for name in "abc")
A2, A3 = static_cluster("a", 2), static_cluster("a", 3)
RA, RB, RA2, RA3 = route("a", "a"), route("b", "b"), route("a", "c"), route("a", "d")
BAD = "Error adding/updating cluster(s) a: no good"
CLUSTER_FENCE = fences()[1]


def announced(proxy: Proxy) -> Announcement:
    """What the plane takes the proxy for."""
    return next(said for said in proxy.plane.joined() if said.key == proxy.key)


def held(proxy: Proxy) -> Mapping[ResourceId, Hold]:
    return proxy.plane.state(proxy.key).held


def settled(proxy: Proxy) -> None:
    state = proxy.plane.wait(proxy.key, timeout=10)
    assert state.settled, state


@both
def test_a_refused_resource_is_held_at_what_was_accepted_and_the_rest_goes_on(variant: str, proxy: Proxy) -> None:
    """A NACK that names one: only that stays behind, at its last accepted version, and the others are sent until they are taken."""
    proxy.publish(A, B)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    b2 = static_cluster("b", 2)
    proxy.publish(A2, b2)
    peer.nack(peer.get(CLUSTER), BAD)
    again = peer.take(CLUSTER)
    assert again.has(*((b2,) if variant == DELTA else (A, b2)))
    settled(proxy)
    hold = held(proxy)[A2.id]
    assert (hold.version, hold.words, hold.kept) == (A2.version, BAD, A)
    assert proxy.plane.has(proxy.key)[A.id] == A
    proxy.publish(A2, b2)
    peer.quiet()
    assert held(proxy).keys() == {A2.id}


@both
def test_what_is_refused_and_was_never_there_is_left_out(variant: str, proxy: Proxy) -> None:
    """There is nothing to hold it at: in SotW the set is sent without it, in delta the client simply hasn't got it."""
    proxy.publish(B)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.publish(A, B)
    peer.nack(peer.get(CLUSTER), BAD)
    last = peer.take(CLUSTER)
    assert last.has(*(() if variant == DELTA else (B,)))
    assert last.version == set_version([B, CLUSTER_FENCE])
    settled(proxy)
    assert held(proxy)[A.id].kept is None
    assert A.id not in proxy.plane.has(proxy.key)
    peer.quiet()


@both
def test_a_name_that_is_refused_as_soon_as_it_is_asked_for_is_held(variant: str, proxy: Proxy) -> None:
    """That all that was asked for before was accepted says nothing of what is asked for now."""
    proxy.publish(RA, RB)
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a")
    peer.take(ROUTE)
    settled(proxy)
    peer.ask(ROUTE, "b")
    peer.nack(peer.get(ROUTE), "Only a single wildcard domain is permitted in route b")
    peer.quiet()
    assert held(proxy)[RB.id].kept is None


@both
@pytest.mark.parametrize("release", ["change", "restart", "retry", "release"])
def test_a_held_resource_is_tried_again(variant: str, release: str, proxy: Proxy) -> None:
    """When it changes, when the proxy starts afresh, when it is asked for; what is released counts as taken."""
    proxy.publish(A)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.publish(A2)
    peer.nack(peer.get(CLUSTER), BAD)
    peer.take(CLUSTER)
    settled(proxy)
    if release == "change":
        proxy.publish(A3)
        assert peer.take(CLUSTER).names == {"a"}
    elif release == "restart":
        peer.close()
        peer = proxy.connect(variant)
        peer.ask(CLUSTER)
        assert peer.take(CLUSTER).has(A)
        assert peer.take(CLUSTER).has(A2)
    elif release == "retry":
        proxy.plane.retry(proxy.key, frozenset({LISTENER}))
        peer.quiet()
        proxy.plane.retry(proxy.key, frozenset({CLUSTER}))
        assert peer.take(CLUSTER).has(A2)
    else:
        proxy.plane.release(proxy.key, [A2.id])
        assert peer.take(CLUSTER).has(*(() if variant == DELTA else (A2,)))
        settled(proxy)
        assert proxy.plane.has(proxy.key)[A2.id] == A2
    assert not held(proxy)
    peer.quiet()


@both
def test_a_proxy_that_starts_afresh_gets_first_what_it_took_before(variant: str, proxy: Proxy) -> None:
    """Not what it has refused, after which it would have nothing at all; that is tried when there is something to hold it at.

    However often it dies before it says anything, and whoever asks for another try meanwhile.
    """
    proxy.publish(RA, RB)
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a", "b")
    peer.take(ROUTE)
    settled(proxy)
    proxy.publish(RA2, RB)
    peer.nack(peer.get(ROUTE), "Only a single wildcard domain is permitted in route a")
    settled(proxy)
    for _ in range(2):
        peer.close()
        peer = proxy.connect(variant)
        peer.ask(ROUTE, "a", "b")
        first = peer.get(ROUTE)
        assert first.has(RA, RB)
        proxy.plane.retry(proxy.key, frozenset({ROUTE}))
        assert held(proxy).keys() == {RA.id}
    peer.ack(first)
    again = peer.get(ROUTE)
    assert again.has(RA2)
    peer.nack(again, "Only a single wildcard domain is permitted in route a")
    peer.quiet()
    settled(proxy)
    assert held(proxy)[RA.id].kept == RA


@both
def test_what_a_new_process_refuses_at_once_is_held_at_what_the_one_before_had(variant: str, proxy: Proxy) -> None:
    """A pass may ask for something new between the start of a process and its first words. What that refuses too is no help."""
    proxy.publish(RA, RB)
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a", "b")
    peer.take(ROUTE)
    settled(proxy)
    peer.close()
    proxy.publish(RA2, RB)
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a", "b")
    words = "Only a single wildcard domain is permitted in route a"
    peer.nack(peer.get(ROUTE), words)
    eventually(lambda: held(proxy))
    assert held(proxy)[RA.id].kept == RA
    given = []
    while held(proxy)[RA.id].kept is not None or not proxy.plane.state(proxy.key).settled:
        with suppress(AssertionError):
            got = peer.get(ROUTE, patience=0.1)
            given += [got.bodies["a"]] if "a" in got.names else []
            peer.nack(got, words) if "a" in got.names else peer.ack(got)
    assert given == [RA.body]
    assert RA.id not in proxy.plane.has(proxy.key)
    assert proxy.plane.has(proxy.key)[RB.id] == RB


@both
def test_what_somebody_refused_who_has_left_is_tried_with_who_is_still_there(variant: str, proxy: Proxy) -> None:
    """Two peers under one name, by mistake or in an overlapping restart: the one that stays decides, and says who it is."""
    proxy.publish(A)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    other = proxy.connect(variant)
    other.node.metadata["workload"] = "strange"
    other.ask(CLUSTER)
    other.take(CLUSTER)
    assert announced(proxy).workload == "strange"
    proxy.publish(A2)
    other.nack(other.get(CLUSTER), BAD)
    eventually(lambda: held(proxy))
    other.close()
    eventually(lambda: not announced(proxy).workload)
    eventually(lambda: not held(proxy))
    while not proxy.plane.state(proxy.key).settled:
        with suppress(AssertionError):
            peer.ack(peer.get(CLUSTER, patience=0.1))
    assert proxy.plane.has(proxy.key)[A2.id] == A2


@both
def test_what_is_tried_again_and_refused_again_is_held_again(variant: str, proxy: Proxy) -> None:
    """With the same words, that name it or not."""
    for words in (BAD, "no good"):
        proxy.publish(A)
        peer = proxy.connect(variant)
        peer.ask(CLUSTER)
        peer.take(CLUSTER)
        settled(proxy)
        proxy.publish(A2)
        for _ in range(3):
            peer.nack(peer.get(CLUSTER), words)
            peer.take(CLUSTER)
            settled(proxy)
            assert held(proxy)[A2.id].kept == A
            proxy.plane.retry(proxy.key, frozenset({CLUSTER}))
        peer.get(CLUSTER)
        peer.close()
        eventually(lambda: not proxy.plane.state(proxy.key).connected)


@both
def test_a_held_resource_that_is_removed_is_forgotten(variant: str, proxy: Proxy) -> None:
    """What is no longer published is neither held nor kept."""
    proxy.publish(A, B)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.publish(A2, B)
    peer.nack(peer.get(CLUSTER), BAD)
    peer.take(CLUSTER)
    proxy.publish(B)
    got = peer.take(CLUSTER)
    assert got.removed == {"a"} if variant == DELTA else got.has(B)
    settled(proxy)
    assert not held(proxy)
    peer.quiet()


@both
def test_a_ghost_is_taken_back(variant: str, proxy: Proxy) -> None:
    """A proxy that never says that it refused something: somebody else knows, and what it had before is sent again."""
    proxy.publish(A)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    settled(proxy)
    proxy.publish(A2, B)
    peer.get(CLUSTER)  # not answered, as by an Envoy with a cluster that warms for ever
    assert proxy.plane.hold(proxy.key, A2.id, "a ghost")
    assert proxy.plane.hold(proxy.key, B.id, "a ghost")
    assert not proxy.plane.hold(proxy.key, C.id, "is not published")
    found = [peer.get(CLUSTER)]
    while found[-1].version != set_version([A, CLUSTER_FENCE]):
        found.append(peer.get(CLUSTER))
    last = found[-1]
    assert [got.bodies["a"] for got in found if "a" in got.bodies][-1] == A.body
    assert set().union(*(got.removed for got in found)) == ({"b"} if variant == DELTA else set())
    peer.ack(last)
    settled(proxy)
    assert set(proxy.plane.has(proxy.key)) == {A.id, CLUSTER_FENCE.id}
    peer.quiet()


@both
@pytest.mark.parametrize("words", ["no good", "no good, attempt {}"], ids=["same words", "other words each time"])
@pytest.mark.parametrize("bad", [{"s13"}, {"s03", "s04", "s40"}], ids=["one", "three"])
def test_whom_a_refusal_without_names_is_about_is_found_out(
    variant: str, words: str, bad: set[str], proxy: Proxy
) -> None:
    """Half by half, with smaller responses: Envoy's NACK of a secret names none, and says the same of each."""
    secrets = [secret(f"s{index:02}") for index in range(50)]
    proxy.publish(*secrets)
    peer = proxy.connect(variant)
    peer.ask(SECRET, *(item.id.name for item in secrets))
    has: set[str] = set()
    for attempt in range(40):
        got = peer.get(SECRET)
        if bad & got.names:
            peer.nack(got, words.format(attempt))
        else:
            has |= got.names
            peer.ack(got)
        if len(has) == 50 - len(bad) and proxy.plane.wait(proxy.key, timeout=0.5).settled:
            break
    peer.quiet()
    assert {id_.name for id_ in held(proxy)} == bad
    assert has == {item.id.name for item in secrets} - bad


def test_removals_that_came_with_something_refused_are_told_again(proxy: Proxy) -> None:
    """Envoy drops a whole response if one resource breaks a rule of its message: what was to go is still there."""
    proxy.publish(A, B)
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.publish(A2)
    got = peer.get(CLUSTER)
    assert (got.names, got.removed) == ({"a"}, {"b"})
    peer.nack(got, BAD)
    assert peer.take(CLUSTER).removed == {"b"}
    peer.quiet()


def test_refusing_removals_is_not_answered_for_ever(proxy: Proxy) -> None:
    """There is nobody to blame and nothing to try instead."""
    proxy.publish(A, B)
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.publish(A)
    got = peer.get(CLUSTER)
    assert got.removed == {"b"}
    peer.nack(got, "I don't want to")
    peer.quiet()


@pytest.mark.parametrize(("variant", "words"), [(DELTA, BAD), (SOTW, BAD), (SOTW, "no good")])
def test_an_old_error_that_is_repeated_accuses_nobody(variant: str, words: str, proxy: Proxy) -> None:
    """Envoy's next answer after the cause of an error was taken away may carry that error once more.

    Without a name, and in delta, where a request has no version, it can't be told from a new one.
    """
    proxy.publish(B)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.publish(A, B)
    peer.nack(peer.get(CLUSTER), words)
    cured = peer.get(CLUSTER)
    peer.accepted[CLUSTER] = cured.version
    peer.ask(CLUSTER, nonce=cured.nonce, words=words)
    settled(proxy)
    assert held(proxy).keys() == {A.id}
    proxy.publish(A, B, C)
    got = peer.get(CLUSTER)
    peer.accepted[CLUSTER] = got.version
    peer.ask(CLUSTER, nonce=got.nonce, words=words)
    settled(proxy)
    assert held(proxy).keys() == {A.id}
    assert proxy.plane.has(proxy.key)[C.id] == C
    peer.quiet()


def test_who_says_that_it_has_the_new_version_has_it_whatever_it_complains_of(proxy: Proxy) -> None:
    """SotW: the version in a request is what the client has; an error beside it is of before, even if it names the same."""
    proxy.publish(A, B)
    peer = proxy.connect(SOTW)
    peer.ask(CLUSTER)
    peer.nack(peer.get(CLUSTER), BAD)
    peer.take(CLUSTER)
    proxy.publish(A2, B)
    got = peer.get(CLUSTER)
    peer.accepted[CLUSTER] = got.version
    peer.ask(CLUSTER, nonce=got.nonce, words=BAD)
    settled(proxy)
    assert not held(proxy)
    assert proxy.plane.has(proxy.key)[A2.id] == A2


@pytest.mark.parametrize(
    ("words", "blamed"),
    [
        ("Error adding/updating cluster(s) bad: no config source", {"bad"}),
        ("Error adding/updating cluster(s) bad: why, cluster: why", {"bad", "cluster"}),
        ('goo.gle/debugstr   \nname: "bad"\nalt_stat_name: "cluster"\n: Proto constraint validation failed', {"bad"}),
        ("Only a single wildcard domain is permitted in bad", {"bad"}),
        ("the thing bad.example is wrong", {"bad.example"}),
        ("the thing outbound|80||a.example.", {"outbound|80||a.example"}),
    ],
)
def test_as_few_as_possible_are_accused(words: str, blamed: set[str], proxy: Proxy) -> None:
    """A name may be an English word, a part of another name, or stand in the text of somebody else's configuration."""
    names = ["bad", "cluster", "bad.example", "outbound|80||a.example", "a.example", "good"]
    proxy.publish(*(static_cluster(name, 1) for name in names))
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER)
    peer.nack(peer.get(CLUSTER), words)
    assert peer.take(CLUSTER).names == set(names) - blamed
    peer.quiet()
    assert {id_.name for id_ in held(proxy)} == blamed


@both
def test_an_answer_to_something_unknown_concludes_nothing(variant: str, proxy: Proxy) -> None:
    """A nonce that was never sent, or was answered already, neither accepts nor refuses."""
    proxy.publish(A)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    got = peer.take(CLUSTER)
    settled(proxy)
    peer.nack(got, BAD)
    peer.ask(CLUSTER, nonce="12345", words=BAD)
    peer.quiet()
    assert not held(proxy)


def test_a_stale_request_is_not_honoured_in_sotw(proxy: Proxy) -> None:
    """Its names are out of date: the client has not seen the newest response, and will ask again when it has."""
    proxy.publish(RA, RB)
    peer = proxy.connect(SOTW)
    peer.ask(ROUTE, "a")
    first = peer.take(ROUTE)
    proxy.publish(RA2, RB)
    second = peer.get(ROUTE)
    peer.ask(ROUTE, "b", nonce=first.nonce)
    peer.names[ROUTE] = ("a",)
    peer.ack(second)
    peer.quiet()


def test_a_stale_request_of_delta_is_honoured(proxy: Proxy) -> None:
    """Here a nonce is no reason to take a request for stale: what it subscribes to counts."""
    proxy.publish(RA, RB)
    peer = proxy.connect(DELTA)
    peer.ask(ROUTE, "a")
    first = peer.take(ROUTE)
    proxy.publish(RA2, RB)
    peer.get(ROUTE)
    peer.ask(ROUTE, "b", nonce=first.nonce)
    assert peer.take(ROUTE).has(RB)


@both
def test_an_ack_that_asks_for_more_is_both(variant: str, proxy: Proxy) -> None:
    """One request may answer a response and change what is asked for."""
    proxy.publish(RA, RB)
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a")
    got = peer.get(ROUTE)
    peer.accepted[ROUTE] = got.version
    peer.ask(ROUTE, "b", nonce=got.nonce)
    assert peer.take(ROUTE).has(RB)
    settled(proxy)
    assert proxy.plane.has(proxy.key).keys() == ids([RA, RB])
    peer.quiet()


@both
def test_what_was_acked_is_what_a_refused_one_is_held_at_even_if_more_was_under_way(variant: str, proxy: Proxy) -> None:
    """Each ACK counts for what was in its response, not only when everything is answered."""
    proxy.publish(RA, RB)
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a", "b")
    peer.take(ROUTE)
    settled(proxy)
    proxy.publish(RA2, RB)
    second = peer.get(ROUTE)
    proxy.publish(RA3, RB)
    third = peer.get(ROUTE)
    peer.accepted[ROUTE] = second.version
    peer.line.send(_ack(variant, second.nonce, second.version, peer.names.get(ROUTE, ())))
    peer.nack(third, "no good: a")
    peer.quiet()
    assert held(proxy)[RA3.id].kept == RA2


def _ack(variant: str, nonce: str, version: str, names: tuple[str, ...]) -> bytes:
    if variant == DELTA:
        delta: bytes = DeltaDiscoveryRequest(type_url=ROUTE.type_url, response_nonce=nonce).SerializeToString()
        return delta
    request = DiscoveryRequest(type_url=ROUTE.type_url, response_nonce=nonce, version_info=version)
    request.resource_names.extend(names)
    whole: bytes = request.SerializeToString()
    return whole


def test_a_client_that_comes_back_in_delta_is_sent_what_differs(proxy: Proxy) -> None:
    """By `initial_resource_versions`: the same is not sent, changed and new is, what is no longer wanted is named."""
    proxy.publish(A2, B, C)
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER, had={"a": A.version, "b": B.version, "orphan": "1", FENCE: CLUSTER_FENCE.version})
    got = peer.take(CLUSTER)
    assert got.has(A2, C)
    assert got.removed == {"orphan"}
    peer.ask(ROUTE, FENCE)
    peer.take(ROUTE)
    peer.quiet()


def test_a_client_that_comes_back_in_delta_with_everything_is_sent_no_resource(proxy: Proxy) -> None:
    """Nothing but the version of the set, which moves nothing; and of what it names, nothing at all."""
    proxy.publish(A, RA)
    peer = proxy.connect(DELTA)
    peer.ask(CLUSTER, "*", had={"a": A.version, FENCE: CLUSTER_FENCE.version})
    peer.ask(ROUTE, "a", had={"a": RA.version})
    got = peer.take(CLUSTER)
    assert (got.bodies, got.removed, got.version) == ({}, frozenset(), set_version([A, CLUSTER_FENCE]))
    peer.quiet()
    assert proxy.plane.has(proxy.key).keys() >= {A.id, RA.id}


def test_a_client_that_comes_back_in_sotw_is_not_sent_a_set_that_it_has(proxy: Proxy) -> None:
    """Only a whole set can be known by its version. Of names the server can't know which are new, so they are sent."""
    proxy.publish(A, RA)
    peer = proxy.connect(SOTW)
    peer.ask(CLUSTER, version=set_version([A, CLUSTER_FENCE]))
    peer.ask(ROUTE, "a", version=set_version([RA, fences()[-1]]))
    assert peer.take(ROUTE).has(RA)
    peer.quiet()
    peer = proxy.connect(SOTW)
    peer.ask(CLUSTER, "a", version=set_version([A, CLUSTER_FENCE]))
    assert peer.take(CLUSTER).has(A)


@both
def test_what_a_client_comes_back_with_is_what_a_refused_one_is_held_at(variant: str, proxy: Proxy) -> None:
    """A daemon that has just started learns from the versions what the proxy has, and doesn't take it away over a NACK."""
    proxy.publish(A, B)
    peer = proxy.connect(variant)
    had = {item.id.name: item.version for item in (A, B, CLUSTER_FENCE)}
    peer.ask(CLUSTER, had=had, version=set_version([A, B, CLUSTER_FENCE]))
    if variant == DELTA:
        peer.take(CLUSTER)
    peer.ask(ROUTE, FENCE)
    peer.take(ROUTE)
    settled(proxy)
    proxy.publish(A2, B)
    peer.nack(peer.get(CLUSTER), BAD)
    last = peer.take(CLUSTER)
    assert last.has(*(() if variant == DELTA else (A, B)))
    assert held(proxy)[A2.id].kept == A


@both
def test_orphans_are_named_once(variant: str, proxy: Proxy) -> None:
    """What a proxy has without having said so can be told to go; of what it is to have, it is not."""
    proxy.publish(A)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.publish(A, gone=[B.id, A.id])
    if variant == DELTA:
        assert peer.take(CLUSTER).removed == {"b"}
    else:
        assert peer.take(CLUSTER).has(A)
    peer.quiet()


@both
def test_withdrawn_proxies_keep_what_they_have_and_hear_nothing(variant: str, proxy: Proxy) -> None:
    """Whoever isn't pushed to any more is left alone, also when it asks."""
    proxy.publish(A)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    proxy.plane.withdraw(proxy.key)
    peer.ask(ROUTE, "a")
    eventually(lambda: not proxy.plane.state(proxy.key).published)
    proxy.publish(A, RA)
    assert peer.take(ROUTE).has(RA)
    peer.quiet()


@both
def test_a_resource_counts_as_the_proxys_only_when_it_has_said_so(variant: str, proxy: Proxy) -> None:
    """`has` is what was answered; `waiting`, `acked` and `texts` say how far it is."""
    proxy.publish(A)
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    got = peer.get(CLUSTER)
    state = proxy.plane.state(proxy.key)
    assert not state.settled
    assert state.waiting == {CLUSTER}
    assert not state.acked
    assert not proxy.plane.has(proxy.key)
    assert state.texts[CLUSTER] == {got.version}
    peer.ack(got)
    settled(proxy)
    state = proxy.plane.state(proxy.key)
    assert (state.waiting, state.acked) == (frozenset(), {CLUSTER: got.version})
    assert proxy.plane.has(proxy.key).keys() == ids([A, CLUSTER_FENCE])


@both
def test_the_commit_rides_along_and_is_no_reason_to_send(variant: str, proxy: Proxy) -> None:
    """`control_plane.identifier`, which Envoy shows."""
    proxy.publish(A, commit="c1")
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    assert peer.take(CLUSTER).identifier == "envoy-reconciler commit=c1"
    proxy.publish(A, commit="c2")
    peer.quiet()
    assert proxy.plane.state(proxy.key).commit == "c2"


def test_resources_are_the_same_as_protobuf_would_write_them(proxy: Proxy) -> None:
    """Responses are put together from bytes: they mean what a response that protobuf wrote would mean."""
    big: list[Resource] = [
        made(CLUSTER, name="a" * 300, type="STATIC", connect_timeout="1s"),
        static_cluster("ü", 1),
        A,
    ]
    proxy.publish(*big)
    for variant in VARIANTS:
        peer = proxy.connect(variant)
        peer.ask(CLUSTER)
        got = peer.take(CLUSTER)
        assert got.has(*big)
        if variant == DELTA:
            assert got.versions == {item.id.name: item.version for item in big}
        peer.ask(ENDPOINTS, FENCE)
        assert peer.take(ENDPOINTS).bodies == {FENCE: endpoints(FENCE, 1).body}
