from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from reconciler.model.observation import Proof
from reconciler.model.resource import ResourceType
from tests.e2e.rig import MESH, Rig, git

UPDATES = r"update_success$"


def snapshot(rig: Rig) -> dict[str, Any]:
    """Everything that a dry run could touch: refs, files and their times, live configuration, update counters."""
    files = {
        str(path.relative_to(rig.folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for top in (rig.folder / "xds", rig.repo)
        for path in sorted(top.rglob("*"))
        if path.is_file()
    }
    return {
        "refs": rig.refs(),
        "files": files,
        "config": [rig.config(name) for name in rig.names],
        "updates": [rig.counters(name, r"update_(attempt|success|rejected|failure)$") for name in rig.names],
    }


def test_the_first_pass_creates_everything_and_says_so(rig: Rig) -> None:
    """An empty Envoy gets its listeners, routes, clusters and endpoints, proven exact, and a receipt names the commit."""
    report = rig.apply()
    assert report.plan is not None
    assert {change.id.type for change in report.plan.proxies[0].changes} == set(ResourceType) - {
        ResourceType.RUNTIME,
        ResourceType.SECRET,
    }
    assert [outcome.proof for outcome in report.outcomes.values()] == [Proof.EXACT]
    assert f"Policy-Commit: {report.head}" in rig.record()
    assert "Proxies: 1/1" in rig.record()
    assert "outcome: applied" in rig.recorded("edge")
    rig.share_is(0, requests=100)


def test_a_second_pass_does_nothing(rig: Rig) -> None:
    """Nothing differs: no push, no commit, exit 0."""
    rig.run()
    before = snapshot(rig)
    report = rig.run()
    assert report.exit_code(pending_matters=True) == 0
    assert report.plan is not None
    assert report.plan.empty
    assert report.receipt is None
    after = snapshot(rig)
    assert {key: after[key] for key in ("refs", "config", "updates")} == {
        key: before[key] for key in ("refs", "config", "updates")
    }
    assert {name: content for name, content in after["files"].items() if name.startswith("xds/")} == {
        name: content for name, content in before["files"].items() if name.startswith("xds/")
    }


def test_one_changed_weight_is_one_route_update(rig: Rig) -> None:
    """Envoy's own counters show it: the route configuration is updated once; clusters, endpoints, listeners are not."""
    rig.run()
    before = rig.counters("edge", UPDATES)
    rig.commit(rig.routes(95, 5), "v2 at 5%")
    rig.apply()
    after = rig.counters("edge", UPDATES)
    moved = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert [name for name in moved if ".rds." in name] == list(moved)
    assert list(moved.values()) == [1]


def test_a_dry_run_of_a_branch_shows_its_one_change_and_touches_nothing(rig: Rig) -> None:
    """The preview of a changed weight is exactly that weight; refs, files, live configuration and counters stay."""
    rig.run()
    rig.commit(rig.routes(95, 5), "v2 at 5%", branch="canary")
    before = snapshot(rig)
    ran = rig.command("--dry-run", "--ref", "canary", "--output", "json", "--exit-code")
    assert ran.code == 2, ran.err
    document = ran.json()
    assert snapshot(rig) == before
    (proxy,) = document["proxies"]
    (change,) = proxy["changes"]
    assert (change["type"], change["action"], change["cause"]) == ("route", "update", "change")
    moves = {(field["path"].split(".")[-2], field["old"], field["new"]) for field in change["fields"]}
    assert moves == {("weighted_clusters[v1]", 100, 95), ("weighted_clusters[v2]", 0, 5)}


def test_an_offline_preview_shows_the_same_change_without_asking_a_proxy(rig: Rig) -> None:
    """`--against REF` compares what two commits compile to; it works with every Envoy down."""
    rig.commit(rig.routes(95, 5), "v2 at 5%", branch="canary")
    rig.envoys["edge"].stop()
    ran = rig.command("--dry-run", "--against", "main", "--ref", "canary", "--output", "json")
    assert ran.code == 0, ran.err
    (change,) = ran.json()["proxies"][0]["changes"]
    assert len(change["fields"]) == 2


def test_an_offline_preview_refuses_no_weight_for_instances_that_only_registries_know(rig: Rig) -> None:
    """A pull request that moves a canary of a discovered service must not be red because nobody asked its registry."""
    mesh = (
        f"{MESH.replace('spec: {verifyDeadline: 5s}', 'spec:')}  discovery:\n"
        f"  - {{name: files, fileSd: {{files: [{rig.folder}/*.yml]}}}}\n"
    )
    bare = "".join(
        line for line in rig.files()["policies/details.yaml"].splitlines(keepends=True) if "address" not in line
    )
    rig.commit({"policies/mesh.yaml": mesh, "policies/details.yaml": bare.replace("  endpoints:\n", "")}, "Discover")
    rig.commit(rig.routes(95, 5), "v2 at 5%", branch="canary")
    ran = rig.command("--dry-run", "--against", "main", "--ref", "canary", "--output", "json")
    assert (ran.code, ran.json()["refused"]) == (0, []), ran.out


@pytest.mark.long
def test_the_digest_of_a_preview_is_what_may_be_applied(rig: Rig) -> None:
    """`--plan-digest` carries out the reviewed plan, and refuses any other."""
    rig.run()
    rig.commit(rig.routes(95, 5), "v2 at 5%")
    digest = rig.command("--dry-run", "--output", "json").json()["digest"]
    rig.commit(rig.routes(90, 10), "v2 at 10%")
    stale = rig.command("--plan-digest", digest, "--output", "json")
    assert stale.code == 3
    assert [item["code"] for item in stale.json()["refused"]] == ["plan-digest"]
    rig.share_is(0, requests=100)
    fresh = rig.command("--dry-run", "--output", "json").json()["digest"]
    assert rig.command("--plan-digest", fresh).code == 0
    rig.share_is(10)


def test_a_commit_that_changes_no_policy_leaves_no_receipt(rig: Rig) -> None:
    """A receipt is for what is live, not for every commit."""
    rig.run()
    receipts = rig.receipts()
    rig.commit({"README.md": "hello"}, "Say hello")
    rig.apply()
    assert rig.receipts() == receipts


def test_a_receipt_says_which_weight_moved_where(rig: Rig) -> None:
    """The subject on the record branch reads like the change did."""
    rig.run()
    rig.commit(rig.routes(95, 5), "v2 at 5%")
    rig.run()
    assert rig.receipts()[0].startswith("details v2 0% -> 5% live on 1/1 ")


def test_a_guard_stops_a_jump_and_a_person_may_allow_it(rig: Rig) -> None:
    """A share that grows by more than the limit is refused with exit 3, shown, and done with a trailer on a commit."""
    rig.run()
    rig.commit(rig.routes(20, 80), "v2 at 80%")
    refused = rig.command("--output", "json")
    assert refused.code == 3
    assert [item["code"] for item in refused.json()["refused"]] == ["guard-weight-increase"]
    assert refused.json()["proxies"][0]["changes"]
    rig.share_is(0, requests=100)
    rig.commit({"NOTES": "we mean it"}, "We mean it\n\nReconcile-Allow: guard-weight-increase")
    assert rig.command().code == 0
    rig.share_is(80)


def test_going_back_to_what_was_verified_is_never_refused(rig: Rig) -> None:
    """A rollback jumps by 80 points; receipts show the split it goes back to, so no guard stands in its way."""
    rig.run()
    rig.commit(rig.routes(20, 80), "v2 at 80%")
    rig.apply(allow=frozenset({"guard-weight-increase"}))
    rig.commit(rig.routes(100, 0), "Back")
    rig.apply()
    rig.share_is(0, requests=200)


def test_a_refused_head_does_not_stop_drift_repair(rig: Rig) -> None:
    """While a commit waits for acknowledgement, the fleet is kept at the last good one."""
    rig.run()
    rig.commit(rig.routes(20, 80), "v2 at 80%")
    rig.overwrite("edge", route_file(rig), lambda body: body.replace(b"primary", b"by-hand"))
    rig.wait(lambda: "by-hand" in json.dumps(rig.config("edge")), "the hand-made change is live")
    assert rig.run().exit_code() == 3
    assert "by-hand" not in json.dumps(rig.config("edge"))
    rig.share_is(0, requests=100)


def route_file(rig: Rig) -> str:
    (file,) = (rig.directory("edge") / "routes").iterdir()
    return f"routes/{file.name}"


@pytest.mark.long
def test_a_checkout_is_the_same_before_and_after_every_command(rig: Rig) -> None:
    """`git status`, the index and the branch of a user's own clone never change, uncommitted work included."""
    here = str(rig.clone)
    (rig.clone / "policies" / "draft.yaml").write_text("not: finished\n")
    (rig.clone / "README").write_text("staged")
    git("-C", here, "add", "README")
    (rig.clone / "policies" / "mesh.yaml").write_text("# being edited\n")

    def looks() -> tuple[str, str, str]:
        return (
            git("-C", here, "status", "--porcelain=v2", "--branch"),
            git("-C", here, "diff"),
            git("-C", here, "rev-parse", "HEAD"),
        )

    before = looks()
    for arguments in (
        ["--dry-run"], ["--dry-run", "--work-tree"], ["--dry-run", "--against", "main"], [], ["status"],
        ["render", "--proxy", "edge"], ["bootstrap", "--proxy", "edge"],
    ):  # fmt: skip
        rig.command(*arguments, "--repo", here)
        assert looks() == before, arguments
    rig.command("validate", here)
    assert looks() == before


def test_uncommitted_files_can_be_previewed(rig: Rig) -> None:
    """`--work-tree` plans what the files on disk ask for, without a commit."""
    rig.run()
    for path, text in rig.routes(60, 40).items():
        (rig.clone / path).write_text(text)
    ran = rig.command("--dry-run", "--work-tree", "--repo", str(rig.clone), "--output", "json")
    assert ran.code == 0, ran.err
    fields = ran.json()["proxies"][0]["changes"][0]["fields"]
    assert {(field["old"], field["new"]) for field in fields} == {(100, 60), (0, 40)}


def test_the_repository_may_be_given_by_url(rig: Rig) -> None:
    """A URL is mirrored in the cache; receipts are pushed to it."""
    cache = rig.folder / "cache"
    url = rig.repo.as_uri()
    ran = rig.command("--repo", url, "--cache", str(cache))
    assert ran.code == 0, ran.err
    assert len(rig.receipts()) == 1
    rig.commit(rig.routes(95, 5), "v2 at 5%")
    assert rig.command("--repo", url, "--cache", str(cache)).code == 0
    rig.share_is(5)
    assert len(rig.receipts()) == 2
