"""Endpoints that a proxy does not have, whatever it says: they are sent again, and not without end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from types import MappingProxyType

import grpc
import pytest

from reconciler.model.observation import Observation, Proof
from reconciler.model.proxy import Client
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.push.lost import Lost
from reconciler.push.ways import Proven
from reconciler.xds.repeats import PAUSE, Repeats
from tests.push.adslab import AdsLab, apply, endpoints, pushed
from tests.push.test_ads_peers import Application
from tests.xds import lab as xds
from tests.xds.client import Got, Peer, Wire, node_of
from tests.xds.registry import Registry

ENDPOINTS = ResourceType.ENDPOINTS


class _Counted(Peer):
    """A client that says that it takes everything, and counts what it was sent."""

    got: Counter[str]

    def ack(self, got: Got, *names: str) -> None:
        self.got.update(got.names)
        super().ack(got, *names)


@dataclass(frozen=True)
class _Liar:
    """A client that was pushed to.

    Attributes:
        got: How often it was sent each load assignment.
    """

    lab: AdsLab
    got: Counter[str]
    view: list[Resource]

    def shows(self, *others: Resource) -> Observation:
        """What it says, but for these."""
        seen = self.lab.observe()
        return replace(seen, resources=MappingProxyType({**seen.resources, **{item.id: item for item in others}}))


@pytest.fixture(params=xds.VARIANTS)
def liar(request: pytest.FixtureRequest, served: xds.Serving) -> Iterator[_Liar]:
    lab = AdsLab("app", served.plane, None, client=Client.GRPC)
    registry = Registry()
    registry.set("a", 1)
    view = [registry.made("a"), endpoints("own", 9)]
    with grpc.insecure_channel(served.address) as channel:
        peer = _Counted(Wire(channel, request.param), request.param, node_of(lab.key))
        peer.got = Counter()
        app = Application(peer)
        peer.ask(ENDPOINTS, "a", "own")
        xds.eventually(lambda: lab.plane.state(lab.key).connected)
        assert apply(lab, view).kind is OutcomeKind.APPLIED
        yield _Liar(lab, peer.got, view)
        app.end()


def test_endpoints_that_are_shown_otherwise_are_sent_again_once(liar: _Liar) -> None:
    """The plane takes them for delivered, the reading says that they are not there; what it keeps showing otherwise is named."""
    assert liar.got == {"a": 1, "own": 1}
    lost = liar.shows(endpoints("a", 7))
    outcome = pushed([liar.lab.target(liar.view, lost)], [liar.lab]).outcomes[liar.lab.key]
    assert (outcome.kind, outcome.detail) == (OutcomeKind.APPLIED, "")
    assert liar.got["a"] == 2
    for _ in range(3):
        outcome = pushed([liar.lab.target(liar.view, lost)], [liar.lab]).outcomes[liar.lab.key]
        assert outcome.kind is OutcomeKind.APPLIED
        assert outcome.detail.startswith("shown otherwise although it was sent again")
        assert outcome.detail.endswith("endpoints a")
    assert liar.got["a"] == 2
    assert apply(liar.lab, liar.view).detail == ""


def test_what_is_about_to_be_sent_is_not_sent_twice(liar: _Liar) -> None:
    """Endpoints that are others now are sent because of that."""
    registry = Registry()
    registry.set("a", 3)
    view = [registry.made("a"), liar.view[1]]
    outcome = pushed([liar.lab.target(view, liar.shows(endpoints("a", 7)))], [liar.lab]).outcomes[liar.lab.key]
    assert (outcome.kind, outcome.detail) == (OutcomeKind.APPLIED, "")
    assert liar.got["a"] == 2


def test_endpoints_that_no_registry_has_a_part_in_any_more_stand_still(liar: _Liar) -> None:
    """From the push on that says so, a load assignment is what Git says, whatever it was by its last recipe."""
    view = [endpoints("a", 7), liar.view[1]]
    assert apply(liar.lab, view).kind is OutcomeKind.APPLIED
    assert liar.got["a"] == 2
    assert liar.lab.observe().resources[view[0].id] == view[0]
    assert liar.lab.plane.published(liar.lab.key)[view[0].id].recipe is None


def test_a_proxy_that_nobody_knows_is_sent_nothing(served: xds.Serving) -> None:
    """Nor is anything said of it."""
    lab = AdsLab("nobody", served.plane, None)
    lost = Lost(served.plane, lab.key)
    lost.repair([ResourceId(ENDPOINTS, "a")])
    proven = Proven(observation=lab.observe(), proof=Proof.EXACT)
    assert lost.noted(proven) is proven
    assert served.plane.repeat(lab.key, [ResourceId(ENDPOINTS, "a")]) == frozenset()


def test_one_version_is_repeated_once_a_minute() -> None:
    """Another one is at once; and after the pause the same one is too, for it may have been lost twice."""
    repeats, a, b = Repeats(), ResourceId(ENDPOINTS, "a"), ResourceId(ENDPOINTS, "b")
    assert repeats.due({a: "1"}, now=0) == {a}
    assert repeats.due({a: "1", b: "1"}, now=PAUSE - 1) == {b}
    assert repeats.due({a: "2"}, now=PAUSE - 1) == {a}
    assert repeats.due({a: "2", b: "1"}, now=PAUSE) == set()
    assert repeats.due({a: "2", b: "1"}, now=2 * PAUSE) == {a, b}
