"""A pull request's whole life: opened, previewed, amended, refused, acknowledged, merged, applied, and told that it is live."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ci.forges import git as bare
from tests.ci.forges import github, pull_event
from tests.e2e.protected import PERSON, Protected
from tests.e2e.rig import cli
from tests.forge.hosted import Pull
from tests.forge.server import Account

WORKFLOW = "ghs_workflow"
LIVE, PREVIEW = "reconciler/live", "reconcile/preview"
GUARD = "guard-weight-increase"


class Reviewed(Protected):
    """A mesh whose pull requests are previewed by jobs, as the published workflow runs them."""

    def propose(self, v1: int, v2: int, message: str) -> Pull:
        """A person's commit on the branch of the one pull request, which is opened with the first."""
        with self.forge.lock:
            hosted = self.forge.hosted
            if not hosted.tip("topic"):
                hosted.git("update-ref", "refs/heads/topic", hosted.tip("main"))
            files = {path: text.encode() for path, text in self.routes(v1, v2).items()}
            hosted.push("topic", files, message, by=PERSON)
            return hosted.pulls.get(1) or hosted.open(head="topic", base="main", title=message, body="", author="pat")

    def previewed(self, pull: Pull) -> str:
        """What the jobs of CI do for the newest head: a shallow clone, a preview without rights, and the words of it. The comment."""
        clone, out = self.folder / f"job-{pull.head_sha[:8]}", self.folder / "out"
        bare(self.folder, "init", "-q", str(clone))
        bare(clone, "remote", "add", "origin", self.forge.url)
        bare(clone, "fetch", "-q", "--no-tags", "--depth=1", "origin", f"refs/pull/{pull.number}/head")
        bare(clone, "checkout", "-q", "--detach", "FETCH_HEAD")
        event = github(self.folder, "pull_request", pull_event(pull.number, pull.head_sha))
        rights = {"GITHUB_API_URL": self.forge.api, "GITHUB_TOKEN": WORKFLOW}
        computing = ("preview", "--repo", str(clone), "--no-envoy", "--out", str(out))
        for verb, environ in ((computing, event), (("comment", "--from", str(out)), {**event, **rights})):
            with pytest.MonkeyPatch.context() as runner:
                for name in [name for name in os.environ if name.startswith(("GITHUB_", "GITLAB_", "CI_", "GH_"))]:
                    runner.delenv(name)
                for name, value in environ.items():
                    runner.setenv(name, value)
                assert cli(["ci", *verb]) in (0, 3), verb
        (comment,) = self.forge.said.comments[pull.number]
        return str(comment["body"])

    def said(self, commit: str, context: str) -> tuple[str, str]:
        with self.forge.lock:
            return self.forge.said.state(commit, context)


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reviewed]:
    folder: Path = tmp_path_factory.mktemp("pr")
    with Reviewed(folder, proposes=False) as mesh:
        mesh.forge.tokens[WORKFLOW] = "write"
        mesh.forge.accounts[WORKFLOW] = Account("github-actions[bot]", app=True)
        yield mesh


def test_a_pull_request_lives_from_its_first_preview_to_live_on_every_proxy(mesh: Reviewed) -> None:
    """Real Git, a real daemon, a real Envoy, and a forge that refuses what GitHub refuses."""
    options = ("--forge", "github", "--forge-repository", mesh.forge.repository, "--forge-api", mesh.forge.api)
    start = mesh.forge.hosted.tip("main")
    with mesh.daemon(*options, "--forge-token-file", str(mesh.forge.token_file)):
        mesh.wait(lambda: mesh.said(start, LIVE) == ("success", "live on 1/1 proxy"), f"the start: {mesh.log()}")

        pull = mesh.propose(70, 30, "Give v2 30%")
        first = mesh.previewed(pull)
        assert "details v2 0% → 30%" in first
        assert mesh.said(pull.head_sha, PREVIEW)[0] == "success"
        number = mesh.forge.said.comments[1][0]["id"]

        refused = mesh.previewed(mesh.propose(10, 90, "Give v2 90%"))
        assert "details v2 0% → 90%" in refused
        assert "**Refused by a guard**" in refused
        assert "30%" not in refused
        assert mesh.said(pull.head_sha, PREVIEW) == ("failure", f"refused by {GUARD}")

        allowed = mesh.previewed(mesh.propose(20, 80, f"Mean it\n\nReconcile-Allow: {GUARD}\n"))
        assert "**Refused by a guard**" not in allowed
        assert mesh.said(pull.head_sha, PREVIEW)[0] == "success"
        assert [comment["id"] for comment in mesh.forge.said.comments[1]] == [number], "one comment, kept up to date"

        head = pull.head_sha
        landed = mesh.merge(pull)
        assert landed != head
        for commit in (landed, head):
            mesh.wait(
                lambda commit=commit: mesh.said(commit, LIVE) == ("success", "live on 1/1 proxy"),  # type: ignore[misc]
                f"{commit}: {mesh.forge.said.statuses}, {mesh.log()}",
            )
        with mesh.load() as load:
            mesh.wait(lambda: bool(load.last(300)), "300 answers")
            seen = load.last(300)
        assert seen.keys() == {(200, "v1"), (200, "v2")}
        assert 190 <= seen[200, "v2"] <= 285, seen  # 240 by the weights; chance leaves seven deviations
        assert mesh.receipts()[0].startswith("details v2 0% -> 80% live on 1/1 proxy")
    words = [(item["context"], item["state"]) for item in mesh.forge.said.statuses[landed]]
    assert words.count((LIVE, "success")) == 1, words
    assert "forge-" not in mesh.log()
