"""A Python package that brings adapters, as `pip` would install it: a folder with its metadata on the path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path

import pytest


def plug(folder: Path, patch: pytest.MonkeyPatch, points: Mapping[str, str]) -> None:
    """Install one, for as long as the test runs.

    Args:
        folder: An empty one.
        patch: Undoes it.
        points: Entry points: what an adapter is called, and `module:callable`.
    """
    metadata = folder / "pigeons-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: pigeons\nVersion: 1.0\n")
    lines = [f"{name} = {value}" for name, value in points.items()]
    (metadata / "entry_points.txt").write_text("\n".join(["[reconciler.discovery]", *lines]) + "\n")
    patch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
