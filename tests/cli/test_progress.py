from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.cli.progress import watcher
from reconciler.cycle import Stage
from tests.cli.test_status_daemon import daemon, repo
from tests.http.servers import answer, routed

__all__ = ["repo"]

RESULT = {"schema_version": 1, "stdout": "plan\n", "stderr": "", "exit_code": 0}


class Terminal(io.StringIO):
    """Somebody watches."""

    def isatty(self) -> bool:
        return True


def asks(repo: Path, *options: str) -> int:
    table = [("/healthz", answer(200, b"{}")), ("/v1/passes", answer(200, json.dumps(RESULT).encode()))]
    with daemon(repo, routed(table, answer(404, b"{}"))) as path:
        return run(["--daemon", str(path), *options])


def test_who_watches_sees_that_a_daemon_is_asked(
    repo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A pass of the daemon's can take its time: a terminal shows what is waited for, and a pipe gets the result alone."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    screen = Terminal()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", screen)
        assert asks(repo) == 0
    assert "asking the daemon" in screen.getvalue()
    assert capsys.readouterr().out == "plan\n"
    assert asks(repo, "--dry-run") == 0
    assert capsys.readouterr() == ("plan\n", "")


def test_a_stage_is_shown_with_its_detail(monkeypatch: pytest.MonkeyPatch) -> None:
    """One line, the newest."""
    monkeypatch.setenv("TERM", "xterm")
    screen = Terminal()
    with watcher(screen) as line:
        line(Stage.OBSERVE, "3 proxies")
    assert "observe 3 proxies" in screen.getvalue()
    silent = io.StringIO()
    with watcher(silent) as line:
        line(Stage.OBSERVE, "3 proxies")
        line.say("words")
    assert silent.getvalue() == ""
