"""The daemon's settings from the command line, end to end."""

from __future__ import annotations

from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.cli.options import settings
from reconciler.errors import UsageError
from reconciler.settings import HttpSettings


def test_what_is_in_force_is_printed_and_nothing_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Flags, variables and the file in one print; the repository is not even looked at."""
    path = tmp_path / "settings.yaml"
    path.write_text("repo: /nowhere\nads:\n  address: 127.0.0.1:0\n  plaintext: true\n")
    monkeypatch.setenv("RECONCILE_CONFIG", str(path))
    monkeypatch.setenv("RECONCILE_REF", "trunk")
    options = ["--no-ads-plaintext", "--webhook", "github=/s1", "--http", "127.0.0.1:0", "--webhook", "plain=/s2", "-v"]
    assert run(["daemon", "--print-config", *options]) == 0
    out = capsys.readouterr().out
    for line in (
        f"repo: /nowhere  # {path}:1:7",
        "ref: trunk  # RECONCILE_REF",
        "  plaintext: false  # --ads-plaintext",
        "  webhooks:  # --webhook\n    github: /s1\n    plain: /s2",
        "  level: debug  # --log-level",
        "  interval: 10s  # default",
    ):
        assert f"{line}\n" in out


@pytest.mark.parametrize(
    ("options", "code"),
    [
        (["--config", "{0}/nowhere"], "settings-file"),
        (["--config", "{0}/bad.yaml"], "settings-key"),
        (["--verbose", "--log-level", "error"], "usage"),
        (["--interval", "0"], "usage"),
        (["--ads-cert", "x"], "usage"),
    ],
)
def test_settings_that_are_wrong_end_it_before_it_begins(
    options: list[str], code: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A daemon never starts with half of what it was told."""
    (tmp_path / "bad.yaml").write_text("rep: x\n")
    assert run(["daemon", *(item.format(tmp_path) for item in options)]) == 1
    assert f"error[{code}]: " in capsys.readouterr().err


def test_every_command_hears_the_variables_of_git_and_of_trust() -> None:
    """A variable of a machine is for all commands on it, also where a command has no flag for it; the daemon's alone are not read."""
    environ = {
        "RECONCILE_GIT_TOKEN_FILE": "/t",
        "RECONCILE_ALLOWED_SIGNERS": "/s",
        "RECONCILE_HTTP_TOKENS": "/only/the/daemons",
    }
    made = settings(repo=".", ref="main", environ=environ, cache=Path("/c"), admin_timeout="7s", author=None)
    assert (made.git.token_file, made.trust.allowed_signers, made.http) == ("/t", "/s", HttpSettings())
    assert (made.git.cache, made.admin.read_timeout) == (Path("/c"), 7.0)
    with pytest.raises(UsageError, match="RECONCILE_GIT_TIMEOUT: 'soon' is not a duration"):
        settings(repo=".", ref="main", environ={"RECONCILE_GIT_TIMEOUT": "soon"})
