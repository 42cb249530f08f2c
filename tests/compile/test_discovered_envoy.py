"""What a real Envoy makes of instances that are not well, that drain, and that go."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reconciler.compile.names import ClusterRef
from reconciler.model.endpoints import alike
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.model.services import Endpoint, Health
from tests.compile.answering import answering, until
from tests.compile.envoys import application, free_port
from tests.compile.instances import instance
from tests.compile.meshes import documents
from tests.compile.onecluster import rule
from tests.compile.reached import Reached, reached

_PLAIN, _EJECTING, _CHECKING, _HASHING = (
    ClusterRef(f"{name}.example.com", 80) for name in ("plain", "ejecting", "checking", "hashing")
)
_EJECT = "{outlierDetection: {consecutive5xxErrors: 1, interval: 1h, maxEjectionPercent: 100}}"
_HASH = "{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {}}}}"
_CHECK = f"""
kind: HealthCheck
metadata: {{name: c}}
spec: {{host: {_CHECKING.host}, http: {{path: /}}, interval: 0.2s, unhealthyThreshold: 1, panicThreshold: 0}}
"""


@dataclass(frozen=True)
class _Fleet:
    """An Envoy, and applications behind it.

    Attributes:
        ports: Of applications that answer with their names, by name.
    """

    live: Reached
    ports: dict[str, int]

    def at(self, name: str, health: Health = Health.HEALTHY) -> Endpoint:
        return _at(self.ports[name], health)

    def give(self, ref: ClusterRef, *found: Endpoint) -> Resource:
        """What registries list from now on; returns when Envoy has it."""
        old = self.live.view.resources[ResourceId(ResourceType.ENDPOINTS, ref.name)]
        assert old.recipe is not None
        new = old.recipe.at(found)
        counter = f"cluster.{ref.name}.update_success"
        before = self.live.stats(f"{ref.host}.update_success")[counter]
        self.live.replace(new)
        until(lambda: self.live.stats(f"{ref.host}.update_success")[counter] > before)
        return new

    def shown(self, ref: ClusterRef) -> Resource:
        return self.live.observed().resources[ResourceId(ResourceType.ENDPOINTS, ref.name)]


def _at(port: int, health: Health = Health.HEALTHY) -> Endpoint:
    return instance("127.0.0.1", port, name="p", health=health)


def _entry(ref: ClusterRef) -> str:
    name = ref.host.partition(".")[0]
    ports = "[{number: 80, name: p, protocol: HTTP}]"
    return f"kind: ServiceEntry\nmetadata: {{name: {name}}}\nspec: {{hosts: [{ref.host}], resolution: STATIC, ports: {ports}}}"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Fleet]:
    """One Envoy for all of these tests."""
    refs = (_PLAIN, _EJECTING, _CHECKING, _HASHING)
    texts = documents(
        *map(_entry, refs), rule(_EJECT, host=_EJECTING.host), rule(_HASH, host=_HASHING.host, name="h"), _CHECK
    )
    with ExitStack() as stack:
        ports = {name: stack.enter_context(application(name)) for name in "abc"}
        found: Sequence[Endpoint] = [_at(port) for port in ports.values()]
        folder: Path = tmp_path_factory.mktemp("d")
        live = stack.enter_context(reached(folder, refs, texts, found={ref.host: found for ref in refs}))
        yield _Fleet(live, ports)


def test_unwell_and_draining_instances_get_no_requests(fleet: _Fleet) -> None:
    """While any other is well, and when none is: a discovered service is not panicked over."""
    a, b, c = fleet.at("a", Health.UNHEALTHY), fleet.at("b", Health.DRAINING), fleet.at("c")
    sent = fleet.give(_PLAIN, a, b, c)
    assert fleet.live.answers(_PLAIN, 20) == {"c": 20}
    shown = fleet.shown(_PLAIN)
    assert shown != sent
    assert alike(sent, shown)
    fleet.give(_PLAIN, a, b)
    assert fleet.live.answers(_PLAIN, 10) == {"503": 10}
    fleet.give(_PLAIN, fleet.at("a"), b)
    assert fleet.live.answers(_PLAIN, 10) == {"a": 10}


@pytest.mark.parametrize("ref", [_PLAIN, _EJECTING, _CHECKING], ids=["plain", "with ejection", "with health checks"])
def test_a_change_is_with_the_workers_at_once(fleet: _Fleet, ref: ClusterRef) -> None:
    """However soon after another one: what Envoy keeps back, to hand on more at once, is what health checks find."""
    a, b, c = (fleet.at(name) for name in "abc")
    gone = Health.DRAINING
    fleet.give(ref, a, b, c)
    until(lambda: set(fleet.live.answers(ref, 10)) == {"a", "b", "c"})
    for found, left in (
        ((a, replace(b, health=gone), c), "ac"),
        ((a, replace(b, health=gone), replace(c, health=gone)), "a"),
        ((replace(a, health=gone), replace(b, weight=3), replace(c, health=gone)), "b"),
        ((replace(a, health=gone), replace(b, health=gone), c), "c"),
    ):
        fleet.give(ref, *found)
        assert set(fleet.live.answers(ref, 10)) == set(left)
    fleet.give(ref, a)


@pytest.mark.parametrize("removed", [False, True], ids=["draining", "removed"])
@pytest.mark.parametrize("ref", [_PLAIN, _CHECKING], ids=["plain", "with health checks"])
def test_requests_that_an_instance_has_end_there(fleet: _Fleet, ref: ClusterRef, *, removed: bool) -> None:
    """Whether it drains or is gone already; new ones go to the others at once."""
    gate, answers = threading.Event(), list[int]()
    with answering(200, gate=gate) as (port, waiting):
        gate.set()
        fleet.give(ref, _at(port))
        until(lambda: fleet.live.ask(ref)[0] == 200)
        gate.clear()
        while waiting.acquire(blocking=False):
            pass
        client = threading.Thread(target=lambda: answers.append(fleet.live.ask(ref)[0]))
        client.start()
        try:
            assert waiting.acquire(timeout=10)
            left = [] if removed else [_at(port, Health.DRAINING)]
            fleet.give(ref, *left, fleet.at("a"))
            until(lambda: fleet.live.ask(ref) == (200, "a"))  # where it is checked, after its first check
            assert fleet.live.answers(ref, 10) == {"a": 10}
        finally:
            gate.set()
            client.join()
        assert answers == [200]
        fleet.give(ref, fleet.at("a"))


def test_instances_that_are_heavy_together_are_taken(fleet: _Fleet) -> None:
    """With consistent hashing Envoy refuses endpoints whose weights have a larger sum than fits into 32 bits."""
    a, b = (replace(fleet.at(name), weight=2**32 - 1) for name in "ab")
    fleet.give(_HASHING, a, replace(b, locality="eu"), replace(fleet.at("c"), weight=1))
    assert not fleet.live.stats("hashing.*rejected")[f"cluster.{_HASHING.name}.update_rejected"]


def test_an_ejected_instance_is_no_other_assignment(fleet: _Fleet) -> None:
    """Envoy shows it as it shows one that EDS calls unhealthy; the reading says nothing of it."""
    with answering(500) as (port, _):
        sent = fleet.give(_EJECTING, fleet.at("a"), _at(port))
        until(lambda: fleet.live.answers(_EJECTING, 10) == {"a": 10})
        assert fleet.shown(_EJECTING) == sent


def test_an_instance_that_fails_its_checks_is_no_other_assignment(fleet: _Fleet) -> None:
    """Nor is one that a platform calls unwell besides, which stays out though its checks succeed."""
    sent = fleet.give(_CHECKING, fleet.at("a"), _at(free_port()), fleet.at("b", Health.UNHEALTHY))
    until(lambda: fleet.live.stats("checking.*membership_healthy")[f"cluster.{_CHECKING.name}.membership_healthy"] == 1)
    until(lambda: fleet.live.answers(_CHECKING, 10) == {"a": 10})
    assert alike(sent, fleet.shown(_CHECKING))
