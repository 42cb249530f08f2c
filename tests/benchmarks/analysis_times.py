"""Simulated request times, in the log-linear buckets of Envoy's detailed histograms (two significant digits).

Times are lognormal: median 20 ms, p99 128 ms. `slower` makes all of the canary's requests 1.5 times as slow; `tail` only those above the
90th percentile, so that p99 is 1.5 times as high and the median is not. `sticky`: 100 to 500 users of lognormal activity, each with a
speed of its own (a factor, lognormal with sigma 0.5), assigned once; in twenty classes of speed.
"""

from __future__ import annotations

from itertools import pairwise
from math import erf, exp, log, sqrt

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from reconciler.model.reading import Bucket, Counts

MEDIAN, SIGMA = 20.0, 0.8
EDGES = tuple(round(10.0**decade * tenth / 10, 6) for decade in range(4) for tenth in range(10, 100))
BUCKETS: tuple[Bucket, ...] = ((0.0, EDGES[0]), *pairwise(EDGES), (EDGES[-1], 1e4))
P90 = MEDIAN * exp(SIGMA * 1.2815515655)
P99 = MEDIAN * exp(SIGMA * 2.3263478740)
STRETCH = log(1.5 * P99 / P90) / log(P99 / P90)
Numbers = NDArray[np.float64]
EFFECTS = ("none", "slower", "tail")


def chances(effect: str = "none", factor: float = 1.0) -> Numbers:
    """How probable each bucket is."""
    below = [0.0, *(_below(edge / factor, effect) for edge in EDGES), 1.0]
    return np.diff(below)


def independent(random: Generator, *, windows: int, requests: float, share: float, effect: str) -> list[list[Counts]]:
    """By window: canary, stable."""
    total = random.poisson(requests, windows)
    canary = random.binomial(total, share)
    ours, theirs = chances(effect), chances()
    return [
        [_counted(random.multinomial(canary[at], ours)), _counted(random.multinomial(total[at] - canary[at], theirs))]
        for at in range(windows)
    ]


def sticky(random: Generator, *, windows: int, requests: float, share: float) -> list[list[Counts]]:
    """By window: canary, stable. Healthy."""
    count = int(random.choice([100, 200, 500]))
    activity = random.lognormal(0, 1.2, count)
    speeds = random.integers(0, 20, count)
    on = random.random(count) < share
    table = np.stack([chances(factor=exp(0.5 * (2 * (step + 0.5) / 20 - 1) * sqrt(3))) for step in range(20)])
    sides = []
    for of in (on, ~on):
        load = np.bincount(speeds[of], activity[of], minlength=20)
        means = load @ table * requests / activity.sum()
        sides.append(random.poisson(means, (windows, len(BUCKETS))))
    return [[_counted(sides[0][at]), _counted(sides[1][at])] for at in range(windows)]


def _below(at: float, effect: str) -> float:
    if effect == "slower":
        at /= 1.5
    elif effect == "tail" and at > P90:
        at = P90 * (at / P90) ** (1 / STRETCH)
    return (1 + erf(log(at / MEDIAN) / SIGMA / sqrt(2))) / 2


def _counted(found: NDArray[np.int64]) -> Counts:
    return Counts(
        requests=int(found.sum()), times={BUCKETS[at]: int(found[at]) for at in np.flatnonzero(found).tolist()}
    )
