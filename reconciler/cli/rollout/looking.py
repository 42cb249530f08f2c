"""One look at a rollout: what `show` prints once and `--watch` again and again."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from reconciler.cli.rollout.documents import shown
from reconciler.cli.rollout.reading import Reader, find, seen_of
from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.rollouts.chronicle import events


def document_of(git: Reader, key: Key, *, now: datetime) -> tuple[dict[str, Any], tuple[Diagnostic, ...]]:
    """A rollout as Git has it at this moment, and what is wrong with where it was read.

    Raises:
        ReconcilerError: There is no such rollout, or Git can't be read.
    """
    point = git.look()
    seen = seen_of(point, find(point.mesh, key))
    found = events(*git.past(seen, point))
    return shown(point, seen, found, now=now), point.errors
