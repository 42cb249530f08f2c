"""Which requests are slow: thresholds that follow stable's percentiles, always set before the window that is counted with them.

Any threshold is a fair one as long as it does not depend on the window; a good one lies near a percentile. So no histogram has to be
remembered. Bounds are those of Envoy's detailed buckets (two significant digits); whoever is in a bucket that begins at the threshold
or later is slow.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, isfinite, log

from reconciler.model.reading import Bucket

ENOUGH = 20
"""Requests of stable that a window needs to move a threshold."""
FOLLOWING = 0.2
"""How far a threshold moves towards the newest window's percentile, on a logarithmic scale."""


def slow(times: Mapping[Bucket, int], threshold: float) -> int:
    """Requests at or over a threshold."""
    return sum(count for (lower, _), count in times.items() if lower >= threshold)


def percentile(times: Mapping[Bucket, int], level: float) -> float:
    """The end of the bucket in which a percentile lies, in milliseconds; 0 if there are no requests."""
    wanted = level / 100 * sum(times.values())
    seen = 0
    end = 0.0
    for (lower, upper), count in sorted(times.items()):
        seen += count
        end = upper if isfinite(upper) else lower
        if seen >= wanted:
            break
    return end


def followed(
    thresholds: tuple[float, ...], stable: Mapping[Bucket, int], levels: tuple[float, ...]
) -> tuple[float, ...]:
    """Thresholds for the next window."""
    if sum(stable.values()) < ENOUGH:
        return thresholds
    found = tuple(max(percentile(stable, level), 1e-3) for level in levels)
    if not thresholds:
        return found
    return tuple(
        round(exp((1 - FOLLOWING) * log(old) + FOLLOWING * log(new)), 6)
        for old, new in zip(thresholds, found, strict=True)
    )
