"""What holds changes now, as a part of the documents of status: a suspension, a freeze, or both. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from reconciler.clock import rfc3339

if TYPE_CHECKING:
    from reconciler.model.mesh import Mesh


def held_document(mesh: Mesh | None, now: datetime) -> dict[str, Any] | None:
    """What holds changes: `suspended` and `frozen` in words, `rollouts` why these don't go on, `until` when something of it ends.

    Args:
        mesh: What is to be in force; None if that is not known.
        now: UTC.

    Returns:
        None if nothing is held. Words are "" where they do not apply, and `until` is None where nobody knows.
    """
    from reconciler.cycle.standstill import held

    if mesh is None:
        return None
    found = held(mesh.settings, now)
    if not (found.suspended or found.frozen):
        return None
    until = rfc3339(found.until) if found.until is not None else None
    return {"suspended": found.suspended, "frozen": found.frozen, "rollouts": found.rollouts, "until": until}
