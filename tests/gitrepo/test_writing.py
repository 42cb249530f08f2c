from __future__ import annotations

import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.errors import PermanentError
from reconciler.gitrepo import (
    BranchNameError,
    GitUnavailableError,
    GitWriteError,
    PushRefusedError,
    RaceLostError,
    SigningError,
    open_repository,
)
from reconciler.gitrepo.branch_of_path import PathBranches
from reconciler.gitrepo.command import run
from reconciler.gitrepo.objects import Objects
from reconciler.settings import GitSettings, Identity, Signing
from tests.gitrepo.conftest import AT, Git, Open

RECORD = "reconciler/record"


def hook(git_dir: Path, name: str, script: str) -> None:
    """Install a hook."""
    path = git_dir / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_commit_sets_and_removes_files_and_keeps_the_rest(bare: Path, git: Git, opened: Open) -> None:
    """Only the named files change; modes of the others, and the mode of a rewritten executable, stay."""
    repository = opened(bare)
    old = repository.branch("main")

    new = repository.commit(
        "main",
        expect=old,
        files={"run": b"#!/bin/bash\n", "policies/a.yaml": None, "new/deep/b": b"\x00\xff"},
        message="Change\n\nWhy: because\n",
        at=AT,
    )

    assert repository.branch("main") == new == git(bare, "rev-parse", "main")
    assert git(bare, "ls-tree", "-r", "--format=%(objectmode) %(path)", "main").split("\n") == [
        "100644 new/deep/b",
        "100755 run",
    ]
    assert repository.read(new, "new/deep/b") == b"\x00\xff"
    assert git(bare, "rev-parse", "main~1") == old
    assert git(bare, "fsck", "--strict", "--no-dangling") == ""


def test_who_and_when_come_from_the_settings(bare: Path, git: Git, opened: Open, settings: GitSettings) -> None:
    """Author, committer and times are as told; the user's own configuration of commits does not matter."""
    git(bare, "config", "commit.gpgSign", "true")
    git(bare, "config", "i18n.commitEncoding", "ISO-8859-1")
    who = replace(settings, author=Identity(name="Zoë", email="z@e"), committer=Identity(name="Bot", email="b@e"))
    repository = opened(bare, who)

    new = repository.commit("main", expect=repository.branch("main"), files={}, message="é\n\nK: v\n", at=AT)

    assert git(bare, "log", "--encoding=UTF-8", "-1", "--format=%an|%ae|%cn|%ce|%aI|%cI", "main") == (
        "Zoë|z@e|Bot|b@e|2026-01-02T03:04:05+00:00|2026-01-02T03:04:05+00:00"
    )
    info = repository.commit_info(new)
    assert (info.subject, info.trailers, info.at, info.author) == ("é", {"K": ("v",)}, AT, "Zoë <z@e>")


def test_a_commit_without_changes_is_made(bare: Path, opened: Open) -> None:
    """A receipt may say something new in its message only."""
    repository = opened(bare)
    old = repository.branch("main")

    new = repository.commit("main", expect=old, files={}, message="Say", at=AT)

    assert new != old
    assert repository.commit_info(new).parents == (old,)


def test_an_orphan_branch_begins_without_a_parent(bare: Path, opened: Open) -> None:
    """`expect=None` makes a root, once; a second writer with the same wish has lost the race."""
    repository = opened(bare)

    root = repository.commit(RECORD, expect=None, files={"x": b"1"}, message="Begin", at=AT)

    assert repository.commit_info(root).parents == ()
    assert [file.path for file in repository.tree(root).files("")] == ["x"]
    with pytest.raises(RaceLostError, match="exists already"):
        repository.commit(RECORD, expect=None, files={"x": b"2"}, message="Begin", at=AT)
    assert repository.branch(RECORD) == root


def test_a_moved_branch_is_a_lost_race(bare: Path, opened: Open) -> None:
    """On top of a commit that is not the tip nothing is written, and the branch stays."""
    repository = opened(bare)
    old = repository.branch("main")
    other = repository.commit("main", expect=old, files={"x": b"1"}, message="Other", at=AT)

    with pytest.raises(RaceLostError) as caught:
        repository.commit("main", expect=old, files={"x": b"2"}, message="Late", at=AT)

    assert other[:12] in caught.value.message
    assert repository.branch("main") == other


def test_a_race_that_is_lost_at_the_last_moment_is_noticed(
    bare: Path, tmp_path: Path, git: Git, opened: Open, settings: GitSettings
) -> None:
    """Git's own compare-and-swap decides, not our look beforehand: here the branch moves while the commit is signed."""
    other = git(bare, "commit-tree", "-p", "main", "-m", "Other", "main^{tree}")
    program = tmp_path / "slow-gpg"
    move = f"git --git-dir={bare} update-ref refs/heads/main {other}"
    program.write_text(f"#!/bin/sh\ncat > /dev/null\n{move}\necho signature\necho '\n[GNUPG:] SIG_CREATED ' >&2\n")
    program.chmod(0o755)
    git(bare, "config", "gpg.program", str(program))
    repository = opened(bare, replace(settings, signing=Signing(format="openpgp", key="any")))

    with pytest.raises(RaceLostError):
        repository.commit("main", expect=repository.branch("main"), files={"x": b"1"}, message="Late", at=AT)

    assert repository.branch("main") == other


def test_eight_writers_lose_nothing(bare: Path, git: Git, settings: GitSettings) -> None:
    """Writers that fetch and try again after a lost race all get their commit in, each exactly once."""

    def write(writer: int) -> None:
        with open_repository(str(bare), settings) as repository:
            done = 0
            while done < 3:
                tip = repository.branch(RECORD)
                try:
                    repository.commit(
                        RECORD, expect=tip, files={f"{writer}-{done}": b""}, message=f"{writer}-{done}", at=AT
                    )
                except RaceLostError:
                    continue
                done += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    said = git(bare, "log", "--format=%s", RECORD).split("\n")
    assert sorted(said) == sorted(f"{writer}-{number}" for writer in range(8) for number in range(3))
    assert len(git(bare, "ls-tree", "-r", "--name-only", RECORD).split("\n")) == 24


def test_a_hook_that_declines_is_a_refusal_with_its_words(bare: Path, opened: Open) -> None:
    """A local hook that forbids the move is policy, not a race: it would forbid it again."""
    hook(bare, "reference-transaction", "test $1 = prepared && echo 'freeze until Monday' >&2 && exit 1; exit 0")
    repository = opened(bare)
    old = repository.branch("main")

    with pytest.raises(PushRefusedError, match="freeze until Monday"):
        repository.commit("main", expect=old, files={"x": b"1"}, message="Try", at=AT)

    assert repository.branch("main") == old


def test_commit_hooks_of_the_user_are_not_run(checkout: Path, opened: Open) -> None:
    """Hooks for people's commits (formatting, sign-off) neither run nor break ours."""
    for name in ("pre-commit", "commit-msg", "prepare-commit-msg", "post-commit", "post-checkout"):
        hook(checkout / ".git", name, f"touch {checkout}/ran; exit 1")
    repository = opened(checkout)

    repository.commit(RECORD, expect=None, files={"x": b"1"}, message="Say", at=AT)
    repository.commit("main", expect=repository.branch("main"), files={"x": b"1"}, message="Say", at=AT)

    assert not (checkout / "ran").exists()


@pytest.mark.parametrize("path", ["../x", "/x", "a//b", "a/./b", ".git/config", "a/.GIT/hooks/x", "", "a/", "nul\0"])
def test_paths_that_leave_the_tree_are_never_written(bare: Path, opened: Open, path: str) -> None:
    """No path can escape the tree or reach into somebody's git directory on checkout."""
    repository = opened(bare)

    with pytest.raises(Exception, match="is not a path inside a repository"):
        repository.commit("main", expect=repository.branch("main"), files={path: b""}, message="Try", at=AT)


def test_a_branch_name_that_git_forbids_is_refused(bare: Path, opened: Open) -> None:
    """The name is checked before anything is written."""
    with pytest.raises(BranchNameError):
        opened(bare).commit("a..b", expect=None, files={}, message="Try", at=AT)


def test_a_branch_in_the_place_of_a_folder_of_branches(bare: Path, git: Git, opened: Open) -> None:
    """`reconciler/record` can't exist beside a branch `reconciler`: said in git's words, not tried for ever."""
    git(bare, "branch", "reconciler", "main")

    with pytest.raises(PermanentError, match="reconciler"):
        opened(bare).commit(RECORD, expect=None, files={}, message="Try", at=AT)


def test_an_author_without_a_name_is_said(bare: Path, opened: Open, settings: GitSettings) -> None:
    """An identity that Git refuses is named, and nothing moves."""
    repository = opened(bare, replace(settings, author=Identity(name="", email="x@y")))

    with pytest.raises(PermanentError) as caught:
        repository.commit(RECORD, expect=None, files={}, message="Try", at=AT)

    assert caught.value.code == "git-identity"
    assert repository.branch(RECORD) is None


def test_a_commit_is_signed_with_an_ssh_key(bare: Path, tmp_path: Path, opened: Open, settings: GitSettings) -> None:
    """With a signing key every commit verifies; without one none is signed."""
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    allowed = tmp_path / "allowed"
    allowed.write_text(f"{settings.author.email} {key.with_suffix('.pub').read_text()}")
    repository = opened(bare, replace(settings, signing=Signing(format="ssh", key=str(key))))

    new = repository.commit(RECORD, expect=None, files={"x": b"1"}, message="Say\n\nK: v\n", at=AT)

    verify = ["-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-commit", "--raw", new]
    assert subprocess.run(["git", *verify], cwd=bare, check=False, capture_output=True).returncode == 0
    assert repository.commit_info(new).trailers == {"K": ("v",)}
    unsigned = opened(bare).commit("main", expect=repository.branch("main"), files={}, message="Say", at=AT)
    assert (
        subprocess.run(["git", "verify-commit", unsigned], cwd=bare, check=False, capture_output=True).returncode == 1
    )


def test_a_commit_that_cant_be_signed_is_not_made(
    bare: Path, tmp_path: Path, opened: Open, settings: GitSettings
) -> None:
    """A missing key never turns into an unsigned commit."""
    repository = opened(bare, replace(settings, signing=Signing(format="ssh", key=str(tmp_path / "no-key"))))

    with pytest.raises(SigningError):
        repository.commit(RECORD, expect=None, files={"x": b"1"}, message="Say", at=AT)

    assert repository.branch(RECORD) is None


def test_shared_repositories_stay_writable_for_the_group(tmp_path: Path, git: Git, opened: Open) -> None:
    """`core.sharedRepository` is kept: a folder of objects that only we can write would lock everybody else out."""
    git(tmp_path, "init", "-q", "--bare", "--shared=group", "shared.git")
    bare = tmp_path / "shared.git"

    opened(bare).commit("main", expect=None, files={"x": b"1"}, message="Say", at=AT)

    folders = [path for path in (bare / "objects").iterdir() if len(path.name) == 2]
    assert folders
    assert all(path.stat().st_mode & stat.S_IWGRP for path in folders)


def test_many_objects_become_one_pack(bare: Path, git: Git, opened: Open) -> None:
    """The first receipt of a large fleet is one file for Git, not a thousand."""
    repository = opened(bare)

    new = repository.commit(RECORD, expect=None, files={f"p/{n}": b"%d" % n for n in range(300)}, message="Say", at=AT)

    assert len(repository.tree(new).files("p")) == 300
    assert repository.read(new, "p/299") == b"299"
    assert len(list((bare / "objects" / "pack").glob("*.pack"))) == 1
    assert int(git(bare, "count-objects").split()[0]) < 10


def test_a_repository_that_only_we_write_is_tidied(bare: Path, git: Git, settings: GitSettings) -> None:
    """Loose objects do not grow without end where nobody runs a git command that tidies up."""
    git(bare, "config", "gc.autoPackLimit", "1")
    git(bare, "config", "gc.autoDetach", "false")
    objects = Objects(bare)
    branches = PathBranches(objects, settings, bare, None, tidy_every=3)
    tip: str | None = None
    packs = []
    for number in range(3):
        files: dict[str, bytes | None] = {f"{name}": b"%d %d" % (number, name) for name in range(120)}
        tip = branches.commit(RECORD, expect=tip, files=files, message="Say", at=AT)
        packs.append(len(list((bare / "objects" / "pack").glob("*.pack"))))

    assert packs == [1, 2, 1]
    assert objects.commit(f"refs/heads/{RECORD}") == tip
    objects.close()


_LIMITED = """
import resource, sys
from datetime import datetime, UTC
from reconciler.gitrepo import GitWriteError, open_repository
from reconciler.settings import GitSettings
repository = open_repository(sys.argv[1], GitSettings())
resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))
try:
    files = {"x": bytes(range(256)) * 40}
    repository.commit("main", expect=repository.branch("main"), files=files, message="Say", at=datetime.now(UTC))
except GitWriteError as error:
    print(error)
    repository.close()
    sys.exit(7)
"""


def test_a_write_that_fails_half_way_leaves_the_branch(bare: Path, git: Git) -> None:
    """When the system refuses more bytes in the middle of an object, the error says so and nothing refers to half of it."""
    old = git(bare, "rev-parse", "main")

    done = subprocess.run([sys.executable, "-c", _LIMITED, str(bare)], check=False, capture_output=True, text=True)

    assert done.returncode == 7, done.stderr
    assert "can't be written" in done.stdout
    assert git(bare, "rev-parse", "main") == old
    assert git(bare, "fsck", "--strict", "--no-dangling") == ""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 100


def test_a_full_disk_is_an_error_that_names_it(full_disk: Path, bare: Path, git: Git, settings: GitSettings) -> None:
    """No space: the branch stays, the words say why, and with space again the same commit works."""
    path = full_disk / "r.git"
    shutil.copytree(bare, path)
    old = git(path, "rev-parse", "main")
    filler = full_disk / "filler"
    with open_repository(str(path), settings) as repository:
        with pytest.raises(OSError, match="No space"):
            filler.write_bytes(bytes(2 << 20))
        with pytest.raises(GitWriteError, match="No space left") as caught:
            repository.commit("main", expect=old, files={"x": os.urandom(9000)}, message="Say", at=AT)
        assert "free space" in caught.value.diagnostics[0].hint
        assert repository.branch("main") == old
        filler.unlink()
        assert repository.commit("main", expect=old, files={"x": b"1"}, message="Say", at=AT)


def test_a_full_disk_under_a_work_tree_takes_the_move_back(
    full_disk: Path, checkout: Path, git: Git, opened: Open
) -> None:
    """When the files of a checked-out branch can't be written, the branch stays, and the work tree is clean again."""
    linked, filler = full_disk / "linked", full_disk / "filler"
    git(checkout, "worktree", "add", "-q", str(linked), "-b", "other")
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(bytes(2 << 20))
    repository = opened(checkout)
    old = repository.branch("other")
    files = {"policies/a.yaml": b"a: 2\n", "big": os.urandom(50_000), "run": None}

    with pytest.raises(GitWriteError, match="unable to write file big"):
        repository.commit("other", expect=old, files=files, message="Move", at=AT)

    filler.unlink()
    assert repository.branch("other") == old
    new = repository.commit("other", expect=old, files=files, message="Move", at=AT)
    assert git(linked, "rev-parse", "HEAD") == new
    assert git(linked, "status", "--porcelain") == ""


_READ_ONLY = """
import os, sys
from datetime import datetime, UTC
from reconciler.gitrepo import GitWriteError, open_repository
from reconciler.settings import GitSettings
if os.getuid() == 0:  # root writes everywhere
    os.setgid(65534)
    os.setuid(65534)
with open_repository(sys.argv[1], GitSettings()) as repository:
    assert repository.read(repository.resolve("main"), "policies/a.yaml") == b"a: 1\\n"
    failed = 0
    for attempt in (
        lambda: repository.commit("main", expect=repository.branch("main"), files={"x": b"1"}, message="S", at=datetime.now(UTC)),
        lambda: repository.lock("daemon", wait=0).__enter__(),
    ):
        try:
            attempt()
        except GitWriteError as error:
            print(error)
            failed += 1
sys.exit(failed)
"""


def test_a_read_only_repository_can_be_read_and_says_what_it_refuses(bare: Path, short_path: Path, git: Git) -> None:
    """Without the right to write, reading works, and commits and locks fail with a text that says where."""
    repository = short_path / "bare.git"  # not below pytest's own folders, which may be closed to another user
    shutil.copytree(bare, repository)
    git(repository, "config", "--global", "safe.directory", "*")
    config = short_path / "gitconfig"
    shutil.copy(os.environ["GIT_CONFIG_GLOBAL"], config)
    short_path.chmod(0o755)
    for path in (repository, *repository.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)
    environ = {**os.environ, "HOME": str(short_path), "GIT_CONFIG_GLOBAL": str(config)}

    done = subprocess.run(
        [sys.executable, "-c", _READ_ONLY, str(repository)],
        check=False,
        capture_output=True,
        text=True,
        env=environ,
        cwd="/",
    )

    assert done.returncode == 2, done.stderr
    assert done.stdout.count("error[git-write]") == 2
    assert str(repository) in done.stdout


def test_what_a_hook_leaves_running_is_not_waited_for(bare: Path, tmp_path: Path, opened: Open) -> None:
    """A hook may start something in the background that keeps git's output open; the commit is done when git has ended."""
    pids = tmp_path / "pids"
    hook(bare, "reference-transaction", f"sleep 300 &\necho $! >> {pids}")
    repository = opened(bare)

    new = repository.commit("other", expect=None, files={"a": b"1"}, message="One", at=AT)

    assert repository.branch("other") == new
    for pid in pids.read_text().split():
        os.kill(int(pid), signal.SIGKILL)  # raises for one that has ended, which is what we must not have waited for


def test_what_left_its_session_is_not_waited_for_when_time_is_up(bare: Path, tmp_path: Path) -> None:
    """As ssh with ControlPersist does: a process left behind that does not end with git keeps git's output open."""
    pid = tmp_path / "pid"
    script = tmp_path / "ssh"
    script.write_text(f"#!/bin/sh\nsetsid sh -c 'echo $$ > {pid}; exec sleep 300' &\nsleep 300\n")
    script.chmod(0o755)

    with pytest.raises(GitUnavailableError, match="git ls-remote did not end within 2 s"):
        run(["ls-remote", "ssh://nowhere/x"], cwd=bare, extra={"GIT_SSH_COMMAND": str(script)}, timeout=2.0)

    os.kill(int(pid.read_text()), signal.SIGKILL)  # raises if it has ended, which is what we must not have waited for
