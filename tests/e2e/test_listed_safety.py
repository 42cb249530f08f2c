"""A registry in trouble, and a daemon in trouble beside it: requests go on with what was listed last."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from reconciler.cycle.report import ExitCode
from reconciler.discovery.conformance import Mood
from tests.e2e.clustered import B, C, Clustered
from tests.e2e.listed import member, service

HELD = 3.0


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    """A cluster that lists two instances of b; Git declares b as well, so that it is there even if nobody lists it."""
    protection = {"holdFor": f"{HELD:g}s", "flaps": 50}
    declared = {"entry.yaml": service("b", B)}
    with Clustered(tmp_path_factory.mktemp("c"), protection=protection, documents=declared) as mesh:
        mesh.start_all()
        yield mesh


@pytest.fixture
def mesh(shared: Clustered) -> Iterator[Clustered]:
    """It, and whatever a test does to it ends with the test."""
    shared.has(B, shared.one, shared.two)
    yield shared
    shared.as_ever()
    shared.has(B, shared.one, shared.two)
    shared.is_live()


@contextmanager
def load(mesh: Clustered, *proxies: str) -> Iterator[None]:
    """Requests for b by these proxies, none of which may fail."""
    with ExitStack() as stack:
        sending = [stack.enter_context(mesh.calls(B, proxy=proxy, rate=60)) for proxy in proxies or ("a-1", "edge")]
        yield
    for traffic in sending:
        tally = traffic.tally()
        assert tally.requests > 0
        assert tally.failed == 0, (tally.outcomes, tally.failures)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """This process does nothing meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.long
def test_a_registry_that_is_down_takes_nothing_away(mesh: Clustered) -> None:
    """What it listed last is used, and said to be stale; what it lists when it is back is used then."""
    log, refs = len(mesh.daemon.read()), mesh.refs()
    with load(mesh):
        mesh.platform.be(Mood.DOWN)
        mesh.log_has("registry cluster does not answer", log)
        mesh.asked(mesh.one, mesh.two)
        mesh.publish(b=[member(mesh.one), member(mesh.three, "v2")])
        mesh.platform.be(Mood.WELL)
        mesh.has(B, mesh.one, mesh.three)
        mesh.asked(mesh.three, path="/")
    assert mesh.refs() == refs


@pytest.mark.long
def test_an_answer_without_instances_is_believed_when_it_lasts(mesh: Clustered) -> None:
    """Until then it is said, and everything goes on; an instance that is listed again ends the doubt."""
    log = len(mesh.daemon.read())
    with load(mesh):
        mesh.empty()
        mesh.log_has("registry cluster is not believed", log)
        mesh.asked(mesh.one, mesh.two)
        mesh.publish(b=mesh.both)
        mesh.until(lambda: mesh.daemon.read()[log:].count("pass for") > 0, "a pass after it")
        mesh.asked(mesh.one, mesh.two)
    mesh.empty()
    mesh.has(B)
    mesh.publish(b=mesh.both)
    mesh.has(B, mesh.one, mesh.two)
    with load(mesh):
        mesh.asked(mesh.one, mesh.two)


def test_a_daemon_that_was_killed_begins_with_what_was_listed_last(mesh: Clustered) -> None:
    """Though the registry does not answer: proxies that start anew are served, and nothing is taken from the others."""
    mesh.remembers(B, mesh.one, mesh.two)
    with load(mesh, "edge"):
        mesh.platform.be(Mood.DOWN)
        mesh.daemon.kill()
        mesh.envoys["a-1"].stop()
        log = len(mesh.daemon.read())
        mesh.restart_daemon(kill=True)
        mesh.start("a-1")
        mesh.has(B, mesh.one, mesh.two, proxies=("a-1",))
        mesh.log_has("registry cluster does not answer", log)
        mesh.has(B, mesh.one, mesh.two)
    with load(mesh):
        mesh.asked(mesh.one, mesh.two)
        mesh.publish(b=[*mesh.both, member(mesh.three)])
        mesh.platform.be(Mood.WELL)
        mesh.has(B, mesh.one, mesh.two, mesh.three)


def test_nothing_is_taken_for_gone_that_nobody_has_been_asked_about(mesh: Clustered) -> None:
    """Without its memory, and without an answer, the daemon refuses to send anything; whoever knows better allows it."""
    with load(mesh):
        mesh.platform.be(Mood.DOWN)
        mesh.daemon.kill()
        mesh.memory.unlink()
        log = len(mesh.daemon.read())
        mesh.restart_daemon(kill=True)
        mesh.log_has("guard-silent-registry", log)
        refused = mesh.command()
        assert refused.code == ExitCode.REFUSED, refused.err
        mesh.has(B, mesh.one, mesh.two)
        mesh.asked(mesh.one, mesh.two)
    ran = mesh.command("--allow", "guard-silent-registry")
    assert ran.code == 0, (ran.out, ran.err)
    mesh.has(B)
    mesh.platform.be(Mood.WELL)
    mesh.has(B, mesh.one, mesh.two)
    with load(mesh):
        mesh.asked(mesh.one, mesh.two)


@pytest.mark.long
def test_endpoints_are_brought_although_the_head_is_refused(mesh: Clustered) -> None:
    """What the commits ask for is one thing, where instances are another; also for a daemon that starts with such a head."""
    with load(mesh):
        log = len(mesh.daemon.read())
        mesh.commit({"policies/more.yaml": "kind: [nonsense\n"}, "Nonsense")
        mesh.log_has("policies/more.yaml", log)
        mesh.publish(b=[*mesh.both, member(mesh.three)])
        mesh.asked(mesh.three)
        mesh.restart_daemon()
        mesh.publish(b=mesh.both)
        mesh.has(B, mesh.one, mesh.two)
        commit = mesh.commit({"policies/more.yaml": None}, "Sense")
        mesh.until(lambda: f"pass for {commit[:10]}" in mesh.daemon.read(), "a pass for what makes sense")


def test_a_commit_that_is_refused_takes_no_instance_away(mesh: Clustered) -> None:
    """The head names a registry nobody knows anything of in place of the cluster: what the cluster lists stays, and is followed."""
    unknown = {"name": "unknown", "httpSd": {"url": "http://127.0.0.1:1/", "host": C}}
    wrong = {"policies/mesh.yaml": mesh.mesh(mesh.listing, unknown), "policies/c.yaml": service("c", C)}
    mesh.target("b", member(mesh.three))
    mesh.has(B, mesh.one, mesh.two, mesh.three)
    log, seen = len(mesh.daemon.read()), set[int]()

    def refused() -> bool:
        seen.add(len(mesh.hosts(B)))
        return any("guard-silent-registry" in line for line in mesh.said(log))

    try:
        with load(mesh):
            mesh.commit(wrong, "Another registry")
            mesh.until(refused, "the commit to be refused")
            assert seen == {3}
            mesh.publish(b=[*mesh.both, member(mesh.serve("four", mesh.one.port))])
            mesh.until(lambda: len(mesh.hosts(B)) == 4, "the cluster to be followed")
            mesh.publish(b=mesh.both)
    finally:
        (mesh.targets / "b.json").unlink()
        commit = mesh.commit({"policies/mesh.yaml": mesh.mesh(), "policies/c.yaml": None}, "As before")
        mesh.until(lambda: f"pass for {commit[:10]}" in mesh.daemon.read(), "a pass for what was before")


@pytest.mark.long
def test_a_pass_that_waits_for_a_dead_proxy_delays_no_endpoint(mesh: Clustered) -> None:
    """The gateway stands still, so the pass for a commit can't end; the sidecar gets its endpoints meanwhile."""
    process = mesh.envoys["edge"]
    with load(mesh, "a-1"):
        with frozen(process.pid):
            log = len(mesh.daemon.read())
            commit = mesh.commit({"policies/c.yaml": service("c", C)}, "Another service")
            for _ in range(8):  # for longer than it takes until the commit is noticed
                mesh.publish(b=[*mesh.both, member(mesh.three)])
                mesh.asked(mesh.three)
                mesh.publish(b=mesh.both)
                mesh.has(B, mesh.one, mesh.two, proxies=("a-1",))
            assert f"pass for {commit[:10]}" not in mesh.daemon.read()[log:]
        mesh.applied(commit)
        mesh.applied(mesh.commit({"policies/c.yaml": None}, "Not any more"))


def test_a_proxy_that_starts_while_a_subset_is_empty_gets_everything_else(mesh: Clustered) -> None:
    """Instances come and go; that those of one subset are all gone must not keep a proxy from starting."""
    mesh.publish(b=[member(mesh.one)])
    mesh.has(B, mesh.one)
    mesh.envoys["a-1"].stop()
    mesh.until(lambda: mesh.receipts()[0] == (mesh.head(), "partial"), "a receipt that a-1 has no part in")
    mesh.start("a-1")
    mesh.has(B, mesh.one, proxies=("a-1",))
    with load(mesh):
        mesh.asked(mesh.one)
