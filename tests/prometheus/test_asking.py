"""Asking a real Prometheus: what is a number, what is none, and what it says itself of a query."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.errors import InputError, ReconcilerError, TransientError
from reconciler.prometheus import FailedError, NoDataError, QueryError, SeriesError, UnreachableError, ask
from tests.envoy.live import until
from tests.prometheus.server import Prometheus, Target, scraping

PATIENCE = timedelta(seconds=10)
SAMPLES = 'served_total{version="v1",code="200"} 90\nserved_total{version="v2",code="200"} 6\nserved_total{version="v2",code="503"} 4\nidle_total 0\n'


@pytest.fixture(scope="module")
def scraped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus that has scraped the samples."""
    with scraping(tmp_path_factory.mktemp("prometheus"), SAMPLES) as (prometheus, _):
        until(lambda: known(prometheus, "idle_total") == 0)
        yield prometheus


def known(prometheus: Prometheus, query: str) -> float | None:
    """The number, or None if there is none yet."""
    with suppress(TransientError):
        return ask(query, address=prometheus.address, timeout=PATIENCE)
    return None


@pytest.mark.parametrize(
    ("query", "value"),
    [
        ("1 + 1", 2),
        ("-0.5e-3", -0.0005),
        ("scalar(sum(served_total))", 100),
        ("sum(served_total)", 100),
        ('served_total{version="v1"}', 90),
        ('100 * sum(served_total{version="v2",code!~"5.."}) / sum(served_total{version="v2"})', 60),
        ('sum(served_total{version=~"v1|v2", code="200"}) # + & % ü', 96),
        ("absent(nothing)", 1),
    ],
)
def test_a_number(scraped: Prometheus, query: str, value: float) -> None:
    """A scalar, or a vector of one element; the query arrives as it was written."""
    assert ask(query, address=scraped.address, timeout=PATIENCE) == pytest.approx(value)
    assert ask(query, address=f"{scraped.address}/", timeout=PATIENCE) == pytest.approx(value)


@pytest.mark.parametrize(
    ("query", "kind", "words"),
    [
        ("nothing", NoDataError, "no series"),
        ("sum(nothing)", NoDataError, "no series"),
        ("sum(idle_total) / sum(idle_total)", NoDataError, "nan"),
        ("1 / sum(idle_total)", NoDataError, "inf"),
        ("-1 / 0", NoDataError, "-inf"),
        ("served_total", SeriesError, "3 series"),
        ("served_total / on(version) served_total", FailedError, "duplicate series"),
        ("sum(", QueryError, "parse error"),
        ("", QueryError, "query"),
        ("nofunction(1)", QueryError, "unknown function"),
        ('"text"', QueryError, "a string, not a number"),
        ("served_total[1m]", QueryError, "a matrix, not a number"),
    ],
)
def test_no_number(scraped: Prometheus, query: str, kind: type[ReconcilerError], words: str) -> None:
    """No data, an answer that can't be used, and a query that has to be mended are told apart, in the Prometheus' own words."""
    with pytest.raises(kind) as caught:
        ask(query, address=scraped.address, timeout=PATIENCE)
    assert words in caught.value.message
    assert scraped.address in caught.value.message
    assert caught.value.diagnostics[0].hint
    assert isinstance(caught.value, InputError) is (kind is QueryError)


@pytest.mark.long
def test_down_and_back(tmp_path: Path) -> None:
    """While it is down nothing is known; when it is back, what it knew before and what has come since."""
    with scraping(tmp_path, "served_total 1\n") as (prometheus, target):
        until(lambda: known(prometheus, "served_total") == 1)
        prometheus.stop()
        with pytest.raises(UnreachableError) as caught:
            ask("served_total", address=prometheus.address, timeout=PATIENCE)
        assert prometheus.address in caught.value.message
        _change(target, "served_total 7\n")
        prometheus.start()
        until(lambda: known(prometheus, "served_total") == 7)
        assert ask("min_over_time(served_total[1h])", address=prometheus.address, timeout=PATIENCE) == 1


def _change(target: Target, samples: str) -> None:
    target.samples = samples
