"""Lists, watches and everything that can go wrong with them, against an API server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.discovery.conformance import State, Watched, watching
from reconciler.discovery.contract import Adapter, AdapterError, Alive, Problem, Put, Snapshot
from reconciler.discovery.platforms.kubernetes import Patience
from reconciler.errors import Severity
from tests.kubernetes.objects import endpoint, endpoint_slice, node, pod, service
from tests.kubernetes.platform import QUICK, TOKEN, adapter, kubeconfig
from tests.kubernetes.server import ApiServer, Fault
from tests.kubernetes.store import Store

HOST = "reviews.default.svc.cluster.local"
LONG = replace(QUICK, watch=60)
"""Watches that don't end by themselves during a test."""


class World:
    """A cluster with one service, its API server, and adapters for it."""

    def __init__(self, folder: Path) -> None:
        self.store = Store()
        self.server = ApiServer(self.store)
        self.folder = folder
        self.store.put(service(), node("n1", region="eu", zone="eu-1"))
        self.have(1)

    def have(self, count: int, *, version: str = "v1") -> None:
        """So many pods and endpoints."""
        names = [(f"10.0.{index // 250}.{index % 250 + 1}", f"p{index}") for index in range(count)]
        ends = [endpoint(address, pod=name, node="n1") for address, name in names]
        self.store.put(*(pod(name, version=version) for _, name in names), endpoint_slice("s", ends))

    def adapter(self, patience: Patience = LONG, **spec: object) -> Adapter:
        return adapter(kubeconfig(self.folder, self.server.url), patience, **spec)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.server.stop()


def instances(count: int, version: str = "v1") -> Callable[[State], bool]:
    """So many instances, all with this label."""

    def condition(state: State) -> bool:
        own = state[HOST].instances if HOST in state else ()
        return len(own) == count and all(each.labels == {"version": version} for each in own)

    return condition


def until(watched: Watched, count: int, version: str = "v1") -> State:
    return watched.until(instances(count, version), within=10, what=f"{count} instances of {version}")


def snapshots(watched: Watched) -> int:
    return sum(isinstance(event, Snapshot) for event in watched.events)


def following(world: World) -> Callable[[Watched], bool]:
    """Whether all four watches are under way."""
    return lambda _: all(world.server.watches(each) for each in ("services", "endpointslices", "pods", "nodes"))


def error(watched: Watched) -> AdapterError:
    watched.wait(lambda it: it.error is not None, within=10, what="error")
    assert isinstance(watched.error, AdapterError)
    return watched.error


def test_lists_then_watches(world: World) -> None:
    """One list of each resource, then one watch that goes on from the list's version; nodes by their metadata alone."""
    with watching(world.adapter()) as watched:
        state = until(watched, 1)
        assert state[HOST].instances[0].locality == "eu/eu-1"
        watched.wait(following(world), within=10, what="watches")
        world.have(2)
        until(watched, 2)
    for plural in ("services", "endpointslices", "pods", "nodes"):
        assert (world.server.lists(plural), world.server.watches(plural)) == (1, 1)
    listed = [request.path.split("/")[-1] for request in world.server.requests if not request.watch]
    assert max(listed.index("pods"), listed.index("nodes")) > listed.index("endpointslices")
    watches = [request for request in world.server.requests if request.watch]
    assert all(request.query["allowWatchBookmarks"] == "true" for request in watches)
    assert all(int(request.query["resourceVersion"]) > 1000 for request in watches)
    (nodes,) = (request for request in watches if request.path.endswith("nodes"))
    assert "as=PartialObjectMetadata;" in nodes.headers["accept"]


def test_pages(world: World) -> None:
    """A long list comes in pages, and is one Snapshot."""
    world.have(1200)
    with watching(world.adapter()) as watched:
        until(watched, 1200)
        assert snapshots(watched) == 1
    assert world.server.lists("pods") == 3


def test_expired_page(world: World) -> None:
    """A list that the server forgets before its last page is asked for as a whole: what was there before then does not count."""
    world.have(1200)
    before = world.store.page

    def forgetting(selection: object, limit: int, token: str) -> object:
        if token:
            world.store.page = before  # type: ignore[method-assign]
            world.have(600)
            for index in range(600, 1200):
                world.store.delete("Pod", "default", f"p{index}")
            world.store.compact()
        return before(selection, limit, token)  # type: ignore[arg-type]

    world.store.page = forgetting  # type: ignore[method-assign,assignment]
    with watching(world.adapter()) as watched:
        until(watched, 600)
    pods = [request for request in world.server.requests if request.path.endswith("pods") and not request.watch]
    assert ["limit" in request.query for request in pods] == [True, True, False]


def test_watch_goes_on(world: World) -> None:
    """A watch that the server ends goes on where it was, without a new list, and says that the server is there."""
    with watching(world.adapter(replace(QUICK, watch=1))) as watched:
        until(watched, 1)
        watched.wait(lambda _: world.server.watches("pods") >= 2, within=10, what="second watch")
        watched.wait(lambda it: any(isinstance(each, Alive) for each in it.events), within=5, what="Alive")
        world.have(1, version="v2")
        until(watched, 1, "v2")
    assert world.server.lists("pods") == 1


def test_bookmark_is_where_it_goes_on(world: World) -> None:
    """After a quiet time a bookmark's version is still known to a server that has forgotten the last event's."""
    world.server.bookmarks = 0.1
    with watching(world.adapter()) as watched:
        until(watched, 1)
        watched.wait(following(world), within=10, what="watches")
        world.store.bump()
        version = world.store.version
        count = len(watched.events)
        watched.wait(lambda it: len(it.events) >= count + 12, within=10, what="bookmarks of all four")
        world.store.compact()
        world.server.drop()
        watched.wait(lambda _: world.server.watches("pods") >= 2, within=10, what="second watch")
        world.have(2)
        until(watched, 2)
    assert world.server.lists("pods") == 1
    assert [int(each.query["resourceVersion"]) for each in world.server.requests if each.watch][-1] >= version


@pytest.mark.parametrize("within", [True, False], ids=["event", "status"])
def test_expired_watch(world: World, within: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    """410, in the stream or instead of it: listed anew; the difference is told, and nobody is told to forget anything."""
    with watching(world.adapter()) as watched:
        until(watched, 1)
        watched.wait(following(world), within=10, what="watches")
        if within:
            status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version: 1 (2)"}
            for plural in ("services", "endpointslices", "pods"):
                world.server.fault(Fault(path=plural, watch=True, event={"type": "ERROR", "object": status}))
        else:
            world.server.silent = True
            world.have(3)
            world.store.compact()
            world.server.silent = False
        world.server.drop()
        watched.wait(lambda _: world.server.lists("pods") >= 2, within=10, what="second list")
        world.have(2)
        until(watched, 2)
        assert snapshots(watched) == 1


@pytest.mark.parametrize(
    "fault",
    [
        Fault(path="endpointslices", watch=True, status=500),
        Fault(path="endpointslices", watch=True, status=503, retry_after=0),
        Fault(path="endpointslices", watch=True, status=429, retry_after=1),
        Fault(path="endpointslices", watch=True, cut=40),
        Fault(path="endpointslices", watch=True, body=b"<html>a proxy was here</html>\n"),
        Fault(path="endpointslices", watch=True, body=b'{"type": "ADDED", "object": {"metadata"'),
        Fault(path="endpointslices", watch=True, body=b'["an", "array"]\n'),
        Fault(path="endpointslices", watch=True, event={"type": "ADDED", "object": {"metadata": {}}}),
        Fault(path="endpointslices", watch=True, event={"type": "UNKNOWN", "object": {}}),
        Fault(path="endpointslices", watch=True, event={"type": "ERROR", "object": {"code": 500, "message": "no"}}),
    ],
    ids=lambda fault: f"{fault.status or ''}{'cut' if fault.cut else ''}{str(fault.body or fault.event or '')[:30]}",
)
def test_watch_survives(world: World, fault: Fault) -> None:
    """A watch that breaks is begun again from the last version that was read whole; nothing is lost and nothing said twice."""
    with watching(world.adapter()) as watched:
        until(watched, 1)
        watched.wait(following(world), within=10, what="watches")
        world.server.fault(fault)
        world.server.drop()
        watched.wait(lambda _: world.server.watches("endpointslices") >= 2, within=10, what="second watch")
        world.have(2)
        until(watched, 2)
        assert snapshots(watched) == 1
        puts = [event.service.instances for event in watched.events if isinstance(event, Put)]
        assert len(puts) == len(set(map(repr, puts)))
    assert world.server.lists("endpointslices") == 1


def test_watch_gives_up(world: World) -> None:
    """A watch that breaks again and again is an error; then whoever drives the adapter lists anew when it thinks fit."""
    with watching(world.adapter()) as watched:
        until(watched, 1)
        watched.wait(following(world), within=10, what="watches")
        world.server.fault(Fault(path="services", watch=True, status=500, times=100))
        world.server.drop()
        assert "answered 500 to /api/v1/services" in error(watched).message
    assert world.server.watches("services") == 1 + QUICK.attempts


def test_server_without_memory(world: World) -> None:
    """A server that forgets at once what it lists, every time, is an error, and is not asked for its lists for ever."""
    status = {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old resource version"}
    world.server.fault(Fault(path="pods", watch=True, event={"type": "ERROR", "object": status}, times=100))
    with watching(world.adapter()) as watched:
        assert "forgets at once" in error(watched).message
    assert world.server.lists("pods") == 1 + QUICK.attempts


@pytest.mark.parametrize(
    ("fault", "code", "part"),
    [
        (Fault(path="pods", watch=False, status=500), "discovery-registry", "answered 500 to /api/v1/pods"),
        (Fault(path="pods", watch=False, status=404), "discovery-registry", "answered 404"),
        (Fault(path="pods", watch=False, body=b"<html>"), "discovery-answer", "not JSON"),
        (Fault(path="pods", watch=False, body=b'{"items": []}'), "discovery-answer", "as Kubernetes does"),
        (Fault(path="pods", watch=False, body=b"[]"), "discovery-answer", "as Kubernetes does"),
        (
            Fault(path="pods", watch=False, body=b'{"metadata": {"resourceVersion": "1"}, "items": [{}]}'),
            "discovery-answer",
            "as Kubernetes does",
        ),
        (Fault(path="pods", watch=False, cut=30), "discovery-registry", "can't be read"),
    ],
)
def test_list_fails(world: World, fault: Fault, code: str, part: str) -> None:
    """A list that can't be had to its end is an error and no Snapshot."""
    world.server.fault(fault)
    with watching(world.adapter()) as watched:
        failed = error(watched)
        assert (failed.code, part in failed.message, bool(failed.diagnostics[0].hint)) == (code, True, True)
        assert watched.events == []


def test_busy_server(world: World) -> None:
    """429 with Retry-After is waited for; without one, or again and again, it is an error."""
    world.server.fault(Fault(path="pods", watch=False, status=429, retry_after=0, times=3))
    with watching(world.adapter()) as watched:
        until(watched, 1)
    world.server.fault(Fault(path="pods", watch=False, status=429, retry_after=0, times=4))
    with watching(world.adapter()) as watched:
        assert "429" in error(watched).message
    world.server.fault(Fault(path="pods", watch=False, status=429))
    with watching(world.adapter()) as watched:
        assert "429" in error(watched).message


def test_busy_server_can_be_left(world: World) -> None:
    """Whoever waits for as long as a server asks for can be told to end meanwhile."""
    world.server.fault(Fault(path="pods", watch=False, status=429, retry_after=1000))
    with watching(world.adapter()) as watched:
        watched.wait(lambda _: world.server.lists("pods") == 1, within=10, what="question")
    assert watched.error is None


@pytest.mark.parametrize("plural", ["services", "endpointslices", "pods"])
def test_forbidden(world: World, plural: str) -> None:
    """What can't be done without and is forbidden is an error that names it and what to grant."""
    world.server.forbidden = {plural}
    with watching(world.adapter()) as watched:
        failed = error(watched)
        assert (failed.code, watched.events) == ("discovery-denied", [])
        assert f"{plural} is forbidden" in failed.message
        assert "grant list and watch" in failed.diagnostics[0].hint


def test_forbidden_nodes(world: World) -> None:
    """Without nodes there are no localities: a problem, and everything else is used; granted later, they come by themselves."""
    world.server.forbidden = {"nodes"}
    with watching(world.adapter()) as watched:
        state = until(watched, 1)
        assert state[HOST].instances[0].locality == ""
        watched.wait(lambda it: it.problem is not None, within=5, what="problem")
        problem = watched.problem
        assert problem is not None
        assert (problem.code, problem.severity) == ("discovery-denied", Severity.WARNING)
        world.server.forbidden = set()
        watched.until(lambda state: state[HOST].instances[0].locality == "eu/eu-1", within=10, what="locality")
        watched.wait(lambda it: it.problem is None, within=5, what="end of the problem")


def test_one_bad_object(world: World) -> None:
    """An object that makes no sense is left out and named, in a list and in a watch; the others count; mended, it is used."""
    bad = service("bad", ports=[{"name": "http", "port": 99999}])
    world.store.put(bad)
    with watching(world.adapter()) as watched:
        state = until(watched, 1)
        assert list(state) == [HOST]
        watched.wait(lambda it: it.problem is not None, within=5, what="problem")
        problem = watched.problem
        assert problem is not None
        assert problem.severity is Severity.WARNING
        assert "services default/bad: port is not a port's number" in problem.message
        world.store.put(service("bad"))
        watched.until(lambda state: len(state) == 2, within=5, what="mended service")
        watched.wait(lambda it: it.problem is None, within=5, what="end of the problem")
        world.store.put(bad)
        watched.until(lambda state: list(state) == [HOST], within=5, what="end of the bad service")
        world.store.delete("Service", "default", "bad")
        watched.wait(lambda it: it.problem is None, within=5, what="end of the problem")
    assert [event.diagnostic is None for event in watched.events if isinstance(event, Problem)] == [
        False, True, False, True,
    ]  # fmt: skip


def test_namespaces_and_selector(world: World) -> None:
    """Only the namespaces that are named are asked for, each by itself; only services with the labels are listed."""
    world.store.put(service("a", "one"), service("b", "one"), service("a", "two"), service("a", "three"))
    with watching(world.adapter(namespaces=("one", "two", "one"), selector={"app": "a"}, domain="example")) as watched:
        watched.until(lambda state: len(state) == 2, within=10, what="services")
        assert set(watched.services) == {"a.one.svc.example", "a.two.svc.example"}
        watched.wait(lambda _: world.server.watches("namespaces/one/services") == 1, within=5, what="watch")
        world.store.put(service("a", "three"))
        changed = service("a", "one")
        changed["metadata"]["labels"] = {"app": "other"}
        world.store.put(changed)
        watched.until(lambda state: set(state) == {"a.two.svc.example"}, within=10, what="service out of the selection")
    asked = {request.path for request in world.server.requests}
    assert not [path for path in asked if path in {"/api/v1/services", "/api/v1/pods"}]


def test_token_is_read_again(world: World) -> None:
    """A token that is replaced in its file is used as soon as the old one is refused, by lists and by watches."""
    token = world.folder / "token"
    token.write_text(TOKEN)
    world.server.tokens = {TOKEN}
    path = kubeconfig(world.folder, world.server.url, {"tokenFile": str(token)})
    with watching(adapter(path, LONG)) as watched:
        until(watched, 1)
        watched.wait(following(world), within=10, what="watches")
        token.write_text("another-one")
        world.server.tokens = {"another-one"}
        world.server.drop()
        watched.wait(lambda _: world.server.watches("endpointslices") >= 2, within=10, what="second watch")
        world.have(2)
        until(watched, 2)
    world.server.tokens = {"a-third-one"}
    with watching(adapter(path, LONG)) as watched:
        failed = error(watched)
        assert failed.code == "discovery-denied"
        assert "another-one" not in f"{failed!r}"
