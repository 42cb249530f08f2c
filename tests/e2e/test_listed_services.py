"""Services that registries list, beside Git's: how they come and go, and what Git and several registries say of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.clustered import B, C, Clustered
from tests.e2e.instances import Instance
from tests.e2e.listed import PORT, member, rules, service

D = "d.default.svc.cluster.local"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clustered]:
    """A cluster that lists two instances of b, of which Git says no more than rules."""
    with Clustered(tmp_path_factory.mktemp("k"), protection={"holdFor": "0s", "flaps": 50}) as mesh:
        mesh.start_all()
        yield mesh


@pytest.fixture
def mesh(shared: Clustered) -> Iterator[Clustered]:
    """It, and whatever a test does to it ends with the test."""
    shared.has(B, shared.one, shared.two)
    yield shared
    shared.as_ever()
    for file in shared.targets.glob("*.json"):
        file.unlink()
    shared.has(B, shared.one, shared.two)


@contextmanager
def load(mesh: Clustered) -> Iterator[None]:
    """Requests for b by both proxies, none of which may fail."""
    with mesh.calls(B, rate=60) as inside, mesh.calls(B, proxy="edge", rate=60) as outside:
        yield
    for traffic in (inside, outside):
        tally = traffic.tally()
        assert tally.requests > 0
        assert tally.failed == 0, (tally.outcomes, tally.failures)


def _clusters(mesh: Clustered) -> set[str]:
    found = json.loads(mesh.observe("a-1", "/clusters?format=json"))["cluster_statuses"]
    return {item["name"] for item in found if item["name"].startswith("outbound|")}


def _once(mesh: Clustered, host: str, instance: Instance) -> bool:
    """Whether a request is served by this one."""
    with mesh.calls(host, rate=0, limit=1, connections=1) as traffic:
        traffic.join()
        return bool(traffic.tally().versions[instance.name])


@pytest.mark.long
def test_a_service_that_only_a_registry_knows_comes_and_goes_by_passes(mesh: Clustered) -> None:
    """Both leave a receipt for the same commit, by the cause discovery; nobody has committed anything."""
    head, before = mesh.head(), len(mesh.receipts())
    with load(mesh):
        mesh.publish(b=mesh.both, c=[member(mesh.three)])
        mesh.until(lambda: f"outbound|{PORT}||{C}" in _clusters(mesh), "the cluster of c")
        mesh.until(lambda: _once(mesh, C, mesh.three), "a request at c")
        mesh.until(lambda: len(mesh.receipts()) == before + 1, "a receipt")
        assert "discovery" in mesh.record("%s"), mesh.record()
        mesh.as_ever()
        mesh.until(lambda: f"outbound|{PORT}||{C}" not in _clusters(mesh), "the cluster of c to go")
        mesh.until(lambda: len(mesh.receipts()) == before + 2, "another receipt")
        assert "discovery" in mesh.record("%s"), mesh.record()
    assert mesh.receipts()[:2] == [(head, "applied")] * 2
    assert mesh.head() == head


@pytest.mark.long
def test_git_and_two_registries_describe_one_service(mesh: Clustered) -> None:
    """Their instances add up; one that several list is one, as the first of them has it; what one takes back stays if another has it."""
    host, (one, two, three) = D, (mesh.one, mesh.two, mesh.three)
    entry = [{"address": one.address, "ports": {"http": one.port}, "labels": {"version": "v1"}}]
    files = {"policies/d.yaml": service("d", host, endpoints=entry) + "---\n" + rules("d", host)}
    commit = mesh.commit(files, "A service without v2\n\nReconcile-Allow: guard-no-healthy-endpoint")
    mesh.applied(commit)
    mesh.has(host, one)
    mesh.publish(b=mesh.both, d=[member(one, "v2"), member(two, "v2")])
    mesh.has(host, one, two)
    mesh.has(host, two, subset="v2")
    mesh.target("d", member(two, "v1"), member(three, "v2"))
    mesh.has(host, one, two, three)
    mesh.has(host, two, three, subset="v2")
    with load(mesh):
        mesh.publish(b=mesh.both, d=[])
        mesh.has(host, one, two, subset="v1", proxies=("a-1",))  # the gateway has no route there
        mesh.target("d", member(three))
        mesh.has(host, one, three)
        mesh.target("d")
        mesh.has(host, one)
        mesh.applied(mesh.commit({"policies/d.yaml": None}, "No d"))


def test_a_service_entry_selects_what_a_registry_lists(mesh: Clustered) -> None:
    """By labels, in its namespace: a ServiceEntry's `workloadSelector` finds a cluster's pods, as they come and go."""
    selecting = service("s", "s.example.com", workloadSelector={"labels": {"version": "v2"}})
    mesh.applied(mesh.commit({"policies/s.yaml": selecting}, "Select"))
    mesh.has("s.example.com", mesh.two, proxies=("a-1",))
    mesh.publish(b=[*mesh.both, member(mesh.three, "v2")])
    mesh.has("s.example.com", mesh.two, mesh.three, proxies=("a-1",))
    mesh.until(lambda: _once(mesh, "s.example.com", mesh.three), "a request at a pod that was selected")
    mesh.applied(mesh.commit({"policies/s.yaml": None}, "Select no more"))


def test_a_commit_that_changes_a_subset_meets_instances_that_change(mesh: Clustered) -> None:
    """Whichever comes first: in the end subsets have what their new labels select of the newest instances, and no request fails."""
    wanted = rules("b", "b").replace("{name: v2, labels: {version: v2}}", "{name: v2, labels: {version: v3}}")
    with load(mesh):
        mesh.publish(b=[*mesh.both, member(mesh.three, "v3")])
        commit = mesh.commit({"policies/b.yaml": wanted}, "v2 is v3 by now")
        for _ in range(6):
            mesh.publish(b=[*mesh.both, member(mesh.three, "v2")])
            mesh.asked(mesh.one)
            mesh.publish(b=[*mesh.both, member(mesh.three, "v3")])
            mesh.asked(mesh.one)
        mesh.applied(commit)
        mesh.has(B, mesh.three, subset="v2")
        mesh.publish(b=[mesh.both[0], member(mesh.two, "v3")])
        mesh.has(B, mesh.two, subset="v2")
        mesh.as_ever()
        mesh.applied(mesh.commit({"policies/b.yaml": rules("b", "b")}, "v2 is v2"))
        mesh.has(B, mesh.two, subset="v2")


def test_a_registry_that_a_commit_takes_away_is_not_asked_any_more(mesh: Clustered) -> None:
    """What it listed goes with it, by that commit's pass; and is there again when a commit names it again."""
    mesh.target("e", member(mesh.three))
    entry = {"policies/e.yaml": service("e", "e.default.svc.cluster.local")}
    mesh.applied(mesh.commit(entry, "A service for the files"))
    mesh.has("e.default.svc.cluster.local", mesh.three, proxies=("a-1",))
    with load(mesh):
        mesh.applied(mesh.commit({"policies/mesh.yaml": mesh.mesh(mesh.registries[0])}, "No files"))
        mesh.has("e.default.svc.cluster.local", proxies=("a-1",))
        mesh.applied(mesh.commit({"policies/mesh.yaml": mesh.mesh()}, "Files"))
        mesh.has("e.default.svc.cluster.local", mesh.three, proxies=("a-1",))
        mesh.applied(mesh.commit({"policies/e.yaml": None}, "No e"))
