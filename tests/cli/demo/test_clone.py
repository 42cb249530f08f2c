from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli.demo.clone import Clone, GitFailedError, hermetic


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """A clone with one file on `main`."""
    return Clone(remote=tmp_path / "bare.git", path=tmp_path / "clone", files={"policies/a.yaml": b"a: 1\n"})


def test_what_is_committed_is_pushed(clone: Clone) -> None:
    """The remote's branch is at the commit that was made, and holds its files."""
    commit = clone.commit("Say 2", {"policies/a.yaml": b"a: 2\n", "policies/deep/b.yaml": b"b: 1\n"})
    assert clone.tip("main") == commit
    assert clone.git(f"--git-dir={clone.remote}", "show", "main:policies/a.yaml") == "a: 2"
    assert clone.log("main", form="%s %an") == ["Say 2 Ada", "Describe bookinfo: services, sidecars, a gateway Ada"]
    clone.commit("Forget b", {"policies/deep/b.yaml": None})
    assert clone.git(f"--git-dir={clone.remote}", "ls-tree", "-r", "--name-only", "main") == "policies/a.yaml"


def test_a_branch_stays_away_from_main_until_it_is_merged(clone: Clone) -> None:
    """As with a pull request: pushed for review, then merged with a commit of its own."""
    before = clone.tip("main")
    clone.branch("canary")
    commit = clone.commit("Say 3", {"policies/a.yaml": b"a: 3\n"})
    assert (clone.tip("main"), clone.tip("canary")) == (before, commit)
    merge = clone.merge("canary", "Merge canary")
    assert clone.tip("main") == merge
    assert clone.git("rev-parse", f"{merge}^1", f"{merge}^2").split() == [before, commit]


def test_a_mistake_can_be_taken_back(clone: Clone) -> None:
    """A revert is one more commit with the tree of before."""
    clone.commit("Oops", {"policies/a.yaml": b"a: -\n"})
    clone.revert()
    assert clone.read("policies/a.yaml") == b"a: 1\n"
    assert len(clone.log("main")) == 3


def test_what_others_pushed_is_pulled(clone: Clone) -> None:
    """The reconciler commits to `main` too; a person goes on from there."""
    before = clone.tip("main")
    commit = clone.commit("Step", {"policies/a.yaml": b"a: 2\n"})
    clone.git("reset", "--quiet", "--hard", before)
    assert clone.read("policies/a.yaml") == b"a: 1\n"
    assert clone.pull() == commit
    assert clone.read("policies/a.yaml") == b"a: 2\n"


def test_a_part_of_the_log_can_be_asked_for(clone: Clone) -> None:
    """What came after a commit, and what says one of some words."""
    first = clone.tip("main")
    for number, message in enumerate(("Step one", "Abort", "Step two"), start=2):
        clone.commit(message, {"policies/a.yaml": f"a: {number}\n".encode()})
    assert clone.log(f"{first}..main", form="%s") == ["Step two", "Abort", "Step one"]
    assert clone.log("main", form="%s", grep=("one", "Abort")) == ["Abort", "Step one"]


def test_a_branch_that_is_not_there_has_no_tip(clone: Clone) -> None:
    """Asking for the record branch before the first receipt is no error."""
    assert not clone.tip("reconciler/record")


def test_a_failing_command_says_what_git_said(clone: Clone) -> None:
    """The words of git reach the person."""
    with pytest.raises(GitFailedError, match="nowhere"):
        clone.merge("nowhere", "Merge nothing")


def test_no_git_at_all_is_said_as_such(clone: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine without git the demo says what to install."""
    clone._environ["PATH"] = ""
    monkeypatch.setenv("PATH", "")
    with pytest.raises(GitFailedError, match="no git on PATH"):
        clone.git("status")


def test_the_users_own_settings_have_no_say() -> None:
    """A global hook, signing key or a GIT_DIR from a calling git never reach the demo's commands."""
    clean = hermetic({"GIT_DIR": "/x", "GIT_WORK_TREE": "/y", "HOME": "/h"})
    assert "GIT_DIR" not in clean
    assert "GIT_WORK_TREE" not in clean
    assert clean["GIT_CONFIG_GLOBAL"] == "/dev/null"
    assert clean["HOME"] == "/h"
