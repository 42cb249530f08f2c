from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.behaviour.stage import Stage, standing
from tests.behaviour.topics import Entry, topics


class Stages:
    """One start of all Envoys for the topics that are in one mesh, when the first of their rows is tried."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._entries = [entry for topic in topics() for entry in topic.entries]
        self._stages: dict[str, Stage | Exception] = {}

    def of(self, entry: Entry) -> Stage:
        """Where a row is served."""
        name = repr(entry.mesh)
        if name not in self._stages:
            folder = Path(tempfile.mkdtemp(prefix="rec-"))
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
            rows = [item.row for item in self._entries if item.row is not None and item.mesh == entry.mesh]
            try:
                self._stages[name] = self._stack.enter_context(standing(rows, folder, mesh=entry.mesh))
            except Exception as error:  # noqa: BLE001 -- every row says why it can't be tried, at once
                self._stages[name] = error
        found = self._stages[name]
        if isinstance(found, Exception):
            raise AssertionError("nothing is served") from found  # noqa: TRY004 -- a row that failed
        return found


@pytest.fixture(scope="session")
def stages(envoy: str) -> Iterator[Stages]:  # noqa: ARG001 -- it must be there
    """Every row's policies, served."""
    with ExitStack() as stack:
        yield Stages(stack)
