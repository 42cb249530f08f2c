"""A pull request's merge is what `git merge` makes of it, without a work tree, also in clones that lack history."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.gitrepo import (
    CorruptRepositoryError,
    HistoryMissingError,
    NotARepositoryError,
    RefNotFoundError,
    Repository,
    UnrelatedHistoriesError,
)
from reconciler.gitrepo.completing import connected
from tests.gitrepo.conftest import Git, Open

TEN = "".join(f"line {number}\n" for number in range(10))


def save(git: Git, folder: Path, text: str, path: str = "policies/a.yaml") -> str:
    file = folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", f"Change {path}")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture
def parted(checkout: Path, git: Git) -> tuple[str, str]:
    """`main` and `topic`, which have both changed the same file in other places."""
    save(git, checkout, TEN)
    git(checkout, "checkout", "-q", "-b", "topic")
    head = save(git, checkout, TEN.replace("line 8", "topic"))
    git(checkout, "checkout", "-q", "main")
    base = save(git, checkout, TEN.replace("line 1", "main"))
    return base, head


def text(repository: Repository, base: str, head: str, path: str = "policies/a.yaml") -> str:
    tree = repository.merged(base, head).tree
    (file,) = [file for file in tree.files("policies") if file.path == path]
    return tree.read(file).decode()


def test_a_merge_has_both_changes_and_leaves_no_trace(
    checkout: Path, parted: tuple[str, str], git: Git, opened: Open
) -> None:
    """The files are those of `git merge`; the repository has the same objects and refs as before."""
    before = git(checkout, "count-objects", "-v") + git(checkout, "show-ref")
    merged = opened(checkout).merged(*parted)
    assert (merged.conflicts, merged.changed, merged.tree.commit) == ((), ("policies/a.yaml",), "")
    assert text(opened(checkout), *parted) == TEN.replace("line 1", "main").replace("line 8", "topic")
    assert git(checkout, "count-objects", "-v") + git(checkout, "show-ref") == before
    git(checkout, "merge", "-q", "--no-edit", "topic")
    assert (checkout / "policies" / "a.yaml").read_text() == text(opened(checkout), *parted)


def test_conflicts_are_named_by_file(checkout: Path, parted: tuple[str, str], git: Git, opened: Open) -> None:
    """What both sides changed in one place is named; the rest of the merge can still be read."""
    git(checkout, "checkout", "-q", "topic")
    save(git, checkout, "one\n", "odd é.txt")
    head = save(git, checkout, TEN.replace("line 1", "theirs"))
    merged = opened(checkout).merged(parted[0], head)
    assert merged.conflicts == ("policies/a.yaml",)
    assert "odd é.txt" in {file.path for file in merged.tree.files("")}


def test_a_head_that_contains_the_base_is_its_own_merge(checkout: Path, git: Git, opened: Open) -> None:
    """Nothing to merge: the files are the head's."""
    base = git(checkout, "rev-parse", "HEAD")
    head = save(git, checkout, TEN)
    merged = opened(checkout).merged(base, head).tree
    assert list(merged.files("")) == list(opened(checkout).tree(head).files(""))
    assert opened(checkout).merged(head, base).changed == ()


def test_histories_without_a_common_commit_are_refused(checkout: Path, git: Git, opened: Open) -> None:
    """Comparing them without a common ancestor would show what others did as undone."""
    base = git(checkout, "rev-parse", "HEAD")
    git(checkout, "checkout", "-q", "--orphan", "island")
    head = save(git, checkout, TEN)
    with pytest.raises(UnrelatedHistoriesError, match="no commit in common"):
        opened(checkout).merged(base, head)
    with pytest.raises((CorruptRepositoryError, UnrelatedHistoriesError)):
        opened(checkout).merged(base, "0" * 39 + "1")


@pytest.fixture
def origin(checkout: Path, parted: tuple[str, str], git: Git) -> Path:
    """A repository with sixty commits on main since topic left it, and refs as a forge keeps them."""
    tree, tip = git(checkout, "rev-parse", "main^{tree}"), git(checkout, "rev-parse", "main")
    for number in range(60):
        tip = git(checkout, "commit-tree", tree, "-p", tip, "-m", f"{number}")
    git(checkout, "reset", "-q", "--hard", tip)
    git(checkout, "checkout", "-q", "--detach", "main")
    git(checkout, "merge", "-q", "--no-edit", "topic")
    git(checkout, "update-ref", "refs/pull/7/merge", "HEAD")
    git(checkout, "update-ref", "refs/pull/7/head", "topic")
    git(checkout, "checkout", "-q", "main")
    git(checkout, "branch", "-q", "-D", "topic")
    assert parted
    return checkout


def shallow(git: Git, origin: Path, ref: str = "refs/pull/7/merge") -> Path:
    """A clone as continuous integration makes it: one commit, detached."""
    clone = origin.parent / "shallow"
    git(origin.parent, "init", "-q", str(clone))
    git(clone, "remote", "add", "origin", f"file://{origin}")
    git(clone, "fetch", "-q", "--no-tags", "--depth=1", "origin", ref)
    git(clone, "checkout", "-q", "--detach", "FETCH_HEAD")
    return clone


def test_a_shallow_clone_of_the_merge_ref_gets_what_it_lacks(origin: Path, git: Git, opened: Open) -> None:
    """From a clone of depth 1, where the branches parted sixty commits ago, to the same merge as in a whole clone."""
    clone = shallow(git, origin)
    repository = opened(clone)
    head = git(origin, "rev-parse", "refs/pull/7/head")
    refs = git(clone, "for-each-ref")
    remote = repository.remote("origin")
    base = remote.tip("refs/heads/main")
    remote.bring(base)
    remote.bring(head, ref="refs/pull/7/head")
    assert not connected(repository.git_dir, base, head)
    remote.connect(base, head)
    assert text(repository, base, head) == text(opened(origin), base, head)
    assert git(clone, "for-each-ref") == refs
    assert git(clone, "status", "--porcelain") == ""


def test_a_shallow_clone_whose_remote_is_gone_says_what_to_fetch(origin: Path, git: Git, opened: Open) -> None:
    """Nothing is compared instead: the error has the exact command."""
    clone = shallow(git, origin)
    repository = opened(clone)
    remote = repository.remote("origin")
    base, head = remote.tip("refs/heads/main"), git(origin, "rev-parse", "refs/pull/7/head")
    remote.bring(base)
    remote.bring(head)
    git(clone, "remote", "remove", "origin")
    with pytest.raises(HistoryMissingError) as caught:
        remote.connect(base, head)
    assert "git fetch --unshallow origin" in caught.value.diagnostics[0].hint
    with pytest.raises(UnrelatedHistoriesError):
        repository.merged(base, head)


def test_what_a_remote_does_not_have_is_said(origin: Path, git: Git, opened: Open) -> None:
    """A branch, a commit or a whole remote that is not there."""
    remote = opened(shallow(git, origin)).remote("origin")
    with pytest.raises(RefNotFoundError, match="refs/heads/nowhere"):
        remote.tip("refs/heads/nowhere")
    with pytest.raises(HistoryMissingError, match="does not give it"):
        remote.bring("0" * 39 + "1", ref="refs/pull/8/head")
    with pytest.raises(NotARepositoryError):
        opened(origin).remote(f"file://{origin}/nowhere").tip("refs/heads/main")


def test_a_fetch_never_makes_a_whole_clone_shallow(origin: Path, git: Git, opened: Open) -> None:
    """A person's own clone keeps all of its history."""
    clone = origin.parent / "whole"
    git(origin.parent, "clone", "-q", f"file://{origin}", str(clone))
    remote = opened(clone).remote("origin")
    head = git(origin, "rev-parse", "refs/pull/7/head")
    remote.bring(head, ref="refs/pull/7/head")
    assert git(clone, "rev-parse", "--is-shallow-repository") == "false"
    assert git(clone, "rev-list", "--count", head) == git(origin, "rev-list", "--count", head)


def test_a_common_ancestor_found_by_luck_is_not_enough(checkout: Path, git: Git, opened: Open) -> None:
    """Merged back and forth, the nearest ancestor may lie behind the cut although a farther one is here."""
    root = git(checkout, "rev-parse", "HEAD")
    git(checkout, "checkout", "-q", "-b", "topic")
    save(git, checkout, "topic\n", "policies/b.yaml")
    git(checkout, "checkout", "-q", "main")
    near = save(git, checkout, TEN)
    git(checkout, "checkout", "-q", "topic")
    git(checkout, "merge", "-q", "--no-edit", "main")
    head = git(checkout, "rev-parse", "HEAD")
    git(checkout, "checkout", "-q", "main")
    for number in range(5):
        git(checkout, "commit", "-q", "--allow-empty", "-m", f"{number}")
    base = git(checkout, "rev-parse", "HEAD")
    clone = shallow(git, checkout, "main")
    remote = opened(clone).remote("origin")
    remote.bring(head)
    remote.connect(base, head)
    assert opened(clone).merged(base, head).ancestor == near != root
