"""What a preview came to is said where people look, by a job that believes only the forge; also when there is no preview."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from reconciler.cli.ci.posting import Names, Told, post
from reconciler.cli.ci.received import occasion, received
from reconciler.cli.ci.subject import NoSubjectError, Subject
from reconciler.errors import ReconcilerError
from reconciler.forge import Conversation, conversation
from reconciler.plan.review import DocumentError
from reconciler.settings import ForgeSettings, shipped
from tests.ci.conftest import Preview, Ran
from tests.ci.forges import TRAFFIC, git, github, pull_event
from tests.forge.conftest import Hand
from tests.forge.gitlab import GitLabServer
from tests.forge.server import TOKEN, Account, ForgeServer

NAMES = Names(key="preview", context="reconcile/preview")
EXAMPLE = {
    f"policies/{path.relative_to(shipped('policies'))}": path.read_bytes()
    for path in sorted(shipped("policies").rglob("*.yaml"))
}
TEXT = EXAMPLE[TRAFFIC].decode()


def split(canary: int, *, subset: str = "v2") -> dict[str, bytes]:
    text = TEXT.replace("weight: 100 ", f"weight: {100 - canary} ").replace("weight: 0 ", f"weight: {canary} ")
    return {TRAFFIC: text.replace("subset: v2\n      weight", f"subset: {subset}\n      weight").encode()}


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeServer]:
    """A forge with the worked example, whose token is a workflow's, and a pull request that gives v2 5%."""
    with ForgeServer(tmp_path / "forge", EXAMPLE, protected=False) as server:
        server.accounts[TOKEN] = Account("github-actions[bot]", app=True)
        server.hosted.git("update-ref", "refs/heads/topic", server.hosted.tip("main"))
        server.hosted.push("topic", split(5), "5% to v2")
        server.hosted.open(head="topic", base="main", title="5% to v2", body="")
        yield server


@pytest.fixture
def talk(forge: ForgeServer) -> Iterator[Conversation]:
    settings = ForgeSettings(
        kind="github", repository=forge.repository, api=forge.api, token_file=str(forge.token_file)
    )
    found = conversation(settings, clock=Hand())
    yield found
    found.close()


def run_event(head: str, name: str = "pull_request") -> Any:
    """What a `workflow_run` job is told; of a fork's pull request it is told no number."""
    job = "https://github.com/acme/mesh/actions/runs/77"
    return {"workflow_run": {"head_sha": head, "event": name, "html_url": job, "pull_requests": []}}


def previewed(preview: Preview, forge: ForgeServer, folder: Path, number: int = 1) -> Ran:
    """The preview as the first job computes it, on a clone of its own."""
    pull = forge.hosted.pulls[number]
    clone = folder / f"clone-{number}-{pull.head_sha[:6]}"
    shutil.rmtree(clone, ignore_errors=True)
    git(folder, "init", "-q", str(clone))
    git(clone, "remote", "add", "origin", forge.url)
    return preview(clone, environ=github(folder, "pull_request", pull_event(number, pull.head_sha)))


def told(talk: Conversation, folder: Path, ran: Ran, head: str) -> Told:
    """What the second job says, of that folder."""
    return post(talk, occasion(github(folder, "workflow_run", run_event(head)), run_event(head)), ran.folder, NAMES)


def body(forge: ForgeServer, number: int = 1) -> str:
    (comment,) = forge.said.comments[number]
    return str(comment["body"])


def test_one_comment_follows_the_pull_request(
    forge: ForgeServer, talk: Conversation, preview: Preview, tmp_path: Path
) -> None:
    """Opened, amended, refused, broken: one comment, a status, a check with the errors at their lines, all of the newest head."""
    head = forge.hosted.tip("topic")
    result = told(talk, tmp_path, previewed(preview, forge, tmp_path), head)
    assert (result.verdict, result.comments, result.check) == ("changes", ((1, "created"),), "check-run")
    assert "reviews v2 0% → 5%" in body(forge)
    assert forge.said.state(head, "reconcile/preview") == ("success", "reviews v2 0% -> 5% on 1 of 7 proxies")
    again = told(talk, tmp_path, previewed(preview, forge, tmp_path), head)
    assert (again.comments, again.status) == (((1, "unchanged"),), "unchanged")

    head = forge.hosted.push("topic", split(80), "80%")
    told(talk, tmp_path, previewed(preview, forge, tmp_path), head)
    assert "**Refused by a guard**" in body(forge)
    assert forge.said.state(head, "reconcile/preview") == ("failure", "refused by guard-weight-increase")

    head = forge.hosted.push("topic", split(5, subset="v9"), "Not there")
    result = told(talk, tmp_path, previewed(preview, forge, tmp_path), head)
    assert result.annotations == 1
    (note,) = forge.said.checks[-1]["annotations"]
    line = split(5, subset="v9")[TRAFFIC].decode().splitlines().index("        subset: v9") + 1
    assert (note["path"], note["start_line"], note["annotation_level"]) == (TRAFFIC, line, "failure")
    assert f"blob/{head}/{TRAFFIC}#L{line}" in body(forge)


def test_a_preview_that_failed_replaces_the_old_one(
    forge: ForgeServer, talk: Conversation, preview: Preview, tmp_path: Path
) -> None:
    """No artifact, one that is no preview, or one of another commit: nobody is left with yesterday's plan."""
    head = forge.hosted.tip("topic")
    ran = previewed(preview, forge, tmp_path)
    told(talk, tmp_path, ran, head)
    (ran.folder / "preview.json").unlink()
    result = told(talk, tmp_path, ran, head)
    assert (result.verdict, result.comments) == ("failed", ((1, "updated"),))
    assert body(forge).splitlines()[1].startswith("**The preview could not be computed**")
    assert forge.said.state(head, "reconcile/preview")[0] == "error"


def test_an_artifact_is_believed_to_be_text_and_no_more(
    forge: ForgeServer, talk: Conversation, preview: Preview, tmp_path: Path
) -> None:
    """Its comment is not posted, its number and addresses are not asked for, and what it names is not linked elsewhere."""
    fork = forge.hosted.open_from_fork("mallory", split(5), title="Harmless")
    ran = previewed(preview, forge, tmp_path, fork.number)
    assert ran.document["headline"] == "reviews v2 0% -> 5%"
    (ran.folder / "comment.md").write_text("@everyone [click](https://evil.example)")
    document = ran.document | {"number": 1, "headline": "</details><!-- envoy-reconciler:preview --> @ada"}
    (ran.folder / "preview.json").write_text(json.dumps(document))
    result = told(talk, tmp_path, ran, fork.head_sha)
    assert result.comments == ((fork.number, "created"),)
    assert 1 not in forge.said.comments
    said = body(forge, fork.number)
    assert "evil" not in said
    assert said.count("<!--") == 1
    assert "@&#8203;ada" in said


def test_files_that_are_no_preview_are_not_read(
    forge: ForgeServer, preview: Preview, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A link to the job's own secrets above all; a folder, garbage, too much, or the preview of another commit."""
    ran = previewed(preview, forge, tmp_path)
    meant = Subject(kind="github", trigger="pull_request", head=forge.hosted.tip("topic"))
    path = ran.folder / "preview.json"
    text = path.read_text()
    assert received(ran.folder, meant).headline
    with pytest.raises(DocumentError, match="is of"):
        received(ran.folder, Subject(kind="github", trigger="pull_request", head="e" * 40))
    for garbage in ("no JSON", "[" * 100_000):
        path.write_text(garbage)
        with pytest.raises(DocumentError, match="no JSON"):
            received(ran.folder, meant)
    path.unlink()
    secret = tmp_path / "secret.json"
    secret.write_text(text)
    path.symlink_to(secret)
    with pytest.raises(DocumentError, match="no preview"):
        received(ran.folder, meant)
    path.unlink()
    path.mkdir()
    with pytest.raises(DocumentError, match="no plain file"):
        received(ran.folder, meant)
    path.rmdir()
    path.write_text(text)
    monkeypatch.setattr("reconciler.cli.ci.received._LARGEST", 10)
    with pytest.raises(DocumentError, match="larger than"):
        received(ran.folder, meant)


def test_others_on_the_same_routes_are_named(
    forge: ForgeServer, talk: Conversation, preview: Preview, tmp_path: Path
) -> None:
    """Whichever is merged second meets the other; a step that the reconciler proposes is called that."""
    for branch, files in (
        ("reconciler/rollout/reviews", split(25)),
        ("elsewhere", {"policies/mesh.yaml": EXAMPLE["policies/mesh.yaml"] + b"# more\n"}),
    ):
        forge.hosted.git("update-ref", f"refs/heads/{branch}", forge.hosted.tip("main"))
        forge.hosted.push(branch, files, branch)
        forge.hosted.open(head=branch, base="main", title=f"{branch} @ada", body="")
    told(talk, tmp_path, previewed(preview, forge, tmp_path), forge.hosted.tip("topic"))
    said = body(forge)
    assert "change the same routes" in said
    assert "(2)](https://" in said
    assert "a step of a rollout that the reconciler proposes" in said
    assert "elsewhere" not in said


def test_a_head_that_has_moved_on_keeps_its_newer_comment(
    forge: ForgeServer, talk: Conversation, preview: Preview, tmp_path: Path
) -> None:
    """A slow job of an older head says nothing on the pull request any more."""
    old = previewed(preview, forge, tmp_path)
    head = forge.hosted.tip("topic")
    forge.hosted.push("topic", split(7), "7%")
    assert told(talk, tmp_path, old, head).comments == ()
    assert 1 not in forge.said.comments


def test_no_change_makes_no_comment_and_mends_an_old_one(
    forge: ForgeServer, talk: Conversation, preview: Preview, tmp_path: Path
) -> None:
    """Silence where there was nothing to say; but an old plan does not stay."""
    head = forge.hosted.push("topic", {TRAFFIC: EXAMPLE[TRAFFIC], "README": b"Hello\n"}, "Nothing")
    assert told(talk, tmp_path, previewed(preview, forge, tmp_path), head).comments == ((1, "absent"),)
    head = forge.hosted.push("topic", split(5), "5%")
    told(talk, tmp_path, previewed(preview, forge, tmp_path), head)
    head = forge.hosted.push("topic", {TRAFFIC: EXAMPLE[TRAFFIC]}, "Nothing again")
    assert told(talk, tmp_path, previewed(preview, forge, tmp_path), head).comments == ((1, "updated"),)
    assert "**No changes**" in body(forge)


def test_the_command_tells_a_forge_with_the_token_of_the_environment(
    forge: ForgeServer,
    preview: Preview,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`reconcile ci comment` as the second job runs it; the token is in no output, and in no file afterwards."""
    ran = previewed(preview, forge, tmp_path)
    environ = github(tmp_path, "workflow_run", run_event(forge.hosted.tip("topic")))
    for name, value in {**environ, "GITHUB_API_URL": forge.api, "GITHUB_TOKEN": TOKEN}.items():
        monkeypatch.setenv(name, value)
    assert run(["ci", "comment", "--from", str(ran.folder), "--output", "json"]) == 0
    captured = capsys.readouterr()
    document = json.loads(captured.out)
    assert document["comments"] == [{"number": 1, "written": "created"}]
    assert TOKEN not in captured.out + captured.err
    monkeypatch.delenv("GITHUB_TOKEN")
    assert run(["ci", "comment", "--from", str(ran.folder)]) == 1
    assert "GITHUB_TOKEN" in capsys.readouterr().err


def test_what_can_not_be_said_keeps_nothing_else_from_being_said(
    forge: ForgeServer, talk: Conversation, preview: Preview, tmp_path: Path
) -> None:
    """A forge that takes no comment has the status and the check; the job fails with its words. The next run says the rest."""
    head = forge.hosted.tip("topic")
    ran = previewed(preview, forge, tmp_path)
    forge.fail(422, {"message": "Comments are locked"}, method="POST", path="/comments")
    with pytest.raises(ReconcilerError, match="Comments are locked"):
        told(talk, tmp_path, ran, head)
    assert forge.said.state(head, "reconcile/preview")[0] == "success"
    assert len(forge.said.checks) == 1


def test_gitlab_is_told_in_the_same_pipeline(preview: Preview, tmp_path: Path) -> None:
    """A note and a commit status; of check runs GitLab has none, which is said."""
    with GitLabServer(tmp_path / "lab", EXAMPLE) as lab:
        lab.hosted.git("update-ref", "refs/heads/topic", lab.hosted.tip("main"))
        head = lab.hosted.push("topic", split(5), "5% to v2")
        lab.hosted.open(head="topic", base="main", title="5% to v2", body="")
        clone = tmp_path / "clone"
        git(tmp_path, "init", "-q", str(clone))
        git(clone, "remote", "add", "origin", lab.url)
        environ = {
            "GITLAB_CI": "true", "CI_MERGE_REQUEST_IID": "1", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main",
            "CI_COMMIT_SHA": head, "CI_SERVER_URL": "https://gitlab.example", "CI_JOB_URL": "https://gitlab.example/j/5",
            "CI_PROJECT_PATH": lab.project,
        }  # fmt: skip
        ran = preview(clone, environ=environ)
        assert ran.code == 0
        settings = ForgeSettings(kind="gitlab", repository=lab.project, api=lab.api, token_file=str(lab.token_file))
        talk = conversation(settings, clock=Hand())
        try:
            result = post(talk, occasion(environ, None), ran.folder, NAMES)
        finally:
            talk.close()
        assert (result.comments, result.check) == (((1, "created"),), "none")
        assert "reviews v2 0% → 5%" in lab.notes[1][0]["body"]
        assert lab.statuses[head][-1]["status" if "status" in lab.statuses[head][-1] else "state"] == "success"


def test_a_follow_up_job_without_a_run_is_refused(tmp_path: Path) -> None:
    """Nothing is guessed from files."""
    for event in ({}, {"workflow_run": None}, {"workflow_run": {"head_sha": "../.."}}):
        with pytest.raises(NoSubjectError):
            occasion(github(tmp_path, "workflow_run", event), event)
