from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from reconciler.gitrepo import Repository
from tests.cli.rollout.walk import SERVICE, Walk, first_steps, rollout

ANN = {"GIT_AUTHOR_NAME": "Ann Ölmann", "GIT_AUTHOR_EMAIL": "ann@example.com"}


@pytest.fixture
def walk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Walk:
    """A run at its analysis, and Ann at the terminal."""
    for name, value in ANN.items():
        monkeypatch.setenv(name, value)
    walk = Walk(tmp_path / "mesh.git")
    first_steps(walk)
    return walk


def git(walk: Walk, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(walk.path), *arguments], check=True, capture_output=True, text=True)
    return done.stdout


def head(walk: Walk) -> str:
    return git(walk, "rev-parse", "main").strip()


def policy(walk: Walk) -> str:
    return git(walk, "show", "main:policies/rollout.yaml")


def asked(walk: Walk, *arguments: str) -> int:
    return run(["rollout", *arguments, "--repo", str(walk.path)])


def document(walk: Walk, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    code = asked(walk, *arguments, "--output", "json")
    return code, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("verb", "line"),
    [
        (["promote"], "  step: 4"),
        (["promote", "--full"], "  step: 6"),
        (["pause"], "  paused: true"),
        (["abort"], "  abort: true"),
    ],
)
def test_a_command_is_one_commit_by_who_asks(
    walk: Walk, capsys: pytest.CaptureFixture[str], verb: list[str], line: str
) -> None:
    """One line in the rollout's file, nothing else, on top of what was there, by the name that Git knows."""
    before, was = head(walk), policy(walk)
    assert asked(walk, *verb, "details") == 0
    assert capsys.readouterr().out == f"details: {verb[0]} is {head(walk)[:10]} on main; the next pass acts on it\n"
    assert git(walk, "rev-parse", "main^").strip() == before
    assert git(walk, "diff", "--name-only", "main^", "main") == "policies/rollout.yaml\n"
    added = [text for text in policy(walk).splitlines() if text not in was.splitlines()]
    assert added == [line]
    assert (
        git(walk, "log", "-1", "--format=%an <%ae>%n%cn <%ce>", "main").splitlines()
        == ["Ann Ölmann <ann@example.com>"] * 2
    )
    assert git(walk, "log", "-1", "--format=%s", "main").startswith(f"canary(details): {verb[0]}")


def test_pausing_and_resuming_leave_the_file_as_it_was(walk: Walk) -> None:
    """What one wrote the other takes away, to the byte."""
    was = policy(walk)
    assert asked(walk, "pause", "details") == 0
    assert asked(walk, "resume", "details") == 0
    assert policy(walk) == was


def test_a_run_can_be_tried_again(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """After its end, under a name that is counted or chosen."""
    walk.step("phase: Aborted, step: 3, reason: errors", 0, spec="abort: true")
    assert asked(walk, "retry", "details", "--run", "monday") == 0
    assert "  run: monday\n" in policy(walk)
    assert "abort" not in policy(walk)
    capsys.readouterr()
    assert asked(walk, "show", "details") == 0
    assert "the run v1->v2#monday begins" in capsys.readouterr().out


@pytest.mark.parametrize("verb", [["promote"], ["promote", "--full"], ["pause"], ["resume"], ["abort"]])
def test_what_makes_no_sense_now_writes_nothing(
    walk: Walk, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    """Once a run has ended there is nothing to ask of it but another."""
    walk.step("phase: Succeeded, step: 6", 100)
    before = head(walk)
    assert asked(walk, *verb, "details") == 1
    assert capsys.readouterr().err.startswith("error[rollout-command]: ")
    assert head(walk) == before


@pytest.mark.parametrize("verb", [["resume"], ["retry"]])
def test_what_does_not_fit_a_run_that_walks_writes_nothing(
    walk: Walk, capsys: pytest.CaptureFixture[str], verb: list[str]
) -> None:
    """Resuming what is not paused, and trying again what has not ended."""
    before = head(walk)
    code, said = document(walk, capsys, *verb, "details")
    assert (code, head(walk)) == (1, before)
    assert [item["code"] for item in said["errors"]] == ["rollout-command"]


def test_an_unknown_rollout_is_not_written(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """A slip of the pen aborts nobody."""
    assert asked(walk, "abort", "detials") == 1
    assert "did you mean details?" in capsys.readouterr().err


def test_a_dry_run_shows_the_change_and_writes_nothing(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """As `git apply` takes it."""
    before = head(walk)
    assert asked(walk, "pause", "details", "--dry-run") == 0
    diff = capsys.readouterr().out
    assert head(walk) == before
    assert "+  paused: true\n" in diff
    code, said = document(walk, capsys, "pause", "details", "--dry-run")
    assert (code, said["commit"], said["diff"], said["errors"]) == (0, None, diff, [])
    assert said["command"] == "pause"
    copy = walk.path.parent / "copy"
    git(walk, "clone", "-q", str(walk.path), str(copy))
    subprocess.run(["git", "-C", str(copy), "apply"], input=diff, text=True, check=True)
    assert "paused: true" in (copy / "policies" / "rollout.yaml").read_text()


class Faster:
    """Somebody who commits just before the command does, once; everything is as it is otherwise.

    Args:
        patch: Undoes it.
        act: What they do; returns their commit.
    """

    def __init__(self, patch: pytest.MonkeyPatch, act: Callable[[], str]) -> None:
        self.commit = ""
        true = Repository.commit

        def slower(repository: Repository, branch: str, **fields: Any) -> str:
            patch.setattr(Repository, "commit", true)
            self.commit = act()
            return true(repository, branch, **fields)

        patch.setattr(Repository, "commit", slower)


def test_a_lost_race_is_decided_again_from_what_people_wrote(walk: Walk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The command lands on top of what was faster, which stays."""
    faster = Faster(monkeypatch, lambda: walk.main({"other.yaml": "# by Bob\n"}, "Faster", by="Bob"))
    assert asked(walk, "abort", "details") == 0
    assert git(walk, "rev-parse", "main^").strip() == faster.commit
    assert git(walk, "show", "main:policies/other.yaml") == "# by Bob\n"
    assert "abort: true" in policy(walk)


def test_a_race_that_ended_the_run_ends_the_command(
    walk: Walk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What made sense a second ago is asked again of what is there now."""
    faster = Faster(monkeypatch, lambda: walk.step("phase: Succeeded, step: 6", 100))
    assert asked(walk, "pause", "details") == 1
    assert "has ended" in capsys.readouterr().err
    assert head(walk) == faster.commit


def test_a_protected_branch_says_what_to_do(walk: Walk, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The change is shown, with the refusal in its own words and the way by a pull request."""
    hook = walk.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'protected branch hook declined' >&2\nexit 1\n")
    hook.chmod(0o755)
    before = head(walk)
    arguments = ["rollout", "promote", "details", "--repo", walk.path.as_uri(), "--cache", str(tmp_path / "cache")]
    assert run(arguments) == 1
    captured = capsys.readouterr()
    assert "+  step: 4\n" in captured.out
    assert captured.err.startswith("error[git-push-refused]: ")
    assert "protected branch hook declined" in captured.err
    assert "by a pull request" in captured.err
    assert run([*arguments, "-o", "json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert (said["commit"], said["errors"][0]["code"]) == (None, "git-push-refused")
    assert "+  step: 4\n" in said["diff"]
    assert head(walk) == before


def test_without_a_name_nothing_is_written(
    walk: Walk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A commit is somebody's; --author names somebody too."""
    for name in (*ANN, "EMAIL", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    before = head(walk)
    assert asked(walk, "abort", "details") == 1
    assert "error[git-nobody]" in capsys.readouterr().err
    assert head(walk) == before
    assert asked(walk, "abort", "details", "--author", "Bob <bob@example.com>") == 0
    assert git(walk, "log", "-1", "--format=%an", "main") == "Bob\n"


def test_a_head_that_cannot_be_used_takes_no_command(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """The commit would be as unusable; what is wrong is said instead."""
    walk.main({"other.yaml": "kind: [\n"}, "Break it")
    before = head(walk)
    assert asked(walk, "abort", "details") == 1
    assert "policies/other.yaml:" in capsys.readouterr().err
    assert head(walk) == before


def test_only_a_branch_can_be_committed_to(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """A tag or an id can be read, and nothing more."""
    git(walk, "tag", "v1", "main")
    assert asked(walk, "pause", "details", "--ref", "v1") == 1
    assert "error[usage]: v1 is not a branch" in capsys.readouterr().err
    assert asked(walk, "pause", "details", "--ref", "nowhere") == 1
    assert "error[git-ref-not-found]" in capsys.readouterr().err
    assert asked(walk, "show", "details", "--ref", "v1") == 0


def test_words_in_a_policy_steer_no_terminal(
    walk: Walk, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a terminal the change is shown escaped."""
    text = rollout("phase: Progressing, step: 3").replace("- pause: {}\n", "- pause: {}  # \u202e evil\n")
    walk.main({"rollout.yaml": text, "service.yaml": SERVICE % {"stable": 75, "canary": 25}}, "Comment")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    asked(walk, "pause", "details", "--dry-run")
    captured = capsys.readouterr()
    assert "\u202e" not in captured.out + captured.err
    assert "- pause: {}  # \\u202e evil" in captured.out


def test_what_is_held_says_what_it_waits_for(walk: Walk, capsys: pytest.CaptureFixture[str]) -> None:
    """A promotion is committed and waits for the end of the suspension; an abort waits for nothing."""
    mesh = "apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\nspec: {suspend: {reason: incident 7, by: Pat}}\n"
    walk.main({"mesh.yaml": mesh}, "Suspend")
    assert asked(walk, "promote", "details") == 0
    said = capsys.readouterr().out.splitlines()
    assert said[1:] == ["it waits: changes are suspended by Pat until somebody resumes them: incident 7"]
    code, said_too = document(walk, capsys, "abort", "details")
    assert (code, said_too["note"]) == (0, "")
