"""What a channel writes, notes and says, without an Envoy: whose files, how new, and whose fault is whose."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.clock import SystemClock
from reconciler.model.files import path_of
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation
from reconciler.model.origin import Origin
from reconciler.model.proxy import FilesPush, Proxy, Push
from reconciler.model.resource import Resource, View
from reconciler.push import Channel, Target
from reconciler.push.given import Given
from reconciler.push.layout import contents
from reconciler.push.verify import difference
from reconciler.settings import AdminSettings
from reconciler.xds import Plane
from tests.xds.client import Direct, Peer, node_of
from tests.xds.lab import DELTA, ENDPOINTS, endpoints
from tests.xds.registry import Registry

KEY = Key("default", "one")
ONLY = frozenset({KEY})


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    found.set("a", 1)
    return found


@pytest.fixture
def channel(registry: Registry) -> Iterator[Channel]:
    with made(registry) as found:
        yield found


def made(registry: Registry, plane: Plane | None = None) -> Channel:
    return Channel(plane=plane, clock=SystemClock(), settings=AdminSettings(), fresh=registry.fresh)


def proxy(directory: Path, name: str = "one") -> Policy[Proxy]:
    """On files, with an admin endpoint that nobody listens at."""
    spec = Proxy(admin=f"unix://{directory}/none.sock", push=Push(files=FilesPush(directory=str(directory))))
    return Policy("Proxy", Key("default", name), spec, Origin("proxies.yaml", 0))


def put(directory: Path, *resources: Resource) -> View:
    """As a pass would have written it."""
    view = View.of(KEY, resources)
    for path, content in contents(str(directory), view.resources).items():
        Path(path).parent.mkdir(exist_ok=True)
        Path(path).write_bytes(content.render())
    return view


def port(directory: Path, item: Resource) -> int:
    """The port in a load assignment's file."""
    response = DiscoveryResponse.FromString(Path(path_of(str(directory), item.id)).read_bytes())
    found = ClusterLoadAssignment.FromString(response.resources[0].value)
    return int(found.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value)


def test_a_pass_is_followed_by_what_changed_meanwhile(channel: Channel, registry: Registry, tmp_path: Path) -> None:
    """Nobody had noted what the pass wrote when the endpoints changed; from then on changes are written as they come."""
    item, own = registry.made("a"), endpoints("own", 7)
    view = put(tmp_path, item, own)
    registry.set("a", 2)
    assert channel.deliver({"a"}).resources == 0
    found = channel.adopt([proxy(tmp_path)], {KEY: view})
    assert (found.proxies, found.resources, port(tmp_path, item), port(tmp_path, own)) == (ONLY, 1, 2, 7)
    registry.set("a", 3)
    found = channel.deliver({"a", "b"})
    assert (found.proxies, found.resources, port(tmp_path, item)) == (ONLY, 1, 3)
    assert found.bytes == Path(path_of(str(tmp_path), item.id)).stat().st_size
    assert channel.deliver({"a"}).resources == 0
    assert channel.adopt([], {}).resources == 0
    registry.set("a", 4)
    assert channel.deliver({"a"}).resources == 0
    assert port(tmp_path, item) == 3


def test_a_proxy_that_a_pass_did_not_reach_is_delivered_what_it_has(
    channel: Channel, registry: Registry, tmp_path: Path
) -> None:
    """Its next view may be made by other rules, which it has not taken."""
    item = registry.made("a")
    channel.adopt([proxy(tmp_path)], {KEY: put(tmp_path, item)})
    channel.adopt([proxy(tmp_path)], {})
    registry.set("a", 2)
    assert channel.deliver({"a"}).resources == 1
    assert port(tmp_path, item) == 2


def test_a_view_by_other_rules_is_written_by_these(channel: Channel, registry: Registry, tmp_path: Path) -> None:
    """The name is the same, and so is the content at first."""
    registry.set("b", 1)
    channel.adopt([proxy(tmp_path)], {KEY: put(tmp_path, registry.made("a", "x"))})
    item = registry.made("b", "x")
    assert channel.adopt([proxy(tmp_path)], {KEY: View.of(KEY, [item])}).resources == 0
    registry.set("b", 2)
    assert channel.deliver({"b"}).resources == 1
    assert port(tmp_path, item) == 2


def test_a_disk_that_refuses_is_the_fault_of_one(channel: Channel, registry: Registry, tmp_path: Path) -> None:
    """The others get theirs; it is named with the reason."""
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()
    item = registry.made("a")
    view, broken = put(good, item), proxy(bad, "two")
    channel.adopt(
        [proxy(good), broken], {KEY: view, broken.key: View.of(broken.key, put(bad, item).resources.values())}
    )
    folder = Path(path_of(str(bad), item.id)).parent
    for path in sorted(bad.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    bad.rmdir()
    registry.set("a", 2)
    found = channel.deliver({"a"})
    assert (found.proxies, port(good, item)) == (ONLY, 2)
    assert {key: item.code for key, item in found.failures.items()} == {broken.key: "push-write"}
    assert not folder.exists()


def test_a_file_that_is_gone_is_not_made_again(channel: Channel, registry: Registry, tmp_path: Path) -> None:
    """A pass has taken it away, and nobody reads it; what is missing by mistake is a pass's to mend."""
    item = registry.made("a")
    channel.adopt([proxy(tmp_path)], {KEY: put(tmp_path, item)})
    Path(path_of(str(tmp_path), item.id)).unlink()
    registry.set("a", 2)
    assert channel.deliver({"a"}).resources == 0
    assert not Path(path_of(str(tmp_path), item.id)).exists()


def test_a_proxy_that_can_not_be_asked_is_absent_and_not_late(
    channel: Channel, registry: Registry, tmp_path: Path
) -> None:
    """It reads its files when it comes back; a pass for it would not help."""
    item = registry.made("a")
    channel.adopt([proxy(tmp_path)], {KEY: put(tmp_path, item)})
    registry.set("a", 2)
    channel.deliver({"a"})
    found = channel.confirm(5)
    assert (found.late, found.seconds, list(found.absent)) == ({}, {}, [KEY])
    assert channel.confirm(5).absent == {}, "nothing was delivered since"


def test_a_stream_that_refuses_or_does_not_answer_is_late(registry: Registry) -> None:
    """By name, with its words; and one that has gone is absent."""
    plane = Plane(fresh=registry.fresh)
    with made(registry, plane) as channel:
        plane.publish(KEY, [registry.made("a")])
        peer = Peer(Direct(plane, DELTA, node_of(KEY)), DELTA, node_of(KEY))
        peer.ask(ENDPOINTS, "a")
        peer.ack(peer.get())
        registry.set("a", 2)
        assert channel.deliver({"a"}).resources == 1
        assert channel.confirm(0).late == {KEY: "it has not answered endpoints a"}
        peer.nack(peer.get(), "a: not for me")
        registry.set("a", 3)
        channel.deliver({"a"})
        peer.nack(peer.get(), "a: nor this")
        assert channel.confirm(5).late == {KEY: "it refused endpoints a: a: nor this"}
        registry.set("a", 4)
        channel.deliver({"a"})
        peer.ack(peer.get())
        assert channel.confirm(5).seconds.keys() == {KEY}
        registry.set("a", 5)
        channel.deliver({"a"})
        peer.close()
        assert channel.confirm(5).absent == {KEY: "its ADS stream is not connected"}


def test_a_file_never_becomes_older_whoever_writes_it(registry: Registry, tmp_path: Path) -> None:
    """A law, with two that write at once: each works out what it writes while the other can't."""
    item = registry.made("a")
    view = put(tmp_path, item)
    seen: list[int] = []
    done = threading.Event()

    def reading() -> None:
        while not done.is_set():
            seen.append(port(tmp_path, item))

    def writing(channel: Channel) -> None:
        while not done.is_set():
            channel.deliver({"a"})

    with made(registry) as one, made(registry) as other:
        for channel in (one, other):
            channel.adopt([proxy(tmp_path)], {KEY: view})
        works = (reading, lambda: writing(one), lambda: writing(other))
        threads = [threading.Thread(target=work) for work in works]
        for thread in threads:
            thread.start()
        for number in range(2, 300):
            registry.set("a", number)
            one.deliver({"a"})
        done.set()
        for thread in threads:
            thread.join()
    assert seen == sorted(seen)
    assert len(set(seen)) > 2
    assert port(tmp_path, item) == 299


def test_every_version_that_was_the_newest_counts(registry: Registry) -> None:
    """Of what was written, and of what it was at each look since; nothing else."""
    item = registry.made("a")
    given = Given(item, registry.fresh)
    registry.set("a", 2)
    second = registry.made("a")
    assert item.version in given
    assert second.version in given
    registry.set("a", 3)
    assert second.version in given
    assert registry.made("a").version in given
    assert "else" not in given


def test_endpoints_that_moved_are_no_difference_and_endpoints_that_are_missing_are(
    registry: Registry, tmp_path: Path
) -> None:
    """They move all the time; a proxy without any would serve nothing."""
    view = View.of(KEY, [registry.made("a"), endpoints("own", 7)])

    def found(*resources: Resource) -> str:
        seen = Observation(proxy=KEY, at=SystemClock().now(), resources=View.of(KEY, resources).resources)
        return difference(Target(proxy=proxy(tmp_path), view=view, observation=seen), seen)

    assert found(endpoints("a", 9), endpoints("own", 7)) == ""
    assert found(endpoints("a", 9), endpoints("own", 8)) == "different: endpoints own"
    assert found(endpoints("own", 7)) == "missing: endpoints a"
