"""Daemons and Envoys that come and go: what is in force stays, nothing is sent twice, and everything converges."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.model.observation import Proof
from reconciler.model.receipt import OutcomeKind
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.push.ads import AdsWay
from reconciler.push.phases import Phase
from reconciler.settings import AdsSettings
from reconciler.xds import Plane
from tests.push import adslab
from tests.push.adslab import AdsLab, apply, cluster, listener, route
from tests.push.conftest import Backends, Ports
from tests.push.test_ads_refusals import RINGS, backed, poison, quiet
from tests.push.traffic import Load, ask
from tests.xds import lab as xds


class Daemons:
    """One daemon after another, on one address."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._server = stack.enter_context(ExitStack())
        self.served = self._server.enter_context(xds.serving())

    def restart(self, lab: AdsLab) -> AdsLab:
        """Another daemon that knows nothing; returns the lab as it sees it."""
        self._server.close()
        self._server = self._stack.enter_context(ExitStack())
        self.served = self._server.enter_context(xds.serving(Plane(), AdsSettings(address=self.served.address)))
        return replace(lab, plane=self.served.plane)


@pytest.fixture
def daemons(stack: ExitStack) -> Daemons:
    return Daemons(stack)


@pytest.fixture(params=xds.VARIANTS)
def lab(request: pytest.FixtureRequest, envoy: str, short_path: Path, stack: ExitStack, daemons: Daemons) -> AdsLab:
    assert envoy
    return stack.enter_context(adslab.running(short_path / "one", daemons.served, variant=request.param))


def test_an_envoy_that_starts_becomes_ready_with_its_listeners(
    envoy: str, short_path: Path, stack: ExitStack, served: xds.Serving, make_port: Ports, make_backend: Backends
) -> None:
    """One that has nothing yet gets its whole view at once: whoever waits for it to be ready can send requests then."""
    assert envoy
    port = make_port()
    view = adslab.service("a", port, make_backend("a"))
    lab = stack.enter_context(adslab.envoy(short_path / "one", served))
    assert lab.process is not None
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(lab.process.start)
        stack.callback(lab.process.stop)
        xds.eventually(lambda: lab.observe().reachable)
        assert not starting.done()
        outcome = apply(lab, view)
        starting.result()
        assert (outcome.kind, outcome.proof, ask(port)) == (OutcomeKind.APPLIED, Proof.EXACT, "a")
        lab.process.stop()


def test_a_restarted_daemon_sends_only_what_changed(
    lab: AdsLab, daemons: Daemons, make_port: Ports, make_backend: Backends
) -> None:
    """It finds out what the proxy has before it sends anything, and no request is lost."""
    port, back = make_port(), make_backend("a")
    before = [*backed("a", port=back), *backed("b", port=back), listener("in", port, "web"), route("web", a=100)]
    assert apply(lab, before).proof is Proof.EXACT
    with Load(port) as load:
        lab = daemons.restart(lab)
        outcome = apply(lab, [*before[:-1], route("web", b=100)])
        assert (outcome.kind, outcome.proof) == (OutcomeKind.APPLIED, Proof.EXACT)
        assert lab.plane.state(lab.key).resources_sent == 1
        load.wait(20)
    assert set(load.answers) == {"a"}


def test_a_restarted_daemon_serves_a_proxy_that_has_its_view_already(lab: AdsLab, daemons: Daemons) -> None:
    """Nothing is to be pushed; but if that Envoy restarts now, it must get its view all the same."""
    view = [*backed("a"), quiet("l", "r"), route("r", a=100)]
    assert apply(lab, view).proof is Proof.EXACT
    lab = daemons.restart(lab)
    outcome = apply(lab, view)
    assert (outcome.proof, outcome.pushed) == (Proof.EXACT, False)
    assert lab.process is not None
    lab.process.kill()
    lab.process.start()
    xds.eventually(lambda: len(lab.serves()) == len(view))
    assert apply(lab, view).proof is Proof.EXACT


def test_what_a_refused_response_brought_is_removed_by_the_next_daemon(lab: AdsLab, daemons: Daemons) -> None:
    """Envoy puts the good part of it into force, and does not tell a new daemon that it has it."""
    view = [*backed("a"), quiet("l", "r"), route("r", a=100)]
    assert apply(lab, view).proof is Proof.EXACT
    bad = cluster("bad", eds_cluster_config={"service_name": "elsewhere"})
    lab.plane.publish(lab.key, [*view, bad, *backed("orphan")])
    xds.eventually(lambda: "cluster orphan" in lab.serves())
    lab = daemons.restart(lab)
    outcome = apply(lab, view)
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
    assert set(lab.serves()) == {str(item.id) for item in view}


def test_what_was_refused_of_an_old_daemon_is_held_by_the_new_one_at_what_serves(lab: AdsLab, daemons: Daemons) -> None:
    """A new daemon does not know what was refused; it hears it again, and takes nothing away that serves."""
    view = [*backed("a"), quiet("l", "r"), route("r", a=100)]
    assert apply(lab, view).proof is Proof.EXACT
    lab = daemons.restart(lab)
    for _ in range(2):
        outcome = apply(lab, [*backed("a", **RINGS), view[2], poison("r")])
        assert outcome.rejected == (ResourceId(ResourceType.CLUSTER, "a"), ResourceId(ResourceType.ROUTE, "r"))
        assert set(lab.serves().values()) == set(view)
    assert apply(lab, view).proof is Proof.EXACT


def test_a_push_that_was_killed_between_its_phases_is_ended_by_the_next_daemon(
    lab: AdsLab, daemons: Daemons, make_port: Ports, make_backend: Backends
) -> None:
    """Whatever a daemon got done, the next one goes on from what serves, and no request is lost."""
    port, old, new = make_port(), make_backend("old"), make_backend("new")
    before = [*backed("old", port=old), listener("in", port, "web"), route("web", old=100)]
    after = [*backed("new", port=new), listener("in", port, "web"), route("web", new=100)]
    ends = [before, after]
    assert apply(lab, before).proof is Proof.EXACT
    with Load(port) as load:
        for turn, last in enumerate((Phase.ADD, Phase.REPOINT, Phase.ADD)):
            goal = ends[(turn + 1) % 2]
            way = AdsWay(lab.target(goal), plane=lab.plane, admin=lab.admin, clock=lab.clock)
            phases = way.prepare()
            for phase in [phase for phase in Phase if phase in phases]:
                way.run(phase, until=lab.clock.monotonic() + adslab.SECONDS)
                if phase is last:
                    break
            lab = daemons.restart(lab)
            assert apply(lab, goal).proof is Proof.EXACT
        load.wait(20)
    assert set(load.answers) <= {"old", "new"}


def test_a_daemon_that_dies_while_clusters_are_silenced_is_no_end(lab: AdsLab, daemons: Daemons) -> None:
    """Envoy does not even ask for clusters on the next stream as long as the ghost is there.

    What came with the ghost may begin to serve only after the pass has looked: then the next pass takes it away.
    """
    view = [*backed("a"), quiet("l", "r"), route("r", a=100)]
    assert apply(lab, view).proof is Proof.EXACT
    lab.plane.publish(lab.key, [*view, *backed("ghost", **RINGS), *backed("z")])
    assert lab.admin is not None
    xds.eventually(lambda: lab.admin is not None and lab.admin.versions().warming)
    lab = daemons.restart(lab)
    xds.eventually(lambda: lab.plane.state(lab.key).connected)
    outcome = apply(lab, [*view, *backed("b")])
    assert outcome.kind is OutcomeKind.APPLIED
    outcome = apply(lab, [*view, *backed("b")])
    assert (outcome.kind, outcome.proof, outcome.detail) == (OutcomeKind.APPLIED, Proof.EXACT, "")
