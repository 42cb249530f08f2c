from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import grpc
import pytest

from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType
from tests.xds.client import Peer, Wire, fences, node_of
from tests.xds.lab import Serving, serving

_NUMBERS = itertools.count()


class Proxy:
    """One proxy on a plane: what is published for it, and streams that say they are its."""

    def __init__(self, served: Serving, channel: grpc.Channel, stack: ExitStack, key: Key) -> None:
        self.plane, self.key = served.plane, key
        self._channel, self._stack = channel, stack

    def publish(self, *resources: Resource, **more: object) -> None:
        """These, and what `Peer.quiet` asks for."""
        self.plane.publish(self.key, [*resources, *fences()], **more)  # type: ignore[arg-type]

    def connect(self, variant: str, only: ResourceType | None = None) -> Peer:
        """A stream of its own, aggregated unless it is for one type only."""
        wire = Wire(self._channel, variant, only)
        self._stack.callback(wire.close)
        return Peer(wire, variant, node_of(self.key))


@pytest.fixture(scope="session")
def shared() -> Iterator[tuple[Serving, grpc.Channel]]:
    """One server for all scenarios, each of which has a proxy of its own."""
    with serving() as served, grpc.insecure_channel(served.address) as channel:
        yield served, channel


@pytest.fixture
def make_proxy(shared: tuple[Serving, grpc.Channel]) -> Iterator[Callable[[], Proxy]]:
    with ExitStack() as stack:
        yield lambda: Proxy(*shared, stack, Key("default", f"p{next(_NUMBERS)}"))


@pytest.fixture
def proxy(make_proxy: Callable[[], Proxy]) -> Proxy:
    return make_proxy()


@pytest.fixture
def full(request: pytest.FixtureRequest) -> bool:
    """Whether the long form of a test was asked for, with `--full`."""
    return bool(request.config.getoption("--full", default=False))
