"""A preview is of what the base is now merged with the head, wherever it is run, and says what is wrong with that."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.gitrepo import open_repository
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, ProxyReceipt
from reconciler.record import Record
from reconciler.record.form import Draft
from reconciler.settings import GitSettings
from tests.ci.conftest import Preview
from tests.ci.forges import TRAFFIC, Upstream, git, github, pull_event

TO_5 = (("weight: 100 ", "weight: 95 "), ("weight: 0 ", "weight: 5 "))
TO_80 = (("weight: 100 ", "weight: 20 "), ("weight: 0 ", "weight: 80 "))
SPLIT = """\
    - destination:
        host: reviews
        subset: v3
      weight: 0
"""


def test_a_weight_is_one_row_with_its_share_of_traffic(upstream: Upstream, preview: Preview) -> None:
    """The first line is the verdict; the table says host, route, from what to what, how much and where."""
    upstream.topic("topic")
    head = upstream.edit(*TO_5)
    ran = preview(upstream.path, "--base", "main", "--head", "topic")
    first, *rest = ran.comment.splitlines()
    assert (ran.code, first) == (
        0,
        "**Merging this into <code>main</code> changes reviews v2 0% → 5% on 1 of 7 proxies.**",
    )
    (row,) = [line for line in rest if line.startswith("| <code>")]
    assert row.split(" | ")[0] == "| <code>reviews.default.svc.cluster.local</code>"
    assert "<code>v1</code> **100% → 95%**<br><code>v2</code> **0% → 5%** | 5% | <code>productpage-v1</code>" in row
    assert head[:10] in rest[-1]
    assert ran.document["digest"] in rest[-1]
    assert json.loads((ran.folder / "plan.json").read_text())["digest"] == ran.document["digest"]
    assert preview(upstream.path, "--base", "main", "--head", "topic", "--exit-code").code == 2
    assert preview(upstream.path, "--base", "main", "--head", "main").comment.startswith("**No changes**")


def test_the_base_counts_as_it_is_now(upstream: Upstream, preview: Preview, tmp_path: Path) -> None:
    """What others have merged meanwhile is not shown as undone, whatever the event and the forge's own merge say of the base."""
    upstream.topic("topic")
    head = upstream.edit(("simple: LEAST_REQUEST", "simple: RANDOM"))
    upstream.opened(7, head)
    clone = upstream.clone("refs/pull/7/merge")
    base = upstream.edit(*TO_5, message="Somebody else's")
    ran = preview(clone, environ=github(tmp_path, "pull_request", pull_event(7, head)))
    assert ran.code == 0
    assert (ran.document["base"], ran.document["head"], ran.document["routes"]) == (base, head, [])
    assert ran.document["update"] > 0
    assert git(clone, "status", "--porcelain") == ""


def test_two_heads_that_merge_cleanly_into_a_wrong_split_are_told(upstream: Upstream, preview: Preview) -> None:
    """Each moves another weight of one split of three; the texts merge, and the weights add up to 95."""
    upstream.edit(
        ("      weight: 0                    # ... and 5 here; shares are relative, but a total of 100 reads as percent\n",
         "      weight: 0\n" + SPLIT),
        ("      weight: 100 ", "      weight: 50 "), ("      weight: 0\n", "      weight: 40\n"), ("weight: 0\n", "weight: 10\n"),
    )  # fmt: skip
    for branch, moved in (("one", ("weight: 50 ", "weight: 45 ")), ("other", ("weight: 10\n", "weight: 5\n"))):
        upstream.topic(branch)
        upstream.edit(moved, ("weight: 40\n", "weight: 45\n"))
        assert "weights-sum" not in {
            code for code, *_ in preview(upstream.path, "--base", "main", "--head", branch).messages
        }
    upstream.main()
    git(upstream.path, "merge", "-q", "--no-edit", "one")
    ran = preview(upstream.path, "--base", "main", "--head", "other")
    (found,) = ran.messages
    assert found[:2] == ("weights-sum", TRAFFIC)
    assert "95" in ran.comment.partition("weights-sum")[2]
    git(upstream.path, "merge", "-q", "--no-edit", "other")  # as Git sees it, nothing is wrong


@pytest.mark.parametrize("depth", [pytest.param(0, marks=pytest.mark.long), 1])
def test_a_pull_request_from_a_fork_is_previewed_without_a_secret(
    upstream: Upstream, preview: Preview, tmp_path: Path, depth: int
) -> None:
    """Its head is in no branch of the repository; the clone may be of depth 1."""
    fork = tmp_path / "fork"
    git(tmp_path, "clone", "-q", str(upstream.path), str(fork))
    head = Upstream(fork).edit(*TO_5)
    git(upstream.path, "fetch", "-q", str(fork), head)
    upstream.opened(8, head)
    upstream.commit("Meanwhile")
    clone = upstream.clone("refs/pull/8/merge", depth=depth)
    ran = preview(clone, environ=github(tmp_path, "pull_request", pull_event(8, head, fork=True)))
    assert (ran.code, ran.document["headline"]) == (0, "reviews v2 0% -> 5%")
    assert (tmp_path / "summary.md").read_text() == ran.comment


def test_the_base_may_be_named_as_a_whole_clone_has_it(upstream: Upstream, preview: Preview) -> None:
    """`origin/main` is what people write; a clone of depth 1 has no such ref, and knows what is meant."""
    upstream.topic("topic")
    upstream.edit(*TO_5)
    clone = upstream.clone("refs/heads/topic")
    for base in ("origin/main", "main"):
        ran = preview(clone, "--base", base)
        assert (ran.code, ran.document["headline"]) == (0, "reviews v2 0% -> 5%")
    ran = preview(clone, "--base", "origin/mian")
    assert (ran.code, [code for code, *_ in ran.messages]) == (1, ["git-ref-not-found"])
    assert "there is no refs/heads/mian" in ran.comment


def test_what_is_wrong_is_said_at_the_line_that_it_has_at_the_head(
    upstream: Upstream, preview: Preview, tmp_path: Path
) -> None:
    """The base has moved the line down; links and annotations are of the head, where it is higher up."""
    upstream.topic("topic")
    head = upstream.edit(("subset: v2\n      weight", "subset: v9\n      weight"))
    upstream.opened(9, head)
    upstream.edit(("# The canary.", "# One\n# Two\n# The canary."), message="Comment at the top")
    ran = preview(upstream.clone("refs/pull/9/merge"), environ=github(tmp_path, "pull_request", pull_event(9, head)))
    assert ran.code == 1
    line = 1 + git(upstream.path, "show", f"{head}:{TRAFFIC}").splitlines().index("        subset: v9")
    assert ("ref-subset", TRAFFIC, line) in ran.messages
    assert f"(https://github.com/acme/mesh/blob/{head}/{TRAFFIC}#L{line})" in ran.comment
    assert f"::error file={TRAFFIC},line={line},col=17,title=ref-subset::" in ran.out
    assert "that can't be applied**" in ran.comment.splitlines()[0]


def test_conflicts_of_policies_are_named_and_others_are_not_ours(upstream: Upstream, preview: Preview) -> None:
    """A README that conflicts is for Git to say; a policy that does can't be previewed."""
    (upstream.path / "NOTES").write_text("one\n")
    upstream.commit("Notes")
    upstream.topic("topic")
    (upstream.path / "NOTES").write_text("two\n")
    upstream.edit(*TO_5)
    upstream.main()
    (upstream.path / "NOTES").write_text("three\n")
    upstream.commit("Other notes")
    assert preview(upstream.path, "--base", "main", "--head", "topic").code == 0
    upstream.edit(("weight: 100 ", "weight: 90 "))
    ran = preview(upstream.path, "--base", "main", "--head", "topic")
    assert (ran.code, ran.document["verdict"], ran.document["conflicts"]) == (1, "conflict", [TRAFFIC])
    assert "NOTES" not in ran.comment


def test_a_guard_is_acknowledged_by_a_trailer_on_any_commit(upstream: Upstream, preview: Preview) -> None:
    """The comment has the line that does it; with that line the plan passes, and says so."""
    upstream.topic("topic")
    upstream.edit(*TO_80)
    ran = preview(upstream.path, "--base", "main", "--head", "topic")
    assert (ran.code, ran.document["verdict"]) == (3, "refused")
    (line,) = [line for line in ran.comment.splitlines() if line.startswith("Reconcile-Allow: ")]
    upstream.commit(f"I mean it\n\n{line}")
    upstream.commit("Something else")
    ran = preview(upstream.path, "--base", "main", "--head", "topic")
    assert (ran.code, ran.document["verdict"]) == (0, "changes")
    assert "allowed: " in ran.comment


def test_a_broken_base_can_be_mended_by_a_pull_request(upstream: Upstream, preview: Preview) -> None:
    """It is compared with the newest commit before it that can be used, and says so."""
    good = upstream.edit(*TO_5)
    upstream.edit(("subset: v2\n      weight", "subset: v9\n      weight"), message="Break it")
    upstream.topic("mend")
    upstream.edit(("subset: v9\n      weight", "subset: v2\n      weight"))
    ran = preview(upstream.path, "--base", "main", "--head", "mend")
    assert (ran.code, ran.document["verdict"]) == (0, "nothing")
    assert good[:10] in ran.comment
    assert [code for code, *_ in ran.messages] == ["base-unusable"]


def test_weights_of_a_rollout_under_way_are_not_a_persons_to_edit(upstream: Upstream, preview: Preview) -> None:
    """Merging that pauses the rollout; its own steps, which change the status as well, are no such thing."""
    (upstream.path / "policies" / "reviews" / "rollout.yaml").write_text(
        "apiVersion: reconciler/v1alpha1\nkind: Rollout\nmetadata: {name: reviews}\nspec:\n"
        "  target: {virtualService: {name: reviews}}\n  stable: v1\n  canary: v2\n  steps: [{setWeight: 5}, {setWeight: 20}]\n"
        "status: {phase: Progressing, step: 0, run: v1->v2}\n"
    )
    upstream.commit("A rollout")
    upstream.topic("topic")
    upstream.edit(*TO_5)
    codes = [code for code, *_ in preview(upstream.path, "--base", "main", "--head", "topic").messages]
    assert "rollout-under-way" in codes
    upstream.edit(("step: 0", "step: 1"), file="policies/reviews/rollout.yaml")
    codes = [code for code, *_ in preview(upstream.path, "--base", "main", "--head", "topic").messages]
    assert "rollout-under-way" not in codes


def test_what_the_base_has_already_is_folded_away(upstream: Upstream, preview: Preview) -> None:
    """Reviewers read what is new; an old warning is not this pull request's, and no annotation either."""
    upstream.edit(("weight: 100 ", "weight: 90 "), message="Warned of")
    upstream.topic("topic")
    upstream.edit(("simple: LEAST_REQUEST", "simple: RANDOM"), ("# The canary.", "#\n# The canary."))
    ran = preview(upstream.path, "--base", "main", "--head", "topic")
    assert [item["before"] for item in ran.document["remarks"]] == [True]
    assert "<details><summary>1 warning that the branch has already</summary>" in ran.comment


def test_what_can_not_be_computed_is_a_preview_that_says_so(
    upstream: Upstream, preview: Preview, tmp_path: Path
) -> None:
    """An old one would be taken for the answer. The error has what to do."""
    upstream.topic("topic")
    head = upstream.edit(*TO_5)
    upstream.opened(7, head)
    clone = upstream.clone("refs/pull/7/merge")
    git(clone, "remote", "remove", "origin")
    first = preview(upstream.path, "--base", "main", "--head", "topic")
    assert (first.folder / "plan.json").exists()
    ran = preview(clone, environ=github(tmp_path, "pull_request", pull_event(7, head)))
    assert (ran.code, ran.document["verdict"]) == (1, "failed")
    assert ran.comment.startswith("**The preview could not be computed**")
    assert not (ran.folder / "plan.json").exists()


def test_a_remote_that_lets_nobody_in_leaves_what_the_clone_has_of_the_base(
    upstream: Upstream, preview: Preview, tmp_path: Path
) -> None:
    """A checkout with all branches and without credentials is enough; that the base was not asked for is said."""
    upstream.topic("topic")
    head = upstream.edit(*TO_5)
    upstream.opened(7, head)
    clone = upstream.clone("refs/pull/7/merge", depth=0)
    git(clone, "fetch", "-q", "origin", "+refs/heads/*:refs/remotes/origin/*")
    git(clone, "remote", "set-url", "origin", f"file://{tmp_path}/nowhere")
    ran = preview(clone, environ=github(tmp_path, "pull_request", pull_event(7, head)))
    assert (ran.code, [code for code, *_ in ran.messages]) == (0, ["ci-base-not-asked"])


def test_the_real_envoy_is_asked_about_the_merge(upstream: Upstream, preview: Preview) -> None:
    """What it refuses stops the pull request, with the place it comes from; what it takes is said with its version."""
    upstream.topic("topic")
    upstream.edit(*TO_5)
    assert "accepted by Envoy 1." in preview(upstream.path, "--base", "main", "--head", "topic", envoy=True).comment
    template = upstream.path / "envoy-templates" / "cluster.yaml"
    template.parent.mkdir()
    template.write_text("connect_timeout: -5s\n")
    upstream.commit("A template that only Envoy refuses")
    ran = preview(upstream.path, "--base", "main", "--head", "topic", envoy=True)
    assert (ran.code, ran.document["verdict"]) == (1, "invalid")
    assert any(file == "envoy-templates/cluster.yaml" for _, file, _ in ran.messages)


def test_without_a_pull_request_it_says_what_to_name(upstream: Upstream, preview: Preview, tmp_path: Path) -> None:
    """Outside of CI, and in an event that changes nothing."""
    assert (preview(upstream.path).code, preview(upstream.path).err.count("ci-no-subject")) == (1, 1)
    assert preview(upstream.path, environ=github(tmp_path, "schedule", {})).code == 1


@pytest.mark.parametrize("depth", [pytest.param(0, marks=pytest.mark.long), 1])
def test_going_back_to_what_receipts_show_is_refused_to_nobody(
    upstream: Upstream, preview: Preview, tmp_path: Path, depth: int
) -> None:
    """A revert that gives a version all its traffic back passes, as it will when it is applied; the record is fetched for it."""
    good = git(upstream.path, "rev-parse", "main")
    upstream.edit(*TO_80, message="To v2")
    proxies = {Key("default", "productpage-v1"): ProxyReceipt(view="v", proof="exact", outcome=OutcomeKind.APPLIED)}
    draft = Draft(policy_commit=good, plan_digest="ab" * 32, subject="live", proxies=proxies)
    upstream.topic("revert")
    git(upstream.path, "revert", "--no-edit", "main")
    head = git(upstream.path, "rev-parse", "HEAD")
    upstream.opened(7, head)
    environ = github(tmp_path, "pull_request", pull_event(7, head))
    assert preview(upstream.clone("refs/pull/7/merge", depth=depth), environ=environ).code == 3
    with open_repository(str(upstream.path), GitSettings(cache=tmp_path / "cache")) as repository:
        Record(repository, "reconciler/record", attempts=3).write(draft, at=datetime.now(UTC))
    clone = tmp_path / "clone-refs-pull-7-merge"
    assert preview(clone, environ=environ).code == 0


def test_names_of_a_pull_request_are_text_in_the_comment_and_in_the_log(
    upstream: Upstream, preview: Preview, tmp_path: Path
) -> None:
    """A route, a folder and a message of Git's own that would be markup, a mention, a link or a command to the runner."""
    evil = "::error::@ada <img src=x> [x](https://evil.example) `|` <!-- envoy-reconciler:preview -->"
    upstream.topic("topic")
    file = upstream.path / "policies" / "a ]( <b> @ada" / "more.yaml"
    file.parent.mkdir()
    file.write_text(f"kind: {evil!r}\napiVersion: networking.istio.io/v1\n")
    head = upstream.edit(("name: primary ", f"name: {json.dumps(evil)} "), *TO_5)
    upstream.opened(7, head)
    ran = preview(upstream.clone("refs/pull/7/merge"), environ=github(tmp_path, "pull_request", pull_event(7, head)))
    broken = ran.comment
    git(upstream.path, "checkout", "-q", "topic")
    file.unlink()
    valid = upstream.commit("Without the broken file")
    fine = preview(upstream.path, "--base", "main", "--head", valid)
    assert fine.document["routes"][0]["route"] == evil
    for text in (broken, fine.comment):
        assert "<img" not in text
        assert "<!--" not in text
        outside = re.sub(r"(?ms)^(`{3,})text$.*?^\1$|<code>.*?</code>|\(https://github[^)]*\)", "", text)
        assert "https://evil" not in outside
        assert "@ada" not in outside
    stop = next(line for line in ran.out.splitlines() if line.startswith("::stop-commands::"))
    inside = ran.out.partition(stop)[2].partition(f"\n::{stop.removeprefix('::stop-commands::')}::\n")
    assert "::error" in inside[0]
    said = [line for line in inside[2].splitlines() if line]
    assert all(line.startswith(("::error file=", "::warning file=")) for line in said)
    assert said
