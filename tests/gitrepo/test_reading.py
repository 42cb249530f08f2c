from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.errors import BugError
from reconciler.gitrepo import (
    BranchNameError,
    CorruptRepositoryError,
    EmptyRepositoryError,
    NotARepositoryError,
    RefNotFoundError,
    UnsupportedRepositoryError,
)
from reconciler.gitrepo.objects import Header, Objects
from reconciler.model.tree import FileKind
from tests.gitrepo.conftest import Git, Open


def test_a_path_is_found_upwards_and_from_any_work_tree(checkout: Path, tmp_path: Path, git: Git, opened: Open) -> None:
    """A folder inside a work tree, a linked work tree and the git directory itself are all the same repository.

    The files that count are those where the user stands: a linked work tree has its own.
    """
    git(checkout, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "other")

    for place in (checkout, checkout / "policies", checkout / ".git", tmp_path / "linked"):
        repository = opened(place)
        assert repository.git_dir == checkout / ".git"
        assert repository.work_tree == (place if place.name == "linked" else checkout)
        assert not repository.is_url


def test_a_folder_that_is_gone_is_said_to_be_none(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The current folder may be deleted under a running shell, and a user may have no home."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for location in (".", "policies", "~no-such-user-here/x"):
        with pytest.raises(NotARepositoryError, match="is not there"):
            opened(location)


def test_a_bare_repository_has_no_work_tree(bare: Path, opened: Open) -> None:
    """A bare repository is read like any other."""
    repository = opened(bare)

    assert repository.git_dir == bare
    assert repository.work_tree is None
    assert repository.read(repository.resolve("main"), "policies/a.yaml") == b"a: 1\n"


def test_variables_of_a_surrounding_hook_do_not_reach_git(
    checkout: Path, bare: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Started from a hook of another repository, the one that was asked for is read."""
    monkeypatch.setenv("GIT_DIR", str(bare))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(bare / "nothing"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(bare / "nothing"))

    repository = opened(checkout)

    assert repository.git_dir == checkout / ".git"
    assert repository.read(repository.resolve("main"), "policies/a.yaml") == b"a: 1\n"


@pytest.mark.parametrize("name", ["nowhere", "file", "folder"])
def test_what_is_no_repository_is_said_so(tmp_path: Path, opened: Open, name: str) -> None:
    """A missing path, a file and a plain folder are three ways to be no repository, each with a hint."""
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()

    with pytest.raises(NotARepositoryError) as caught:
        opened(tmp_path / name)

    assert str(tmp_path / name) in caught.value.message
    assert caught.value.diagnostics[0].hint


def test_sha256_is_refused_at_once(tmp_path: Path, git: Git, opened: Open) -> None:
    """A repository with another object format is refused when it is opened, not misread later."""
    git(tmp_path, "init", "-q", "--object-format=sha256", "new")

    with pytest.raises(UnsupportedRepositoryError, match="sha256"):
        opened(tmp_path / "new")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder away")
def test_a_repository_of_another_user_is_not_trusted(checkout: Path, opened: Open) -> None:
    """What git does not trust (safe.directory) is not opened, and git's own advice is shown."""
    os.chown(checkout, 12345, 12345)
    os.chown(checkout / ".git", 12345, 12345)

    with pytest.raises(UnsupportedRepositoryError, match="dubious ownership"):
        opened(checkout)


def test_an_empty_repository_is_told_from_a_missing_ref(tmp_path: Path, checkout: Path, git: Git, opened: Open) -> None:
    """Without any commit the error says so; with commits it names the branches that there are."""
    git(tmp_path, "init", "-q", "new")
    git(checkout, "branch", "feature")

    with pytest.raises(EmptyRepositoryError, match="no commits"):
        opened(tmp_path / "new").resolve("main")
    with pytest.raises(RefNotFoundError) as caught:
        opened(checkout).resolve("mian")
    assert not isinstance(caught.value, EmptyRepositoryError)
    assert caught.value.diagnostics[0].hint == "branches: feature, main"


def test_a_missing_branch_points_at_the_remote_one(tmp_path: Path, bare: Path, git: Git, opened: Open) -> None:
    """A path's own branches count: a remote-tracking branch of the same name is named, not used."""
    git(bare, "branch", "feature", "main")
    git(tmp_path, "clone", "-q", str(bare), "clone")

    with pytest.raises(RefNotFoundError) as caught:
        opened(tmp_path / "clone").resolve("feature")

    assert "origin/feature" in caught.value.diagnostics[0].hint


@pytest.mark.parametrize("ref", ["", "-x", "--all", "a\nb", "main\x00", "main:policies", "0" * 40, "main..main"])
def test_what_is_no_commit_is_not_found(checkout: Path, opened: Open, ref: str) -> None:
    """No text, however odd, is taken for a commit, an option or two questions."""
    with pytest.raises(RefNotFoundError):
        opened(checkout).resolve(ref)


def test_branches_tags_remote_branches_and_ids_resolve(checkout: Path, bare: Path, git: Git, opened: Open) -> None:
    """Every way to name a commit gives its full id; a branch comes before a tag of its name."""
    first = git(checkout, "rev-parse", "HEAD")
    git(checkout, "remote", "add", "origin", str(bare))
    git(checkout, "fetch", "-q", "origin")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "Second")
    second = git(checkout, "rev-parse", "HEAD")
    git(checkout, "tag", "-a", "v1", first, "-m", "One")
    git(checkout, "tag", "main", first)
    repository = opened(checkout)

    assert repository.resolve("main") == repository.resolve("HEAD") == repository.resolve("refs/heads/main") == second
    assert {
        repository.resolve(ref) for ref in ("v1", "origin/main", first, first[:10], "main~1", "refs/tags/main")
    } == {first}


def test_a_branch_is_seen_as_it_moves(checkout: Path, git: Git, opened: Open) -> None:
    """The open processes answer from the repository as it is now, with loose and with packed refs."""
    repository = opened(checkout)
    seen = [repository.branch("main")]
    for step in ("one", "two"):
        git(checkout, "commit", "-q", "--allow-empty", "-m", step)
        git(checkout, "pack-refs", "--all")
        git(checkout, "gc", "-q", "--prune=now")
        seen.append(repository.branch("main"))
    git(checkout, "checkout", "-q", "--detach")
    git(checkout, "branch", "-D", "main")

    assert len(set(seen)) == 3
    assert seen[-1] == git(checkout, "rev-parse", "HEAD")
    assert repository.branch("main") is None


@pytest.mark.parametrize(
    "name", ["", "a b", "main^", "a..b", "-a", "a.lock", "a/.b", "a@{1}", "HEAD", "a//b", "a/", "é\n"]
)
def test_names_that_no_branch_can_have(checkout: Path, opened: Open, name: str) -> None:
    """A name that Git forbids is an error, not an expression that Git evaluates."""
    with pytest.raises(BranchNameError):
        opened(checkout).branch(name)


def test_files_are_listed_by_folder_sorted_with_kind_and_size(checkout: Path, git: Git, opened: Open) -> None:
    """A listing has everything below its folder, sorted by path, and says what is no file."""
    (checkout / "policies" / "deep" / "er").mkdir(parents=True)
    (checkout / "policies" / "deep" / "er" / "x.yaml").write_text("1234567")
    (checkout / "policies" / "deep.yaml").write_text("")
    (checkout / "policies" / "out").symlink_to("/etc/passwd")
    git(checkout, "add", ".")
    git(checkout, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},policies/sub")
    git(checkout, "commit", "-q", "-m", "More")
    repository = opened(checkout)
    tree = repository.tree(repository.resolve("main"))

    listed = [(file.path, file.kind, file.size) for file in tree.files("policies")]

    assert listed == [
        ("policies/a.yaml", FileKind.FILE, 5),
        ("policies/deep.yaml", FileKind.FILE, 0),
        ("policies/deep/er/x.yaml", FileKind.FILE, 7),
        ("policies/out", FileKind.SYMLINK, 11),
        ("policies/sub", FileKind.SUBMODULE, 0),
    ]
    assert [file.path for file in tree.files("policies/deep/")] == ["policies/deep/er/x.yaml"]
    assert [file.path for file in tree.files("")] == [*(item[0] for item in listed), "run"]
    assert tree.files("nothing") == tree.files("run") == ()
    assert tree.commit == repository.resolve("main")


def test_a_symlink_is_never_followed(checkout: Path, git: Git, opened: Open) -> None:
    """A symlink is its target's text, also in the place of a whole folder; a submodule has no content."""
    (checkout / "link").symlink_to("policies")
    git(checkout, "add", ".")
    git(checkout, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},sub")
    git(checkout, "commit", "-q", "-m", "Link")
    repository = opened(checkout)
    commit = repository.resolve("main")
    tree = repository.tree(commit)

    assert [(file.path, file.kind) for file in tree.files("link")] == [("link", FileKind.SYMLINK)]
    assert tree.read(tree.files("link")[0]) == b"policies"
    assert repository.read(commit, "link") is None
    assert repository.read(commit, "link/a.yaml") is None
    assert repository.read(commit, "policies") is None
    with pytest.raises(BugError):
        tree.read(tree.files("sub")[0])


def test_names_that_are_not_utf8_survive(checkout: Path, git: Git, opened: Open) -> None:
    """A file name is bytes: what is not UTF-8, a backslash or a newline is kept, and can be read."""
    names = [b"caf\xe9.yaml", b"back\\slash.yaml", b"new\nline.yaml", "zoë.yaml".encode()]
    for name in names:
        Path(os.fsdecode(os.fsencode(checkout / "policies") + b"/" + name)).write_bytes(name)
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "Names")
    repository = opened(checkout)
    commit = repository.resolve("main")
    tree = repository.tree(commit)

    found = {
        file.path.encode("utf-8", "surrogateescape").removeprefix(b"policies/"): file for file in tree.files("policies")
    }

    assert set(found) == {*names, b"a.yaml"}
    for name in names:
        assert tree.read(found[name]) == name
        assert repository.read(commit, found[name].path) == name


@pytest.mark.skipif(not hasattr(fcntl, "F_SETPIPE_SZ"), reason="only Linux has pipes of a given size")
def test_many_questions_fit_into_the_smallest_pipe(checkout: Path, git: Git, opened: Open) -> None:
    """A user with many pipes gets pipes of one page; both sides would wait for each other for ever."""
    for number in range(500):
        (checkout / "policies" / f"{number}.yaml").write_text(f"a: {number}\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "Many")
    repository = opened(checkout)
    tree = repository.tree(repository.resolve("main"))
    process = repository._objects._git.cat_file_header
    assert process is not None
    for pipe in (process.proc.stdin, process.proc.stdout):
        fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, 4096)
    assert len(tree.files("policies")) == 501


def test_sizes_that_another_thread_forgets_are_said_all_the_same(
    checkout: Path, git: Git, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Threads share one repository. While one asks git, another may find that too much is remembered, and forget it."""
    (checkout / "policies" / "b.yaml").write_bytes(b"b: 22\n")
    git(checkout, "add", "--all")
    git(checkout, "commit", "-qm", "two")
    blobs = [git(checkout, "rev-parse", f"HEAD:policies/{name}.yaml").strip() for name in "ab"]
    objects = Objects(checkout / ".git")
    objects.sizes(blobs[:1])
    asked = objects._ask

    def ask(names: Iterable[str]) -> list[Header | None]:
        objects._sizes.clear()
        return asked(names)

    monkeypatch.setattr(objects, "_ask", ask)
    try:
        assert objects.sizes(blobs) == {blobs[0]: 5, blobs[1]: 6}
    finally:
        objects.close()


def test_equal_content_has_an_equal_blob_id(checkout: Path, git: Git, opened: Open) -> None:
    """Blob ids are Git's own: caches may key on them across commits and folders."""
    (checkout / "policies" / "b.yaml").write_text("a: 1\n")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "Twin")
    repository = opened(checkout)

    one, two = repository.tree(repository.resolve("main")).files("policies")

    assert one.blob == two.blob == git(checkout, "hash-object", "policies/a.yaml")


def test_a_missing_object_is_an_error_not_an_empty_file(checkout: Path, git: Git, opened: Open) -> None:
    """A repository that has lost objects never reads as one with fewer or empty files."""
    blob = git(checkout, "rev-parse", "main:policies/a.yaml")
    (checkout / ".git" / "objects" / blob[:2] / blob[2:]).unlink()
    repository = opened(checkout)
    commit = repository.resolve("main")

    with pytest.raises(CorruptRepositoryError, match=blob):
        repository.tree(commit).files("policies")
    with pytest.raises(CorruptRepositoryError, match=blob):
        repository.read(commit, "policies/a.yaml")
    with pytest.raises(CorruptRepositoryError):
        repository.tree("1" * 40).files("policies")


def test_a_broken_object_does_not_spoil_the_reads_after_it(checkout: Path, git: Git, opened: Open) -> None:
    """An object that ends git's process is an error once; the next read starts a new process."""
    blob = git(checkout, "rev-parse", "main:policies/a.yaml")
    place = checkout / ".git" / "objects" / blob[:2] / blob[2:]
    place.chmod(0o644)
    place.write_bytes(b"garbage")
    repository = opened(checkout)
    commit = repository.resolve("main")

    with pytest.raises(CorruptRepositoryError):
        repository.read(commit, "policies/a.yaml")

    assert repository.read(commit, "run") == b"#!/bin/sh\n"


def test_processes_that_were_killed_are_started_again(checkout: Path, opened: Open) -> None:
    """Somebody may end the reading processes of a daemon that runs for months."""
    repository = opened(checkout)
    commit = repository.resolve("main")
    assert repository.read(commit, "run")
    for process in (repository._objects._git.cat_file_all, repository._objects._git.cat_file_header):
        assert process is not None
        process.proc.kill()
        process.proc.wait()

    assert repository.resolve("main") == commit
    assert repository.read(commit, "run") == b"#!/bin/sh\n"


def test_same_compares_folders_not_commits(checkout: Path, git: Git, opened: Open) -> None:
    """Two commits are the same for a reader of some folders if these folders are equal, absent ones included."""
    first = git(checkout, "rev-parse", "HEAD")
    (checkout / "README").write_text("words")
    git(checkout, "add", ".")
    git(checkout, "commit", "-q", "-m", "Words")
    second = git(checkout, "rev-parse", "HEAD")
    repository = opened(checkout)

    assert repository.same(first, first, ["policies"])
    assert repository.same(first, second, ["policies", "envoy-templates"])
    assert not repository.same(first, second, ["policies", "README"])
    with pytest.raises(CorruptRepositoryError):
        repository.same(first, "1" * 40, ["policies"])


def test_commit_info_reads_words_trailers_and_times(checkout: Path, git: Git, opened: Open) -> None:
    """A commit's subject, body, trailers, author and committer time are as written."""
    message = "Shift\nweights\n\nBecause.\n\nReconcile-Allow: one\nReconcile-Allow: two,\n  three\nOther: x\n"
    git(checkout, "commit", "-q", "--allow-empty", "--date=@1 +0000", "-m", message)
    repository = opened(checkout)

    info = repository.commit_info(repository.resolve("main"))

    assert info.id == repository.resolve("main")
    assert info.parents == (repository.resolve("main~1"),)
    assert info.subject == "Shift weights"
    assert info.body.startswith("Because.")
    assert info.trailers == {"Reconcile-Allow": ("one", "two, three"), "Other": ("x",)}
    assert info.author == "Ada <ada@example.com>"
    assert abs(datetime.now(UTC) - info.at) < timedelta(minutes=5)


def test_log_is_newest_first_and_knows_its_ends(checkout: Path, git: Git, opened: Open) -> None:
    """`since`, `exclude` and `first_parent` cut the history where they say."""
    for name in ("one", "two", "three"):
        git(checkout, "commit", "-q", "--allow-empty", "-m", name)
    git(checkout, "checkout", "-q", "-b", "side", "main~1")
    git(checkout, "commit", "-q", "--allow-empty", "-m", "aside")
    git(checkout, "checkout", "-q", "main")
    git(checkout, "merge", "-q", "--no-ff", "-m", "merge", "side")
    repository = opened(checkout)

    def subjects(**options: object) -> list[str]:
        return [info.subject for info in repository.log("main", **options)]  # type: ignore[arg-type]

    assert subjects(first_parent=True) == ["merge", "three", "two", "one", "Begin"]
    assert set(subjects(exclude="main~1")) == {"merge", "aside"}
    assert subjects(since=datetime.now(UTC) + timedelta(hours=1)) == []
    with pytest.raises(RefNotFoundError):
        repository.log("nothing")


def test_a_git_that_complains_at_every_look_does_not_stand_still(checkout: Path, git: Git, opened: Open) -> None:
    """What git says on stderr, here of a ref whose name is ambiguous, is never read: it must not fill a pipe and stop it."""
    git(checkout, "update-ref", "refs/heads/refs/heads/main", "HEAD")
    repository = opened(checkout)
    tip = git(checkout, "rev-parse", "HEAD")

    looks = [repository.branch("main") for _ in range(2000)]  # 64 KiB are full after 1,300

    assert set(looks) == {tip}


_CLOSED = """
import os, sys
from reconciler.gitrepo import NotARepositoryError, open_repository
from reconciler.settings import GitSettings
if os.getuid() == 0:  # root enters every folder
    os.setgid(65534)
    os.setuid(65534)
try:
    open_repository(sys.argv[1], GitSettings())
except NotARepositoryError as error:
    print(error)
"""


def test_a_path_behind_a_closed_door_says_so(tmp_path: Path) -> None:
    """A folder on the way that may not be entered is the reason given, not a traceback."""
    closed = tmp_path / "closed"
    (closed / "policies.git").mkdir(parents=True)
    closed.chmod(0)
    done = subprocess.run(
        [sys.executable, "-c", _CLOSED, str(closed / "policies.git")],
        check=False, capture_output=True, text=True, cwd="/",
    )  # fmt: skip
    closed.chmod(0o700)
    assert "error[git-not-a-repository]" in done.stdout, done.stderr
    assert "can't be looked at: Permission denied" in done.stdout
