"""Several Envoys in one push: barriers between phases, held removals, and one that hangs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from reconciler.clock import Clock
from reconciler.envoy import Admin
from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource
from reconciler.push.disk import Disk
from reconciler.push.files import FilesWay
from reconciler.push.phases import Phase
from reconciler.push.watches import Watches
from reconciler.push.ways import Target
from reconciler.settings import AdminSettings
from tests.push.conftest import Backends, MakeLab, Ports
from tests.push.lab import Lab, pushed
from tests.push.traffic import Load, ask


class Journal(FilesWay):
    """The real way, and a note of when each phase of each proxy began and ended."""

    notes: list[tuple[str, Phase, str]]

    def run(self, phase: Phase, *, until: float) -> None:
        name = self._target.proxy.key.name
        self.notes.append((name, phase, "begins"))
        super().run(phase, until=until)
        self.notes.append((name, phase, "ends"))


def journal(notes: list[tuple[str, Phase, str]]) -> Callable[[Target, Admin, Clock], Journal]:
    def make(target: Target, admin: Admin, clock: Clock) -> Journal:
        files = target.proxy.spec.push.files
        assert files is not None
        way = Journal(target, admin=admin, clock=clock, disk=Disk(files.directory), watches=Watches())
        way.notes = notes
        return way

    return make


@pytest.fixture
def pair(make_lab: MakeLab, make_port: Ports) -> tuple[Lab, Lab, int, dict[str, int]]:
    """A caller and a callee, the port that traffic enters at, and ports for the callee's listeners."""
    return make_lab("caller"), make_lab("callee"), make_port(), {"old": make_port(), "new": make_port()}


Pair = tuple[Lab, Lab, int, dict[str, int]]


def mesh(pair: Pair, name: str, back: int) -> tuple[list[Resource], list[Resource]]:
    """The caller's and the callee's resources when requests go through the callee's listener of this name."""
    caller, callee, entry, ports = pair
    outer = [
        caller.shelf.cluster(name),
        caller.shelf.endpoints(name, ports[name]),
        caller.shelf.listener("entry", entry, "web"),
        caller.shelf.route("web", **{name: 100}),
    ]
    inner = [
        callee.shelf.cluster(name),
        callee.shelf.endpoints(name, back),
        callee.shelf.listener(name, ports[name], name),
        callee.shelf.route(name, **{name: 100}),
    ]
    return outer, inner


def targets(pair: Pair, name: str, back: int) -> list[Target]:
    outer, inner = mesh(pair, name, back)
    return [pair[0].target(outer), pair[1].target(inner)]


def test_traffic_moves_to_a_new_listener_without_a_failed_request(pair: Pair, make_backend: Backends) -> None:
    """A callee's listener is there before callers are told, and goes after they have left: phases are barriers."""
    caller, callee, entry, _ = pair
    backs = {name: make_backend(name) for name in ("old", "new")}
    pushed(targets(pair, "old", backs["old"]), [caller, callee])
    with Load(entry) as load:
        for name in ("new", "old") * 3:
            load.wait(20)
            notes: list[tuple[str, Phase, str]] = []
            result = pushed(targets(pair, name, backs[name]), [caller, callee], ways=journal(notes))
            assert {outcome.proof for outcome in result.outcomes.values()} == {Proof.EXACT}
            phases = [phase for _, phase, _ in notes]
            assert phases == sorted(phases, key=list(Phase).index)
            assert set(phases) == set(Phase)
        load.wait(20)
    assert set(load.answers) == {"old", "new"}


def test_only_proxies_with_work_take_part(pair: Pair, make_backend: Backends) -> None:
    """A proxy without changes in a phase is not called in it, and a phase without proxies does not happen."""
    caller, callee, _, _ = pair
    back = make_backend("old")
    pushed(targets(pair, "old", back), [caller, callee])
    counters, notes = callee.counters(), list[tuple[str, Phase, str]]()
    outer, inner = mesh(pair, "old", back)
    outer[-1] = caller.shelf.route("web", old=50)
    pushed([caller.target(outer), callee.target(inner)], [caller, callee], ways=journal(notes))
    assert notes == [("caller", Phase.REPOINT, "begins"), ("caller", Phase.REPOINT, "ends")]
    assert callee.counters() == counters


def test_removal_is_held_while_a_reached_proxy_lags(pair: Pair, make_backend: Backends) -> None:
    """A callee keeps what a caller that refused its change still uses; the next push removes it."""
    caller, callee, entry, ports = pair
    backs = {name: make_backend(name) for name in ("old", "new")}
    pushed(targets(pair, "old", backs["old"]), [caller, callee])
    outer, inner = mesh(pair, "new", backs["new"])
    bad = [
        caller.shelf.cluster(
            "bad", lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": 9, "maximum_ring_size": 1}
        )
    ]
    bad.append(caller.shelf.endpoints("bad", 1))
    with Load(entry) as load:
        result = pushed([caller.target([*outer, *bad]), callee.target(inner)], [caller, callee])
        load.wait(20)
        first, second = result.outcomes[caller.proxy.key], result.outcomes[callee.proxy.key]
        assert first.kind is OutcomeKind.REJECTED
        assert (second.kind, second.proof) == (OutcomeKind.SKIPPED, Proof.CONFIRMED)
        assert "default/caller" in second.detail
        assert ask(ports["old"]) == "old"
        assert ask(ports["new"]) == "new"
        again = pushed(targets(pair, "new", backs["new"]), [caller, callee])
        load.wait(20)
    assert {outcome.proof for outcome in again.outcomes.values()} == {Proof.EXACT}
    assert ask(ports["old"]) == "ConnectionRefusedError"
    assert set(load.answers) == {"old", "new"}


def test_an_unreachable_proxy_holds_nobody(pair: Pair, make_backend: Backends) -> None:
    """One that could not be read is unreachable, is not written to, and the others go all the way."""
    caller, callee, _, ports = pair
    backs = {name: make_backend(name) for name in ("old", "new")}
    pushed(targets(pair, "old", backs["old"]), [caller, callee])
    caller.process.stop()
    before = caller.bytes_on_disk()
    result = pushed(targets(pair, "new", backs["new"]), [caller, callee])
    out = result.outcomes[caller.proxy.key]
    assert (out.kind, out.proof, out.view, out.pushed) == (OutcomeKind.UNREACHABLE, Proof.NONE, "", False)
    assert out.detail
    assert result.outcomes[callee.proxy.key].proof is Proof.EXACT
    assert caller.bytes_on_disk() == before
    assert ask(ports["old"]) == "ConnectionRefusedError"


@contextmanager
def hanging(path: Path) -> Iterator[str]:
    """An admin socket that accepts and never answers."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield f"unix://{path}"


def test_a_proxy_that_hangs_delays_only_itself(pair: Pair, make_backend: Backends, short_path: Path) -> None:
    """An admin endpoint that stops answering in the middle is unreachable after its own limits; the other is applied."""
    caller, callee, _, ports = pair
    pushed(targets(pair, "old", make_backend("old")), [caller, callee])
    goal = targets(pair, "new", make_backend("new"))
    limits = AdminSettings(connect_timeout=0.2, read_timeout=0.3)
    with hanging(short_path / "hang.sock") as address, Admin(address, limits) as admin:
        ways = journal([])
        result = pushed(
            goal,
            [caller, callee],
            ways=lambda target, own, clock: ways(target, admin if target is goal[0] else own, clock),
        )
    assert result.outcomes[caller.proxy.key].kind is OutcomeKind.UNREACHABLE
    held = result.outcomes[callee.proxy.key]
    assert held.kind is OutcomeKind.SKIPPED
    assert ask(ports["new"]) == "new"


def test_a_fault_of_ours_is_one_proxys_outcome(pair: Pair, make_backend: Backends) -> None:
    """An unforeseen exception fails its proxy, says that it should be reported, and stops nobody else."""
    caller, callee, _, _ = pair
    goal = targets(pair, "old", make_backend("old"))
    ways = journal([])

    def broken(target: Target, admin: Admin, clock: Clock) -> FilesWay:
        if target is goal[0]:
            raise ZeroDivisionError
        return ways(target, admin, clock)

    result = pushed(goal, [caller, callee], ways=broken)
    out = result.outcomes[caller.proxy.key]
    assert out.kind is OutcomeKind.FAILED
    assert "please report" in out.detail
    assert result.outcomes[callee.proxy.key].proof is Proof.EXACT


def test_every_target_has_an_outcome_and_an_observation(pair: Pair, make_backend: Backends) -> None:
    """The observations are those from after the push, complete, and the times add up to the wall time of the push."""
    caller, callee, _, _ = pair
    goal = targets(pair, "old", make_backend("old"))
    result = pushed(goal, [caller, callee])
    for target in goal:
        key = target.proxy.key
        assert result.observations[key].resources == target.view.resources
        assert result.outcomes[key].view == target.view.version
        assert 0 < result.outcomes[key].seconds <= result.push_seconds + result.verify_seconds
