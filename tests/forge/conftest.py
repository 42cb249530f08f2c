"""A forge, a clock that is told what time it is, and proposals between them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from reconciler.forge import GitHub
from tests.forge.server import ForgeServer

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
FILES = {"policies/reviews.yaml": b"weight: 5\n", "policies/rollout.yaml": b"step: 1\n", "README.md": b"Hello.\n"}


class Hand:
    """A clock that a test moves; sleeping takes no time, and is remembered."""

    def __init__(self) -> None:
        self.passed = 100.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return START + timedelta(seconds=self.passed - 100)

    def monotonic(self) -> float:
        return self.passed

    def sleep(self, seconds: float) -> None:
        if seconds > 0:
            self.slept.append(seconds)
            self.passed += seconds


@pytest.fixture
def clock() -> Hand:
    return Hand()


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeServer]:
    """A forge whose `main` is protected."""
    with ForgeServer(tmp_path / "forge", FILES) as server:
        yield server


@pytest.fixture
def github(forge: ForgeServer, clock: Hand) -> Iterator[GitHub]:
    """Its API."""
    with GitHub(forge.repository, token_file=forge.token_file, api=forge.api, clock=clock) as client:
        yield client
