"""What a proxy on ADS refuses: held and named, while everything else goes on."""

from __future__ import annotations

import socket
import zlib
from typing import Any

import pytest

from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, ResourceId, ResourceType
from tests.push.adslab import AdsLab, apply, cluster, endpoints, listener, made, pushed, route
from tests.push.conftest import Backends, MakeAds, Ports
from tests.push.traffic import Load, ask
from tests.xds.lab import VARIANTS

CLUSTER, LISTENER, ROUTE = ResourceType.CLUSTER, ResourceType.LISTENER, ResourceType.ROUTE

RINGS: dict[str, Any] = {
    "lb_policy": "RING_HASH",
    "ring_hash_lb_config": {"minimum_ring_size": 100, "maximum_ring_size": 10},
}
"""A fault that Envoy notices only when it builds the cluster."""


def quiet(name: str, target: str) -> Resource:
    """A listener that binds no port; Envoy refuses two of one address all the same."""
    return listener(name, 1 + zlib.crc32(name.encode()) % 65_000, target, bind_to_port=False)


def backed(name: str, *, port: int = 1, **more: Any) -> list[Resource]:
    return [cluster(name, **more), endpoints(name, port)]


def poison(name: str) -> Resource:
    """A route configuration that no Envoy takes."""
    hosts = [{"name": "x", "domains": ["x.com", "x.com"], "routes": [{"match": {"prefix": "/"}, "redirect": {}}]}]
    return made(ROUTE, name=name, virtual_hosts=hosts)


@pytest.fixture(params=VARIANTS)
def lab(request: pytest.FixtureRequest, make_ads: MakeAds) -> AdsLab:
    return make_ads(variant=request.param)


def test_one_poisoned_route_among_fifty_stays_as_it_was_and_is_named(lab: AdsLab) -> None:
    """The good ones are live, the bad one serves what it served, and is not sent again until it changes."""
    names = [f"r{index}" for index in range(51)]
    common = [*backed("a"), *(quiet(f"l-{name}", name) for name in names)]
    before = [*common, *(route(name, a=100) for name in names)]
    assert apply(lab, before).proof is Proof.EXACT
    wanted = [*common, *backed("b"), *(route(name, b=100) for name in names[:-1]), poison(names[-1])]

    outcome = apply(lab, wanted)
    assert (outcome.kind, outcome.rejected) == (OutcomeKind.REJECTED, (ResourceId(ROUTE, "r50"),))
    assert "Only unique values for domains" in outcome.detail
    live = lab.serves()
    assert [live[f"route {name}"] for name in names] == [*wanted[-51:-1], before[-1]]

    again = apply(lab, wanted)
    assert (again.kind, again.detail, again.view) == (outcome.kind, outcome.detail, outcome.view)
    assert lab.plane.state(lab.key).resources_sent == 0
    assert apply(lab, before).proof is Proof.EXACT


def test_nothing_is_repointed_to_what_was_refused(lab: AdsLab, make_port: Ports, make_backend: Backends) -> None:
    """A route to a cluster that is not there would answer 503, and a listener without its routes never comes."""
    port = make_port()
    before = [*backed("a", port=make_backend("a")), listener("in", port, "web"), route("web", a=100)]
    assert apply(lab, before).proof is Proof.EXACT
    bad = cluster("bad", eds_cluster_config={"service_name": "elsewhere"})
    new = [quiet("l1", "r1"), poison("r1"), quiet("l2", "r2"), route("r2", a=100)]
    wanted = [*before[:-1], bad, route("web", a=50, bad=50), *new]
    with Load(port) as load:
        for _ in range(2):
            outcome = apply(lab, wanted)
            assert outcome.rejected == (ResourceId(CLUSTER, "bad"), ResourceId(ROUTE, "r1"))
            assert "route web is left as it was, because cluster bad was refused" in outcome.detail
            assert "listener l1 is left as it was, because route r1 was refused" in outcome.detail
            assert "listener l2" in (live := lab.serves())
            assert "listener l1" not in live
            assert live["route web"] == before[-1]
        mended = [*before[:-1], *backed("bad"), route("web", a=100), new[0], route("r1", a=100), *new[2:]]
        assert apply(lab, mended).proof is Proof.EXACT
        load.wait(20)
    assert set(load.answers) == {"a"}


def test_what_waited_for_something_refused_comes_with_the_change_that_mends_it(lab: AdsLab) -> None:
    """Not a pass later: what was refused before is not missing any more. Refused once more in another version, it is said again."""
    before = [*backed("a"), quiet("l", "r"), route("r", a=100)]
    assert apply(lab, before).proof is Proof.EXACT
    assert apply(lab, [*before, quiet("l1", "r1"), poison("r1")]).rejected == (ResourceId(ROUTE, "r1"),)
    other = made(ROUTE, name="r1", virtual_hosts=[{"name": "y", "domains": ["y.com", "y.com"]}])
    for _ in range(2):
        again = apply(lab, [*before, quiet("l1", "r1"), other])
        assert again.rejected == (ResourceId(ROUTE, "r1"),)
        assert "listener l1 is left as it was, because route r1 was refused" in again.detail
    assert apply(lab, [*before, quiet("l1", "r1"), route("r1", a=100)]).proof is Proof.EXACT


def test_nothing_is_removed_from_anybody_while_somebody_refuses_something(make_ads: MakeAds) -> None:
    """Who refused something may still route to what others would take away, or to what it would lose itself."""
    first, second = make_ads("first"), make_ads("second")
    common = [quiet("l", "r"), route("r", a=100)]
    before = [*backed("a"), *backed("old"), *common]
    for lab in (first, second):
        assert apply(lab, before).proof is Proof.EXACT
    poisoned = [*backed("a"), quiet("l", "r"), poison("r")]
    goals = [first.target(poisoned), second.target([*backed("a"), *common])]
    result = pushed(goals, [first, second]).outcomes
    assert (result[first.key].kind, result[second.key].kind) == (OutcomeKind.REJECTED, OutcomeKind.SKIPPED)
    assert "removal is held for default/first (rejected)" in result[second.key].detail
    assert all("cluster old" in lab.serves() for lab in (first, second))
    goals = [lab.target([*backed("a"), *common]) for lab in (first, second)]
    assert {item.proof for item in pushed(goals, [first, second]).outcomes.values()} == {Proof.EXACT}


@pytest.mark.parametrize("existed", [True, False])
def test_a_cluster_that_silences_all_others_is_found_and_taken_away(
    lab: AdsLab, make_port: Ports, make_backend: Backends, *, existed: bool
) -> None:
    """Envoy says nothing of such a cluster, and hears of no other for as long as it is there. No request is lost."""
    port, back = make_port(), make_backend("a")
    before = [*backed("m", port=back), *backed("z"), listener("in", port, "web"), route("web", m=100)]
    assert apply(lab, before).proof is Proof.EXACT
    valid = backed("z", connect_timeout="2s") if existed else [*backed("z"), *backed("zz")]
    ghost = backed("m", port=back, **RINGS) if existed else [*before[:2], *backed("ghost", **RINGS)]
    name = "m" if existed else "ghost"
    with Load(port) as load:
        outcome = apply(lab, [*ghost, *valid, *before[4:]])
        assert (outcome.kind, outcome.rejected) == (OutcomeKind.REJECTED, (ResourceId(CLUSTER, name),))
        assert outcome.seconds < 2
        live = lab.serves()
        assert (f"cluster {name}" in live, live["cluster m"]) == (existed, before[0])
        assert all(live[str(item.id)] == item for item in valid)
        assert apply(lab, [*before, *backed("later")]).proof is Proof.EXACT
        assert apply(lab, before).proof is Proof.EXACT
        load.wait(20)
    assert set(load.answers) == {"a"}
    assert ask(port) == "a"


def test_a_refused_cluster_leaves_nothing_behind_that_the_next_change_runs_into(lab: AdsLab) -> None:
    """Envoy lists even a cluster that it has refused aloud as warming, and that counts as soon as anything else is sent."""
    before = [*backed("a"), quiet("l", "r"), route("r", a=100)]
    assert apply(lab, before).proof is Proof.EXACT
    assert apply(lab, [*before, *backed("ghost", **RINGS)]).rejected == (ResourceId(CLUSTER, "ghost"),)
    assert lab.admin is not None
    assert lab.admin.warming_clusters() == frozenset()
    assert apply(lab, [*before, *backed("b")]).proof is Proof.EXACT


def test_a_listener_whose_port_is_taken_is_tried_again_in_every_pass(lab: AdsLab, make_backend: Backends) -> None:
    """Whoever has the port may let go of it at any time, and nothing in the policies would change by that."""
    back = make_backend("a")
    before = [*backed("a", port=back), quiet("l", "r"), route("r", a=100)]
    assert apply(lab, before).proof is Proof.EXACT
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        wanted = [*before, listener("in", port, "r"), *backed("b")]
        for _ in range(2):
            outcome = apply(lab, wanted)
            assert outcome.rejected == (ResourceId(LISTENER, "in"),)
            assert "Address already in use" in outcome.detail
            assert "cluster b" in lab.serves()
    assert apply(lab, wanted).proof is Proof.EXACT
    assert ask(port) == "a"
