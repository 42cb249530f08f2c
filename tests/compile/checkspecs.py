"""HealthChecks of every shape, as validation lets them through."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from reconciler.model.healthcheck import ProbeMethod

_TIMES = st.sampled_from(["1ms", "500ms", "10s", "24h"])
_COUNTS = st.sampled_from([1, 3, 2**32 - 1])
_HOSTS = st.sampled_from(["x", "a.example.com:81", "[::1]:9"])
_STATUSES = st.tuples(st.integers(100, 599), st.integers(100, 599)).map(
    lambda pair: {"start": min(pair), "end": max(pair)}
)
_HTTP = st.fixed_dictionaries(
    {"path": st.sampled_from(["/", "/healthz?full=1", "/%C3%A4"])},
    optional={
        "host": _HOSTS,
        "expectedStatuses": st.lists(_STATUSES, min_size=1, max_size=3),
        "method": st.sampled_from([str(item) for item in ProbeMethod]),
        "headers": st.dictionaries(
            st.sampled_from(["x-a", "User-Agent", "accept"]), st.sampled_from(["", "100%%", "%HOSTNAME%"]), max_size=2
        ),
    },
)
_GRPC = st.fixed_dictionaries({}, optional={"serviceName": st.sampled_from(["", "s.S"]), "authority": _HOSTS})
_PROBES: st.SearchStrategy[dict[str, Any]] = st.one_of(
    _HTTP.map(lambda item: {"http": item}), st.just({"tcp": {}}), _GRPC.map(lambda item: {"grpc": item})
)
_REST = st.fixed_dictionaries(
    {},
    optional={
        "port": st.sampled_from([1, 8081, 65535]),
        "interval": _TIMES,
        "timeout": _TIMES,
        "unhealthyThreshold": _COUNTS,
        "healthyThreshold": _COUNTS,
        "noTrafficInterval": _TIMES,
        "initialJitter": _TIMES,
        "intervalJitter": _TIMES,
        "reuseConnection": st.booleans(),
        "closeConnections": st.booleans(),
        "panicThreshold": st.sampled_from([0, 1, 100]),
    },
)


def specs() -> st.SearchStrategy[dict[str, Any]]:
    """The fields of a HealthCheck other than its host, ports and subsets."""
    return st.builds(lambda probe, rest: {**probe, **rest}, _PROBES, _REST)
