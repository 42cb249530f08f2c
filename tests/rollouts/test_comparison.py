"""The comparison of a canary with stable, as the engine uses it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.model.reading import Counts
from reconciler.rollouts.comparison import Judgement, State, Window, begin, judge, update


def window(canary: tuple[int, int], stable: tuple[int, int], share: float) -> Window:
    return Window(
        canary=Counts(requests=canary[0], errors=canary[1]),
        stable=Counts(requests=stable[0], errors=stable[1]),
        share=share,
    )


def timed(canary: dict[float, int], stable: dict[float, int], share: float) -> Window:
    """Requests by the begin of their bucket, which is a tenth wide."""
    sides = [
        Counts(requests=sum(times.values()), times={(at, at * 1.1): count for at, count in times.items()})
        for times in (canary, stable)
    ]
    return Window(canary=sides[0], stable=sides[1], share=share)


def after(state: State, *windows: Window) -> State:
    for item in windows:
        state = update(state, item)
    return state


def judged(*windows: Window, rate: float = 0.01, users: int | None = None) -> Judgement:
    return judge(after(begin("success", rate=rate, users=users), *windows))


HEALTHY = window((500, 5), (500, 5), 0.5)
BAD = window((500, 40), (500, 5), 0.5)
counts = st.integers(0, 3000)


@st.composite
def windows(draw: st.DrawFn) -> Window:
    requests = draw(counts), draw(counts)
    errors = [draw(st.integers(0, item)) for item in requests]
    share = draw(st.sampled_from([0.0, 0.01, 0.05, 0.5, 0.99, 1.0]))
    if draw(st.booleans()):
        return window((requests[0], errors[0]), (requests[1], errors[1]), share)
    return timed({1.0: requests[0], 9.0: errors[0]}, {1.0: requests[1], 9.0: errors[1]}, share)


class TestVerdicts:
    def test_a_canary_that_is_as_good_passes(self) -> None:
        """Equal rates are never evidence, however many requests there are."""
        found = judged(*[HEALTHY] * 200)
        assert found.verdict == "pass"
        assert found.e_value < 1
        assert found.canary == found.stable == 99.0
        assert found.enough

    def test_a_canary_that_is_worse_fails(self) -> None:
        """Eight times the errors are found in a few dozen windows, and the words say by how much evidence."""
        found = judged(*[BAD] * 40)
        assert found.verdict == "fail"
        assert found.e_value >= 100
        assert "100 would do" in found.detail
        assert (found.canary, found.stable) == (92.0, 99.0)

    def test_a_canary_that_is_better_passes(self) -> None:
        """The test is one-sided."""
        better = window((500, 5), (500, 40), 0.5)
        assert judged(*[better] * 60).verdict == "pass"

    def test_one_terrible_window_is_not_enough(self) -> None:
        """An instance's bad minute may fall on the canary, so one batch never decides."""
        assert judged(*[HEALTHY] * 30, window((5000, 5000), (5000, 50), 0.5)).verdict == "pass"

    def test_errors_of_both_sides_are_no_evidence(self) -> None:
        """A common outage hits both alike."""
        outage = window((500, 400), (500, 400), 0.5)
        assert judged(*[HEALTHY] * 20, *[outage] * 40).verdict == "pass"

    def test_a_smaller_rate_needs_more_evidence(self) -> None:
        """What is promised per comparison is what the engine asks for."""
        windows = [BAD] * 40
        least = next(count for count in range(41) if judged(*windows[:count]).verdict == "fail")
        assert judged(*windows[:least], rate=1e-6).verdict == "inconclusive"
        assert judged(*windows[:least], rate=1e-6).e_value == judged(*windows[:least]).e_value

    def test_a_canary_that_turns_bad_under_load_is_found(self) -> None:
        """Old good evidence does not drown what a higher weight brings to light."""
        good = [window((1000, 10), (19000, 190), 0.05)] * 200
        worse = [window((10000, 400), (10000, 100), 0.5)] * 40
        assert judged(*good).verdict == "pass"
        assert judged(*good, *worse).verdict == "fail"

    def test_a_canary_that_turns_bad_within_a_step_is_found(self) -> None:
        """Bets begin again also at an unchanged weight."""
        assert judged(*[HEALTHY] * 300, *[BAD] * 150).verdict == "fail"


class TestHolding:
    def test_nothing_is_known_before_anything_was_seen(self) -> None:
        found = judge(begin("success", rate=0.01))
        assert (found.verdict, found.enough) == ("inconclusive", False)
        assert math.isnan(found.canary)
        assert math.isnan(found.stable)

    @pytest.mark.parametrize("poor", [window((40, 40), (60_000, 0), 0.001), window((60_000, 60_000), (40, 0), 0.999)])
    def test_both_sides_need_traffic(self, poor: Window) -> None:
        """Too little on one side holds, whatever the numbers."""
        found = judged(poor, poor)
        assert (found.verdict, found.enough) == ("inconclusive", False)

    def test_a_canary_passes_only_when_it_could_have_failed(self) -> None:
        """A plainly bad canary is found by the time at which a good one passes; before that both are held."""
        awful = window((500, 400), (500, 5), 0.5)
        first = next(count for count in range(60) if judged(*[HEALTHY] * count).verdict == "pass")
        assert judged(*[awful] * first).verdict == "fail"
        assert {judged(*[HEALTHY] * count).verdict for count in range(first)} == {"inconclusive"}
        assert not judged(*[HEALTHY] * (first - 1)).enough

    def test_requests_that_are_not_spread_by_the_weights_are_not_judged(self) -> None:
        """Sticky callers, header routes and mirrors bring more requests than the weight says: nothing is concluded from them."""
        skewed = window((900, 80), (100, 1), 0.5)
        found = judged(*[skewed] * 40)
        assert (found.verdict, found.enough) == ("inconclusive", True)
        assert "spread" in found.detail

    def test_declared_users_are_judged_as_users(self) -> None:
        """With callers that stick, thousands of requests of a few users tell no more than the users do."""
        skewed = window((900, 72), (100, 2), 0.5)
        assert judged(*[skewed] * 60, users=10).verdict == "pass"
        assert judged(*[skewed] * 60, users=10_000).verdict == "fail"

    def test_few_users_that_stick_are_not_held_against_a_canary(self) -> None:
        """One user in twenty with most of the errors, on the canary for good: requests say certainly, users say chance."""
        lucky = window((5300, 100), (94_700, 900), 0.05)
        assert judged(*[lucky] * 5).verdict != "fail"
        assert judged(*[lucky] * 30, users=20).verdict == "pass"


class TestDuration:
    FAST = {1.0: 500, 2.0: 400, 5.0: 90, 20.0: 10}

    def test_the_same_times_pass(self) -> None:
        state = after(begin("duration", rate=0.01), *[timed(self.FAST, self.FAST, 0.5)] * 100)
        found = judge(state)
        assert found.verdict == "pass"
        assert found.canary == found.stable
        assert found.canary == pytest.approx(5.5)

    def test_a_slower_tail_fails(self) -> None:
        """A percentile that moves by one bucket is seen though the mean hardly moves."""
        slow = {1.0: 500, 2.0: 400, 5.0: 60, 20.0: 40}
        found = judge(after(begin("duration", rate=0.01), *[timed(slow, self.FAST, 0.5)] * 60))
        assert found.verdict == "fail"
        assert found.canary > found.stable

    def test_what_lies_above_the_percentile_is_not_judged(self) -> None:
        """Who asks for the median is not told about the tail."""
        slow = {1.0: 500, 2.0: 400, 5.0: 10, 200.0: 90}
        state = after(begin("duration", rate=0.01, percentile=50), *[timed(slow, self.FAST, 0.5)] * 60)
        assert judge(state).verdict == "pass"

    def test_thresholds_follow_stable(self) -> None:
        """When everything becomes slower on both sides, slow means something else."""
        later = {at * 10: count for at, count in self.FAST.items()}
        state = after(begin("duration", rate=0.01), *[timed(self.FAST, self.FAST, 0.5)] * 5)
        moved = after(state, *[timed(later, later, 0.5)] * 60)
        assert [round(new / old) for new, old in zip(moved.thresholds, state.thresholds, strict=True)] == [10, 10, 10]


class TestArguments:
    @pytest.mark.parametrize("rate", [0.0, 1.0, -0.1])
    def test_a_rate_is_a_probability(self, rate: float) -> None:
        with pytest.raises(ValueError, match="rate"):
            begin("success", rate=rate)

    @pytest.mark.parametrize("percentile", [0.0, 100.0])
    def test_a_percentile_has_something_on_both_sides(self, percentile: float) -> None:
        with pytest.raises(ValueError, match="percentile"):
            begin("duration", rate=0.01, percentile=percentile)

    def test_users_are_counted_from_one(self) -> None:
        with pytest.raises(ValueError, match="users"):
            begin("success", rate=0.01, users=0)


class TestLaws:
    @given(st.sampled_from(["success", "duration"]), st.lists(windows(), max_size=12), st.integers(0, 12))
    def test_a_restart_changes_nothing(self, kind: Any, items: list[Window], at: int) -> None:
        """State that was written and read back in the middle goes on to the same value."""
        whole = after(begin(kind, rate=0.01), *items)
        text = json.dumps(after(begin(kind, rate=0.01), *items[:at]).to_plain(), allow_nan=False)
        assert after(State.from_plain(json.loads(text)), *items[at:]) == whole

    @given(st.lists(windows(), max_size=8), st.sampled_from([0.0, 1.0]), counts)
    def test_windows_without_a_split_change_nothing(self, items: list[Window], share: float, requests: int) -> None:
        """Where one side has all the weight there is nothing to compare: evidence stays as it is."""
        state = after(begin("success", rate=0.01), *items)
        assert update(state, window((requests, 0), (requests, requests), share)) == state

    @given(st.lists(windows(), max_size=30))
    def test_a_verdict_is_always_a_number_and_words(self, items: list[Window]) -> None:
        """Nothing that counters can hold breaks the arithmetic."""
        for users in (None, 5):
            found = judge(after(begin("success", rate=0.01, users=users), *items))
            assert 0 <= found.e_value < math.inf
            assert found.detail

    @given(st.integers(100, 5000), st.integers(0, 100), st.integers(0, 100), st.integers(1, 30))
    def test_at_even_weights_at_most_one_side_is_worse(self, requests: int, ours: int, theirs: int, count: int) -> None:
        """Swapping the sides of an even split swaps what is bad: both can't be evidence."""
        forth = judged(*[window((requests, ours), (requests, theirs), 0.5)] * count)
        back = judged(*[window((requests, theirs), (requests, ours), 0.5)] * count)
        assert min(forth.e_value, back.e_value) <= 1

    @settings(max_examples=25)
    @given(st.lists(windows(), min_size=30, max_size=120))
    def test_the_state_stays_small(self, items: list[Window]) -> None:
        """It is written into Git again and again."""
        state = after(begin("duration", rate=0.01), *items)
        assert len(json.dumps(state.to_plain())) < 5000


class TestReadingBack:
    PLAIN = after(
        begin("duration", rate=0.01),
        *[timed({1.0: 100, 5.0: 20}, {1.0: 100, 5.0: 20}, 0.5)] * 20,
        timed({1.0: 1}, {1.0: 1}, 0.5),
    ).to_plain()

    def paths(self, plain: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        items = plain.items() if isinstance(plain, dict) else enumerate(plain) if isinstance(plain, list) else ()
        return [found for key, value in items for found in [(*path, key), *self.paths(value, (*path, key))]]

    def changed(self, path: tuple[Any, ...], value: Any) -> dict[str, Any]:
        plain: dict[str, Any] = json.loads(json.dumps(self.PLAIN))
        place: Any = plain
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = value
        return plain

    def test_every_field_is_read_strictly(self) -> None:
        """A wrong type anywhere is a ValueError that names the field."""
        found = self.paths(self.PLAIN)
        assert len(found) > 100
        for path in found:
            with pytest.raises(ValueError, match="comparison"):
                State.from_plain(self.changed(path, "wrong"))

    @pytest.mark.parametrize("wrong", [float("nan"), True, -1, None])
    def test_counts_are_counts(self, wrong: Any) -> None:
        with pytest.raises(ValueError, match=r"comparison\.begun"):
            State.from_plain(self.changed(("begun",), wrong))

    def test_a_missing_and_an_unknown_field_are_named(self) -> None:
        missing = {key: value for key, value in self.PLAIN.items() if key != "usual"}
        with pytest.raises(ValueError, match=r"comparison\.usual: missing"):
            State.from_plain(missing)
        with pytest.raises(ValueError, match=r"comparison\.more: unknown"):
            State.from_plain({**self.PLAIN, "more": 1})

    def test_another_form_is_not_guessed(self) -> None:
        with pytest.raises(ValueError, match="form"):
            State.from_plain({**self.PLAIN, "form": 2})

    def test_a_comparison_with_users_is_read_back(self) -> None:
        state = replace(begin("success", rate=0.005, percentile=95, users=300), begun=3)
        assert State.from_plain(state.to_plain()) == state
