"""Peers that misbehave, on a real server: their stream ends with a reason, and nobody else notices."""

from __future__ import annotations

import gc
import os
import socket
import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.service.discovery.v3.discovery_pb2 import DeltaDiscoveryRequest, DiscoveryRequest

from reconciler.errors import BugError
from reconciler.model.key import Key
from reconciler.settings import AdsSettings
from reconciler.xds import Plane, plane
from reconciler.xds.server import AdsError, AdsServer
from tests.xds.client import Peer, Wire, fences, node_of
from tests.xds.conftest import Proxy
from tests.xds.lab import CLUSTER, DELTA, ROUTE, SOTW, VARIANTS, Serving, eventually, route, serving, static_cluster

both = pytest.mark.parametrize("variant", VARIANTS)
CDS = CLUSTER.type_url
UNKNOWN = "type.googleapis.com/example.v1.Thing"
FOREIGN = "type.googleapis.com/envoy.config.route.v3.ScopedRouteConfiguration"


def request(variant: str, url: str = CDS, **node: Any) -> bytes:
    made = (DeltaDiscoveryRequest if variant == DELTA else DiscoveryRequest)(type_url=url, node=node)
    data: bytes = made.SerializeToString()
    return data


@both
@pytest.mark.parametrize(
    ("node", "url", "says"),
    [
        (None, "", "no discovery request"),
        ({}, CDS, "has no id"),
        ({"id": "a~b~c"}, CDS, "names no proxy"),
        ({"id": "a/b/c"}, CDS, "names no proxy"),
        ({"id": "a/" + "b" * 254}, CDS, "names no proxy"),
        ({"id": "default/bad"}, UNKNOWN, "no type of this service"),
        ({"id": "default/bad"}, "", "no type_url"),
    ],
)
def test_a_bad_request_ends_its_stream_with_the_reason(
    variant: str, node: dict[str, Any] | None, url: str, says: str, shared: tuple[Serving, grpc.Channel]
) -> None:
    """INVALID_ARGUMENT, and words that its operator can do something with."""
    wire = Wire(shared[1], variant)
    wire.send(b"\xff\xff\xffgarbage" if node is None else request(variant, url, **node))
    error = wire.ended()
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert says in error.details()
    wire.close()


@both
def test_garbage_later_on_a_stream_ends_it_too(variant: str, proxy: Proxy) -> None:
    """And the proxy counts as gone."""
    proxy.publish()
    peer = proxy.connect(variant)
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    peer.line.send(b"\xff\xff\xff")
    assert isinstance(peer.line, Wire)
    assert peer.line.ended().code() is grpc.StatusCode.INVALID_ARGUMENT
    eventually(lambda: not proxy.plane.state(proxy.key).connected)


@both
def test_types_of_envoys_that_we_do_not_have_are_not_answered(variant: str, proxy: Proxy) -> None:
    """Envoy may ask for more than there is; the stream goes on."""
    proxy.publish()
    peer = proxy.connect(variant)
    peer.ask(CLUSTER, url=FOREIGN)
    peer.ask(ROUTE, "fence")
    assert peer.take(ROUTE).bodies
    peer.quiet()


def test_another_type_on_a_stream_for_one_is_an_error(proxy: Proxy) -> None:
    """Its own may be left out."""
    proxy.publish()
    peer = proxy.connect(DELTA, ROUTE)
    peer.ask(ROUTE, "fence", url="")
    peer.take(ROUTE)
    peer.ask(CLUSTER)
    assert isinstance(peer.line, Wire)
    assert peer.line.ended().code() is grpc.StatusCode.INVALID_ARGUMENT


def test_metadata_that_makes_no_sense_is_left_out(proxy: Proxy) -> None:
    """Numbers that JSON has no form for, lists, labels that are no texts: a proxy is served all the same."""
    proxy.publish()
    node = node_of(proxy.key)
    node.metadata.update({"labels": {"app": "a", "n": 1}, "admin": ["x"], "workload": 3.5})
    node.metadata.fields["weight"].number_value = float("nan")
    peer = proxy.connect(DELTA)
    peer.node = node
    peer.ask(CLUSTER)
    peer.take(CLUSTER)
    (said,) = [said for said in proxy.plane.joined() if said.key == proxy.key]
    assert (said.labels, said.admin, said.workload, said.connected) == ({"app": "a"}, "", "", True)
    assert said.address in {"127.0.0.1", "::1"}


def test_a_subscription_beyond_all_measure_is_an_error(proxy: Proxy) -> None:
    """Of names there may be a hundred thousand of one type, and a request has 16 MB."""
    proxy.publish()
    peer = proxy.connect(DELTA)
    peer.ask(ROUTE, *(str(index) for index in range(100_001)))
    assert isinstance(peer.line, Wire)
    assert peer.line.ended().code() is grpc.StatusCode.INVALID_ARGUMENT
    peer = proxy.connect(DELTA)
    peer.ask(ROUTE, "x" * (17 * 1024 * 1024))
    assert isinstance(peer.line, Wire)
    assert peer.line.ended().code() is grpc.StatusCode.RESOURCE_EXHAUSTED


@both
def test_a_peer_that_does_not_read_holds_up_nobody(variant: str) -> None:
    """It is sent what fits into its window, shown as blocked, and then only the newest; others get everything meanwhile."""
    with (
        serving() as served,
        grpc.insecure_channel(served.address) as one,
        grpc.insecure_channel(served.address) as two,
    ):
        key, other = Key("default", "slow"), Key("default", "quick")
        slow = Peer(Wire(one, variant, reads=False), variant, node_of(key))
        quick = Peer(Wire(two, variant), variant, node_of(other))
        big = [route(f"r{index}", "a", internal_only_headers=["x" * 400_000]) for index in range(80)]
        names = [item.id.name for item in big]
        for peer, of in ((slow, key), (quick, other)):
            served.plane.publish(of, big)
            peer.ask(ROUTE, *names)
        has: set[str] = set()
        while has != set(names):
            has |= quick.take(ROUTE).names
        eventually(lambda: served.plane.state(key).blocked > 0)
        for number in range(20):
            served.plane.publish(key, [route(name, f"to-{number}") for name in names])
            served.plane.publish(other, [route(name, f"to-{number}") for name in names])
            quick.take(ROUTE)
        assert served.plane.wait(other, timeout=10).settled
        assert not served.plane.state(key).settled
        assert isinstance(slow.line, Wire)
        slow.line.read()
        bodies: dict[str, bytes] = {}
        while bodies != {name: route(name, "to-19").body for name in names}:
            bodies |= slow.take(ROUTE).bodies
        assert slow.count < len(names), "what was replaced in the meantime is skipped, however much lay in buffers"
        assert served.plane.wait(key, timeout=10).settled
        slow.close()
        quick.close()


@both
def test_a_peer_that_never_answers_is_sent_what_is_new_and_remembered_within_bounds(variant: str, proxy: Proxy) -> None:
    """It is not settled, ever; of what it leaves unanswered the newest responses are remembered."""
    proxy.publish()
    peer = proxy.connect(variant)
    peer.ask(ROUTE, "a")
    for number in range(100):
        proxy.publish(route("a", f"to-{number}"))
        while "a" not in (got := peer.get(ROUTE)).bodies:
            pass
    state = proxy.plane.state(proxy.key)
    assert not state.settled
    assert state.waiting == {ROUTE}
    peer.ack(got)
    assert proxy.plane.wait(proxy.key, timeout=10).settled


def test_a_flood_of_requests_is_served_in_order(proxy: Proxy) -> None:
    """Others are served while it lasts."""
    proxy.publish(route("a", "b"))
    flood, other = proxy.connect(DELTA), proxy.connect(DELTA)
    for _ in range(2000):
        flood.ask(ROUTE, "a", "fence")
    other.ask(ROUTE, "a")
    assert other.take(ROUTE).names == {"a"}
    other.quiet()
    flood.ask(CLUSTER)
    while flood.take(None).type is not CLUSTER:
        pass


def test_many_connects_and_disconnects_leave_nothing_behind(*, full: bool) -> None:
    """No threads, no files, no streams; memory stays where it is after the first rounds."""
    with serving() as served:
        key = Key("default", "busy")
        served.plane.publish(key, [static_cluster(f"c{index}", index + 1) for index in range(100)])

        def churn(times: int) -> None:
            for index in range(times):
                with grpc.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
                    peer = Peer(Wire(channel, VARIANTS[index % 2]), VARIANTS[index % 2], node_of(key))
                    peer.ask(CLUSTER)
                    peer.get(CLUSTER)
                    peer.close()

        churn(100)
        eventually(lambda: not served.plane.state(key).connected)
        before = _resources()
        churn(2000 if full else 200)
        eventually(lambda: not served.plane.state(key).connected)
        eventually(lambda: all(now <= was for now, was in zip(_resources()[:2], before[:2], strict=True)))
        assert _resources()[2] - before[2] < 10 * 1024 * 1024
        assert served.plane.state(key).streams == (2100 if full else 300)
        assert len(served.plane.states()) == 1


def _resources() -> tuple[int, int, int]:
    """Threads, open files, bytes of memory."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir())), pages * os.sysconf("SC_PAGESIZE")


@dataclass
class Hands:
    """A clock that a test moves."""

    at: float = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.at, UTC)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_proxies_that_left_are_forgotten_after_five_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names cost memory: who announced itself and left is remembered for a while, and there is a limit to how many there are."""
    monkeypatch.setattr(plane, "MOST_NODES", 3)
    clock = Hands()
    with serving(Plane(clock=clock)) as served, grpc.insecure_channel(served.address) as channel:

        def connect(name: str) -> Wire:
            wire = Wire(channel, DELTA)
            wire.send(request(DELTA, id=f"default/{name}"))
            return wire

        wires = [connect(name) for name in "abc"]
        eventually(lambda: len(served.plane.joined()) == 3)
        crowded = connect("d")
        assert crowded.ended().code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        for wire in wires[:2]:
            wire.close()
        eventually(lambda: [said.connected for said in served.plane.joined()] == [False, False, True])
        clock.sleep(plane.REMEMBERED - 1)
        assert len(served.plane.joined()) == 3
        clock.sleep(2)
        late = connect("d")
        eventually(lambda: [said.key.name for said in served.plane.joined()] == ["c", "d"])
        for wire in (crowded, late, wires[2]):
            wire.close()


def test_reading_about_a_proxy_does_not_make_it_known() -> None:
    """Asking for the state of names that nobody has costs nothing."""
    known = Plane()
    for index in range(10):
        key = Key("default", f"p{index}")
        known.withdraw(key)
        known.retry(key, frozenset({CLUSTER}))
        known.release(key, [])
        assert not known.state(key).published
        assert not known.has(key)
        assert not known.published(key)
        assert not known.unasked(key)
        assert not known.hold(key, static_cluster("a").id, "why")
    assert not known.states()


def test_a_publish_waits_for_a_proxy_however_long_it_takes_to_come() -> None:
    """A proxy of the mesh that has never been seen is not one that has left."""
    clock = Hands()
    known, key = Plane(clock=clock), Key("default", "static")
    known.publish(key, [static_cluster("a")])
    clock.sleep(plane.REMEMBERED * 10)
    assert not known.joined()
    assert known.state(key).published
    known.withdraw(key)
    assert not known.joined()
    assert not known.states()


@both
def test_streams_end_when_the_server_stops_and_come_back_on_the_same_port(variant: str) -> None:
    """UNAVAILABLE, which makes a proxy try again; neither a slow reader nor one that says nothing delays it."""
    known, key = Plane(), Key("default", "a")
    known.publish(key, [static_cluster(f"c{index}", 1, alt_stat_name="x" * 100_000) for index in range(35)])
    first = AdsServer(known, AdsSettings())
    address = first.start()
    with grpc.insecure_channel(address) as one, grpc.insecure_channel(address) as two:
        slow, quick = (
            Peer(Wire(one, variant, reads=False), variant, node_of(key)),
            Peer(Wire(two, variant), variant, node_of(key)),
        )
        for peer in (slow, quick):
            peer.ask(CLUSTER)
        quick.take(CLUSTER)
        with socket.create_connection(("127.0.0.1", int(address.rpartition(":")[2]))):
            stopped = threading.Thread(target=first.stop)
            stopped.start()
            assert isinstance(quick.line, Wire)
            assert quick.line.ended().code() is grpc.StatusCode.UNAVAILABLE
            stopped.join(timeout=15)
            assert not stopped.is_alive()
        assert not known.state(key).connected
        first.stop()  # a second time is nothing
        slow.close()
        quick.close()
    second = AdsServer(known, AdsSettings(address=address))
    assert second.start() == address
    with grpc.insecure_channel(address) as channel:
        peer = Peer(Wire(channel, variant), variant, node_of(key))
        peer.ask(CLUSTER)
        assert peer.take(CLUSTER).names
        peer.close()
    second.stop()


def test_a_port_that_is_taken_is_an_error_and_a_server_starts_once() -> None:
    """Two servers on one port would share it silently; one that never started stops without a word."""
    with serving() as served:
        with pytest.raises(AdsError, match="can't listen") as error:
            AdsServer(Plane(), AdsSettings(address=served.address)).start()
        assert error.value.diagnostics[0].hint
    never = AdsServer(Plane(), AdsSettings())
    never.stop()
    never.start()
    with pytest.raises(BugError):
        never.start()
    never.stop()


def test_a_server_that_stands_still_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that ends says what does not end with it, instead of waiting for ever."""
    server = AdsServer(Plane(), AdsSettings())
    server.start()
    assert server._loop is not None
    going_on = threading.Event()
    server._loop.call_soon_threadsafe(going_on.wait, 60)
    monkeypatch.setattr("reconciler.xds.server._PATIENCE", 0.1)
    monkeypatch.setattr("reconciler.xds.server.DRAIN", 0.1)
    try:
        with pytest.raises(BugError, match=r"did not stop within 0\.2 s"):
            server.stop()
    finally:
        monkeypatch.undo()
        going_on.set()
    server.stop()


def test_a_stream_that_can_not_be_written_ends(monkeypatch: pytest.MonkeyPatch, proxy: Proxy) -> None:
    """A fault of ours in one stream is seen by its client, which comes again, instead of silence for ever."""
    proxy.publish()
    peer = proxy.connect(SOTW)
    monkeypatch.setattr("reconciler.xds.stream.sotw_response", lambda **_: 1 / 0)
    peer.ask(CLUSTER)
    assert isinstance(peer.line, Wire)
    assert peer.line.ended().code() is grpc.StatusCode.UNKNOWN
    monkeypatch.undo()
    again = proxy.connect(SOTW)
    again.ask(CLUSTER)
    again.take(CLUSTER)


def test_a_socket_of_this_machine_will_do(short_path: Path) -> None:
    """A Unix socket has no port to be told, and no address."""
    with serving(settings=AdsSettings(address=f"unix:{short_path}/ads.sock")) as served:
        assert served.address == f"unix:{short_path}/ads.sock"
        with grpc.insecure_channel(served.address) as channel:
            served.plane.publish(Key("default", "a"), fences())
            peer = Peer(Wire(channel, DELTA), DELTA, node_of(Key("default", "a")))
            peer.ask(CLUSTER)
            peer.take(CLUSTER)
            assert [said.address for said in served.plane.joined()] == [""]
            peer.close()
