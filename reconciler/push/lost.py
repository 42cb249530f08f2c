"""Endpoints that a proxy on ADS shows otherwise than it was sent and says that it took: Envoy has lost them, or somebody changed them.

Beside `ads`. The plane sends what differs from what a proxy says that it has, so to it there is nothing to repair; only a reading
of the proxy shows it. Load assignments with recipes are the case: nobody publishes them again, and they are never drift.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.resource import ResourceId
from reconciler.push.verify import named
from reconciler.push.ways import Proven
from reconciler.xds import Plane


class Lost:
    """Those of one proxy, in one push."""

    def __init__(self, plane: Plane, key: Key) -> None:
        self._plane = plane
        self._key = key
        self._stubborn: set[ResourceId] = set()

    def repair(self, ids: Iterable[ResourceId]) -> None:
        """Send again what a proxy has by its own word; it was seen to serve something else.

        A reading that was overtaken by a change of endpoints looks the same, and costs one message.

        Args:
            ids: What was seen otherwise, and is published.
        """
        known = self._plane.answered(self._key, tuple(ids))
        if known:
            self._stubborn |= known - self._plane.repeat(self._key, known)

    def noted(self, proven: Proven) -> Proven:
        """A proof with what was not sent again because that has not helped a moment ago."""
        if not self._stubborn:
            return proven
        what = named(map(str, sorted(self._stubborn)))
        said = f"shown otherwise although it was sent again, which is done once a minute: {what}"
        return replace(
            proven,
            proof=Proof.CONFIRMED if proven.proof is Proof.EXACT else proven.proof,
            detail="; ".join(filter(None, (proven.detail, said))),
        )
