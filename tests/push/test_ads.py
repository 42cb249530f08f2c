"""Pushing to real Envoys over ADS: only what differs, in phases, proven at the admin endpoint."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, ResourceType
from tests.push import adslab
from tests.push.adslab import AdsLab, apply, canary
from tests.push.conftest import Backends, MakeAds, Ports
from tests.push.traffic import Load, ask
from tests.xds import lab as xds

Split = tuple[AdsLab, Callable[[int], list[Resource]], int]


@pytest.fixture(params=xds.VARIANTS)
def split(request: pytest.FixtureRequest, make_ads: MakeAds, make_port: Ports, make_backend: Backends) -> Split:
    """An Envoy that serves a canary at 0%, how to make its view at another weight, and its port."""
    lab = make_ads(variant=request.param)
    port, v1, v2 = make_port(), make_backend("v1"), make_backend("v2")

    def at(weight: int) -> list[Resource]:
        return canary(port, v1, v2, weight)

    assert apply(lab, at(0)).proof is Proof.EXACT
    return lab, at, port


def test_a_changed_weight_is_one_route_configuration_on_the_wire(split: Split) -> None:
    """What is sent is what differs, and no more; it is live when the push ends."""
    lab, at, port = split
    assert ask(port) == "v1"
    outcome = apply(lab, at(100), commit="c2")
    assert (outcome.kind, outcome.proof, outcome.detail, outcome.pushed) == (OutcomeKind.APPLIED, Proof.EXACT, "", True)
    assert ask(port) == "v2"
    state = lab.plane.state(lab.key)
    assert (state.resources_sent, set(state.texts), state.commit) == (1, {ResourceType.ROUTE}, "c2")


def test_nothing_is_lost_while_weights_move_and_services_come_and_go(split: Split, make_port: Ports) -> None:
    """Make before break: under constant load no request fails, whatever is pushed."""
    lab, at, port = split
    extra = make_port()
    with Load(port) as load:
        for weight in (10, 50, 100, 0):
            more = adslab.service("more", extra, 1) if weight in {10, 100} else []
            assert apply(lab, [*at(weight), *more]).proof is Proof.EXACT
            load.wait(50)
    assert set(load.answers) == {"v1", "v2"}


def test_a_listener_gives_its_address_to_another_one(split: Split, make_backend: Backends) -> None:
    """Envoy refuses two listeners on one address, and takes removals first: both are in one publication."""
    lab, at, port = split
    other = [adslab.cluster("o"), adslab.endpoints("o", make_backend("o")), adslab.route("other", o=100)]
    outcome = apply(lab, [*at(0)[:4], *other, adslab.listener("heir", port, "other")])
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
    assert ask(port) == "o"


def test_a_listener_that_waits_for_a_route_that_nobody_sends_is_named_and_mended_by_it(
    split: Split, make_port: Ports
) -> None:
    """Envoy would have it warm for ever; the old listeners serve, and nobody has to restart anything."""
    lab, at, port = split
    extra = make_port()
    late = [*at(0), adslab.listener("late", extra, "absent")]
    outcome = apply(lab, late, seconds=0.5)
    assert outcome.kind is OutcomeKind.LATE
    assert "listener late (waits for route absent, which there is none of)" in outcome.detail
    assert ask(port) == "v1"
    assert apply(lab, [*late, adslab.route("absent", v2=100)]).proof is Proof.EXACT
    assert ask(extra) == "v2"


def test_runtime_overrides_are_cleared(split: Split) -> None:
    """They hide what the policies say: drift, on a proxy that is configured fully."""
    lab, at, _ = split
    assert lab.admin is not None
    lab.admin.set_runtime({"some.key": "1"})
    outcome = apply(lab, at(0))
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
    assert lab.admin.versions().overrides == 0
