"""Endpoints that change without a publication: what is sent is never older than what is known, and costs what has changed."""

from __future__ import annotations

import threading
from random import Random

import pytest
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment

from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId
from reconciler.xds import Plane
from reconciler.xds.sets import Shelf
from tests.xds.client import Direct, Got, Peer, node_of
from tests.xds.lab import DELTA, ENDPOINTS, VARIANTS, cluster, endpoints, static_cluster
from tests.xds.registry import Registry

KEY = Key("default", "one")
HOSTS = ("a", "b", "c")
NAMES = tuple(f"{host}{suffix}" for host in HOSTS for suffix in ("", "-v1"))


def connect(plane: Plane, variant: str, *names: str, key: Key = KEY, **more: object) -> Peer:
    """A stream that asks for load assignments."""
    peer = Peer(Direct(plane, variant, node_of(key)), variant, node_of(key))
    peer.ask(ENDPOINTS, *names, **more)  # type: ignore[arg-type]
    return peer


def ports(got: Got) -> dict[str, int]:
    """The last port of each load assignment, which tells its version."""
    return {name: port_of(body) for name, body in got.bodies.items()}


def port_of(body: bytes) -> int:
    hosts = ClusterLoadAssignment.FromString(body).endpoints[0].lb_endpoints
    return int(hosts[-1].endpoint.address.socket_address.port_value)


def drained(peer: Peer) -> dict[str, int]:
    """Everything that a peer is still sent, answered; the last of each name."""
    found: dict[str, int] = {}
    while (got := taken(peer)) is not None:
        found |= ports(got)
    return found


def taken(peer: Peer) -> Got | None:
    """The next response, answered; None if there is none."""
    try:
        got = peer.get()
    except AssertionError as error:
        if "no response" in str(error):
            return None
        raise
    peer.ack(got)
    return got


@pytest.fixture
def registry() -> Registry:
    found = Registry()
    for host in HOSTS:
        found.set(host, 1)
    return found


@pytest.fixture
def plane(registry: Registry) -> Plane:
    return Plane(fresh=registry.fresh)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_change_sends_what_changed_and_nothing_else(plane: Plane, registry: Registry, variant: str) -> None:
    """Of a host that somebody asks for, its load assignments; to nobody else anything."""
    other = Key("default", "two")
    plane.publish(KEY, [*(registry.made(host) for host in HOSTS), registry.made("a", "a-v1"), endpoints("own", 9)])
    plane.publish(other, [registry.made("b")])
    mine, theirs = connect(plane, variant, *HOSTS, "a-v1", "own"), connect(plane, variant, "b", key=other)
    assert drained(mine) == {"a": 1, "b": 1, "c": 1, "a-v1": 1, "own": 9}
    assert drained(theirs) == {"b": 1}
    registry.set("a", 2)
    found = plane.refresh({"a", "nobody's"})
    assert {key: {item.id.name for item in items} for key, items in found.resources.items()} == {KEY: {"a", "a-v1"}}
    assert not plane.state(KEY).settled
    assert drained(mine) == {"a": 2, "a-v1": 2}
    assert drained(theirs) == {}
    assert plane.rests(KEY, ENDPOINTS, timeout=0)
    assert plane.refresh({"a"}).resources == {}


def test_what_was_published_is_remembered_as_it_was(plane: Plane, registry: Registry) -> None:
    """A pass compares it with its view; by its word, the proxy has the newest."""
    view = [registry.made("a"), endpoints("own", 9)]
    plane.publish(KEY, view)
    peer = connect(plane, DELTA, "a", "own")
    registry.set("a", 2)
    plane.refresh({"a"})
    drained(peer)
    assert list(plane.published(KEY).values()) == view
    assert plane.published(KEY)[view[0].id].recipe is view[0].recipe
    assert plane.has(KEY)[view[0].id] == registry.made("a")


def test_a_publication_that_is_older_than_the_endpoints_does_not_bring_old_ones_back(
    plane: Plane, registry: Registry
) -> None:
    """A pass compiles, endpoints change, the pass publishes: nobody sees the old ones again, whoever asks."""
    old = [registry.made("a")]
    plane.publish(KEY, old)
    peer = connect(plane, DELTA, "a")
    registry.set("a", 2)
    plane.refresh({"a"})
    assert drained(peer) == {"a": 2}
    for late in (old, [registry_at("a", 1)], [*old, cluster("x")]):
        plane.publish(KEY, late)
        assert drained(peer) == {}
        assert plane.answered(KEY, [old[0].id]) == {old[0].id}
    peer.close()
    assert drained(connect(plane, DELTA, "a")) == {"a": 2}


def registry_at(host: str, port: int) -> Resource:
    """As if a compiler had made it at another time."""
    other = Registry()
    other.set(host, port)
    return other.made(host)


def test_equal_content_by_another_recipe_moves_by_that(plane: Plane, registry: Registry) -> None:
    """A policy may change how a load assignment is made, and not what it is now."""
    registry.set("b", 1)
    first, second = registry.made("a", "x"), registry.made("b", "x")
    assert first == second
    plane.publish(KEY, [first])
    plane.publish(KEY, [second])
    peer = connect(plane, DELTA, "x")
    registry.set("b", 2)
    assert plane.refresh({"a"}).resources == {}
    plane.refresh({"b"})
    assert drained(peer) == {"x": 2}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_peer_that_does_not_read_is_behind_by_one_response(plane: Plane, registry: Registry, variant: str) -> None:
    """However often endpoints change: it gets the newest, once."""
    plane.publish(KEY, [registry.made("a")])
    peer = connect(plane, variant, "a")
    assert drained(peer) == {"a": 1}
    for port in range(2, 500):
        registry.set("a", port)
        plane.refresh({"a"})
    got = taken(peer)
    assert got is not None
    assert ports(got) == {"a": 499}
    assert taken(peer) is None


def test_a_peer_that_comes_back_with_the_newest_is_sent_nothing(plane: Plane, registry: Registry) -> None:
    """It says the versions that it has; what changed while it was away is sent."""
    plane.publish(KEY, [registry.made("a"), registry.made("b")])
    peer = connect(plane, DELTA, "a", "b")
    registry.set("a", 2)
    plane.refresh({"a"})
    drained(peer)
    had = {id_.name: item.version for id_, item in plane.has(KEY).items()}
    peer.close()
    registry.set("b", 2)
    plane.refresh({"b"})
    assert drained(connect(plane, DELTA, "a", "b", had=had)) == {"b": 2}


def test_refused_endpoints_are_held_until_they_are_others(plane: Plane, registry: Registry) -> None:
    """What was refused is not sent again by a publication; the next change is, and so is one of its neighbours meanwhile."""
    plane.publish(KEY, [registry.made("a"), registry.made("b")])
    peer = connect(plane, DELTA, "a", "b")
    drained(peer)
    registry.set("a", 2)
    plane.refresh({"a"})
    peer.nack(peer.get(), "a: not for me")
    held = plane.state(KEY).held
    assert {id_.name: hold.version for id_, hold in held.items()} == {"a": registry.made("a").version}
    plane.publish(KEY, [registry_at("a", 1), registry.made("b")])
    registry.set("b", 3)
    plane.refresh({"a", "b"})
    assert drained(peer) == {"b": 3}
    assert plane.state(KEY).held.keys() == {ResourceId(ENDPOINTS, "a")}
    registry.set("a", 4)
    plane.refresh({"a"})
    assert drained(peer) == {"a": 4}
    assert plane.state(KEY).held == {}


def test_texts_of_many_changes_are_not_all_remembered(plane: Plane, registry: Registry) -> None:
    """Endpoints change for days, and nothing is published."""
    plane.publish(KEY, [registry.made("a")])
    peer = connect(plane, DELTA, "a")
    for port in range(1, 600):
        registry.set("a", port)
        plane.refresh({"a"})
        drained(peer)
    state = plane.state(KEY)
    assert len(state.texts[ENDPOINTS]) < 300
    assert state.acked[ENDPOINTS] in state.texts[ENDPOINTS]


def test_proxies_with_one_set_share_what_becomes_of_it(plane: Plane, registry: Registry) -> None:
    """A change is worked out once for all of them, and a version says the same wherever it was made."""
    keys = [Key("default", f"p{number}") for number in range(3)]
    view = [registry.made(host) for host in HOSTS]
    for key in keys:
        plane.publish(key, [*view, static_cluster(key.name)])
    registry.set("b", 2)
    made = plane.refresh({"b"}).resources
    assert {id(items[0]) for items in made.values()} == {id(made[keys[0]][0])}
    elsewhere = Shelf().of(ENDPOINTS, [registry.made(host) for host in reversed(HOSTS)])
    assert {plane.state(key).sets[ENDPOINTS] for key in keys} == {elsewhere.version}
    registry.set("b", 1)
    plane.refresh({"b"})
    assert plane.state(keys[0]).sets[ENDPOINTS] == Shelf().of(ENDPOINTS, view).version


def test_what_is_not_for_streams_stays_out_of_the_way(plane: Plane, registry: Registry) -> None:
    """A proxy that nothing was published for, or nothing any more, is sent nothing."""
    peer = connect(plane, DELTA, "a")
    assert plane.refresh({"a"}).resources == {}
    plane.publish(KEY, [registry.made("a")])
    plane.withdraw(KEY)
    registry.set("a", 2)
    assert plane.refresh({"a"}).resources == {}
    assert drained(peer) == {}
    assert plane.rests(Key("default", "nobody"), ENDPOINTS, timeout=0)
    assert plane.answered(Key("default", "nobody"), [ResourceId(ENDPOINTS, "a")]) == frozenset()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("seed", range(3))
def test_every_stream_ends_at_the_newest_and_never_goes_back(
    plane: Plane, registry: Registry, variant: str, seed: int
) -> None:
    """A law, under passes and changes from two threads: what a stream gets of a name only ever gets newer."""
    keys = [Key("default", f"p{number}") for number in range(3)]
    last: dict[Key, list[Resource]] = {}
    done = threading.Event()
    streams = [Reading(connect(plane, variant, *NAMES, key=key), done, seed) for key in keys]
    works = (lambda: passes(plane, registry, last, keys, seed), lambda: changes(plane, registry, seed))
    threads = [threading.Thread(target=work) for work in (*works, *(stream.run for stream in streams))]
    for thread in threads:
        thread.start()
    for thread in threads[: len(works)]:
        thread.join()
    done.set()
    for thread in threads[len(works) :]:
        thread.join()
    for key, stream in zip(keys, streams, strict=True):
        stream.read()
        assert stream.backwards == []
        wanted = {item.id.name: port_of(registry.fresh(item).body) for item in last[key]}
        assert {name: stream.seen[name] for name in wanted} == wanted
        state = plane.state(key)
        assert state.settled
        assert state.sets[ENDPOINTS] == Shelf().of(ENDPOINTS, map(registry.fresh, last[key])).version


def passes(plane: Plane, registry: Registry, last: dict[Key, list[Resource]], keys: list[Key], seed: int) -> None:
    """Publish what was compiled a moment ago, again and again; `last` is what was published last."""
    random = Random(seed)  # noqa: S311 -- nothing is kept secret
    views = [[registry.made(name[0], name) for name in NAMES]]
    for _ in range(150):
        views.append([registry.made(name[0], name) for name in NAMES])
        view = random.choice(views[-4:])
        for key in keys:
            last[key] = random.sample(view, random.randint(2, len(view)))
            plane.publish(key, [*last[key], static_cluster(f"x{random.randint(0, 3)}")])


def changes(plane: Plane, registry: Registry, seed: int) -> None:
    """Change endpoints, again and again; a greater port is a newer one."""
    random = Random(-seed)  # noqa: S311 -- nothing is kept secret
    for port in range(2, 500):
        moved = random.sample(HOSTS, random.randint(1, len(HOSTS)))
        for host in moved:
            registry.set(host, port)
        plane.refresh(moved)


class Reading:
    """A peer that reads now and then, and takes note of what becomes older."""

    def __init__(self, peer: Peer, done: threading.Event, seed: int) -> None:
        self.peer, self.done = peer, done
        self.random = Random(seed)  # noqa: S311 -- nothing is kept secret
        self.seen: dict[str, int] = {}
        self.backwards: list[str] = []

    def run(self) -> None:
        while not self.done.is_set():
            self.read()
            self.done.wait(self.random.random() / 500)

    def read(self) -> None:
        while (got := taken(self.peer)) is not None:
            for name, port in ports(got).items():
                if port < self.seen.get(name, 0):
                    self.backwards.append(f"{name}: {self.seen[name]} -> {port}")
                self.seen[name] = port
