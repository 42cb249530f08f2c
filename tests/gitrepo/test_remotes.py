from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from reconciler.gitrepo import (
    AuthenticationError,
    GitUnavailableError,
    GitWriteError,
    LockedError,
    NotARepositoryError,
    PushRefusedError,
    RaceLostError,
    RefNotFoundError,
    open_repository,
)
from reconciler.gitrepo.command import run
from reconciler.gitrepo.complaints import write_error
from reconciler.settings import GitSettings
from tests.gitrepo.conftest import AT, Git, Open
from tests.gitrepo.test_writing import RECORD, hook


@pytest.fixture
def url(bare: Path) -> str:
    """The bare repository as a remote."""
    return f"file://{bare}"


def test_a_url_is_mirrored_without_its_work(bare: Path, url: str, settings: GitSettings, opened: Open) -> None:
    """A URL is read from a bare mirror under the cache; opening it again contacts nobody."""
    repository = opened(url)
    assert repository.is_url
    assert repository.work_tree is None
    assert repository.git_dir.parent == settings.cache
    assert repository.read(repository.resolve("main"), "policies/a.yaml") == b"a: 1\n"

    bare.rename(bare.with_name("away"))

    assert opened(url).resolve("main") == repository.resolve("main")


def test_fetch_follows_moves_rewinds_and_removals(bare: Path, url: str, git: Git, opened: Open) -> None:
    """After a fetch the mirror has exactly the remote's branches and tags, whatever happened to them."""
    git(bare, "branch", "a", "main")
    git(bare, "tag", "t", "main")
    repository = opened(url)
    first = repository.resolve("main")
    second = git(bare, "commit-tree", "-p", "main", "-m", "Second", "main^{tree}")
    git(bare, "update-ref", "refs/heads/main", second)
    assert repository.branch("main") == first
    repository.fetch()
    assert repository.branch("main") == second

    git(bare, "update-ref", "refs/heads/main", first)
    git(bare, "branch", "-D", "a")
    git(bare, "branch", "a/b", second)
    git(bare, "tag", "-f", "t", second)
    repository.fetch()

    assert (repository.branch("main"), repository.branch("a"), repository.branch("a/b")) == (first, None, second)
    assert repository.resolve("t") == second
    with pytest.raises(RefNotFoundError, match="'a'"):
        repository.resolve("a")


def test_one_commit_is_brought_beside_a_fetch_and_moves_nothing(bare: Path, url: str, git: Git, opened: Open) -> None:
    """Whoever needs one commit neither waits for a fetch nor has one wait; a commit that is nowhere is as unknown as before."""
    repository = opened(url)
    main = repository.resolve("main")
    new = git(bare, "commit-tree", "main^{tree}", "-p", "main", "-m", "Newer")
    git(bare, "update-ref", "refs/pull/1/head", new)
    with repository.lock("fetch", wait=1):
        repository.bring(new, patience=20)
    assert (repository.resolve(new), repository.resolve("main")) == (new, main)
    repository.bring("1" * 40, patience=20)
    with pytest.raises(RefNotFoundError):
        repository.resolve("1" * 40)
    bare.rename(bare.with_name("away"))
    repository.bring(new, patience=20)
    with pytest.raises(NotARepositoryError):
        repository.bring("2" * 40, patience=20)


def test_a_commit_is_pushed_and_known_at_once(bare: Path, url: str, git: Git, opened: Open) -> None:
    """After a commit the remote has it, and so has the mirror before the next fetch."""
    repository = opened(url)

    root = repository.commit(RECORD, expect=None, files={"x": b"1"}, message="Begin", at=AT)
    new = repository.commit(RECORD, expect=root, files={"x": b"2"}, message="Next", at=AT)

    assert git(bare, "rev-parse", RECORD) == new == repository.branch(RECORD)
    assert git(bare, "log", "--format=%s", RECORD) == "Next\nBegin"


def test_a_remote_that_moved_is_a_lost_race(bare: Path, url: str, git: Git, opened: Open) -> None:
    """A push on top of a stale tip is refused as a race, also for a branch that appeared or vanished."""
    repository = opened(url)
    old = repository.branch("main")
    second = git(bare, "commit-tree", "-p", "main", "-m", "Second", "main^{tree}")
    git(bare, "update-ref", "refs/heads/main", second)
    git(bare, "branch", RECORD, second)

    with pytest.raises(RaceLostError):
        repository.commit("main", expect=old, files={"x": b"1"}, message="Late", at=AT)
    with pytest.raises(RaceLostError, match="exists already"):
        repository.commit(RECORD, expect=None, files={"x": b"1"}, message="Late", at=AT)
    assert git(bare, "rev-parse", "main") == git(bare, "rev-parse", RECORD) == second

    repository.fetch()
    git(bare, "update-ref", "-d", f"refs/heads/{RECORD}")
    with pytest.raises(RaceLostError, match="gone"):
        repository.commit(RECORD, expect=second, files={"x": b"1"}, message="Late", at=AT)
    assert git(bare, "branch", "--list", RECORD) == ""


def test_eight_processes_push_and_lose_nothing(
    bare: Path, url: str, git: Git, settings: GitSettings, tmp_path: Path
) -> None:
    """Writers with mirrors of their own all get their commits in, each once; none is told that a rule forbids it."""

    def write(writer: int) -> None:
        with open_repository(url, replace(settings, cache=tmp_path / f"cache-{writer}")) as repository:
            done = 0
            while done < 2:
                files, name = {f"{writer}-{done}": b""}, f"{writer}-{done}"
                try:
                    repository.commit(RECORD, expect=repository.branch(RECORD), files=files, message=name, at=AT)
                except RaceLostError:
                    repository.fetch()
                    continue
                done += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(8)))

    said = git(bare, "log", "--format=%s", RECORD).split("\n")
    assert sorted(said) == sorted(f"{writer}-{number}" for writer in range(8) for number in range(2))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pre-receive", "GH006: Protected branch update failed"),
        ("update", "only on weekdays"),
        ("pre-receive", "GH013: Repository rule violations found"),
    ],
)
def test_a_remote_rule_is_a_refusal_with_its_words(bare: Path, url: str, opened: Open, name: str, words: str) -> None:
    """What a server's hook says reaches the user, and is not taken for a race."""
    hook(bare, name, f"echo '{words}' >&2; exit 1")
    repository = opened(url)
    old = repository.branch("main")

    with pytest.raises(PushRefusedError, match=words):
        repository.commit("main", expect=old, files={"x": b"1"}, message="Try", at=AT)

    repository.fetch()
    assert repository.branch("main") == old


def test_a_remote_that_cant_be_written_is_a_refusal(bare: Path, url: str, git: Git, opened: Open) -> None:
    """A rejection that is neither a race nor a known rule is permanent, in the remote's words."""
    git(bare, "config", "transfer.fsckObjects", "true")
    git(bare, "config", "receive.maxInputSize", "1")
    repository = opened(url)

    with pytest.raises(PushRefusedError, match="main"):
        repository.commit("main", expect=repository.branch("main"), files={"x": b"1"}, message="Try", at=AT)


def test_hooks_of_the_user_do_not_run_on_our_push(url: str, tmp_path: Path, git: Git, opened: Open) -> None:
    """A global pre-push hook is for people's pushes."""
    hook(tmp_path, "pre-push", "exit 1")
    git(tmp_path, "config", "--global", "core.hooksPath", str(tmp_path / "hooks"))
    repository = opened(url)

    assert repository.commit("main", expect=repository.branch("main"), files={"x": b"1"}, message="Say", at=AT)


def test_two_openers_make_one_mirror(url: str, settings: GitSettings) -> None:
    """Several processes that need the same mirror at once get one, complete."""

    def resolve(_: int) -> tuple[Path, str]:
        with open_repository(url, settings) as repository:
            return repository.git_dir, repository.resolve("main")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(resolve, range(4)))) == 1

    assert [path.name for path in settings.cache.iterdir() if path.is_dir() and ".part-" in path.name] == []


_KILLED = """
import os, signal, sys
from pathlib import Path
from reconciler.gitrepo import mirror, open_repository
from reconciler.settings import GitSettings
real = mirror._fetch

def fetch(*arguments, **options):
    real(*arguments, **options)
    os.kill(os.getpid(), signal.SIGKILL)

mirror._fetch = fetch
open_repository(sys.argv[1], GitSettings(cache=Path(sys.argv[2])))
"""


def test_a_half_made_mirror_is_made_anew(url: str, settings: GitSettings, opened: Open) -> None:
    """Killed while it makes a mirror, a process leaves nothing that the next one would take for a mirror, or keep."""
    done = subprocess.run([sys.executable, "-c", _KILLED, url, str(settings.cache)], check=False, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert any(".part-" in path.name for path in settings.cache.iterdir())

    repository = opened(url)

    assert repository.resolve("main")
    assert not any(".part-" in path.name for path in settings.cache.iterdir())


def test_a_mirror_that_lost_its_parts_is_made_anew(url: str, opened: Open) -> None:
    """Something in a mirror's place that is none (somebody cleaned the cache by half) is replaced."""
    first = opened(url)
    first.close()
    (first.git_dir / "HEAD").unlink()

    assert opened(url).resolve("main")


def test_a_lock_that_a_killed_fetch_left_is_removed_in_time(bare: Path, url: str, git: Git, opened: Open) -> None:
    """A stale ref lock in our own mirror does not stop fetches for ever."""
    repository = opened(url)
    second = git(bare, "commit-tree", "-p", "main", "-m", "Second", "main^{tree}")
    git(bare, "update-ref", "refs/heads/main", second)
    stale = repository.git_dir / "refs" / "heads" / "main.lock"
    stale.parent.mkdir(parents=True, exist_ok=True)
    stale.touch()

    with pytest.raises(RaceLostError, match="locked"):
        repository.fetch()
    os.utime(stale, (1, 1))
    repository.fetch()

    assert repository.branch("main") == second


def test_what_is_no_repository_is_told_from_what_does_not_answer(tmp_path: Path, opened: Open) -> None:
    """A wrong path, a closed port and an unknown host are different errors; none leaves a mirror."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    with pytest.raises(NotARepositoryError, match="nothing here"):
        opened(f"file://{tmp_path}/nothing here")
    with pytest.raises(GitUnavailableError, match=str(port)):
        opened(f"http://127.0.0.1:{port}/r.git")
    with pytest.raises(GitUnavailableError, match=str(port)):
        opened(f"ssh://git@127.0.0.1:{port}/r.git")
    assert [path for path in (tmp_path / "cache").iterdir() if path.is_dir()] == []


class _Answer(BaseHTTPRequestHandler):
    """Answers by path: `/401/...` with that status; `/hang` waits until the server ends."""

    released = threading.Event()

    def do_GET(self) -> None:
        if self.path.startswith("/hang"):
            self.released.wait(30)
            return
        status = int(self.path.split("/")[1])
        self.send_response(status)
        if status == 401:
            self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[str]:
    """An HTTP server that is no Git server."""
    _Answer.released.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), _Answer) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{found.server_port}"
        _Answer.released.set()
        found.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [401, 403])
def test_missing_credentials_are_said_and_never_asked_for(server: str, opened: Open, status: int) -> None:
    """A remote that wants a password gets an error at once, though nobody can type one."""
    with pytest.raises(AuthenticationError, match="does not let us in"):
        opened(f"http://{server}/{status}/r.git")


def test_passwords_are_never_shown(server: str, settings: GitSettings, opened: Open) -> None:
    """Neither messages nor names in the cache carry the secrets of a URL."""
    with pytest.raises(AuthenticationError) as caught:
        opened(f"http://robot:t0psecret@{server}/401/r.git")

    assert "t0psecret" not in str(caught.value)
    assert "robot" not in str(caught.value)
    assert not any("secret" in path.name for path in settings.cache.rglob("*"))


def test_a_missing_repository_over_http(server: str, opened: Open) -> None:
    """A 404 is no repository, or one that we may not see."""
    with pytest.raises(NotARepositoryError, match="is not a repository"):
        opened(f"http://{server}/404/r.git")


def test_a_server_that_hangs_is_left_when_time_is_up(server: str, settings: GitSettings) -> None:
    """The limit holds for git and everything it started: no helper process stays behind."""
    with pytest.raises(GitUnavailableError, match=r"did not end within 0\.5 s"):
        open_repository(f"http://{server}/hang", replace(settings, timeout=0.5))

    needle = f"{server}/hang".encode()
    deadline = time.monotonic() + 20  # what was killed may take a moment to go
    while left := [path for path in Path("/proc").glob("[0-9]*") if needle in _content(path / "cmdline")]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_remote_that_went_away_is_unavailable(bare: Path, url: str, opened: Open) -> None:
    """Fetch and push of a remote that is gone fail, and what was fetched stays readable."""
    repository = opened(url)
    tip = repository.branch("main")
    bare.rename(bare.with_name("away"))

    with pytest.raises(NotARepositoryError):
        repository.fetch()
    with pytest.raises(NotARepositoryError):
        repository.commit("main", expect=tip, files={"x": b"1"}, message="Try", at=AT)

    assert repository.branch("main") == tip


def test_a_cache_that_cant_be_made(url: str, tmp_path: Path, settings: GitSettings) -> None:
    """A cache in an impossible place is said with its path."""
    (tmp_path / "file").write_text("")

    with pytest.raises(GitWriteError, match="file/cache"):
        open_repository(url, replace(settings, cache=tmp_path / "file" / "cache"))


def test_locks_name_their_holder_and_end_with_it(url: str, checkout: Path, opened: Open) -> None:
    """A second holder is told who has the lock; the kernel frees it when that process is killed."""
    code = (
        "import sys,time\nfrom reconciler.gitrepo import open_repository\nfrom reconciler.settings import GitSettings\n"
        "with open_repository(sys.argv[1], GitSettings()) as r, r.lock('daemon', wait=0):\n"
        "    print('held', flush=True)\n    time.sleep(60)\n"
    )
    for place in (checkout, opened(url).git_dir):
        with subprocess.Popen([sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            try:
                assert holder.stdout.readline() == b"held\n"
                repository = opened(place)
                with pytest.raises(LockedError, match=str(holder.pid)), repository.lock("daemon", wait=0.05):
                    pass
                with repository.lock("other", wait=0):
                    pass
            finally:
                holder.kill()
            holder.wait(10)
            with repository.lock("daemon", wait=5):
                pass


def test_a_lock_is_for_one_of_two_in_one_process(checkout: Path, opened: Open) -> None:
    """Two passes in one process exclude each other, too; a released lock is free."""
    one, two = opened(checkout), opened(checkout / "policies")

    with one.lock("pass", wait=0), pytest.raises(LockedError, match=str(os.getpid())), two.lock("pass", wait=0):
        pass
    with two.lock("pass", wait=0):
        pass
    with pytest.raises(ValueError, match="lock's name"):
        one.lock("../x", wait=0)


def test_tidying_up_is_no_part_of_the_time_that_a_fetch_may_take(url: str, settings: GitSettings, git: Git) -> None:
    """A large mirror takes longer to tidy up than a call over the network may: that must not end every fetch half-way."""
    with open_repository(url, replace(settings, timeout=2)) as repository:
        hooks = repository.git_dir / "hooks"
        hooks.mkdir(exist_ok=True)
        (hooks / "pre-auto-gc").write_text(f"#!/bin/sh\nsleep 4\ntouch {repository.git_dir}/tidied\n")
        (hooks / "pre-auto-gc").chmod(0o755)
        git(repository.git_dir, "config", "gc.autoPackLimit", "1")
        for number in range(3):
            new = git(repository.git_dir, "commit-tree", "-m", str(number), "main^{tree}")
            git(repository.git_dir, "update-ref", f"refs/kept/{number}", new)
            git(repository.git_dir, "repack", "-q", "-d")

        repository.fetch()

        assert (repository.git_dir / "tidied").exists()


def test_a_repository_that_is_away_for_a_moment_is_unavailable_and_finds_its_place_free(
    checkout: Path, opened: Open
) -> None:
    """Its branches are not taken for gone, nobody makes anything where it was, and afterwards all is as before."""
    repository = opened(checkout)
    head, away = repository.resolve("main"), checkout.with_name("away")
    checkout.rename(away)
    asks: tuple[Callable[[], object], ...] = (
        lambda: repository.resolve("main"),
        lambda: repository.branch("main"),
        lambda: repository.branch("other"),
    )
    for ask in asks:
        with pytest.raises(GitUnavailableError, match="is not there"):
            ask()
    with pytest.raises(GitUnavailableError, match="is not there"), repository.lock("pass", wait=0):
        pass
    assert not checkout.exists()
    away.rename(checkout)
    with repository.lock("pass", wait=0):
        assert repository.resolve("main") == head
    assert repository.branch("other") is None


def test_a_write_that_finds_no_repository_any_more_is_tried_again(tmp_path: Path) -> None:
    """It was there when the write began: nothing for a person to mend in it."""
    failed = run([f"--git-dir={tmp_path / 'gone'}", "write-tree"])
    assert isinstance(write_error(failed, what="main can't be moved"), GitUnavailableError)
