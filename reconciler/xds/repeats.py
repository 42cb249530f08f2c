"""What was sent to one proxy once more although it says that it has it: how often that is done. Not for two threads at once."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.model.resource import ResourceId

PAUSE = 60.0
"""Seconds after which one version of a resource may be sent once more again."""


class Repeats:
    """One version of a resource at most once in a while: a proxy that does not take it, whatever it says, is not sent it without end."""

    def __init__(self) -> None:
        self._last: dict[ResourceId, tuple[str, float]] = {}

    def due(self, versions: Mapping[ResourceId, str], *, now: float) -> frozenset[ResourceId]:
        """Which of these may be sent once more; they count as sent.

        Args:
            versions: What each is to be now.
            now: On any scale of seconds that only grows.
        """
        self._last = {id_: item for id_, item in self._last.items() if now - item[1] < PAUSE}
        found = frozenset(id_ for id_, version in versions.items() if self._last.get(id_, ("", 0.0))[0] != version)
        self._last |= {id_: (versions[id_], now) for id_ in found}
        return found
