"""Each bet is fair: its mean is at most 1 while the canary is healthy, worked out exactly where that is possible."""

from __future__ import annotations

from math import comb, exp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.rollouts.comparison.betting import EPOCHS, betted, won
from reconciler.rollouts.comparison.comparing import begin
from reconciler.rollouts.comparison.evidence import (
    ODDS,
    STAKES,
    TOLERATED,
    mean_of,
    odds_bets,
    odds_share,
    spread,
    stake_bets,
    sticking,
)
from reconciler.rollouts.comparison.state import Batch

START = (0.0,) * len(ODDS)
small = st.integers(1, 30)


def mean_of_bets(canary: int, stable: int, bad: int, start: tuple[float, ...] = START) -> float:
    """Over all ways in which the bad requests of a batch may fall to the sides."""
    total = canary + stable
    return sum(
        comb(canary, ours)
        * comb(stable, bad - ours)
        / comb(total, bad)
        * exp(mean_of(odds_bets(start, share=canary / total, canary=ours, bad=bad)))
        for ours in range(max(0, bad - stable), min(canary, bad) + 1)
    )


class TestRequests:
    @given(small, small, st.data())
    def test_bets_on_requests_are_fair(self, canary: int, stable: int, data: st.DataObject) -> None:
        """Given what either side had, bad requests are a random sample: no batch wins on average."""
        bad = data.draw(st.integers(0, canary + stable))
        assert mean_of_bets(canary, stable, bad) <= 1 + 1e-5

    @given(small, small, small, small, st.data())
    def test_one_larger_window_is_as_fair_as_many(
        self, ours: int, theirs: int, more: int, others: int, data: st.DataObject
    ) -> None:
        """Windows that were lost and come as one are betted on once, at no better odds."""
        canary, stable = ours + more, theirs + others
        bad = data.draw(st.integers(0, canary + stable))
        assert mean_of_bets(canary, stable, bad) <= 1 + 1e-5

    def test_batches_without_bad_requests_change_nothing(self) -> None:
        """Without an outcome nothing was learnt."""
        assert odds_bets(START, share=0.3, canary=0, bad=0) == START

    def test_a_canary_a_little_worse_is_no_evidence(self) -> None:
        """Up to the tolerated odds the mean gain is not above 1."""
        share, bad = 0.2, 40
        part = odds_share(share, TOLERATED)
        mean = sum(
            comb(bad, ours)
            * part**ours
            * (1 - part) ** (bad - ours)
            * exp(mean_of(odds_bets(START, share=share, canary=ours, bad=bad)))
            for ours in range(bad + 1)
        )
        assert mean == pytest.approx(1, abs=1e-4)


class TestBatches:
    rates = st.floats(0, 1)

    @given(rates, rates, st.floats(1e-6, 1))
    def test_swapping_two_rates_never_wins_twice(self, one: float, two: float, usual: float) -> None:
        """If either side may have either rate, bets win nothing on average, whatever the rates are."""
        logs = (0.0,) * len(STAKES)
        forth = stake_bets(logs, canary=one, stable=two, usual=usual)
        back = stake_bets(logs, canary=two, stable=one, usual=usual)
        for first, second in zip(forth, back, strict=True):
            assert (exp(first) + exp(second)) / 2 <= 1 + 1e-5

    @given(rates, rates, st.floats(1e-6, 1))
    def test_one_batch_wins_or_loses_no_more_than_its_stake(self, one: float, two: float, usual: float) -> None:
        """An instance's bad minute is one batch or a few."""
        for found, part in zip(
            stake_bets((0.0,) * len(STAKES), canary=one, stable=two, usual=usual), STAKES, strict=True
        ):
            assert 1 - part - 1e-5 <= exp(found) <= 1 + part + 1e-5


class TestSticking:
    @pytest.mark.parametrize("crowd", [3.0, 30.0, 3000.0])
    @pytest.mark.parametrize("bad", [1, 20, 200])
    def test_bets_on_callers_are_fair(self, crowd: float, bad: int) -> None:
        """Summed over all counts with the probabilities of callers that stick, they win nothing."""
        even = 0.1
        mean = sum(
            comb(bad, ours)
            * exp(_beta(ours, bad, even, crowd) + sticking(crowd=crowd, even=even, canary=ours, bad=bad))
            for ours in range(bad + 1)
        )
        assert mean == pytest.approx(1, abs=1e-6)

    def test_few_callers_can_not_tell(self) -> None:
        """However many requests they send: evidence stays bounded by what ten callers are worth."""
        found = [sticking(crowd=10, even=0.1, canary=0.3 * bad, bad=bad) for bad in (10**3, 10**5, 10**7)]
        assert max(found) < 5
        assert abs(found[2] - found[1]) < 0.01

    def test_requests_that_fall_as_the_weights_say_speak_against_sticking(self) -> None:
        """And those that don't speak for it."""
        assert spread(crowd=100, share=0.1, canary=100_000, requests=1_000_000) > 3
        assert spread(crowd=100, share=0.1, canary=110_000, requests=1_000_000) < -10


def _beta(ours: int, bad: int, part: float, crowd: float) -> float:
    from math import lgamma

    first, second = part * crowd, (1 - part) * crowd
    logs = lgamma(ours + first) + lgamma(bad - ours + second) - lgamma(bad + crowd)
    return logs + lgamma(crowd) - lgamma(first) - lgamma(second)


class TestEpochs:
    @given(st.lists(st.sampled_from([0.01, 0.05, 0.25, 0.5]), min_size=2, max_size=80))
    def test_all_beginnings_together_are_one_stake(self, shares: list[float]) -> None:
        """Batches without bad requests bet nothing: the parts that were set aside never sum to more than the whole."""
        state = begin("success", rate=0.01)
        for share in shares:
            nothing = Batch(share=share, canary=100, stable=100, canary_bad=(0,), stable_bad=(0,))
            state = betted(state, nothing)
        assert won(state) <= 1e-9
        assert len(state.epochs) <= EPOCHS
