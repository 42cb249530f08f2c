"""Doors that can't be opened: said at once, before any pass, and nothing is left behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_status_daemon import daemon, repo, says
from tests.e2e.rig import clean_environment

__all__ = ["repo"]


def start(where: Path, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A daemon that has to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "reconciler", "daemon", *options],
        capture_output=True, text=True, check=False, cwd=where, timeout=60, env=clean_environment() | environment,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "code"),
    [("8080", "usage"), (":8080", "usage"), ("no-such-host.invalid:0", "listen"), ("192.0.2.1:0", "listen")],
)
def test_an_address_that_cannot_be_had_ends_the_daemon_before_it_begins(repo: Path, address: str, code: str) -> None:
    """A daemon without the door that was asked for would look well to nobody."""
    ended = start(repo, "--http", address)
    assert ended.returncode == 1
    assert f"error[{code}]: " in ended.stderr
    assert " ready\n" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_socket_that_is_in_use_ends_it_too(repo: Path) -> None:
    """Two daemons never share a socket, and the one that was there keeps it."""
    with daemon(repo, says(repo)) as path:
        for options in ([], ["--daemon", str(path)]):
            ended = start(repo, *options)
            assert (ended.returncode, "error[listen]: a process listens on" in ended.stderr) == (1, True)
        assert path.is_socket()


def test_a_directory_of_somebody_elses_ends_it(repo: Path, short_path: Path) -> None:
    """A directory that others may enter is no place for the socket."""
    folder = short_path / "envoy-reconciler"
    folder.mkdir()
    folder.chmod(0o755)
    ended = start(repo)
    assert (ended.returncode, "error[control-directory]: " in ended.stderr) == (1, True)
    assert list(folder.iterdir()) == []
