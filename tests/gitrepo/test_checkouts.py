from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from reconciler.gitrepo import DirtyWorkTreeError, PushRefusedError, RaceLostError, open_repository
from reconciler.settings import GitSettings
from tests.gitrepo.conftest import AT, Git, Open
from tests.gitrepo.test_writing import hook

FILES = {"policies/a.yaml": b"a: 2\n", "policies/new/b.yaml": b"b: 1\n", "run": None}


def state(path: Path, git: Git) -> dict[str, str]:
    """Everything that must not change when a commit is refused."""
    return {
        "refs": git(path, "for-each-ref"),
        "status": git(path, "status", "--porcelain", "--ignored"),
        "diff": git(path, "diff", "HEAD", check=False),
        "index": git(path, "ls-files", "--stage"),
    }


def test_a_clean_work_tree_moves_along(checkout: Path, git: Git, opened: Open) -> None:
    """Branch, index and files move together; untracked files stay; `git status` is as before."""
    (checkout / "notes").write_text("mine")
    before = git(checkout, "status", "--porcelain")
    repository = opened(checkout)

    new = repository.commit("main", expect=repository.branch("main"), files=FILES, message="Move", at=AT)

    assert git(checkout, "rev-parse", "HEAD") == new
    assert git(checkout, "status", "--porcelain") == before == "?? notes"
    assert (checkout / "policies" / "a.yaml").read_text() == "a: 2\n"
    assert (checkout / "policies" / "new" / "b.yaml").read_text() == "b: 1\n"
    assert not (checkout / "run").exists()
    assert git(checkout, "reflog", "-1", "--format=%gs") == "reconcile: Move"


def test_a_linked_work_tree_moves_along_and_the_main_one_stays(
    checkout: Path, tmp_path: Path, git: Git, opened: Open
) -> None:
    """Only the work tree that has the branch checked out moves."""
    linked = tmp_path / "linked"
    git(checkout, "worktree", "add", "-q", str(linked), "-b", "other")
    (checkout / "policies" / "a.yaml").write_text("dirty, but on another branch\n")
    before = state(checkout, git)["status"]
    repository = opened(checkout)

    new = repository.commit("other", expect=repository.branch("other"), files=FILES, message="Move", at=AT)

    assert git(linked, "rev-parse", "HEAD") == new
    assert git(linked, "status", "--porcelain") == ""
    assert (linked / "policies" / "new" / "b.yaml").exists()
    assert state(checkout, git)["status"] == before


def test_whether_a_branch_can_be_moved_is_known_beforehand(checkout: Path, bare: Path, git: Git, opened: Open) -> None:
    """The question changes nothing, and has the answer that a commit would get."""
    repository = opened(checkout)
    repository.require_movable("main")
    repository.require_movable("no/such/branch")
    (checkout / "policies" / "a.yaml").write_text("dirty\n")
    before = state(checkout, git)
    for branch in ("other", "reconciler/record"):
        repository.require_movable(branch)
    with pytest.raises(DirtyWorkTreeError, match=r"policies/a\.yaml"):
        repository.require_movable("main")
    assert state(checkout, git) == before
    opened(bare).require_movable("main")
    opened(bare.as_uri()).require_movable("main")


def test_a_branch_that_is_not_checked_out_leaves_the_work_tree_alone(checkout: Path, git: Git, opened: Open) -> None:
    """Receipts of a dirty checkout are written without a trace in it."""
    (checkout / "policies" / "a.yaml").write_text("dirty\n")
    (checkout / "x").write_text("untracked")
    before = git(checkout, "status", "--porcelain", "--ignored")
    repository = opened(checkout)

    repository.commit("reconciler/record", expect=None, files={"x": b"1"}, message="Say", at=AT)
    with repository.lock("daemon", wait=0):
        assert git(checkout, "status", "--porcelain", "--ignored") == before


def test_the_first_commit_of_a_fresh_repository(tmp_path: Path, git: Git, opened: Open) -> None:
    """A branch that is checked out and has no commit yet gets its first one with its files."""
    git(tmp_path, "init", "-q", "new")
    path = tmp_path / "new"

    new = opened(path).commit("main", expect=None, files={"x": b"1"}, message="Begin", at=AT)

    assert git(path, "rev-parse", "main") == new
    assert git(path, "status", "--porcelain") == ""
    assert (path / "x").read_text() == "1"


def _modified(path: Path, _git: Git) -> None:
    (path / "policies" / "a.yaml").write_text("a: 3\n")


def _staged(path: Path, git: Git) -> None:
    (path / "other").write_text("x")
    git(path, "add", "other")


def _deleted(path: Path, _git: Git) -> None:
    (path / "run").unlink()


def _untracked(path: Path, _git: Git) -> None:
    (path / "policies" / "new").mkdir()
    (path / "policies" / "new" / "b.yaml").write_text("mine")


def _ignored(path: Path, git: Git) -> None:
    (path / ".git" / "info" / "exclude").write_text("new\n")
    _untracked(path, git)


def _file_for_folder(path: Path, _git: Git) -> None:
    (path / "policies" / "new").write_text("mine")


def _link_for_folder(path: Path, _git: Git) -> None:
    (path / "policies" / "new").symlink_to(path.parent)


def _merging(path: Path, git: Git) -> None:
    git(path, "checkout", "-q", "-b", "side")
    git(path, "commit", "-q", "--allow-empty", "-m", "Side")
    git(path, "checkout", "-q", "main")
    git(path, "commit", "-q", "--allow-empty", "-m", "Main")
    git(path, "merge", "-q", "--no-commit", "--no-ff", "side")


def _rebasing(path: Path, git: Git) -> None:
    git(path, "commit", "-q", "--allow-empty", "-m", "Second")
    environ = {**os.environ, "GIT_SEQUENCE_EDITOR": "sed -i s/^pick/edit/"}
    subprocess.run(
        ["git", "rebase", "-q", "-i", "--keep-empty", "main~1"], cwd=path, check=True, env=environ, capture_output=True
    )
    assert git(path, "branch", "--show-current") == ""


WAYS = [_modified, _staged, _deleted, _untracked, _ignored, _file_for_folder, _link_for_folder, _merging, _rebasing]


@pytest.mark.parametrize("make", WAYS, ids=lambda way: way.__name__.strip("_"))
def test_a_work_tree_in_use_is_refused_and_nothing_changes(
    checkout: Path, git: Git, opened: Open, make: object
) -> None:
    """Whatever a person has in the work tree, a commit that would mix with it is refused before anything moves."""
    make(checkout, git)  # type: ignore[operator]
    before = state(checkout, git)
    repository = opened(checkout)

    with pytest.raises(DirtyWorkTreeError) as caught:
        repository.commit("main", expect=repository.branch("main"), files=FILES, message="Move", at=AT)

    assert str(checkout) in caught.value.message
    assert caught.value.diagnostics[0].hint
    assert state(checkout, git) == before


def test_a_file_that_was_only_touched_is_clean(checkout: Path, opened: Open) -> None:
    """A new time on a file is no change."""
    os.utime(checkout / "policies" / "a.yaml", (1, 1))
    repository = opened(checkout)

    assert repository.commit("main", expect=repository.branch("main"), files=FILES, message="Move", at=AT)


def test_a_branch_that_is_checked_out_twice_is_refused(checkout: Path, tmp_path: Path, git: Git, opened: Open) -> None:
    """Two work trees on one branch can't move as one."""
    git(checkout, "worktree", "add", "-q", "--force", str(tmp_path / "linked"), "main")
    repository = opened(checkout)

    with pytest.raises(DirtyWorkTreeError, match="twice"):
        repository.commit("main", expect=repository.branch("main"), files=FILES, message="Move", at=AT)


def test_a_refused_move_takes_the_files_back(checkout: Path, git: Git, opened: Open) -> None:
    """When the branch may not move, the work tree is as it was, to the last file."""
    hook(checkout / ".git", "reference-transaction", "test $1 = prepared && exit 1; exit 0")
    before = state(checkout, git)
    repository = opened(checkout)

    with pytest.raises(PushRefusedError):
        repository.commit("main", expect=repository.branch("main"), files=FILES, message="Move", at=AT)

    assert state(checkout, git) == before
    assert not (checkout / "policies" / "new").exists()


def test_writers_on_one_work_tree_take_turns(checkout: Path, git: Git, settings: GitSettings) -> None:
    """Concurrent commits to a checked-out branch all arrive, and leave it clean."""

    def write(writer: int) -> None:
        with open_repository(str(checkout), settings) as repository:
            while True:
                tip = repository.branch("main")
                try:
                    repository.commit("main", expect=tip, files={f"w{writer}": b""}, message=f"w{writer}", at=AT)
                except RaceLostError:
                    continue
                return

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))

    assert sorted(git(checkout, "log", "--format=%s", "main").split("\n")) == ["Begin", "w0", "w1", "w2", "w3"]
    assert git(checkout, "status", "--porcelain") == ""


_KILLED = """
import os, signal, sys
from datetime import datetime, UTC
from reconciler.gitrepo import checkouts, open_repository
from reconciler.settings import GitSettings
repository = open_repository(sys.argv[1], GitSettings())
real, count = checkouts.run, [0]

def run(arguments, **options):
    done = real(arguments, **options)
    if "read-tree" in arguments:
        os.kill(os.getpid(), signal.SIGKILL)
    return done

checkouts.run = run
files = {"policies/a.yaml": b"a: 2\\n", "policies/new/b.yaml": b"b: 1\\n", "run": None}
repository.commit("main", expect=repository.branch("main"), files=files, message="Move", at=datetime.now(UTC))
"""


def _killed_in_between(checkout: Path) -> None:
    done = subprocess.run([sys.executable, "-c", _KILLED, str(checkout)], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr


def test_a_crash_between_files_and_branch_is_put_right(checkout: Path, git: Git, opened: Open) -> None:
    """Killed after the files moved and before the branch did, the next commit goes on from the branch."""
    old = git(checkout, "rev-parse", "main")
    _killed_in_between(checkout)
    assert git(checkout, "rev-parse", "main") == old
    assert git(checkout, "status", "--porcelain") != ""
    repository = opened(checkout)

    new = repository.commit("main", expect=old, files={"policies/a.yaml": b"a: 5\n"}, message="Next", at=AT)

    assert git(checkout, "rev-parse", "main") == new
    assert git(checkout, "status", "--porcelain") == ""
    assert (checkout / "policies" / "a.yaml").read_text() == "a: 5\n"
    assert not (checkout / "policies" / "new" / "b.yaml").exists()
    assert (checkout / "run").exists()


def test_work_done_after_a_crash_is_never_overwritten(checkout: Path, opened: Open) -> None:
    """If somebody has edited since, nothing is put right by force: it is a dirty work tree, and says so."""
    _killed_in_between(checkout)
    (checkout / "policies" / "a.yaml").write_text("a: mine\n")
    repository = opened(checkout)

    with pytest.raises(DirtyWorkTreeError):
        repository.commit("main", expect=repository.branch("main"), files=FILES, message="Next", at=AT)

    assert (checkout / "policies" / "a.yaml").read_text() == "a: mine\n"


_INTERRUPTED = """
import os, signal, sys
from datetime import datetime, UTC
from reconciler.gitrepo import command, open_repository
from reconciler.settings import GitSettings
repository = open_repository(sys.argv[1], GitSettings())
real = command.subprocess.Popen

class Popen(real):
    pressed = False

    def communicate(self, *arguments):
        if sys.argv[2] in self.args and not Popen.pressed:
            Popen.pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        return super().communicate(*arguments)

command.subprocess.Popen = Popen
files = {"policies/a.yaml": b"a: 2\\n", "policies/new/b.yaml": b"b: 1\\n", "run": None}
try:
    repository.commit("main", expect=repository.branch("main"), files=files, message="Move", at=datetime.now(UTC))
except KeyboardInterrupt:
    sys.exit(9)
finally:
    repository.close()
"""


@pytest.mark.parametrize("command", ["unpack-objects", "commit-tree", "status"])
def test_ctrl_c_before_the_move_leaves_everything(checkout: Path, git: Git, command: str) -> None:
    """Interrupted while it prepares, a commit leaves branch, index and files as they were, and no lock behind."""
    before = state(checkout, git)

    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, str(checkout), command], check=False, capture_output=True
    )

    assert done.returncode == 9, done.stderr
    assert state(checkout, git) == before
    assert _only_ours(checkout)


def test_ctrl_c_during_the_move_goes_back(checkout: Path, git: Git) -> None:
    """Interrupted while the files move, a commit takes them back: the branch has not moved."""
    before = state(checkout, git)

    done = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED, str(checkout), "read-tree"], check=False, capture_output=True
    )

    assert done.returncode == 9, done.stderr
    assert state(checkout, git) == before
    assert _only_ours(checkout)
    assert not (checkout / ".git" / "reconciler" / "moving.json").exists()


def _only_ours(checkout: Path) -> bool:
    return {path.parent.name for path in (checkout / ".git").rglob("*.lock")} <= {"reconciler"}
