"""Proxies on ADS that have no admin endpoint, don't read, don't answer or don't come: their word, and nobody else's time."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import grpc
import pytest

from reconciler.errors import ReconcilerError
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.proxy import Client
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.push.ads import AdsWay
from reconciler.push.connection import COMING_BACK, Connection
from reconciler.push.phases import Phase
from reconciler.xds import Plane
from tests.push.adslab import AdsLab, apply, cluster, endpoints, made, pushed, route
from tests.push.conftest import MakeAds
from tests.push.lab import changes
from tests.push.test_ads_refusals import backed, quiet
from tests.xds import lab as xds
from tests.xds.client import Peer, Wire, node_of

CLUSTER, LISTENER, ROUTE = ResourceType.CLUSTER, ResourceType.LISTENER, ResourceType.ROUTE
View = list[Resource]


class Application:
    """A client that takes what it asks for, but for resources that it refuses; answers in a thread of its own."""

    def __init__(self, peer: Peer, *, refuses: frozenset[str] = frozenset()) -> None:
        self.peer = peer
        self.taken: dict[str, bytes] = {}
        self.answers = threading.Event()
        self.answers.set()
        self._refuses = refuses
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def end(self) -> None:
        self.peer.close()
        self._thread.join()

    def _run(self) -> None:
        while True:
            try:
                got = self.peer.get(patience=0.05)
            except AssertionError:
                continue
            except (grpc.RpcError, EOFError, queue.Empty):
                return
            assert self.answers.wait(20)
            bad = sorted(self._refuses & got.names)
            if bad:
                self.peer.nack(got, f"{bad[0]}: not for me")
                continue
            self.taken |= got.bodies
            self.peer.ack(got)


@pytest.fixture
def channel(served: xds.Serving) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(served.address) as found:
        yield found


MakeApp = Callable[..., tuple[AdsLab, Application]]


@pytest.fixture(params=xds.VARIANTS)
def make_app(request: pytest.FixtureRequest, served: xds.Serving, channel: grpc.Channel, stack: ExitStack) -> MakeApp:
    """Connect a client without an admin endpoint, as a gRPC application is one."""

    def make(name: str = "app", **more: frozenset[str]) -> tuple[AdsLab, Application]:
        lab = AdsLab(name, served.plane, None, client=Client.GRPC)
        app = Application(Peer(Wire(channel, request.param), request.param, node_of(lab.key)), **more)
        stack.callback(app.end)
        return lab, app

    return make


def view(weight: int = 0) -> View:
    """More than the client asks for: one service that it talks to, and one that it does not."""
    mine = [quiet("l", "r"), route("r", a=100 - weight, b=weight), *backed("a"), *backed("b")]
    return [*mine, quiet("other", "s"), route("s", c=100), *backed("c", port=1 + weight)]


def connected(lab: AdsLab) -> None:
    xds.eventually(lambda: lab.plane.state(lab.key).connected)


def test_a_proxy_without_an_admin_endpoint_is_applied_by_its_word(make_app: MakeApp) -> None:
    """It has answered all that it asked for: that is what can be known, and less than a reading."""
    lab, app = make_app()
    app.peer.ask(LISTENER, "l")
    app.peer.ask(ROUTE, "r")
    connected(lab)
    outcome = apply(lab, view())
    assert (outcome.kind, outcome.proof, outcome.detail, outcome.pushed) == (OutcomeKind.APPLIED, Proof.ACKED, "", True)
    assert set(app.taken) == {"l", "r"}
    outcome = apply(lab, view(50))
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.ACKED, "")
    assert app.taken["r"] == view(50)[1].body


def test_what_it_never_asked_for_is_not_planned_for_ever(make_app: MakeApp) -> None:
    """Once published, it is there for whoever asks: no plan shows it again until it changes, and then once."""
    lab, app = make_app()
    app.peer.ask(LISTENER, "l")
    app.peer.ask(ROUTE, "r")
    connected(lab)
    assert len(changes(lab.observe(), lab.view(view()))) == len(view())
    for weight in (0, 50):
        assert apply(lab, view(weight)).proof is Proof.ACKED
        assert changes(lab.observe(), lab.view(view(weight))) == ()
        outcome = apply(lab, view(weight))
        assert (outcome.kind, outcome.proof, outcome.pushed) == (OutcomeKind.APPLIED, Proof.ACKED, False)
    assert {str(change.id) for change in changes(lab.observe(), lab.view(view()))} == {"route r", "endpoints c"}


def test_what_it_asks_for_later_it_gets_without_a_push(make_app: MakeApp) -> None:
    """A gRPC application opens a channel to another service whenever it likes."""
    lab, app = make_app()
    app.peer.ask(LISTENER, "l")
    connected(lab)
    assert apply(lab, view()).proof is Proof.ACKED
    app.peer.ask(LISTENER, "other")
    xds.eventually(lambda: "other" in app.taken)
    xds.eventually(lambda: changes(lab.observe(), lab.view(view())) == ())


def test_what_it_asks_for_while_it_is_proven_is_waited_for(make_app: MakeApp) -> None:
    """An application asks for clusters once it has read its routes, which is after it has answered everything."""
    lab, app = make_app()
    app.peer.ask(LISTENER, "l")
    connected(lab)
    way = AdsWay(lab.target(view()), plane=lab.plane, admin=None, clock=lab.clock)
    for phase in Phase:
        if phase in way.prepare():
            way.run(phase, until=lab.clock.monotonic() + 20)
    app.answers.clear()
    app.peer.ask(CLUSTER, "a")
    xds.eventually(lambda: CLUSTER in lab.plane.state(lab.key).waiting)
    answering = threading.Timer(0.2, app.answers.set)
    answering.start()
    proven = way.prove()
    answering.join()
    assert (proven.proof, proven.detail) == (Proof.ACKED, "")


def test_what_it_refuses_is_held_and_named(make_app: MakeApp) -> None:
    """In its own words, as for an Envoy."""
    lab, app = make_app(refuses=frozenset({"b"}))
    for type_, names in ((CLUSTER, "ab"), (LISTENER, "l"), (ROUTE, "r")):
        app.peer.ask(type_, *names)
    connected(lab)
    for _ in range(2):
        outcome = apply(lab, view(50))
        assert (outcome.kind, outcome.rejected) == (OutcomeKind.REJECTED, (ResourceId(CLUSTER, "b"),))
        assert "cluster b: b: not for me" in outcome.detail
        assert "route r is left as it was, because cluster b was refused" in outcome.detail


def test_a_proxy_that_is_not_there_is_unreachable(served: xds.Serving) -> None:
    """Without a stream and an admin endpoint there is nothing to ask."""
    lab = AdsLab("gone", served.plane, None)
    seen = lab.observe()
    assert seen.error is not None
    assert seen.error.code == "ads-disconnected"
    assert apply(lab, view()).kind is OutcomeKind.UNREACHABLE


@contextmanager
def deaf(served: xds.Serving, key: Key, *, reads: bool) -> Iterator[None]:
    """A client that asks for all clusters, and does not answer; nor read, if told so."""
    with grpc.insecure_channel(served.address, options=[("grpc.use_local_subchannel_pool", 1)]) as own:
        wire = Wire(own, xds.DELTA, reads=reads)
        Peer(wire, xds.DELTA, node_of(key)).ask(CLUSTER)
        xds.eventually(lambda: served.plane.state(key).connected)
        try:
            yield
        finally:
            wire.close()


@pytest.mark.long
@pytest.mark.parametrize("reads", [True, False])
def test_a_peer_that_does_not_read_or_answer_takes_nobody_else_s_time(
    served: xds.Serving, make_ads: MakeAds, *, reads: bool
) -> None:
    """It is late, by itself; in the passes after the first it is not even waited for."""
    healthy, slow = make_ads("healthy"), AdsLab("slow", served.plane, None)
    fine = [*backed("a"), quiet("l", "r"), route("r", a=100)]

    def heavy(turn: str) -> View:
        return [made(CLUSTER, name=f"c{index}", alt_stat_name=turn * 200_000) for index in range(60)]

    with deaf(served, slow.key, reads=reads):
        for turn in "xyz":
            goals = [healthy.target([*fine, cluster(turn), endpoints(turn, 1)]), slow.target(heavy(turn))]
            outcomes = pushed(goals, [healthy, slow], seconds=1.5 if turn == "x" else 60).outcomes
            assert outcomes[healthy.key].proof is Proof.EXACT
            assert outcomes[slow.key].kind is OutcomeKind.LATE
            assert outcomes[slow.key].seconds < 30
            fine = [*fine, cluster(turn), endpoints(turn, 1)]


class Time:
    """A clock that moves when somebody sleeps."""

    def __init__(self) -> None:
        self.elapsed = 0.0

    def now(self) -> datetime:
        return datetime(2030, 1, 1, tzinfo=UTC) + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def sleep(self, seconds: float) -> None:
        self.elapsed += seconds


def test_nobody_is_waited_for_but_by_a_daemon_that_has_just_started() -> None:
    """Proxies come to a new daemon within seconds; whoever is not there later may never come."""
    clock = Time()
    link = Connection(Plane(clock=clock), Key("default", "a"), clock)
    for waited in (COMING_BACK, 0.0):
        before = clock.elapsed
        with pytest.raises(ReconcilerError) as caught:
            link.require()
        assert caught.value.code == "ads-disconnected"
        assert clock.elapsed - before == pytest.approx(waited, abs=0.2)


def test_a_deadline_ends_the_waiting() -> None:
    """However young the daemon is."""
    clock = Time()
    with pytest.raises(ReconcilerError):
        Connection(Plane(clock=clock), Key("default", "a"), clock).require(1.0)
    assert clock.elapsed == pytest.approx(1.0, abs=0.2)
