"""Quantiles of request times that were counted in buckets, by one proxy or, added up, by many.

Envoy's buckets (circllhist) are log-linear with two significant digits: 1.0-1.1, ..., 9.9-10, 10-11, ..., 99-100, 100-110 ms. Adding counts by
bucket loses nothing, so quantiles of many proxies are as good as those of one; averages of their quantiles would mean nothing.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from reconciler.model.reading import Bucket

WORST_ERROR = 0.1
"""By how much of its own value a quantile may be wrong: the width of the widest bucket. Envoy counts whole milliseconds besides."""


def quantile(times: Mapping[Bucket, int], percent: float) -> float:
    """The time that `percent` percent of the requests did not exceed, in milliseconds; NaN if there are no requests.

    The answer lies in the bucket of the request that is meant (of n, the ceil(percent/100 * n)-th by time), linearly between its bounds as
    if those in it were spread evenly. So it is wrong by less than `WORST_ERROR` of the true time, typically by 2%, and one of under a
    millisecond is 0.

    Args:
        times: How many requests took how long; buckets do not overlap.
        percent: From 0 to 100.

    Raises:
        ValueError: `percent` is none.
    """
    if not 0 <= percent <= 100:  # noqa: PLR2004 -- percent
        raise ValueError(f"{percent} is no percentage")
    buckets = [(bucket, times[bucket]) for bucket in sorted(times) if times[bucket] > 0]
    if not buckets:
        return math.nan
    rank = percent * sum(count for _, count in buckets) / 100
    below = 0
    for (lower, upper), count in buckets:
        if below + count >= rank:
            return lower + (upper - lower) * (rank - below) / count
        below += count
    return buckets[-1][0][1]
