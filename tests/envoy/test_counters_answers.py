"""Reading counts from an answer: which stats are asked for, and what is no answer."""

from __future__ import annotations

import json
import math
from urllib.parse import unquote

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from reconciler.envoy import Admin, AdminError, counters
from reconciler.envoy.readings import as_in_stats
from reconciler.model.reading import Counts
from tests.envoy.test_hostile import CALM, CASES, GOOD_EPOCH
from tests.http.servers import answer, nobody, routed, serving

SERVER = [{"name": "server.live", "value": 1}, {"name": "server.uptime", "value": 7}]


def body(*stats: object, details: object = ()) -> bytes:
    """An answer with these stats."""
    histograms = {"histograms": {"supported_percentiles": [], "details": details}}
    return json.dumps({"stats": [*SERVER, *stats, histograms]}).encode()


def stat(name: str, value: object) -> dict[str, object]:
    """One stat of cluster `a`."""
    return {"name": f"cluster.a.{name}", "value": value}


def histogram(*buckets: tuple[object, object, object]) -> dict[str, object]:
    """Request times of cluster `a`."""
    totals = [{"lower_bound": lower, "width": width, "count": count} for lower, width, count in buckets]
    return {"name": "cluster.a.upstream_rq_time", "totals": totals, "intervals": [], "percentiles": []}


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@given(st.lists(names, min_size=1, max_size=4), names)
def test_only_the_named_clusters_are_asked_for(wanted: list[str], other: str) -> None:
    """By any name; no character of it means anything else than itself to Envoy's regular expressions."""
    there = [as_in_stats(name) for name in wanted]
    (target,) = counters.targets(wanted, times=True)
    asked = re2.compile(unquote(target.rpartition("&filter=")[2]))
    for name in there:
        for read in ("upstream_rq_completed", "upstream_rq_time", "membership_healthy"):
            assert asked.search(f"cluster.{name}.{read}")
        for not_read in ("retry.upstream_rq_completed", "external.upstream_rq_5xx", "upstream_rq_completed.x"):
            assert not asked.search(f"cluster.{name}.{not_read}")
        assert not asked.search(f"cluster.x{name}.upstream_rq_5xx") or f"x{name}" in there
    if as_in_stats(other) not in there:
        assert not asked.search(f"cluster.{as_in_stats(other)}.upstream_rq_5xx")


def test_times_are_asked_for_on_demand() -> None:
    """Neither their stat nor their buckets otherwise."""
    (without,) = counters.targets(["a"], times=False)
    assert "upstream_rq_time" not in without
    assert "histogram" not in without


def test_resets_are_never_more_than_the_errors_they_may_be() -> None:
    """Envoy counts them by try; a request that failed in three tries is one, and one that was good in the end is none."""
    found = counters.Answer(
        body(
            stat("membership_healthy", 2),
            stat("upstream_rq_completed", 9),
            stat("upstream_rq_5xx", 4),
            stat("upstream_rq_502", 1),
            stat("upstream_rq_503", 2),
            stat("upstream_rq_504", 1),
            stat("upstream_cx_none_healthy", 1),
            stat("upstream_cx_destroy_remote_with_active_rq", 6),
            stat("upstream_rq_rx_reset", 1),
        )
    ).readings(["a", "b"])
    assert list(found) == ["a"]
    assert found["a"].counts == Counts(requests=9, errors=4, timeouts=1, resets=2, unhealthy=1)


def test_buckets_have_the_bounds_that_they_mean() -> None:
    """1.1 + 0.1 is 1.2, so that equal buckets of two Envoys are one."""
    details = [histogram((0, 0, 2), (1.1, 0.1, 3), (230, 10, 1))]
    found = counters.Answer(body(stat("membership_healthy", 1), details=details)).readings(["a"])
    assert dict(found["a"].counts.times) == {(0.0, 0.0): 2, (1.1, 1.2): 3, (230.0, 240.0): 1}


BROKEN = {
    "text": stat("upstream_rq_5xx", "1"),
    "less than nothing": stat("upstream_rq_5xx", -1),
    "a part": stat("upstream_rq_5xx", 0.5),
    "yes": stat("upstream_rq_5xx", bool(1)),
    "nothing": {"name": "cluster.a.upstream_rq_5xx"},
    "no name": {"value": 1},
    "no object": 7,
    "no server": {"name": "server.live", "value": 2},
}
HISTOGRAMS = {
    "no buckets": {"name": "cluster.a.upstream_rq_time"},
    "no name": {"totals": []},
    "text": histogram(("1", 0, 1)),
    "before time": histogram((-1, 0, 1)),
    "for ever": histogram((math.inf, 0, 1)),
    "never": histogram((1, math.nan, 1)),
    "half a request": histogram((1, 0.1, 0.5)),
}


@pytest.mark.parametrize(
    "said",
    [
        *(body(item) for item in BROKEN.values()),
        *(body(details=[item]) for item in HISTOGRAMS.values()),
        b'{"stats": []}',
        b'{"stats": {"a": 1}}',
        b'{"stats": [{"histograms": {}}]}',
        b"[" * 100_000,
        b"9" * 10_000,
        b"server.live: 1\n",
    ],
)
def test_what_is_no_count_is_no_answer(said: bytes) -> None:
    """Nothing of such an answer counts, and the message says who gave it."""
    saying = routed([("/config_dump", answer(200, GOOD_EPOCH))], answer(200, said))
    with serving(saying) as server, Admin(server.address, CALM) as admin, pytest.raises(AdminError) as caught:
        admin.counters(["a"])
    assert caught.value.code == "admin-garbage"
    assert server.address in caught.value.message


@pytest.mark.parametrize("name", CASES)
def test_whoever_answers_is_named(name: str) -> None:
    """Whatever is no Envoy fails as it does for every other reading."""
    behaviour, limits, code = CASES[name]
    with serving(behaviour) as server, Admin(server.address, limits) as admin:
        with pytest.raises(AdminError) as caught:
            admin.counters(["a"])
        assert caught.value.code == code
        assert server.address in caught.value.message


def test_nobody_answers() -> None:
    """As for every other reading."""
    with nobody() as address, Admin(address, CALM) as admin, pytest.raises(AdminError) as caught:
        admin.counters(["a"])
    assert caught.value.code == "admin-unreachable"
