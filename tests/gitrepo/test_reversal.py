"""Undoing a commit on top of others is what `git revert` does, without a work tree, and a commit like any other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reconciler.gitrepo import (
    CorruptRepositoryError,
    DirtyWorkTreeError,
    GitTooOldError,
    GitWriteError,
    PushRefusedError,
    RaceLostError,
    Repository,
)
from reconciler.model.tree import FileKind
from tests.gitrepo.conftest import AT, Git, Open
from tests.gitrepo.test_writing import hook

TEN = "".join(f"line {number}\n" for number in range(10))
MESSAGE = 'Revert "Poison"\n\nReverts: it\n'


def save(git: Git, folder: Path, files: Mapping[str, str | None], subject: str = "Change") -> str:
    """Commit these files as a person does; None removes one."""
    for path, text in files.items():
        file = folder / path
        if text is None:
            file.unlink()
        else:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", subject)
    return git(folder, "rev-parse", "HEAD")


def reverted_by_git(git: Git, folder: Path, commit: str, *options: str) -> str:
    """The tree that `git revert` makes of it, in a clone of its own."""
    clone = folder.parent / f"by-git-{commit[:8]}"
    git(folder.parent, "clone", "-q", str(folder), str(clone))
    git(clone, "revert", "--no-edit", *options, commit)
    return git(clone, "rev-parse", "HEAD^{tree}")


def shown(repository: Repository, commit: str) -> dict[str, bytes]:
    """What a tree says that it holds."""
    tree = repository.reversal(commit, onto=repository.resolve("main")).tree
    return {file.path: tree.read(file) for file in tree.files("") if file.kind is FileKind.FILE}


@pytest.fixture
def line(checkout: Path, git: Git) -> tuple[str, str]:
    """Poison in the middle of a file that a later commit changes too; the poison, and the tip."""
    save(git, checkout, {"policies/a.yaml": TEN, "policies/odd é.yaml": "x: 1\n"})
    bad = save(
        git, checkout, {"policies/a.yaml": TEN.replace("line 2", "poison"), "policies/new/b.yaml": "b\n"}, "Poison"
    )
    tip = save(git, checkout, {"policies/a.yaml": TEN.replace("line 2", "poison").replace("line 8", "good")})
    return bad, tip


def test_only_what_the_commit_changed_is_undone(checkout: Path, git: Git, opened: Open, line: tuple[str, str]) -> None:
    """A later commit to the same file stays; what the commit added goes; modes stay; the tree is the one git makes."""
    bad, tip = line
    git(checkout, "checkout", "-q", "--detach")
    repository = opened(checkout)
    before = git(checkout, "count-objects", "-v")

    reversal = repository.reversal(bad, onto=tip)

    assert reversal.paths == ("policies/a.yaml", "policies/new/b.yaml")
    assert reversal.conflicts == ()
    assert shown(repository, bad) == {
        "policies/a.yaml": TEN.replace("line 8", "good").encode(),
        "policies/odd é.yaml": b"x: 1\n",
        "run": b"#!/bin/sh\n",
    }
    assert [file.path for file in reversal.tree.files("policies")] == ["policies/a.yaml", "policies/odd é.yaml"]
    assert reversal.tree.commit == ""
    assert git(checkout, "count-objects", "-v") == before  # nothing is written before it is committed

    new = repository.revert("main", reversal, message=MESSAGE, at=AT)

    assert git(checkout, "rev-parse", "main") == new
    assert git(checkout, "rev-parse", "main~1") == tip
    assert git(checkout, "rev-parse", "main^{tree}") == reversal.tree_id == reverted_by_git(git, checkout, bad)
    assert git(checkout, "ls-tree", "--format=%(objectmode)", "main", "run") == "100755"
    assert repository.commit_info(new).trailers == {"Reverts": ("it",)}
    assert git(checkout, "fsck", "--strict", "--no-dangling") == ""


def test_the_tree_before_the_commit_is_the_committed_one(
    checkout: Path, git: Git, opened: Open, line: tuple[str, str]
) -> None:
    """What is checked before the commit is, file by file with sizes and ids, what is committed."""
    bad, tip = line
    git(checkout, "checkout", "-q", "--detach")
    repository = opened(checkout)
    reversal = repository.reversal(bad, onto=tip)
    promised = [(file, reversal.tree.read(file)) for file in reversal.tree.files("")]
    made = repository.tree(repository.revert("main", reversal, message=MESSAGE, at=AT))
    assert promised == [(file, made.read(file)) for file in made.files("")]


def test_a_later_change_of_the_same_lines_is_a_conflict(checkout: Path, git: Git, opened: Open) -> None:
    """Then the paths are named, nothing is written, and the commit can't be made."""
    save(git, checkout, {"policies/a.yaml": TEN, "policies/b.yaml": TEN})
    bad = save(git, checkout, {"policies/a.yaml": TEN.replace("line 2", "poison"), "policies/b.yaml": "b\n"}, "Poison")
    tip = save(git, checkout, {"policies/a.yaml": TEN.replace("line 2", "something else"), "policies/b.yaml": None})
    repository = opened(checkout)
    reversal = repository.reversal(bad, onto=tip)
    assert reversal.conflicts == ("policies/a.yaml", "policies/b.yaml")
    assert (reversal.paths, reversal.tree_id) == ((), "")
    with pytest.raises(ValueError, match="without conflicts"):
        repository.revert("main", reversal, message=MESSAGE, at=AT)
    assert git(checkout, "rev-parse", "main") == tip
    assert git(checkout, "status", "--porcelain") == ""


def test_a_file_that_was_renamed_since_is_followed(checkout: Path, git: Git, opened: Open) -> None:
    """As git revert does: the change is undone where the file is now."""
    save(git, checkout, {"policies/a.yaml": TEN})
    bad = save(git, checkout, {"policies/a.yaml": TEN.replace("line 2", "poison")}, "Poison")
    git(checkout, "mv", "policies/a.yaml", "policies/renamed.yaml")
    tip = save(git, checkout, {})
    reversal = opened(checkout).reversal(bad, onto=tip)
    assert reversal.paths == ("policies/renamed.yaml",)
    assert reversal.tree_id == reverted_by_git(git, checkout, bad)


def test_links_and_modes_come_back(checkout: Path, git: Git, opened: Open) -> None:
    """What the commit did beside policies is undone too: a mode, a link, a file that became a folder."""
    save(git, checkout, {"thing": "a file\n"})
    (checkout / "link").symlink_to("run")
    save(git, checkout, {})
    (checkout / "link").unlink()
    (checkout / "run").chmod(0o644)
    (checkout / "thing").unlink()
    bad = save(git, checkout, {"thing/inside": "now a folder\n"}, "Poison")
    tip = save(git, checkout, {"policies/later.yaml": "l: 1\n"})
    repository = opened(checkout)
    reversal = repository.reversal(bad, onto=tip)
    assert reversal.tree_id == reverted_by_git(git, checkout, bad)
    kinds = {file.path: file.kind for file in reversal.tree.files("")}
    assert kinds["link"] is FileKind.SYMLINK
    assert "thing/inside" not in kinds
    git(checkout, "checkout", "-q", "--detach")
    new = repository.revert("main", reversal, message=MESSAGE, at=AT)
    listed = git(checkout, "ls-tree", "--format=%(objectmode) %(path)", new).split("\n")
    assert {"120000 link", "100755 run", "100644 thing"} < set(listed)


def test_of_a_merge_what_it_brought_is_undone(checkout: Path, git: Git, opened: Open) -> None:
    """The first parent is what was there before."""
    save(git, checkout, {"policies/a.yaml": TEN})
    git(checkout, "checkout", "-q", "-b", "side")
    save(git, checkout, {"policies/a.yaml": TEN.replace("line 2", "poison")})
    save(git, checkout, {"policies/c.yaml": "c: 1\n"})
    git(checkout, "checkout", "-q", "main")
    save(git, checkout, {"policies/a.yaml": TEN.replace("line 8", "good")})
    git(checkout, "merge", "-q", "--no-ff", "-m", "Poison", "side")
    merge = git(checkout, "rev-parse", "HEAD")
    tip = save(git, checkout, {"policies/d.yaml": "d: 1\n"})
    reversal = opened(checkout).reversal(merge, onto=tip)
    assert reversal.paths == ("policies/a.yaml", "policies/c.yaml")
    assert reversal.tree_id == reverted_by_git(git, checkout, merge, "-m", "1")


def test_what_is_undone_already_changes_nothing(checkout: Path, git: Git, opened: Open) -> None:
    """Somebody has reverted it: that is no conflict, and there is nothing to commit."""
    save(git, checkout, {"policies/a.yaml": TEN})
    bad = save(git, checkout, {"policies/a.yaml": TEN.replace("line 2", "poison")}, "Poison")
    git(checkout, "revert", "--no-edit", bad)
    tip = git(checkout, "rev-parse", "HEAD")
    reversal = opened(checkout).reversal(bad, onto=tip)
    assert (reversal.conflicts, reversal.paths) == ((), ())
    assert reversal.tree_id == git(checkout, "rev-parse", "HEAD^{tree}")


def test_the_first_commit_can_be_undone(checkout: Path, git: Git, opened: Open) -> None:
    """It has no parent, so what it brought is everything in it."""
    first = git(checkout, "rev-parse", "HEAD")
    tip = save(git, checkout, {"policies/later.yaml": "l: 1\n"})
    reversal = opened(checkout).reversal(first, onto=tip)
    assert [file.path for file in reversal.tree.files("")] == ["policies/later.yaml"]


def test_a_clean_work_tree_moves_along(checkout: Path, git: Git, opened: Open, line: tuple[str, str]) -> None:
    """The branch that is checked out, and its files, in one."""
    bad, tip = line
    repository = opened(checkout)
    new = repository.revert("main", repository.reversal(bad, onto=tip), message=MESSAGE, at=AT)
    assert git(checkout, "rev-parse", "HEAD") == new
    assert (checkout / "policies/a.yaml").read_text() == TEN.replace("line 8", "good")
    assert not (checkout / "policies/new").exists()
    assert git(checkout, "status", "--porcelain") == ""


@pytest.mark.parametrize("way", ["changed", "untracked"])
def test_a_work_tree_in_use_is_refused(checkout: Path, git: Git, opened: Open, line: tuple[str, str], way: str) -> None:
    """Neither somebody's changes nor a file that lies where one would come back are touched."""
    bad, tip = line
    if way == "untracked":
        bad = save(git, checkout, {"policies/odd é.yaml": None}, "Poison")
        tip = git(checkout, "rev-parse", "HEAD")
        (checkout / "policies/odd é.yaml").write_text("mine\n")
    else:
        (checkout / "run").write_text("mine\n")
    repository = opened(checkout)
    with pytest.raises(DirtyWorkTreeError):
        repository.revert("main", repository.reversal(bad, onto=tip), message=MESSAGE, at=AT)
    assert git(checkout, "rev-parse", "main") == tip
    assert "mine\n" in {path.read_text() for path in (checkout / "run", checkout / "policies/odd é.yaml")}


def test_a_branch_that_moved_is_a_lost_race(checkout: Path, git: Git, opened: Open, line: tuple[str, str]) -> None:
    """A reversal is for one tip; on top of another it has to be made anew."""
    bad, tip = line
    repository = opened(checkout)
    reversal = repository.reversal(bad, onto=tip)
    moved = save(git, checkout, {"policies/later.yaml": "l: 1\n"})
    with pytest.raises(RaceLostError):
        repository.revert("main", reversal, message=MESSAGE, at=AT)
    assert git(checkout, "rev-parse", "main") == moved
    again = repository.reversal(bad, onto=moved)
    assert git(checkout, "rev-parse", f"{repository.revert('main', again, message=MESSAGE, at=AT)}^") == moved


def test_through_a_url_it_is_pushed(checkout: Path, bare: Path, git: Git, opened: Open, line: tuple[str, str]) -> None:
    """The remote gets it; one that moved is a lost race, and one that forbids it a refusal."""
    bad, tip = line
    git(checkout, "push", "-q", str(bare), "main")
    repository = opened(f"file://{bare}")
    new = repository.revert("main", repository.reversal(bad, onto=tip), message=MESSAGE, at=AT)
    assert git(bare, "rev-parse", "main") == new == repository.branch("main")
    assert git(bare, "show", "main:policies/a.yaml") == TEN.replace("line 8", "good").strip()
    assert git(bare, "fsck", "--strict", "--no-dangling") == ""

    stale = repository.reversal(bad, onto=new)
    git(bare, "update-ref", "refs/heads/main", tip)
    with pytest.raises(RaceLostError):
        repository.revert("main", stale, message=MESSAGE, at=AT)
    repository.fetch()
    hook(bare, "pre-receive", "echo main is protected >&2; exit 1")
    with pytest.raises(PushRefusedError, match="main is protected"):
        repository.revert("main", repository.reversal(bad, onto=tip), message=MESSAGE, at=AT)
    assert git(bare, "rev-parse", "main") == tip


def test_a_git_that_is_too_old_is_named(
    checkout: Path, opened: Open, line: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Git 2.36 and 2.37 do everything else; this needs 2.38, and says so."""
    bad, tip = line
    old = tmp_path / "old" / "git"
    old.parent.mkdir()
    real = shutil.which("git")
    old.write_text(
        "#!/bin/sh\n"
        'case "$*" in\n'
        '  version) echo "git version 2.37.1"; exit 0;;\n'
        '  *merge-tree*) echo "usage: git merge-tree <base-tree> <branch1> <branch2>" >&2; exit 129;;\n'
        f'esac\nexec {real} "$@"\n'
    )
    old.chmod(0o755)
    repository = opened(checkout)
    monkeypatch.setenv("PATH", f"{old.parent}:{os.environ['PATH']}")
    with pytest.raises(GitTooOldError) as caught:
        repository.reversal(bad, onto=tip)
    assert "git version 2.37.1" in caught.value.message
    assert "2.38" in caught.value.diagnostics[0].hint


def test_a_shallow_clone_says_what_it_lacks(
    checkout: Path, tmp_path: Path, git: Git, opened: Open, line: tuple[str, str]
) -> None:
    """Without the commit's parent nobody knows what it changed."""
    _, tip = line
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{checkout}", "shallow")
    with pytest.raises(CorruptRepositoryError):
        opened(tmp_path / "shallow").reversal(tip, onto=tip)


def test_no_room_for_temporary_files_is_an_error(
    checkout: Path, opened: Open, line: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has a name, and nothing has changed."""
    bad, tip = line
    monkeypatch.setattr("tempfile.tempdir", str(checkout / "no such folder"))
    with pytest.raises(GitWriteError, match="temporary"):
        opened(checkout).reversal(bad, onto=tip)


LINES = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=8)
STATES = st.dictionaries(st.sampled_from(["x", "y", "policies/z"]), LINES, max_size=3)


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(before=STATES, after=STATES)
def test_undoing_the_newest_commit_gives_the_state_before(
    checkout: Path, git: Git, opened: Open, before: dict[str, list[str]], after: dict[str, list[str]]
) -> None:
    """Whatever it did, and never with a conflict."""
    for state in (before, after):
        git(checkout, "rm", "-q", "-r", "--ignore-unmatch", "x", "y", "policies")
        save_all = {path: "".join(f"{line}\n" for line in lines) for path, lines in state.items()}
        for path, text in save_all.items():
            (checkout / path).parent.mkdir(exist_ok=True)
            (checkout / path).write_text(text)
        git(checkout, "add", "-A")
        git(checkout, "commit", "-q", "--allow-empty", "-m", "State")
    tip = git(checkout, "rev-parse", "HEAD")
    reversal = opened(checkout).reversal(tip, onto=tip)
    assert reversal.conflicts == ()
    assert reversal.tree_id == git(checkout, "rev-parse", "HEAD~1^{tree}")
