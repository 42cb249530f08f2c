"""Real Envoys on a real server: what the protocol is for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.model.key import Key
from tests.push.traffic import reserved
from tests.xds.lab import (
    CLUSTER,
    LISTENER,
    VARIANTS,
    Lab,
    Serving,
    cluster,
    endpoints,
    eventually,
    running,
    service,
    serving,
)

MakeLab = Callable[..., Lab]

LAB = Key("default", "lab")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def served(stack: ExitStack) -> Serving:
    return stack.enter_context(serving())


@pytest.fixture
def make_lab(envoy: str, served: Serving, short_path: Path, stack: ExitStack) -> MakeLab:
    """Start a real Envoy; whatever it is to have must have been published."""
    assert envoy
    return lambda name="lab", **more: stack.enter_context(running(short_path / name, served, name=name, **more))


@pytest.fixture
def port(stack: ExitStack) -> int:
    return stack.enter_context(reserved())


@pytest.mark.parametrize("variant", VARIANTS)
def test_an_envoy_that_starts_gets_everything_and_shows_the_versions(
    variant: str, served: Serving, make_lab: MakeLab, port: int
) -> None:
    """A fresh Envoy has what was published before it came, and shows the very version texts that were sent."""
    served.plane.publish(LAB, service("a", port, 1))
    lab = make_lab(variant=variant)
    eventually(lambda: lab.listeners() == {"a"})
    state = lab.settled()
    assert state.variant == variant
    assert state.client.startswith("envoy/1.")
    assert lab.clusters() == {"a"}
    assert {lab.version("cluster_manager.cds")} == state.texts[CLUSTER]
    assert {lab.version("listener_manager.lds")} == state.texts[LISTENER]


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_changed_eds_cluster_is_in_effect_at_once(variant: str, served: Serving, make_lab: MakeLab) -> None:
    """Envoy warms a changed EDS cluster until its endpoints are sent once more, which a server must do unasked."""
    served.plane.publish(LAB, [cluster("a"), endpoints("a", 1)])
    lab = make_lab(variant=variant)
    lab.settled()
    lab.publish([cluster("a", connect_timeout="2s"), endpoints("a", 1)], seconds=5)
    eventually(lambda: lab.in_effect("a").get("connect_timeout") == "2s", seconds=5)
    assert lab.hosts("a") == {"127.0.0.1:1"}
