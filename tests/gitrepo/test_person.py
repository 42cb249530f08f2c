from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from reconciler.gitrepo import NobodyError, person
from reconciler.settings import Identity


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository of somebody about whom no configuration says anything."""
    for name in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "EMAIL", "GIT_CONFIG_COUNT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "none"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_CONFIG_GLOBAL", raising=False)
    subprocess.run(["git", "init", "-q", str(tmp_path / "repo")], check=True)
    return tmp_path / "repo"


def config(*arguments: str) -> None:
    subprocess.run(["git", "config", *arguments], check=True)


def test_the_environment_comes_before_the_repository_and_that_before_the_user(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever `git commit` would name is named by our commands too."""
    config("--global", "user.name", "Ann Ölmann")
    config("--global", "user.email", "ann@example.com")
    assert person("https://git.example/mesh.git") == Identity(name="Ann Ölmann", email="ann@example.com")
    assert person(str(repository)) == Identity(name="Ann Ölmann", email="ann@example.com")
    config("--file", str(repository / ".git" / "config"), "user.email", "ann@work.example")
    assert person(str(repository)).email == "ann@work.example"
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Bob")
    assert person(str(repository)) == Identity(name="Bob", email="ann@work.example")


def test_nobody_is_made_up(repository: Path) -> None:
    """A commit by `root@localhost` would be nobody's; the message says what to do."""
    with pytest.raises(NobodyError, match="git does not know who you are") as failure:
        person(str(repository))
    assert "user.email" in failure.value.diagnostics[0].hint
