"""What a comparison is fed with."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.model.reading import Counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Requests between two readings, while one weight was in force.

    Attributes:
        canary: Those that the canary got.
        stable: Those that stable got in the same time.
        share: The canary's part of requests by the weights, between 0 and 1; nothing can be compared at the ends.
        slot: The stretch of time in which it ended, as a number that grows; windows of one slot are one batch at least. None: each
            window is a slot of its own. Batches that are too short are guarded less against one side's bad minute, which they cut
            into many; so slots belong to the clock, and not to how often somebody reads.
    """

    canary: Counts
    stable: Counts
    share: float
    slot: int | None = None
