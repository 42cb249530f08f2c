from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from reconciler.model.observation import Proof
from reconciler.model.resource import Resource
from tests.push import adslab
from tests.push.adslab import AdsLab
from tests.push.lab import Lab, SplitLab, apply, canary, running
from tests.push.traffic import backend, reserved
from tests.xds import lab as xds

Ports = Callable[[], int]
Backends = Callable[[str], int]
MakeLab = Callable[..., Lab]
MakeAds = Callable[..., AdsLab]


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def make_lab(envoy: str, short_path: Path, stack: ExitStack) -> MakeLab:
    """Start a real Envoy with an empty files directory; ends with the test."""
    assert envoy
    return lambda name="one", **more: stack.enter_context(running(short_path / name, name, **more))


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    """One real Envoy."""
    return make_lab()


@pytest.fixture
def make_port(stack: ExitStack) -> Callable[[], int]:
    """Reserve ports for listeners."""
    return lambda: stack.enter_context(reserved())


@pytest.fixture
def make_backend(stack: ExitStack) -> Callable[[str], int]:
    """Start applications that answer with their names."""
    return lambda says: stack.enter_context(backend(says))


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of a test was asked for, with `--full`."""
    return bool(request.config.getoption("--full", default=False))


@pytest.fixture
def split_lab(lab: Lab, make_port: Ports, make_backend: Backends) -> SplitLab:
    """An Envoy that serves a canary at 0%, how to make its view at another weight, and its port."""
    port, v1, v2 = make_port(), make_backend("v1"), make_backend("v2")

    def at(weight: int) -> list[Resource]:
        return canary(lab, port, v1, v2, weight)

    assert apply(lab, at(0)).proof is Proof.EXACT
    return lab, at, port


@pytest.fixture
def served() -> Iterator[xds.Serving]:
    """A real ADS server."""
    with xds.serving() as found:
        yield found


@pytest.fixture
def make_ads(envoy: str, short_path: Path, stack: ExitStack, served: xds.Serving) -> MakeAds:
    """Start a real Envoy that is connected to the server and serves nothing; ends with the test."""
    assert envoy
    return lambda name="one", **more: stack.enter_context(adslab.running(short_path / name, served, name=name, **more))
