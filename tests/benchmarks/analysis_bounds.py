"""Exact bounds for observed frequencies (Clopper and Pearson 1934)."""

from __future__ import annotations

from math import exp, lgamma, log, log1p


def at_least(count: int, runs: int, *, certainty: float = 0.99) -> float:
    """The probability that is exceeded with this certainty, by `count` of `runs`; 0 for none."""
    if not count:
        return 0.0
    low, high = 0.0, count / runs
    for _ in range(60):
        middle = (low + high) / 2
        if 1 - _up_to(count - 1, runs, middle) > 1 - certainty:
            high = middle
        else:
            low = middle
    return low


def _up_to(count: int, runs: int, chance: float) -> float:
    """How probable at most `count` of `runs` are."""
    if chance <= 0:
        return 1.0
    return sum(
        exp(
            lgamma(runs + 1)
            - lgamma(item + 1)
            - lgamma(runs - item + 1)
            + item * log(chance)
            + (runs - item) * log1p(-chance)
        )
        for item in range(count + 1)
    )
