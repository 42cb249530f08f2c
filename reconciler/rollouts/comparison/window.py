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
    """

    canary: Counts
    stable: Counts
    share: float
