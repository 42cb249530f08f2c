"""What people do to the record branch, and what a pass makes of it."""

from __future__ import annotations

import pytest

from tests.e2e.rig import MESH, Rig, git

BRANCH = "reconciler/record"
EXTRA = "policies/extra.yaml"


def in_repo(rig: Rig, *arguments: str) -> str:
    return git("-C", str(rig.repo), *arguments)


def by_hand(rig: Rig, content: str, message: str) -> str:
    """Commit over the newest receipt's file on the record branch, as somebody might."""
    here = ["-C", str(rig.clone)]
    git(*here, "fetch", "-q", "origin", quiet=True)
    git(*here, "checkout", "-q", "--detach", f"origin/{BRANCH}", quiet=True)
    (rig.clone / "proxies" / "default" / "edge.yaml").write_text(content)
    git(*here, "commit", "-q", "-a", "-m", message)
    git(*here, "push", "-q", "origin", f"HEAD:{BRANCH}", quiet=True)
    commit = git(*here, "rev-parse", "HEAD").strip()
    git(*here, "checkout", "-q", "main", quiet=True)
    return commit


@pytest.mark.parametrize("trailers", [True, False], ids=["a-broken-receipt", "no-receipt-at-all"])
def test_a_record_that_somebody_broke_is_said_and_made_good(rig: Rig, *, trailers: bool) -> None:
    """Exit 1 and the commit that is to blame; the change goes live all the same, with a receipt on top that is right."""
    rig.apply()
    message = rig.record() if trailers else "Tidy up"
    broken = by_hand(rig, "view: [\n", message)
    rig.commit(rig.routes(80, 20), "v2 at 20%")
    preview = rig.command("--dry-run", "--output", "json")
    assert preview.code == 1
    assert [item["code"] for item in preview.json()["errors"]] == ["record-unreadable"]
    assert len(preview.json()["proxies"][0]["changes"]) == 1
    ran = rig.command("--output", "json")
    assert ran.code == 1
    (error,) = ran.json()["errors"]
    assert error["code"] == "record-unreadable"
    assert broken in error["message"]
    rig.share_is(20)
    assert in_repo(rig, "rev-parse", f"{BRANCH}^").strip() == broken
    assert "outcome: applied" in rig.recorded("edge")
    assert rig.apply().receipt is None


def test_a_broken_record_does_not_make_a_guard_forget(rig: Rig) -> None:
    """What older receipts prove stays proven, so that a rollback is not refused because somebody broke the newest."""
    rig.apply()
    rig.commit(rig.routes(20, 80), "v2 at 80%")
    rig.apply(allow=frozenset({"guard-weight-increase"}))
    by_hand(rig, "view: [\n", rig.record())
    rig.commit(rig.routes(100, 0), "Back")
    report = rig.run()
    assert [item.code for item in report.errors] == ["record-unreadable"]
    rig.share_is(0, requests=100)


def test_a_broken_record_and_a_broken_head_are_both_said(rig: Rig) -> None:
    """One fault never hides the other, and drift is still corrected to what the newest readable receipt says."""
    from tests.e2e.test_drift import by_hand as drift

    rig.apply()
    by_hand(rig, "view: [\n", rig.record())
    rig.commit({EXTRA: "kind: [\n"}, "Break it")
    drift(rig)
    report = rig.run()
    assert {item.code for item in report.errors} == {"yaml-syntax", "record-unreadable"}
    assert "by-hand" not in str(rig.config("edge"))


@pytest.mark.long
def test_a_record_that_is_gone_or_rewound_begins_again_from_what_is_live(rig: Rig) -> None:
    """Another process accepts the branch as it finds it: nothing is pushed to proxies, and one true receipt is written."""
    rig.apply()
    first = in_repo(rig, "rev-parse", BRANCH).strip()
    rig.commit(rig.routes(80, 20), "v2 at 20%")
    rig.apply()
    for move in (["update-ref", f"refs/heads/{BRANCH}", first], ["update-ref", "-d", f"refs/heads/{BRANCH}"]):
        in_repo(rig, *move)
        ran = rig.command("--output", "json")
        assert ran.code == 0, ran.err
        assert ran.json()["summary"]["update"] == 0
        assert f"Policy-Commit: {ran.json()['head']}" in rig.record()
        assert "outcome: applied" in rig.recorded("edge")


def test_the_policy_branch_cannot_be_the_record(rig: Rig) -> None:
    """A receipt on the branch that policies are read from would be a new head: refused, and nothing lands there."""
    rig.apply()
    for branch in ("main", "reconciler/record..x"):
        head = rig.commit(
            {"policies/mesh.yaml": MESH.replace("spec: {", f"spec: {{record: {{branch: {branch}}}, ")}, "Oops"
        )
        ran = rig.command("--output", "json")
        assert ran.code == 1
        assert [item["code"] for item in ran.json()["errors"]] == ["record-branch" if branch == "main" else "value"]
        assert in_repo(rig, "rev-parse", "main").strip() == head
    assert len(rig.receipts()) == 1


def test_another_record_branch_starts_with_all_that_is_live(rig: Rig) -> None:
    """`Mesh.record.branch` may change between commits: the new branch begins as an orphan, the old one stays as it is."""
    rig.apply()
    old = in_repo(rig, "rev-parse", BRANCH)
    rig.commit(
        {"policies/mesh.yaml": MESH.replace("spec: {", "spec: {record: {branch: audit/log}, ")}, "Move the record"
    )
    report = rig.apply()
    assert report.plan is not None
    assert report.plan.empty
    assert in_repo(rig, "rev-parse", BRANCH) == old
    assert in_repo(rig, "log", "--format=%P", "audit/log").strip() == ""
    assert "outcome: applied" in in_repo(rig, "show", "audit/log:proxies/default/edge.yaml")


@pytest.mark.long
def test_a_dirty_checkout_of_the_record_stops_the_pass_before_it_pushes(rig: Rig) -> None:
    """Nothing goes live that could not be recorded: exit 1, what to do, and the checkout as it was; clean, it moves along."""
    here = str(rig.clone)
    rig.command("--repo", here)
    git("-C", here, "branch", "-q", "policies", "main")
    git("-C", here, "checkout", "-q", BRANCH, quiet=True)
    file = rig.clone / "proxies" / "default" / "edge.yaml"
    was = file.read_text()
    file.write_text(was + "# a note\n")
    linked = rig.folder / "linked"
    git("-C", here, "worktree", "add", "-q", str(linked), "main", quiet=True)
    (linked / "policies" / "routes.yaml").write_text(rig.routes(80, 20)["policies/routes.yaml"])
    git("-C", str(linked), "commit", "-q", "-a", "-m", "v2 at 20%")
    before = git("-C", here, "status", "--porcelain=v2", "--branch"), rig.config("edge")
    ran = rig.command("--repo", here, "--output", "json")
    assert ran.code == 1
    (error,) = ran.json()["errors"]
    assert error["code"] == "git-dirty-work-tree"
    assert "stash" in error["hint"]
    assert ran.json()["outcomes"] == []
    assert (git("-C", here, "status", "--porcelain=v2", "--branch"), rig.config("edge")) == before
    file.write_text(was)
    assert rig.command("--repo", here).code == 0
    rig.share_is(20)
    assert git("-C", here, "status", "--porcelain") == ""
    assert git("-C", here, "log", "-1", "--format=%s").startswith("details v2 0% -> 20%")


@pytest.mark.long
def test_the_last_applied_commit_may_be_gone(rig: Rig) -> None:
    """After a force-push and `git gc` the newest receipt names a commit that is not there: passes and guards go on."""
    rig.apply()
    rig.commit(rig.routes(80, 20), "v2 at 20%")
    rig.apply()
    here = ["-C", str(rig.clone)]
    git(*here, "reset", "-q", "--hard", "HEAD~1")
    files = rig.routes(5, 95)
    (rig.clone / "policies" / "routes.yaml").write_text(files["policies/routes.yaml"])
    git(*here, "commit", "-q", "-a", "-m", "Another 95%")
    git(*here, "push", "-q", "-f", "origin", "main", quiet=True)
    in_repo(rig, "reflog", "expire", "--expire=now", "--all")
    in_repo(rig, "gc", "-q", "--prune=now")
    refused = rig.command("--output", "json")
    assert refused.code == 3, refused.out
    assert refused.json()["errors"] == []
    assert rig.command("--allow", "guard-weight-increase").code == 0
    rig.share_is(95)


@pytest.mark.long
def test_status_shows_both_revisions_while_the_head_is_unusable(rig: Rig) -> None:
    """What was asked for last, what is live since when, and whether the fleet is still what the last good commit says."""
    rig.apply()
    good = in_repo(rig, "rev-parse", "main").strip()
    bad = rig.commit({EXTRA: "kind: [\n"}, "Break it")
    ran = rig.command("status", "--output", "json")
    assert ran.code == 1
    document = ran.json()
    assert (document["head"], document["recorded"]["policy_commit"]) == (bad, good)
    assert [item["state"] for item in document["proxies"]] == ["in-sync"]
    assert [item["code"] for item in document["errors"]] == ["yaml-syntax"]
    text = rig.command("status")
    assert (text.code, bad in text.out, good in text.out, "in-sync" in text.out) == (1, True, True, True)
    assert "policies/extra.yaml:" in text.err
    markdown = rig.command("status", "--output", "markdown")
    assert all(part in markdown.out for part in (bad, good, "| default/edge | in-sync |", "<code>yaml-syntax</code>"))


@pytest.mark.long
def test_status_says_why_a_head_is_refused(rig: Rig) -> None:
    """An exit code of 3 never comes without the guard's words."""
    rig.apply()
    rig.commit(rig.routes(5, 95), "v2 at 95%")
    ran = rig.command("status", "--output", "json")
    assert ran.code == 3
    assert [item["code"] for item in ran.json()["refused"]] == ["guard-weight-increase"]
    assert "guard-weight-increase" in rig.command("status").err


@pytest.mark.long
def test_a_proxy_that_leaves_the_mesh_is_named_and_left_alone(fleet: Rig) -> None:
    """Its Envoy keeps serving what it has, the preview and the pass say so, and the receipt drops it."""
    fleet.apply()
    text = fleet.gateway("edge-3").partition("---")[0]
    fleet.commit({"policies/edge-3.yaml": text}, "Let edge-3 go")
    before = fleet.config("edge-3")
    offline = fleet.command("--dry-run", "--against", "main~1", "--output", "json").json()
    assert "proxy-left" in {item["code"] for item in offline["warnings"]}
    report = fleet.apply()
    assert report.plan is not None
    assert "proxy-left" in {item.code for item in report.plan.warnings}
    assert fleet.config("edge-3") == before
    fleet.share_is(0, requests=50, name="edge-3")
    names = git("-C", str(fleet.repo), "ls-tree", "--name-only", f"{BRANCH}:proxies/default").split()
    assert names == ["edge-2.yaml", "edge.yaml"]
    again = fleet.apply()
    assert again.plan is not None
    assert "proxy-left" not in {item.code for item in again.plan.warnings}
    assert again.receipt is None


@pytest.mark.long
def test_a_receipt_never_vouches_for_a_proxy_that_was_not_asked(fleet: Rig) -> None:
    """`--select` brings one proxy to the head: the others are recorded as skipped, unless nothing new is asked of them."""
    fleet.apply()
    fleet.commit(fleet.routes(80, 20), "v2 at 20%")
    assert fleet.command("--select", "proxy/edge").code == 0
    assert "Outcome: partial" in fleet.record()
    assert "Proxies: 1/3" in fleet.record()
    assert "outcome: skipped" in fleet.recorded("edge-2")
    fleet.commit({"README.md": "hello"}, "Say hello")
    assert fleet.command("--select", "proxy/edge").code == 0
    assert "Proxies: 1/3" in fleet.record()
    fleet.apply()
    assert "Proxies: 3/3" in fleet.record()
    fleet.commit({"README.md": "hello again", "policies/note.yaml": "# nothing\n"}, "Change nothing that counts")
    assert fleet.command("--select", "proxy/edge").code == 0
    assert "Proxies: 3/3" in fleet.record()
