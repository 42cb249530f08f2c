"""What the fleet sees of proxies on ADS: cheaply where nothing changed, and by their word where there is nothing to ask."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.clock import SystemClock
from reconciler.cycle.fleet import Fleet
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.settings import AdminSettings
from reconciler.xds import Plane
from tests.push import adslab
from tests.push.adslab import AdsLab, pushed, route
from tests.push.test_ads_refusals import backed, quiet
from tests.xds import lab as xds


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_fleet(stack: ExitStack) -> Callable[[Plane | None], Fleet]:
    return lambda plane: stack.enter_context(Fleet(AdminSettings(), SystemClock(), plane=plane))


@pytest.mark.parametrize("variant", xds.VARIANTS)
def test_a_proxy_on_ads_is_not_read_again_as_long_as_it_shows_what_it_was_proven_with(
    variant: str,
    envoy: str,
    short_path: Path,
    stack: ExitStack,
    make_fleet: Callable[[Plane | None], Fleet],
) -> None:
    """The texts of routes and endpoints are versions of sets, which no view has; the same ones as before say enough."""
    assert envoy
    served = stack.enter_context(xds.serving())
    lab = stack.enter_context(adslab.running(short_path / "one", served, variant=variant))
    fleet = make_fleet(lab.plane)
    views = [
        lab.view([*backed("a"), *backed("b"), quiet("l", "r"), route("r", a=100 - weight, b=weight)])
        for weight in (0, 50)
    ]
    for view in views:
        result = pushed([lab.target(view.resources.values())], [lab])
        assert result.outcomes[lab.key].proof is Proof.EXACT
        fleet.observe([lab.proxy], exact=True)
        fleet.remember({lab.key: view}, result.outcomes, result.observations)
        again = fleet.observe([lab.proxy], exact=False)[lab.key]
        assert again.resources is view.resources
    lab.plane.publish(lab.key, views[0].resources.values())
    xds.eventually(lambda: fleet.observe([lab.proxy], exact=False)[lab.key].resources == views[0].resources)


def test_a_proxy_without_an_admin_endpoint_is_seen_by_its_streams(
    make_fleet: Callable[[Plane | None], Fleet],
) -> None:
    """Where there is no stream, or this process serves none, it can't be asked; and that has a name."""
    for plane in (Plane(), None):
        lab = AdsLab("app", plane or Plane(), None)
        fleet = make_fleet(plane)
        seen = fleet.observe([lab.proxy], exact=True)
        assert seen.keys() == {Key("default", "app")}
        error = seen[lab.key].error
        assert error is not None
        assert error.code == "ads-disconnected"
        assert fleet.admins() == {}
