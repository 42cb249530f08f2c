"""How far a measured split may be from its weights by chance alone. Pure arithmetic."""

from __future__ import annotations

import math

CONFIDENCE = 0.999


def bounds(requests: int, share: float, *, confidence: float = CONFIDENCE) -> tuple[int, int]:
    """The fewest and the most of so many requests that a share, 0 to 1, gives with this confidence (exact binomial).

    Each tail is cut where it holds less than half of what is left of 1; a share of 0 or 1 allows no exception at all.
    """
    if share <= 0 or requests == 0:
        return 0, 0
    if share >= 1:
        return requests, requests
    tail = (1 - confidence) / 2
    hit, miss = math.log(share), math.log1p(-share)
    return _quantile(requests, hit, miss, tail), requests - _quantile(requests, miss, hit, tail)


def _quantile(requests: int, hit: float, miss: float, tail: float) -> int:
    """The smallest count whose cumulative probability is at least this, from the logarithms of the chances of one."""
    total = 0.0
    for count in range(requests + 1):
        ways = math.lgamma(requests + 1) - math.lgamma(count + 1) - math.lgamma(requests - count + 1)
        total += math.exp(ways + count * hit + (requests - count) * miss)
        if total >= tail:
            return count
    return requests
