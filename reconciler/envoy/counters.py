"""What an Envoy has counted of requests to clusters, as their caller saw them. Reads one answer; what follows from it is decided elsewhere.

Envoy counts a request when the headers of its last answer pass, whoever made that answer. `upstream_rq_completed`, and among it
`upstream_rq_5xx`, have each answer of an upstream that was not tried again, and Envoy's own 502, 503 and 504 where there was none: no
endpoint, no connection, too many requests, a reset, a timeout. Answers that were tried again stand under `retry.` and are not read. So
a request is counted once however often it was tried, with exceptions: of a hedged request (which the house never configures) each
try that is open at the request's timeout counts, and what a mirror sends counts for the cluster that it is sent to.

What these counts cannot show: a client that leaves before there are headers is not counted at all; an answer that breaks off after its
headers counts as what they said; errors of gRPC are answers with status 200.

Counts are live. Times are as of Envoy's last flush of stats (every second, by the bootstrap that is rendered here), and only answers that
an upstream finished have one. So there are at most as many times as requests, and a request may be counted before its time is. Nor are
there ever more errors than requests: Envoy writes an answer by name, and counts a request before its class and that before its status.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

from reconciler.envoy.readings import NotAnEnvoyError, as_in_stats
from reconciler.model.reading import Bucket, Counts, SubsetReading

_REQUESTS, _ERRORS = "upstream_rq_completed", "upstream_rq_5xx"
_BAD_GATEWAY, _UNAVAILABLE, _TIMED_OUT = "upstream_rq_502", "upstream_rq_503", "upstream_rq_504"
_NO_ENDPOINT = "upstream_cx_none_healthy"
_BROKEN = (
    "upstream_cx_destroy_remote_with_active_rq",
    "upstream_cx_protocol_error",
    "upstream_rq_pending_failure_eject",
    "upstream_rq_rx_reset",
)
"""Tries, not requests, that broke: closed by the other side, not understood, not connected, reset as a stream."""
_HEALTHY = "membership_healthy"
_TIMES = "upstream_rq_time"
_COUNTED = (_REQUESTS, _ERRORS, _BAD_GATEWAY, _UNAVAILABLE, _TIMED_OUT, _NO_ENDPOINT, *_BROKEN, _HEALTHY)
_LIVE, _UPTIME = "server.live", "server.uptime"

_AT_ONCE = 64
"""Clusters per request: Envoy's admin endpoint takes 60 KiB of headers, and a name may have 250 bytes, three times that in a URL."""
_DIGITS = 12
"""Significant digits of a bucket's bounds, which have two; the rest is how their sum was rounded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What one Envoy has counted since it started.

    Attributes:
        epoch: Names the process, as in `Versions`; another process has counted from zero. After a hot restart, too: the new process takes
            over what the old one counts from then on, and none of its times.
        clusters: By name; a cluster that it does not have is not here. Under one epoch a cluster that was removed and came back counts
            from zero, and the times of one that was changed do; what has become less shows it.
    """

    epoch: str
    clusters: Mapping[str, SubsetReading]


def targets(clusters: Collection[str], *, times: bool) -> tuple[str, ...]:
    """What to ask Envoy for: one request, or several for more than 64 clusters.

    Args:
        clusters: Names of clusters.
        times: Whether request times are read, too; their buckets are most of an answer.
    """
    names = sorted({as_in_stats(name) for name in clusters})
    groups = [names[start : start + _AT_ONCE] for start in range(0, len(names), _AT_ONCE)] or [[]]
    return tuple(_target(group, times=times) for group in groups)


def pattern(names: Sequence[str], *, times: bool) -> str:
    """The regular expression (RE2) for exactly the stats that are read of these clusters, whose names are as in stats."""
    server = rf"^server\.(?:{_last(_LIVE)}|{_last(_UPTIME)})$"
    if not names:
        return server
    stats = (*_COUNTED, _TIMES) if times else _COUNTED
    return rf"^cluster\.(?:{'|'.join(map(re.escape, names))})\.(?:{'|'.join(stats)})$|{server}"


class Answer:
    """One answer to a target.

    Attributes:
        uptime: Seconds, as of the last flush of stats.

    Raises:
        NotAnEnvoyError: It has no stats of a server.
        ValueError: It is no JSON, or has counts that are none; other errors of lookup and type, where the shape is another.
    """

    def __init__(self, body: bytes) -> None:
        self._counts: dict[str, int] = {}
        self._times: dict[str, dict[Bucket, int]] = {}
        for item in json.loads(body)["stats"]:
            if "histograms" in item:
                self._times |= {detail["name"]: dict(_buckets(detail)) for detail in item["histograms"]["details"]}
            else:
                self._counts[item["name"]] = _whole(item["value"])
        if self._counts.get(_LIVE) not in {0, 1}:
            raise NotAnEnvoyError("these are not the stats of an Envoy")
        self.uptime = self._counts.get(_UPTIME, 0)

    def readings(self, clusters: Collection[str]) -> dict[str, SubsetReading]:
        """Those of these clusters that are in this answer."""
        return {name: reading for name in clusters if (reading := self._reading(f"cluster.{as_in_stats(name)}"))}

    def _reading(self, stem: str) -> SubsetReading | None:
        healthy = self._counts.get(f"{stem}.{_HEALTHY}")
        if healthy is None:  # set as soon as a cluster is there, also if it has no endpoint
            return None

        def count(stat: str) -> int:
            return self._counts.get(f"{stem}.{stat}", 0)

        unhealthy = min(count(_NO_ENDPOINT), count(_ERRORS))  # Envoy counts it a moment before it answers
        # Envoy counts what breaks by try. It answers 502 or 503 where the last one broke, and so may an upstream.
        own = max(0, count(_BAD_GATEWAY) + count(_UNAVAILABLE) - unhealthy)
        counts = Counts(
            requests=count(_REQUESTS),
            errors=count(_ERRORS),
            timeouts=count(_TIMED_OUT),
            resets=min(own, sum(map(count, _BROKEN))),
            unhealthy=unhealthy,
            times=MappingProxyType(self._times.get(f"{stem}.{_TIMES}", {})),
        )
        return SubsetReading(counts=counts, healthy=healthy)


def _target(names: Sequence[str], *, times: bool) -> str:
    buckets = "&histogram_buckets=detailed" if times else ""
    return f"/stats?format=json&usedonly{buckets}&filter={quote(pattern(names, times=times), safe='')}"


def _buckets(detail: Mapping[str, Any]) -> Iterator[tuple[Bucket, int]]:
    """Counts of one histogram since the start, by bounds in milliseconds, lowest first."""
    for bucket in detail["totals"]:
        lower, width = _bound(bucket["lower_bound"]), _bound(bucket["width"])
        yield (_rounded(lower), _rounded(lower + width)), _whole(bucket["count"])


def _rounded(bound: float) -> float:
    return float(f"{bound:.{_DIGITS}g}")


def _bound(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise NotAnEnvoyError(f"{value!r} is no time")
    return float(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise NotAnEnvoyError(f"{value!r} is no count")
    return value


def _last(stat: str) -> str:
    return stat.rpartition(".")[2]
