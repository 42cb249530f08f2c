"""The daemon as a process: what it tells the supervisor that started it, what it logs, and which signals it hears."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_status_daemon import repo
from tests.daemon.world import PATIENCE
from tests.e2e.rig import clean_environment, git

__all__ = ["repo"]


def test_a_daemons_life_is_told_and_logged(repo: Path, short_path: Path, tmp_path: Path) -> None:
    """Ready after the first pass, alive while it gets on, looking again at a hangup, stopping when told: each line of the log an object."""
    settings = tmp_path / "settings.yaml"
    settings.write_text(f"repo: {repo}\nlog: {{format: json, level: debug}}\n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(str(short_path / "notify"))
        door.settimeout(PATIENCE)

        def hears(*words: str) -> None:
            wanted = set(words)
            while wanted:
                said = door.recv(4096).decode()
                wanted -= {word for word in words if word in said}

        told = {"NOTIFY_SOCKET": str(short_path / "notify"), "WATCHDOG_USEC": "200000"}
        with (tmp_path / "log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "reconciler", "daemon", "--config", str(settings)],
                stderr=log, cwd=repo, env=clean_environment() | {"XDG_RUNTIME_DIR": str(short_path)} | told,
            )  # fmt: skip
        try:
            hears("READY=1", "WATCHDOG=1", "STATUS=")
            process.send_signal(signal.SIGHUP)
            hears("RELOADING=1\nMONOTONIC_USEC=", "READY=1")
            process.send_signal(signal.SIGTERM)
            hears("STOPPING=1")
            assert process.wait(PATIENCE) == 0
        finally:
            process.kill()
            process.wait()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    head = git("-C", str(repo), "rev-parse", "main").strip()
    passes = [item for item in lines if "seconds" in item]
    assert {item["head"] for item in passes} == {head}
    assert [item["pass"].partition("@")[0] for item in passes] == [str(number + 1) for number in range(len(passes))]
    assert passes[0]["reasons"] == ["start"]
    assert {"ready", "SIGHUP: looking at Git", "stopped"} <= {item["message"] for item in lines}


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--repo", "http://me:hunter2@127.0.0.1:1/p.git"], "git-unavailable", "127.0.0.1:1/p.git"),
        (["--http", "127.0.0.1:0", "--http-tokens", "nowhere"], "tokens-file", "nowhere"),
        (["--http-anonymous"], "usage", "HTTP"),
    ],
)
def test_a_daemon_that_can_not_begin_says_so_as_its_log_does(
    repo: Path, options: list[str], code: str, words: str
) -> None:
    """The last line is an object as the others are. The repository is named, in any line, without its password."""
    ended = subprocess.run(
        [sys.executable, "-m", "reconciler", "daemon", "--log-format", "json", *options],
        capture_output=True, text=True, check=False, cwd=repo, timeout=60, env=clean_environment(),
    )  # fmt: skip
    assert ended.returncode == 1
    assert "hunter2" not in ended.stdout + ended.stderr
    last = [json.loads(line) for line in ended.stderr.splitlines()][-1]
    assert (last["level"], last["code"]) == ("error", code)
    assert words in last["message"]
