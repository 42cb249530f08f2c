"""The fixtures of this room: one running mesh, and one that is traced."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.telemetry.lab import Lab, serving


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder with a short path, for Unix sockets."""
    path = Path(tempfile.mkdtemp(prefix="t"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(scope="module")
def lab(folder: Path) -> Iterator[Lab]:
    """The mesh without any setting, running."""
    with serving(folder) as found:
        yield found
