"""Quantiles from buckets: as good as the buckets are, by one proxy or by many, and as Envoy itself says."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.envoy import counters
from reconciler.http import HttpClient
from reconciler.model.reading import Bucket, Counts, total
from reconciler.rollouts.quantiles import WORST_ERROR, quantile
from reconciler.settings import AdminSettings
from tests.envoy.counted import Application, calling, upstream
from tests.envoy.live import until
from tests.http.servers import serving

milliseconds = st.one_of(st.integers(0, 20), st.integers(0, 300), st.integers(0, 10_000_000))
percents = st.one_of(st.sampled_from([50, 90, 99, 99.9]), st.floats(0.001, 100))


def bucket_of(time: int) -> Bucket:
    """Envoy's bucket of a time: two significant digits."""
    if time == 0:
        return (0.0, 0.0)
    width = 10 ** (math.floor(math.log10(time)) - 1)
    lower = math.floor(time / width + 1e-9) * width
    return (float(f"{lower:.12g}"), float(f"{lower + width:.12g}"))


def counted(times: list[int]) -> Counts:
    """What an Envoy counts of these."""
    return Counts(requests=len(times), times=Counter(map(bucket_of, times)))


@given(st.lists(milliseconds, min_size=1, max_size=200), percents)
def test_a_quantile_is_as_exact_as_its_bucket(times: list[int], percent: float) -> None:
    """It is in the bucket of the request that is meant, so less than a tenth of its value away."""
    index = max(0, math.ceil(percent * len(times) / 100) - 1)
    exact = sorted(times)[index]
    found = quantile(counted(times).times, percent)
    lower, upper = bucket_of(exact)
    assert lower <= found <= upper
    assert abs(found - exact) <= WORST_ERROR * exact * (1 + 1e-9)


@given(st.lists(st.lists(milliseconds, max_size=50), min_size=1, max_size=5), percents)
def test_what_many_counted_is_what_one_would_have_counted(proxies: list[list[int]], percent: float) -> None:
    """Sums by bucket lose nothing; with nobody counting anything there is no quantile."""
    one = quantile(counted([time for times in proxies for time in times]).times, percent)
    many = quantile(total(map(counted, proxies)).times, percent)
    assert one == many or (math.isnan(one) and math.isnan(many) and not any(proxies))


@given(st.lists(milliseconds, min_size=1), percents, percents)
def test_a_higher_percent_is_no_shorter_time(times: list[int], one: float, other: float) -> None:
    """Quantiles rise."""
    low, high = sorted((one, other))
    assert quantile(counted(times).times, low) <= quantile(counted(times).times, high)


def test_without_requests_there_is_no_quantile() -> None:
    """NaN, which equals nothing and is within no threshold; a bucket that nothing is in says nothing either."""
    assert math.isnan(quantile({}, 99))
    assert math.isnan(quantile({(1.0, 1.1): 0}, 99))
    assert quantile({(1.0, 1.1): 0, (100.0, 110.0): 1, (500.0, 510.0): 0}, 100) == 110


def test_inside_a_bucket_times_are_spread_evenly() -> None:
    """Ten between 100 and 110 ms: half of them take no more than 105."""
    assert quantile({(100.0, 110.0): 10}, 50) == 105
    assert quantile({(0.0, 0.0): 99, (100.0, 110.0): 1}, 99) == 0


@pytest.mark.parametrize("percent", [-0.1, 100.1, math.nan])
def test_only_percents_are_percents(percent: float) -> None:
    """Anything else is a mistake of the caller."""
    with pytest.raises(ValueError, match="no percentage"):
        quantile({(1.0, 1.1): 1}, percent)


def test_envoy_says_the_same(short_path: Path) -> None:
    """Of what a real Envoy counted, every percentile that it gives itself is the one that is found here."""
    with (
        serving(Application()) as server,
        calling(short_path, {"a": upstream("a", server.port)}, {"a": {"cluster": "a"}}) as caller,
        HttpClient(caller.live.admin.address, AdminSettings()) as raw,
    ):
        for number in range(60):
            caller.get(f"/a/sleep/{number % 6 * 7}")
        admin = caller.live.admin
        until(lambda: sum(admin.counters(["a"]).clusters["a"].counts.times.values()) == 60)
        (target,) = counters.targets(["a"], times=True)
        histograms = json.loads(raw.get(target).body)["stats"][-1]["histograms"]
        times = admin.counters(["a"]).clusters["a"].counts.times
        said = [item["cumulative"] for item in histograms["details"][0]["percentiles"]]
        ours = [quantile(times, percent) for percent in histograms["supported_percentiles"]]
        assert max(said) >= 35
        assert ours == pytest.approx(said, rel=WORST_ERROR)
