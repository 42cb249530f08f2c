"""Sidecar to sidecar, on ADS: what the daemon pushes, to whom, and what becomes of requests meanwhile."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.cli.demo.split import bounds
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.e2e.rig import git
from tests.e2e.sidecars import HOST, Sidecars

_UPDATES = r"(cluster_manager\.cds|listener_manager\.lds|http\..*\.rds\..*|cluster\..*)\.update_success"


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sidecars]:
    """A caller and two instances, applied."""
    with Sidecars(tmp_path_factory.mktemp("s")) as mesh:
        mesh.start_all()
        yield mesh


def _updates(mesh: Sidecars, name: str) -> dict[str, int]:
    """Updates that an Envoy has taken so far, by subscription."""
    found = json.loads(mesh.observe(name, f"/stats?type=Counters&format=json&usedonly&filter=^{_UPDATES}$"))
    return {item["name"]: item["value"] for item in found["stats"]}


def test_a_request_goes_from_sidecar_to_sidecar_and_back(mesh: Sidecars) -> None:
    """A's application asks A's sidecar, that asks B's, and B's the application; both logs have the same request, both count it."""
    assert mesh.served(20) == {"v1": 20}
    outbound = rf"outbound\|{mesh.egress}\|v1\|{HOST}"
    assert mesh.counter("a-1", rf"cluster\.{outbound}\.upstream_rq_200") == 20
    assert mesh.counter("b-1", r"cluster\.inbound[^.]*\.upstream_rq_200") == 20
    assert mesh.counter("b-2", r"cluster\.inbound[^.]*\.upstream_rq_200") == 0
    for name in ("a-1", "b-1"):
        mesh.envoys[name].stop()  # which is when it writes the rest of its log
    seen = {
        name: dict(re.findall(r"request=(\S+) status=200 to=(\S+)", (mesh.folder / f"{name}.log").read_text()))
        for name in ("a-1", "b-1")
    }
    assert len(seen["a-1"]) == 20
    assert seen["a-1"].keys() == seen["b-1"].keys()
    assert set(seen["a-1"].values()) == {f"outbound|{mesh.egress}|v1|{HOST}"}
    assert {value.split("|")[0] for value in seen["b-1"].values()} == {"inbound"}


def test_a_changed_weight_is_one_route_configuration_for_its_callers_only(mesh: Sidecars) -> None:
    """Nobody else hears of it, and the caller hears of nothing else."""
    before = {name: _updates(mesh, name) for name in mesh.envoys}
    mesh.applied(mesh.split(30))
    after = {name: _updates(mesh, name) for name in mesh.envoys}
    changed = {name: {stat for stat, count in after[name].items() if before[name].get(stat) != count} for name in after}
    assert {name: len(stats) for name, stats in changed.items()} == {"a-1": 1, "b-1": 0, "b-2": 0}
    assert ".rds." in next(iter(changed["a-1"]))
    low, high = bounds(1000, 0.3)
    assert low <= mesh.served(1000)["v2"] <= high


@pytest.mark.long
def test_a_new_instance_is_heard_of_by_callers_and_by_nobody_else(mesh: Sidecars) -> None:
    """Its endpoint is all that the caller is sent, before it serves its first request; not one request fails."""
    mesh.applied(mesh.split(100))
    mesh.commit({"policies/b-3.yaml": mesh.instance("b-3")}, "Another instance of v2")
    mesh.start("b-3")
    mesh.applied(mesh.commit({"policies/b-3.yaml": None}, "Not yet"))
    before = {name: _updates(mesh, name) for name in mesh.envoys}
    with mesh.traffic(rate=200) as traffic:
        mesh.applied(mesh.commit({"policies/b-3.yaml": mesh.instance("b-3")}, "Now"))
        mesh.wait(
            lambda: mesh.counter("b-3", r"cluster\.inbound[^.]*\.upstream_rq_200") > 20, "requests at the new instance"
        )
    assert traffic.tally().failed == 0, traffic.tally().failures
    after = {name: _updates(mesh, name) for name in mesh.envoys}
    changed = {
        name: {stat.split(".")[0] for stat, count in after[name].items() if before[name].get(stat) != count}
        for name in before
    }
    assert changed == {"a-1": {"cluster"}, "b-1": set(), "b-2": set(), "b-3": set()}


def test_a_killed_daemon_costs_no_request_and_the_next_one_sends_only_what_changed(mesh: Sidecars) -> None:
    """Envoys keep what they have. What they say they have, and its versions, is not sent again."""
    before = {name: _updates(mesh, name) for name in mesh.envoys}
    with mesh.traffic(rate=200) as traffic:
        mesh.restart_daemon(kill=True)
        commit = mesh.split(50)
        mesh.applied(commit)
    assert traffic.tally().failed == 0, traffic.tally().failures
    after = {name: _updates(mesh, name) for name in mesh.envoys}
    for name in ("b-1", "b-2"):
        assert {stat for stat in after[name] if ".rds." in stat or stat.startswith("cluster.")} == {
            stat for stat in before[name] if ".rds." in stat or stat.startswith("cluster.")
        }
    rds = [stat for stat in before["a-1"] if ".rds." in stat]
    assert [after["a-1"][stat] - before["a-1"][stat] for stat in rds] == [1] * len(rds)
    endpoints = [stat for stat in before["a-1"] if stat.startswith("cluster.")]
    assert {after["a-1"][stat] - before["a-1"][stat] for stat in endpoints} == {0}


def test_one_daemon_follows_another_without_a_beat_being_lost(mesh: Sidecars) -> None:
    """An upgrade: the old daemon is told to end, the new one finds everybody where they should be. Nothing is sent, nothing committed."""
    refs = git("-C", str(mesh.repo), "for-each-ref")
    changes = r"(cluster_manager\.cluster|listener_manager\.listener)_(added|modified|removed|in_place_updated)"
    before = {name: mesh.counter(name, changes) for name in mesh.envoys}
    routes = {name: _updates(mesh, name) for name in mesh.envoys}
    with mesh.traffic(rate=200) as traffic:
        mesh.restart_daemon()
        mesh.wait(lambda: len(_verified(mesh)) == len(mesh.envoys), "everybody to be connected again, and verified")
    assert traffic.tally().failed == 0, traffic.tally().failures
    assert {name: item["resources_sent"] for name, item in _verified(mesh).items()} == dict.fromkeys(mesh.envoys, 0)
    assert {name: mesh.counter(name, changes) for name in mesh.envoys} == before
    for name, counts in routes.items():
        # A stream that begins anew has one answer for each set, which says that there is nothing new.
        now = _updates(mesh, name)
        assert {stat for stat in counts if now[stat] != counts[stat]} <= {
            "cluster_manager.cds.update_success",
            "listener_manager.lds.update_success",
        }
    assert git("-C", str(mesh.repo), "for-each-ref") == refs


def _verified(mesh: Sidecars) -> dict[str, dict[str, Any]]:
    """The streams of those that the daemon has seen to have the newest commit."""
    socket = next((mesh.folder / "envoy-reconciler").glob("*.sock"), None)
    if socket is None:  # it has not opened its door yet
        return {}
    with HttpClient(f"unix://{socket}", AdminSettings()) as client:
        known = json.loads(client.get("/v1/status").body)["proxies"]
    return {
        item["proxy"].partition("/")[2]: item["connection"]
        for item in known
        if item["connection"] and item["connection"]["connected"] and item["revision"] == mesh.head()
    }


@pytest.mark.long
def test_an_envoy_that_starts_anew_has_everything_back_without_a_change_in_git(mesh: Sidecars) -> None:
    """Its restart is noticed by its stream; it is served what it had at once."""
    mesh.envoys["a-1"].stop()
    mesh.start("a-1")
    mesh.wait(lambda: mesh.versions("a-1").live and not mesh.versions("a-1").warming, "the new process to be live")
    mesh.wait(lambda: mesh.counter("a-1", r"listener_manager\.lds\.update_success") > 0, "its listeners")
    assert sum(mesh.served(20).values()) == 20


@pytest.mark.long
def test_a_proxy_that_git_does_not_know_joins_and_is_shown(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The bootstrap says whose sidecar it is; its workload is in Git."""
    with Sidecars(tmp_path_factory.mktemp("j"), announced=frozenset({"b-2"})) as mesh:
        mesh.start_all()
        mesh.applied(mesh.split(100))
        mesh.wait(lambda: "proxies/default/b-2.yaml" in mesh.files_recorded(), "the announced proxy to be recorded")
        assert mesh.served(20) == {"v2": 20}
        status = json.loads(mesh.command("status", "--output", "json").out)
        found = {item["proxy"]: item for item in status["proxies"]}
        assert found["default/b-2"]["state"] == "in-sync"


@pytest.mark.long
def test_a_pass_is_asked_of_the_daemon(mesh: Sidecars) -> None:
    """Streams end in the daemon, so `reconcile` has it do the work, and shows the result as its own."""
    ran = mesh.command()
    assert ran.code == 0, ran.err
    assert ran.out == "Plan: no changes; 12 unchanged.\n"
    assert mesh.daemon.stop() == 0
    ran = mesh.command("--output", "json")
    assert ran.code == 1
    assert [item["code"] for item in json.loads(ran.out)["errors"]] == ["ads-needs-daemon"]
    dry = mesh.command("--dry-run")
    assert dry.code == 0, dry.err


def test_no_request_fails_while_everything_changes(mesh: Sidecars, request: pytest.FixtureRequest) -> None:
    """Under constant load: weights move, services and instances come and go; every request is answered."""
    full = request.config.getoption("--full")
    changes, rounds, requests = (100, 20, 50_000) if full else (10, 2, 3_000)
    come = {"policies/b-3.yaml": mesh.instance("b-3"), "policies/c.yaml": mesh.another("c")}
    mesh.commit(come, "Come")
    mesh.start("b-3")
    mesh.applied(mesh.commit(dict.fromkeys(come), "Go"))
    with mesh.traffic(rate=0, connections=4) as traffic:
        for number in range(changes):
            commit = mesh.split((number + 1) * 37 % 101)
            if number % (changes // rounds) == 0:
                mesh.applied(mesh.commit(come, "Come"))
                commit = mesh.commit(dict.fromkeys(come), "Go")
            mesh.applied(commit)
        deadline = time.monotonic() + 300
        while traffic.tally().requests < requests:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    tally = traffic.tally()
    assert tally.requests >= requests
    assert tally.failed == 0, (tally.outcomes, tally.failures)
