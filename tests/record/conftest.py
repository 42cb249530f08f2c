"""A policy repository with a record, and drafts to write to it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.gitrepo import Repository, open_repository
from reconciler.model.key import Key
from reconciler.model.receipt import OutcomeKind, ProxyReceipt
from reconciler.record import Draft
from reconciler.settings import GitSettings

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
BRANCH = "reconciler/record"

Git = Callable[..., str]
Open = Callable[[str], Repository]


def live(view: str = "v1", **changes: object) -> ProxyReceipt:
    """A proxy that has its view."""
    values: dict[str, object] = {"view": view, "proof": "exact", "outcome": OutcomeKind.APPLIED, **changes}
    return ProxyReceipt(**values)  # type: ignore[arg-type]


def draft(
    commit: str, *, proxies: dict[Key, ProxyReceipt] | None = None, subject: str = "reviews v2 5% -> 25%"
) -> Draft:
    """A draft for this policy commit; two proxies by default."""
    both = {Key("default", "a"): live(), Key("other", "b"): live("v2")} if proxies is None else proxies
    return Draft(policy_commit=commit, plan_digest="ab" * 32, subject=subject, proxies=both)


@pytest.fixture(autouse=True)
def _own_configuration(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    config = tmp_path / "gitconfig"
    config.write_text("[user]\n\tname = Ada\n\temail = ada@example.com\n[init]\n\tdefaultBranch = main\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A bare repository whose main has one policy."""
    path = tmp_path / "fleet.git"
    subprocess.run(["git", "init", "-q", "--bare", str(path)], check=True)
    with open_repository(str(path), GitSettings()) as repository:
        repository.commit("main", expect=None, files={"policies/a.yaml": b"a: 1\n"}, message="Begin", at=AT)
    return path


@pytest.fixture
def git(bare: Path) -> Git:
    """Run git in the bare repository; returns stdout."""

    def call(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=bare, check=True, capture_output=True, text=True).stdout.strip()

    return call


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """Open repositories that are closed when the test ends; each URL has a mirror of its own."""
    with ExitStack() as stack:
        count = iter(range(1000))
        yield lambda location: stack.enter_context(
            open_repository(location, GitSettings(cache=tmp_path / f"cache-{next(count)}"))
        )


@pytest.fixture
def repository(bare: Path, opened: Open) -> Repository:
    """The bare repository, by path."""
    return opened(str(bare))


@pytest.fixture
def policy(repository: Repository) -> str:
    """The policy commit."""
    return repository.resolve("main")
