"""Endpoints past all passes: to real Envoys on ADS and on files, under load, while passes run, wait and end."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from reconciler.clock import Clock, SystemClock
from reconciler.envoy import Admin
from reconciler.http import HttpClient
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation, Proof
from reconciler.model.proxy import Client, Proxy
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, View
from reconciler.push import Channel, Phase, Pushed, Target, push
from reconciler.push.disk import Disk
from reconciler.push.files import FilesWay
from reconciler.push.watches import Watches
from reconciler.settings import AdminSettings
from reconciler.xds import Plane
from tests.push import adslab, lab
from tests.push.adslab import AdsLab
from tests.push.lab import Lab
from tests.push.test_ads_peers import Application
from tests.push.traffic import Load, backend, reserved
from tests.xds import lab as xds
from tests.xds.client import Peer, Wire, node_of
from tests.xds.registry import Registry

HOST = "web"
PATIENCE = 10.0


@dataclass
class World:
    """Two real Envoys that balance to one discovered host: one on ADS, one on files.

    Attributes:
        ports: Of the listeners, on ADS and on files.
        apps: Ports of applications, which answer with their names.
    """

    registry: Registry
    plane: Plane
    served: xds.Serving
    channel: Channel
    ads: AdsLab
    files: Lab
    ports: tuple[int, int]
    apps: Mapping[str, int]
    views: dict[Key, View] = field(default_factory=dict)

    @property
    def labs(self) -> tuple[AdsLab | Lab, ...]:
        return self.ads, self.files

    def compiled(self, *, extra: Iterable[Resource] = ()) -> dict[Key, list[Resource]]:
        """What a compiler would make of the endpoints that are known now."""
        shelf, moving = self.files.shelf, self.registry.made(HOST)
        way, road = self.ports
        on_ads = [adslab.cluster(HOST), moving, adslab.listener("in", way, "r"), adslab.route("r", **{HOST: 1}), *extra]
        on_files = [shelf.cluster(HOST), moving, shelf.listener("in", road, "r"), shelf.route("r", **{HOST: 1})]
        return {self.ads.proxy.key: on_ads, self.files.proxy.key: on_files}

    def push(
        self, resources: Mapping[Key, list[Resource]], *others: Target, seen: Mapping[Key, Observation] | None = None
    ) -> Pushed:
        """A pass that has read this, or reads now; without what comes after it."""
        seen = seen or {}
        targets = [item.target(resources[item.proxy.key], seen.get(item.proxy.key)) for item in self.labs]
        self.views = {item.proxy.key: item.view for item in (*targets, *others)}
        return push(
            [*targets, *others],
            admins={item.proxy.key: item.admin for item in self.labs if item.admin is not None},
            clock=SystemClock(),
            deadline=timedelta(seconds=PATIENCE),
            workers=8,
            progress=lambda _: None,
            plane=self.plane,
            fresh=self.registry.fresh,
            follow=self.channel.follow,
        )

    def change(self, *names: str, draining: Iterable[str] = ()) -> None:
        """A registry lists these applications from now on, and it is delivered."""
        self.registry.set(HOST, *(self.apps[name] for name in names), draining=[self.apps[name] for name in draining])
        assert self.channel.deliver({HOST}).failures == {}

    def shown(self, item: AdsLab | Lab) -> dict[int, str]:
        """The health of each endpoint, by its port, as `/clusters` says."""
        assert item.admin is not None
        with HttpClient(item.admin.address, AdminSettings()) as client:
            lines = [line.split("::") for line in client.get("/clusters").body.decode().splitlines()]
        found = [line for line in lines if line[0] == HOST and len(line) > 3 and line[2] == "health_flags"]
        return {int(line[1].rpartition(":")[2]): line[3] for line in found}

    def arrives(self, *names: str) -> None:
        """Both show exactly these."""
        wanted = {self.apps[name] for name in names}
        for item in self.labs:
            xds.eventually(lambda item=item: self.shown(item).keys() == wanted)  # type: ignore[misc]


@pytest.fixture(scope="module")
def started(envoy: str) -> Iterator[World]:
    """Both Envoys, with nothing to serve."""
    assert envoy
    registry = Registry()
    plane = Plane(fresh=registry.fresh)
    with ExitStack() as stack:
        served = stack.enter_context(xds.serving(plane))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rec-", ignore_cleanup_errors=True)))
        settings = AdminSettings()
        channel = stack.enter_context(
            Channel(plane=plane, clock=SystemClock(), settings=settings, fresh=registry.fresh)
        )
        yield World(
            registry=registry,
            plane=plane,
            served=served,
            channel=channel,
            ads=stack.enter_context(adslab.running(folder / "a", served, name="on-ads")),
            files=stack.enter_context(lab.running(folder / "f", "on-files")),
            ports=(stack.enter_context(reserved()), stack.enter_context(reserved())),
            apps={name: stack.enter_context(backend(name)) for name in ("one", "two", "three")},
        )


@pytest.fixture
def world(started: World) -> World:
    """Both serve the host's first instance, and a pass has just ended."""
    started.registry.set(HOST, started.apps["one"])
    pushed = started.push(started.compiled())
    assert {item.proof for item in pushed.outcomes.values()} == {Proof.EXACT}, pushed.outcomes
    assert started.channel.adopt([item.proxy for item in started.labs], started.views).failures == {}
    started.channel.deliver({HOST})
    assert started.channel.confirm(PATIENCE).late == {}
    started.arrives("one")
    return started


def test_instances_come_drain_and_go_under_load(world: World) -> None:
    """On both ways: a new instance gets requests, one that drains no new ones, and no request fails."""
    with Load(world.ports[0]) as way, Load(world.ports[1]) as road:
        loads = (way, road)
        world.change("one", "two")
        for load in loads:
            xds.eventually(lambda load=load: load.answers["two"])  # type: ignore[misc]
        confirmed = world.channel.confirm(PATIENCE)
        assert (confirmed.late, confirmed.absent) == ({}, {})
        assert confirmed.seconds.keys() == {item.proxy.key for item in world.labs}
        world.change("two", draining=["one"])
        assert world.channel.confirm(PATIENCE).late == {}
        for item in world.labs:
            assert "draining" in world.shown(item)[world.apps["one"]]
        world.change("two")
        world.arrives("two")
        for load in loads:
            load.wait(20)
        before = [load.answers["one"] for load in loads]
        for load in loads:
            load.wait(50)
        assert [load.answers["one"] for load in loads] == before
    assert set(way.answers) == set(road.answers) == {"one", "two"}


def test_a_pass_that_waits_holds_up_no_endpoint_and_brings_no_old_one_back(world: World, stack: ExitStack) -> None:
    """A proxy that does not answer costs a pass its deadline; endpoints arrive meanwhile, and are still there when it ends."""
    dead, app = silent(world, stack)
    new = adslab.cluster("new"), world.registry.made(HOST, "new")
    old = world.compiled(extra=new)
    found: list[Pushed] = []
    target = dead.target([xds.static_cluster("x", 1)])
    a_pass = threading.Thread(target=lambda: found.append(world.push(old, target)))
    a_pass.start()
    xds.eventually(lambda: world.plane.state(dead.key).waiting)
    world.change("two", "three")
    world.arrives("two", "three")
    assert a_pass.is_alive()
    app.answers.set()
    a_pass.join()
    outcomes = found[0].outcomes
    assert {item.kind for item in outcomes.values()} == {OutcomeKind.APPLIED}, outcomes
    assert {outcomes[item.proxy.key].proof for item in world.labs} == {Proof.EXACT}
    assert world.channel.adopt([item.proxy for item in world.labs], world.views).resources == 0
    world.arrives("two", "three")
    assert world.ads.serves()["endpoints new"] == world.registry.made(HOST, "new")
    assert world.files.bytes_on_disk() == world.files.rendered(map(world.registry.fresh, old[world.files.proxy.key]))


def test_what_changes_between_a_reading_and_its_push_is_not_pushed_back(world: World) -> None:
    """A pass reads, endpoints change, it pushes: what it read and what it compiled are older than what serves, in every phase."""
    plain = adslab.cluster("plain")
    old = world.compiled(extra=[plain, adslab.endpoints("plain", 1)])
    assert {item.proof for item in world.push(old).outcomes.values()} == {Proof.EXACT}
    seen = {item.proxy.key: item.observe() for item in world.labs}
    world.change("three")
    world.arrives("three")
    more = [plain, adslab.endpoints("plain", 2), adslab.cluster("more"), adslab.endpoints("more", 1)]
    other = {**old, world.ads.key: [*old[world.ads.key][:-2], *more]}
    other = {key: [item for item in items if item.id.type is not xds.ROUTE] for key, items in other.items()}
    other = {key: [*items, adslab.route("r", **{HOST: 2})] for key, items in other.items()}
    with Load(world.ports[0]) as way, Load(world.ports[1]) as road:
        pushed = world.push(other, seen=seen)
    assert {item.proof for item in pushed.outcomes.values()} == {Proof.EXACT}, pushed.outcomes
    assert {key: item.view for key, item in pushed.outcomes.items()} == {
        key: view.version for key, view in world.views.items()
    }
    assert set(way.answers) == set(road.answers) == {"three"}
    world.arrives("three")


def test_files_that_a_push_writes_are_as_new_as_the_last_change(world: World) -> None:
    """It planned what to write, endpoints changed twice before it wrote, and again before anybody knew that the file was there."""
    key = world.files.proxy.key
    made = world.registry.made(HOST, own=[world.apps["two"]])
    view = [made if item.id == made.id else item for item in world.compiled()[key]]
    named = iter(("two", "three"))

    class Interrupted(FilesWay):
        def prepare(self) -> frozenset[Phase]:
            phases = super().prepare()
            world.registry.set(HOST, world.apps[next(named)])
            return phases

    def follow(proxy: Policy[Proxy], items: Sequence[Resource]) -> None:
        world.channel.follow(proxy, items)
        for name in named:
            world.registry.set(HOST, world.apps[name])

    def way(target: Target, admin: Admin, clock: Clock) -> FilesWay:
        disk = Disk(str(world.files.directory))
        return Interrupted(
            target, admin=admin, clock=clock, disk=disk, watches=Watches(), fresh=world.registry.fresh, follow=follow
        )

    target = world.files.target(view)
    outcome = lab.pushed([target], [world.files], ways=way).outcomes[key]
    assert (outcome.kind, outcome.proof) == (OutcomeKind.APPLIED, Proof.EXACT), outcome
    wanted = {world.apps["two"], world.apps["three"]}
    xds.eventually(lambda: world.shown(world.files).keys() == wanted)
    assert world.files.bytes_on_disk() == world.files.rendered(map(world.registry.fresh, view))
    world.change("one")
    xds.eventually(lambda: world.shown(world.files).keys() == {world.apps["one"], world.apps["two"]})


def test_what_a_push_writes_by_other_rules_confirms_what_was_delivered_before(world: World) -> None:
    """Nobody waits for content that was replaced for good."""
    world.change("two")
    made = world.registry.made(HOST, own=[world.apps["three"]])
    view = {key: [made if item.id == made.id else item for item in items] for key, items in world.compiled().items()}
    assert {item.proof for item in world.push(view).outcomes.values()} == {Proof.EXACT}
    world.arrives("two", "three")
    confirmed = world.channel.confirm(PATIENCE)
    assert confirmed.late == {}
    assert confirmed.seconds.keys() == {item.proxy.key for item in world.labs}


def test_a_push_that_is_taken_back_leaves_the_newest_endpoints(world: World) -> None:
    """Envoy refuses a cluster; the endpoints that were written with it are not put back to what they were."""
    key = world.files.proxy.key
    made = world.registry.made(HOST, own=[world.apps["two"]])
    bad = world.files.shelf.cluster(
        HOST, lb_policy="RING_HASH", ring_hash_lb_config={"minimum_ring_size": 9, "maximum_ring_size": 8}
    )
    view = [{made.id: made, bad.id: bad}.get(item.id, item) for item in world.compiled()[key]]
    outcome = lab.apply(world.files, view)
    assert outcome.kind is OutcomeKind.REJECTED, outcome
    assert world.shown(world.files).keys() == {world.apps["one"], world.apps["two"]}
    world.change("three")
    world.arrives("three")


def test_an_envoy_that_starts_again_has_the_newest(world: World) -> None:
    """On ADS from its stream, on files from its disk, whatever changed while it was away; nobody waits for it."""
    for item in world.labs:
        assert item.process is not None
        item.process.kill()
    xds.eventually(lambda: not world.plane.state(world.ads.key).connected)
    world.change("two")
    confirmed = world.channel.confirm(PATIENCE)
    assert confirmed.late == {}
    assert confirmed.absent.keys() == {item.proxy.key for item in world.labs}
    for item in world.labs:
        assert item.process is not None
        item.process.start()
    world.arrives("two")


def test_a_new_daemon_does_not_take_back_what_a_dump_does_not_show(world: World) -> None:
    """It knows an instance to be draining, and reads one that looks healthy; what it tells the plane first is what it knows."""
    world.change("two", draining=["one"])
    world.arrives("one", "two")
    xds.eventually(lambda: "draining" in world.shown(world.ads)[world.apps["one"]])
    world.plane.withdraw(world.ads.key)  # as if it had just begun
    more = world.compiled(extra=[adslab.cluster("more"), world.registry.made(HOST, "more")])
    with Load(world.ports[0]) as load:
        load.wait(20)
        load.answers.clear()
        pushed = world.push(more)
    assert {item.proof for item in pushed.outcomes.values()} == {Proof.EXACT}, pushed.outcomes
    assert set(load.answers) == {"two"}


def silent(world: World, stack: ExitStack) -> tuple[AdsLab, Application]:
    """A proxy on ADS that reads, and does not answer until it is told to."""
    found = AdsLab("silent", world.plane, None, client=Client.GRPC)
    grpc_channel = stack.enter_context(grpc.insecure_channel(world.served.address))
    app = Application(Peer(Wire(grpc_channel, xds.DELTA), xds.DELTA, node_of(found.key)))
    stack.callback(app.end)
    app.answers.clear()
    app.peer.ask(xds.CLUSTER)
    xds.eventually(lambda: world.plane.state(found.key).connected)
    return found, app
