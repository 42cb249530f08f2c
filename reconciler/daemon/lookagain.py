"""When Git is looked at once more after a webhook: a forge may tell of a push before its branch shows it. Pure."""

from __future__ import annotations

_AFTER = (2.0, 10.0)


class LookAgain:
    """Keeps the times of the further looks that a webhook asks for.

    A webhook that comes meanwhile begins anew. A head that moved needs no further look: what was told of is there.

    Args:
        after: Seconds from the webhook to each of them.
    """

    def __init__(self, after: tuple[float, ...] = _AFTER) -> None:
        self._after = after
        self._left: tuple[float, ...] = ()
        self._head = ""

    def told(self, now: float, head: str) -> None:
        """A webhook came, while this was the head that is known."""
        self._left, self._head = tuple(now + seconds for seconds in self._after), head

    def due(self, head: str) -> float | None:
        """When to look next; None if there is no need to."""
        if head != self._head:
            self._left = ()
        return self._left[0] if self._left else None

    def looked(self, now: float) -> None:
        """It is about to be looked."""
        self._left = tuple(at for at in self._left if at > now)
