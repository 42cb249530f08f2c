"""One start of all Envoys for the whole table."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.behaviour.stage import Stage, standing
from tests.behaviour.table import topics


@pytest.fixture(scope="session")
def stage(envoy: str) -> Iterator[Stage]:  # noqa: ARG001 -- it must be there
    """Every row's policies, served."""
    folder = Path(tempfile.mkdtemp(prefix="rec-"))
    rows = [entry.row for topic in topics() for entry in topic.entries if entry.row is not None]
    try:
        with standing(rows, folder) as found:
            yield found
    finally:
        shutil.rmtree(folder, ignore_errors=True)
