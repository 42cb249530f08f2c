"""Traffic policies, and services of every resolution, as they may be written: what validation lets through, in small numbers."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

Values = dict[str, Any]

_LIMITS = st.sampled_from([0, 1, 4294967295 // 2])
_TIMES = st.sampled_from(["1ms", "1s", "1h30m"])
_PERCENT = st.sampled_from([1, 33.5, 100])
_PLACES = ("eu", "eu/a", "eu/a/1", "us/b", "asia")


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Values]:
    """A mapping with any of these fields, and at least one."""
    return st.fixed_dictionaries({}, optional=fields).filter(bool)


_KEYS = st.sampled_from(
    [
        {"httpHeaderName": "x-user"},
        {"useSourceIp": True},
        {"httpQueryParameterName": "q"},
        {"httpCookie": {"name": "c", "ttl": "0s"}},
        {"httpCookie": {"name": "c", "path": "/", "ttl": "1h"}},
    ]
)
_TABLES = st.sampled_from(
    [
        {},
        {"minimumRingSize": 1024},
        {"ringHash": {"minimumRingSize": 8}},
        {"ringHash": {}},
        {"maglev": {"tableSize": 1009}},
        {"maglev": {}},
    ]
)
_WARMUPS = st.fixed_dictionaries(
    {"duration": _TIMES}, optional={"minimumPercent": _PERCENT, "aggression": st.sampled_from([1, 1.5, 3])}
)
_LOCALITY = st.sampled_from(
    [
        {"enabled": True},
        {"enabled": False},
        {"distribute": [{"from": "eu/*", "to": {"eu/*": 70, "us": 29, "asia/*": 1}}]},
        {"distribute": [{"from": "*", "to": {"*": 100}}]},
        {"distribute": [{"from": "us/b", "to": {"us/b": 100}}, {"from": "eu", "to": {"nowhere": 100}}]},
        {"failover": [{"from": "eu", "to": "us"}, {"from": "us", "to": "eu"}]},
        {"failoverPriority": ["version", "app=a", "topology.kubernetes.io/region"]},
        {"failoverPriority": ["version"], "failover": [{"from": "eu", "to": "asia"}]},
    ]
)
_SIMPLE = st.sampled_from(["UNSPECIFIED", "LEAST_CONN", "LEAST_REQUEST", "ROUND_ROBIN", "RANDOM", "PASSTHROUGH"])
_BALANCERS = st.builds(
    lambda choice, more: choice | more,
    st.one_of(
        st.builds(lambda name: {"simple": name}, _SIMPLE),
        st.builds(lambda key, table: {"consistentHash": key | table}, _KEYS, _TABLES),
    ),
    st.fixed_dictionaries({}, optional={"localityLbSetting": _LOCALITY, "warmup": _WARMUPS}),
)
_POOLS = _some(
    tcp=_some(
        maxConnections=_LIMITS,
        connectTimeout=_TIMES,
        maxConnectionDuration=_TIMES,
        idleTimeout=_TIMES,
        tcpKeepalive=st.fixed_dictionaries(
            {}, optional={"probes": st.sampled_from([1, 9]), "time": _TIMES, "interval": _TIMES}
        ),
    ),
    http=_some(
        http1MaxPendingRequests=_LIMITS,
        http2MaxRequests=_LIMITS,
        maxRequestsPerConnection=_LIMITS,
        maxRetries=_LIMITS,
        idleTimeout=_TIMES,
        h2UpgradePolicy=st.sampled_from(["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"]),
        useClientProtocol=st.booleans(),
        maxConcurrentStreams=st.sampled_from([1, 2147483647]),
        http2KeepAlive=st.sampled_from(
            [{}, {"interval": "1s"}, {"timeout": "1s"}, {"interval": "1h", "timeout": "1s"}]
        ),
    ),
)
_OUTLIERS = st.fixed_dictionaries(
    {},
    optional={
        "consecutive5xxErrors": st.sampled_from([0, 1, 7]),
        "consecutiveGatewayErrors": st.sampled_from([0, 1, 7]),
        "splitExternalLocalOriginErrors": st.booleans(),
        "consecutiveLocalOriginFailures": st.sampled_from([0, 1]),
        "interval": _TIMES,
        "baseEjectionTime": _TIMES,
        "maxEjectionPercent": st.sampled_from([1, 50, 100]),
        "minHealthPercent": st.sampled_from([0, 50, 100]),
        "outlierDetectionHttpErrorCodes": st.sampled_from([[429], [500, 503, 429]]),
    },
)
_TLS = st.sampled_from(
    [
        {"mode": "DISABLE"},
        {"mode": "SIMPLE"},
        {"mode": "SIMPLE", "sni": "s.example", "subjectAltNames": ["s.example", "spiffe://a/b"]},
        {"mode": "SIMPLE", "insecureSkipVerify": True},
        {"mode": "SIMPLE", "caCertificates": "/ca.pem"},
        {"mode": "MUTUAL", "clientCertificate": "/c.pem", "privateKey": "/k.pem", "caCertificates": "/ca.pem"},
        {"mode": "MUTUAL", "credentialName": "c"},
        {"mode": "ISTIO_MUTUAL"},
    ]
)
_BLOCKS: dict[str, st.SearchStrategy[Any]] = {
    "loadBalancer": _BALANCERS,
    "connectionPool": _POOLS,
    "outlierDetection": _OUTLIERS,
    "tls": _TLS,
}


def traffic_policies(ports: tuple[int, ...]) -> st.SearchStrategy[Values]:
    """Traffic policies with any of their fields, and settings for any of these ports."""
    settings = st.builds(
        lambda port, blocks: {"port": {"number": port}} | blocks, st.sampled_from(ports), _some(**_BLOCKS)
    )
    return _some(
        **_BLOCKS,
        portLevelSettings=st.lists(settings, min_size=1, max_size=2, unique_by=lambda item: item["port"]["number"]),
        proxyProtocol=st.sampled_from([{}, {"version": "V1"}, {"version": "V2"}]),
        retryBudget=st.sampled_from([{}, {"percent": 50}, {"percent": 1.5, "minRetryConcurrency": 0}]),
    )


_LABELS = st.fixed_dictionaries({}, optional={"version": st.sampled_from(["v1", "v2"])})


def _endpoints(addresses: list[str], most: int) -> st.SearchStrategy[list[Values]]:
    one = st.fixed_dictionaries(
        {"address": st.sampled_from(addresses)},
        optional={
            "labels": _LABELS,
            "locality": st.sampled_from(_PLACES),
            "weight": st.sampled_from([0, 1, 100]),
            "serviceAccount": st.sampled_from(["one", "two"]),
        },
    )
    return st.lists(one, max_size=most, unique_by=lambda item: item["address"])


@st.composite
def resolutions(draw: st.DrawFn) -> Values:
    """The part of a ServiceEntry that says where its endpoints are."""
    kind = draw(st.sampled_from(["STATIC", "DNS", "DNS_ROUND_ROBIN", "NONE"]))
    names = ["localhost", "n1.example.com", "10.0.0.1"]
    found = {
        "STATIC": _endpoints(["10.1.0.1", "10.1.0.2", "10.1.0.3", "2001:db8::1", "unix:///run/a.sock"], 4),
        "DNS": _endpoints(names, 3),
        "DNS_ROUND_ROBIN": _endpoints(names, 1),
    }
    spec: Values = {"resolution": kind}
    if kind in found:
        spec["endpoints"] = draw(found[kind])
    if draw(st.booleans()):
        spec["subjectAltNames"] = ["s.example", "spiffe://cluster.local/ns/default/sa/x"]
    return spec
