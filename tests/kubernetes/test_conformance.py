"""The adapter does what every adapter has to do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.discovery.conformance import Rule, rules
from tests.kubernetes.platform import Platform


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder: Path = tmp_path_factory.mktemp("kubernetes")
    platform = Platform(folder)
    yield platform
    platform.server.stop()


@pytest.mark.parametrize("rule", rules(), ids=str)
def test_it_conforms(rule: Rule, platform: Platform) -> None:
    """Each rule of the contract."""
    rule.check(platform)
