"""Branches of proposals: one commit on top of any commit, moved by force with a lease, and nothing else is moved like that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.gitrepo import BranchNameError, DirtyWorkTreeError, PushRefusedError, RaceLostError, Repository
from reconciler.settings import GitSettings, Signing
from tests.gitrepo.conftest import AT, Git, Open
from tests.gitrepo.signing import ssh_key
from tests.gitrepo.test_writing import hook

BRANCH = "reconciler/rollout/default/reviews"


@pytest.fixture(params=["path", "url"])
def repository(request: pytest.FixtureRequest, bare: Path, opened: Open) -> Repository:
    """The bare repository as an authority on this machine, and as a remote."""
    return opened(str(bare) if request.param == "path" else f"file://{bare}")


def propose(repository: Repository, expect: str | None, parent: str, text: bytes) -> str:
    return repository.propose(
        BRANCH, expect=expect, parent=parent, files={"policies/a.yaml": text}, message="Step\n\nWhy.\n", at=AT
    )


def test_a_proposal_is_one_commit_on_top_of_what_it_is_for(bare: Path, git: Git, repository: Repository) -> None:
    """The branch has exactly one commit that its base has not, again after it was made anew for another base."""
    first = repository.resolve("main")
    one = propose(repository, None, first, b"a: 2\n")
    assert git(bare, "rev-list", f"{first}..{BRANCH}") == one == repository.branch(BRANCH)

    second = git(bare, "commit-tree", "-p", "main", "-m", "Second", "main^{tree}")
    git(bare, "update-ref", "refs/heads/main", second)
    repository.fetch()
    two = propose(repository, one, second, b"a: 3\n")

    assert git(bare, "rev-list", f"main..{BRANCH}") == two == repository.branch(BRANCH)
    assert git(bare, "show", f"{BRANCH}:policies/a.yaml") == "a: 3"
    assert git(bare, "rev-parse", "main") == second


def test_a_proposal_can_be_left_unsigned(
    settings: GitSettings, bare: Path, git: Git, opened: Open, tmp_path: Path
) -> None:
    """What nobody has looked at must not have the signature that makes a head count; what we decide ourselves has it."""
    key = ssh_key(tmp_path / "key")
    for location in (str(bare), f"file://{bare}"):
        repository = opened(location, replace(settings, signing=Signing(key=str(key.path))))
        main, tip = repository.resolve("main"), None
        for signed in (True, False):
            tip = repository.propose(BRANCH, expect=tip, parent=main, files={}, message="x\n", at=AT, signed=signed)
            assert ("gpgsig" in git(bare, "cat-file", "-p", tip)) is signed
        repository.drop(BRANCH, expect=str(tip))


def test_somebody_elses_commit_is_not_lost(bare: Path, git: Git, repository: Repository) -> None:
    """The lease is on what was read: what somebody wrote to the branch since then stays, and it says so."""
    main = repository.resolve("main")
    one = propose(repository, None, main, b"a: 2\n")
    theirs = git(bare, "commit-tree", "-p", one, "-m", "Mine", f"{one}^{{tree}}")
    git(bare, "update-ref", f"refs/heads/{BRANCH}", theirs)

    with pytest.raises(RaceLostError):
        propose(repository, one, main, b"a: 3\n")
    with pytest.raises(RaceLostError):
        repository.drop(BRANCH, expect=one)
    with pytest.raises(RaceLostError):
        propose(repository, None, main, b"a: 3\n")

    assert git(bare, "rev-parse", BRANCH) == theirs


def test_a_proposal_is_dropped(bare: Path, git: Git, repository: Repository) -> None:
    """Dropping removes the branch there and here, and it can be made again."""
    main = repository.resolve("main")
    one = propose(repository, None, main, b"a: 2\n")
    repository.drop(BRANCH, expect=one)
    assert repository.branch(BRANCH) is None
    assert git(bare, "branch", "--list", BRANCH) == ""
    assert propose(repository, None, main, b"a: 2\n")


@pytest.mark.parametrize("name", ["main", "reconciler/record", "reconciler/rollout"])
def test_nothing_else_is_moved_by_force(repository: Repository, name: str) -> None:
    """Only branches whose names say that they are proposals."""
    main = repository.resolve("main")
    with pytest.raises(ValueError, match="no branch for proposals"):
        repository.propose(name, expect=main, parent=main, files={}, message="x\n", at=AT)
    with pytest.raises(ValueError, match="no branch for proposals"):
        repository.drop(name, expect=main)


def test_a_name_that_git_does_not_take_is_refused(repository: Repository) -> None:
    """The name of a rollout becomes part of a branch's."""
    main = repository.resolve("main")
    with pytest.raises(BranchNameError):
        repository.propose(f"{BRANCH}.lock", expect=None, parent=main, files={}, message="x\n", at=AT)


def test_a_branch_that_somebody_looks_at_stays(checkout: Path, git: Git, opened: Open) -> None:
    """A checkout is never surprised: a proposal that is checked out is left alone, with its work tree clean or not."""
    repository = opened(str(checkout))
    main = repository.resolve("main")
    one = propose(repository, None, main, b"a: 2\n")
    git(checkout, "checkout", "-q", BRANCH)
    with pytest.raises(DirtyWorkTreeError, match="is checked out"):
        propose(repository, one, main, b"a: 3\n")
    with pytest.raises(DirtyWorkTreeError, match="is checked out"):
        repository.drop(BRANCH, expect=one)
    assert git(checkout, "status", "--porcelain") == ""


def test_a_rule_that_forbids_it_is_told_apart_from_a_race(bare: Path, opened: Open) -> None:
    """A protected pattern of names is for people to change."""
    hook(bare, "update", "echo GH013: Repository rule violations >&2; exit 1")
    repository = opened(f"file://{bare}")
    with pytest.raises(PushRefusedError, match="GH013"):
        propose(repository, None, repository.resolve("main"), b"a: 2\n")
    assert repository.branch(BRANCH) is None


def test_a_tree_is_known_before_it_is_written(repository: Repository) -> None:
    """The id of what would be proposed is the id of what then is."""
    main = repository.resolve("main")
    foretold = repository.tree_with(main, {"policies/a.yaml": b"a: 2\n"})
    assert foretold != repository.tree_id(main)
    assert repository.tree_id(propose(repository, None, main, b"a: 2\n")) == foretold


def test_a_commit_is_ours_by_author_and_committer(bare: Path, git: Git, repository: Repository) -> None:
    """Amended, or made by a browser's button, it has another committer and is somebody else's."""
    ours = propose(repository, None, repository.resolve("main"), b"a: 2\n")
    assert repository.is_ours(repository.commit_info(ours))
    name, email = "envoy-reconciler", "envoy-reconciler@localhost"
    amended = git(
        bare, "-c", "user.name=Ada", "-c", "user.email=ada@example.com", "commit-tree", "-m", "x", f"{ours}^{{tree}}"
    )
    git(bare, "update-ref", "refs/heads/theirs", amended)
    repository.fetch()
    info = repository.commit_info(amended)
    assert (info.author, info.committer) == ("Ada <ada@example.com>", "Ada <ada@example.com>")
    assert not repository.is_ours(info)
    assert repository.commit_info(ours).committer == f"{name} <{email}>"
