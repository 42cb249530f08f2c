from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from reconciler.cli.control import ControlDirectoryError, identity, own_socket, sockets
from reconciler.gitrepo import open_repository
from reconciler.settings import LONGEST_SOCKET, GitSettings, control_sockets
from tests.e2e.rig import git


@pytest.fixture
def runtime(short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = short_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))
    return folder


def named(where: str, ref: str = "main") -> Path:
    with open_repository(where, GitSettings()) as repository:
        return own_socket(repository, ref)


def test_every_spelling_of_a_repository_has_one_socket(
    tmp_path: Path, runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Daemon and command find each other from a folder inside, by a link, by `..` and from a linked work tree."""
    repo = tmp_path / "repo"
    git("init", "-q", "-b", "main", str(repo))
    git("-C", str(repo), "commit", "-q", "--allow-empty", "-m", "Start")
    (repo / "policies").mkdir()
    (tmp_path / "link").symlink_to(repo)
    git("-C", str(repo), "worktree", "add", "-q", "-b", "other", str(tmp_path / "linked"), quiet=True)
    monkeypatch.chdir(repo)
    path = named(".")
    assert path.parent == runtime / "envoy-reconciler"
    for spelling in (
        repo,
        repo / ".git",
        repo / "policies",
        tmp_path / "link",
        tmp_path / "linked",
        "../repo",
        "policies/..",
    ):
        assert named(str(spelling)) == path, spelling
    assert named(".", "release") != path
    git("init", "-q", "-b", "main", str(tmp_path / "else"))
    assert named(str(tmp_path / "else")) != path


def test_a_url_is_itself_without_its_password(tmp_path: Path) -> None:
    """A token that is renewed must not make another repository of it."""
    origin = tmp_path / "origin.git"
    git("init", "-q", "--bare", "-b", "main", str(origin))
    with open_repository(f"file://{origin}", GitSettings(cache=tmp_path / "cache")) as repository:
        assert identity(repository) == f"file://{origin}"


def test_where_sockets_are_looked_for() -> None:
    """The runtime directory if there is a usable one, and `/tmp` by user; always short enough to be listened on."""
    shared = Path("/tmp/envoy-reconciler-7")  # noqa: S108 -- a name, nothing is made
    for base in ("", "relative", "/" + "x" * 80):
        (only,) = control_sockets("/repo", "main", environ={"XDG_RUNTIME_DIR": base}, user=7)
        assert only.parent == shared
    own, other = control_sockets("/repo", "main", environ={"XDG_RUNTIME_DIR": "/run/user/7"}, user=7)
    assert (own.parent, other.parent) == (Path("/run/user/7/envoy-reconciler"), shared)
    assert own.name == other.name
    for path in (own, other, *control_sockets("/" + "y" * 5000, "ref/" * 60, environ={}, user=4294967294)):
        assert len(os.fsencode(path)) <= LONGEST_SOCKET


def test_the_repository_and_the_branch_cannot_be_mixed_up() -> None:
    """Two pairs that read the same when joined have two sockets."""
    assert control_sockets("/a", "b/c", environ={}) != control_sockets("/a/b", "c", environ={})
    assert control_sockets("/a", "bc", environ={}) != control_sockets("/ab", "c", environ={})


def test_the_directory_is_made_for_its_user_only(tmp_path: Path, runtime: Path) -> None:
    """Mode 0700 whatever the umask says."""
    git("init", "-q", "-b", "main", str(tmp_path / "repo"))
    before = os.umask(0)
    try:
        path = named(str(tmp_path / "repo"))
    finally:
        os.umask(before)
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.parent == runtime / "envoy-reconciler"


@pytest.mark.parametrize("kind", ["open", "link", "file"])
def test_a_directory_that_is_not_ours_alone_is_refused(tmp_path: Path, runtime: Path, kind: str) -> None:
    """A stranger's directory would hold a stranger's socket: neither side goes near it."""
    git("init", "-q", "-b", "main", str(tmp_path / "repo"))
    folder = runtime / "envoy-reconciler"
    target = runtime / "target"
    if kind == "file":
        folder.write_text("")
    else:
        target.mkdir(mode=0o700)
        target.chmod(0o700 if kind == "link" else 0o755)
        folder.symlink_to(target) if kind == "link" else target.rename(folder)
    with pytest.raises(ControlDirectoryError) as refused:
        named(str(tmp_path / "repo"))
    assert "--daemon" in refused.value.diagnostics[0].hint
    if kind == "open":
        with open_repository(str(tmp_path / "repo"), GitSettings()) as repository:
            path = control_sockets(identity(repository), "main")[0]
            with socket.socket(socket.AF_UNIX) as planted:
                planted.bind(str(path))
                with pytest.raises(ControlDirectoryError):
                    sockets(repository, "main")


def test_a_runtime_directory_that_is_not_there_is_passed_over(
    tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`su` and containers name one that does not exist; a daemon still has its socket, and commands look there too."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path / "none"))
    git("init", "-q", "-b", "main", str(tmp_path / "repo"))
    path = named(str(tmp_path / "repo"))
    with open_repository(str(tmp_path / "repo"), GitSettings()) as repository:
        assert path == control_sockets(identity(repository), "main")[1]
        assert sockets(repository, "main") == []
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(str(path))
            assert sockets(repository, "main") == [path]
        path.unlink()
