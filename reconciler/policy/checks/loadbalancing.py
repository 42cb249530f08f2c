"""Rules for how endpoints are chosen."""

from __future__ import annotations

from reconciler.model.trafficpolicy import (
    ConsistentHashLB,
    HTTPCookie,
    LoadBalancer,
    MagLev,
    OutlierDetection,
    SimpleLB,
)
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.formats import is_token
from reconciler.policy.checks.localities import check_locality_setting
from reconciler.policy.checks.shared import deprecated, idle
from reconciler.policy.findings import Report

_KEYS = {
    "http_header_name": "httpHeaderName",
    "http_cookie": "httpCookie",
    "use_source_ip": "useSourceIp",
    "http_query_parameter_name": "httpQueryParameterName",
}
_MAX_TABLE = 5_000_011
"""Envoy's largest Maglev table; Istio takes only smaller ones."""

_MAX_RING = 8 * 1024 * 1024
"""Places on Envoy's largest ring (`ring_hash_lb_config.minimum_ring_size`); Istio has no limit, and Envoy then no cluster."""

_WARMED = frozenset({SimpleLB.ROUND_ROBIN, SimpleLB.LEAST_REQUEST, SimpleLB.LEAST_CONN, SimpleLB.UNSPECIFIED, None})


def check_load_balancer(balancer: LoadBalancer, outlier: OutlierDetection | None, report: Report) -> None:
    """One policy, `simple` or `consistentHash`; the report's paths begin at the load balancer.

    Args:
        balancer: What is checked.
        outlier: The outlier detection that holds beside it: failover needs one.
        report: Where it is noted.
    """
    if balancer.simple is not None and balancer.consistent_hash is not None:
        message = "only one of simple and consistentHash can be set"
        report.error("one-of", message, "simple", hint="keep one of the two", key=True)
    if balancer.simple is SimpleLB.LEAST_CONN:
        deprecated(report, "LEAST_CONN", "LEAST_REQUEST", "simple")
    if balancer.consistent_hash is not None:
        _check_hash(balancer.consistent_hash, report.below("consistentHash"))
    if balancer.locality_lb_setting is not None:
        check_locality_setting(balancer.locality_lb_setting, outlier, report.below("localityLbSetting"))
    _check_warmup(balancer, report)


def _check_warmup(balancer: LoadBalancer, report: Report) -> None:
    if balancer.warmup_duration_secs is not None:
        check_duration(balancer.warmup_duration_secs, report, "warmupDurationSecs")
        deprecated(report, "warmupDurationSecs", "warmup: {duration: ...}", "warmupDurationSecs")
    if balancer.warmup is not None:
        check_duration(balancer.warmup.duration, report, "warmup", "duration")
    field = "warmup" if balancer.warmup is not None else "warmupDurationSecs"
    if balancer.warmup is None and balancer.warmup_duration_secs is None:
        return
    if balancer.consistent_hash is not None or balancer.simple not in _WARMED:
        chosen = "consistentHash" if balancer.consistent_hash is not None else balancer.simple
        message = f"{field} changes nothing with {chosen}: Envoy warms endpoints up for ROUND_ROBIN and LEAST_REQUEST"
        idle(report, message, field)


def _check_hash(balancer: ConsistentHashLB, report: Report) -> None:
    keys = [field for name, field in _KEYS.items() if getattr(balancer, name) is not None]
    if len(keys) > 1:
        message = f"only one key can be hashed; here are {', '.join(keys)}"
        report.error("one-of", message, keys[-1], hint="keep one of them", key=True)
    elif not keys or (keys == ["useSourceIp"] and not balancer.use_source_ip):
        message = "consistentHash needs a key: without, endpoints are chosen at random"
        hint = "add httpHeaderName, httpCookie, httpQueryParameterName or `useSourceIp: true`"
        report.error("one-of", message, hint=hint, key=True)
    for field, text in (
        ("httpHeaderName", balancer.http_header_name),
        ("httpQueryParameterName", balancer.http_query_parameter_name),
    ):
        if text == "" or (text and field == "httpHeaderName" and not is_token(text.removeprefix(":"))):
            report.error("value", f"{text!r} is not a name", field, hint="write a name")
    if balancer.http_cookie is not None:
        _check_cookie(balancer.http_cookie, report.below("httpCookie"))
    _check_algorithm(balancer, report)


def _check_cookie(cookie: HTTPCookie, report: Report) -> None:
    for name, path in [
        (cookie.name, ("name",)),
        *((a.name, ("attributes", i, "name")) for i, a in enumerate(cookie.attributes)),
    ]:
        if not is_token(name):
            report.error("value", f"{name!r} is not a cookie's name", *path, hint="letters, digits, '-' and '_'")
    if cookie.ttl:
        check_duration(cookie.ttl, report, "ttl")
    for field, value in (("path", cookie.path), ("attributes", cookie.attributes)):
        if value and cookie.ttl is None:
            idle(report, f"{field} is for cookies that Envoy sets, and without ttl it sets none", field, hint="add ttl")


def _check_algorithm(balancer: ConsistentHashLB, report: Report) -> None:
    if balancer.ring_hash is not None and balancer.maglev is not None:
        message = "only one of ringHash and maglev can be set"
        report.error("one-of", message, "maglev", hint="keep one of the two", key=True)
    if balancer.minimum_ring_size:
        if balancer.ring_hash is not None or balancer.maglev is not None:
            message = "minimumRingSize can't stand beside ringHash or maglev"
            report.error("one-of", message, "minimumRingSize", hint="write ringHash.minimumRingSize", key=True)
        else:
            deprecated(report, "minimumRingSize", "ringHash: {minimumRingSize: ...}", "minimumRingSize")
    sizes: list[tuple[int, tuple[str, ...]]] = [(balancer.minimum_ring_size, ("minimumRingSize",))]
    if balancer.ring_hash is not None:
        sizes.append((balancer.ring_hash.minimum_ring_size, ("ringHash", "minimumRingSize")))
    for size, path in sizes:
        if size > _MAX_RING:
            message = f"Envoy's rings have at most {_MAX_RING:,} places"
            report.error("value", message, *path, hint="1024 is Istio's default")
    if balancer.maglev is not None:
        _check_maglev(balancer.maglev, report.below("maglev"))


def _check_maglev(maglev: MagLev, report: Report) -> None:
    size = maglev.table_size
    if not size:
        report.error("missing-field", "tableSize is required", "tableSize", hint="65537 is Envoy's default")
    elif size >= _MAX_TABLE:
        report.error(
            "value", f"tableSize must be less than {_MAX_TABLE:,}", "tableSize", hint="65537 is Envoy's default"
        )
    elif not _is_prime(size):
        report.error("value", f"tableSize must be a prime number; {size} is none", "tableSize", hint="such as 65537")


def _is_prime(number: int) -> bool:
    return number > 1 and all(number % factor for factor in range(2, int(number**0.5) + 1))
