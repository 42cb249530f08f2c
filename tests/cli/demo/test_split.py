from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.cli.demo.split import bounds


@given(st.integers(0, 2_000), st.floats(0, 1))
def test_bounds_lie_around_the_expected_count(requests: int, share: float) -> None:
    """Low and high are counts that can happen, on either side of what the share promises."""
    low, high = bounds(requests, share)
    assert 0 <= low <= high <= requests
    assert low <= requests * share + 1
    assert high >= requests * share - 1


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_exception_is_allowed_at_nothing_or_everything(share: float) -> None:
    """One stray request at weight 0 is a fault, not chance."""
    assert bounds(500, share) == (int(500 * share), int(500 * share))


@given(st.integers(1, 300), st.floats(0.001, 0.999))
def test_what_is_left_out_is_less_than_one_in_a_thousand(requests: int, share: float) -> None:
    """The probability inside the bounds, by the definition of the binomial distribution, is at least 99.9%."""
    low, high = bounds(requests, share)
    inside = sum(
        math.comb(requests, count) * share**count * (1 - share) ** (requests - count) for count in range(low, high + 1)
    )
    assert inside >= 0.999 - 1e-9


def test_a_wrong_split_falls_outside() -> None:
    """The interval is narrow enough to tell 25% from 40% in 400 requests."""
    source = random.Random(1)  # noqa: S311 -- a reproducible sample, not a secret
    counted = sum(source.random() < 0.40 for _ in range(400))
    low, high = bounds(400, 0.25)
    assert not low <= counted <= high
