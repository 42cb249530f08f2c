"""Real repositories for these tests, apart from the configuration of whoever runs them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.gitrepo import Repository, open_repository
from reconciler.settings import GitSettings

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Git = Callable[..., str]
Open = Callable[..., Repository]


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def git() -> Git:
    """Run git in a folder, with a commit date that never changes; returns stdout."""

    def call(folder: Path, *arguments: str, check: bool = True) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, check=check, capture_output=True)
        return done.stdout.decode("utf-8", "surrogateescape").strip()

    return call


@pytest.fixture
def settings(tmp_path: Path) -> GitSettings:
    """Settings whose cache is the test's own."""
    return GitSettings(cache=tmp_path / "cache", timeout=20)


@pytest.fixture
def opened(settings: GitSettings) -> Iterator[Open]:
    """Open repositories that are closed when the test ends."""
    with ExitStack() as stack:
        yield lambda location, using=settings: stack.enter_context(open_repository(str(location), using))


@pytest.fixture
def checkout(tmp_path: Path, git: Git) -> Path:
    """A repository with a work tree and one commit on main: `policies/a.yaml` and an executable `run`."""
    path = tmp_path / "checkout"
    (path / "policies").mkdir(parents=True)
    (path / "policies" / "a.yaml").write_text("a: 1\n")
    (path / "run").write_text("#!/bin/sh\n")
    (path / "run").chmod(0o755)
    git(path, "init", "-q")
    git(path, "add", ".")
    git(path, "commit", "-q", "-m", "Begin")
    return path


@pytest.fixture
def bare(tmp_path: Path, checkout: Path, git: Git) -> Path:
    """A bare repository with the same commit."""
    path = tmp_path / "bare.git"
    git(tmp_path, "clone", "-q", "--bare", str(checkout), str(path))
    return path


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB, to be filled; skips where it can't be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)
