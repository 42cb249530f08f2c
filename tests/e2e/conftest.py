from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.rig import Rig


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One gateway in front of two versions, nothing pushed yet."""
    with Rig(tmp_path_factory.mktemp("r")) as rig:
        yield rig


@pytest.fixture
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Three gateways with the same routes."""
    with Rig(tmp_path_factory.mktemp("f"), gateways=3) as rig:
        yield rig
