"""Forges for these tests, and an environment in which no CI system speaks."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from tests.ci.forges import Upstream


@dataclass(frozen=True)
class Ran:
    """A command that has ended, and the folder it has written to."""

    code: int
    out: str
    err: str
    folder: Path

    @property
    def comment(self) -> str:
        """The comment."""
        return (self.folder / "comment.md").read_text()

    @property
    def document(self) -> Any:
        """The preview's document."""
        return json.loads((self.folder / "preview.json").read_text())

    @property
    def messages(self) -> list[tuple[str, str, int | None]]:
        """Code, file and line of what is said."""
        found = [item["diagnostic"] for item in (*self.document["refused"], *self.document["remarks"])]
        return [(item["code"], item.get("file", ""), item.get("line")) for item in found]


Preview = Callable[..., Ran]


@pytest.fixture(autouse=True)
def _nobody_speaks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith(("GITHUB_", "GITLAB_", "CI_", "GH_"))]:
        monkeypatch.delenv(name)
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """A forge's repository."""
    return Upstream.at(tmp_path / "upstream")


@pytest.fixture
def preview(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Preview:
    """Run `reconcile ci preview` in this process."""

    def call(repo: Path, *arguments: str, environ: Mapping[str, str] | None = None, envoy: bool = False) -> Ran:
        for name, value in (environ or {}).items():
            monkeypatch.setenv(name, value)
        folder = tmp_path / "out"
        asked = "--envoy" if envoy else "--no-envoy"
        capsys.readouterr()
        code = run(["ci", "preview", "--repo", str(repo), "--out", str(folder), asked, *arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err, folder)

    return call
