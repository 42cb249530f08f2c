"""Rules for connection pools and outlier detection: the limits that protect a service."""

from __future__ import annotations

from datetime import timedelta

from reconciler.model.trafficpolicy import (
    ConnectionPool,
    H2UpgradePolicy,
    HTTPPool,
    OutlierDetection,
    TcpKeepalive,
    TCPPool,
)
from reconciler.policy.checks.durations import check_duration
from reconciler.policy.checks.shared import deprecated
from reconciler.policy.findings import Report

_MAX = 2**31 - 1
"""The counts are int32 in Istio's API."""

_COUNTS = {
    "http1_max_pending_requests": "http1MaxPendingRequests",
    "http2_max_requests": "http2MaxRequests",
    "max_requests_per_connection": "maxRequestsPerConnection",
    "max_retries": "maxRetries",
    "max_concurrent_streams": "maxConcurrentStreams",
}
_STATUSES = range(100, 600)

_KEEPALIVE = timedelta(seconds=32_767)
_PROBES = 127
"""Linux's `MAX_TCP_KEEPIDLE`, `MAX_TCP_KEEPINTVL` and `MAX_TCP_KEEPCNT`."""


def check_pool(pool: ConnectionPool, report: Report) -> None:
    """Counts and durations; the report's paths begin at the pool."""
    if pool.tcp is None and pool.http is None:
        message = "a connection pool needs tcp or http"
        report.error("missing-field", message, hint="add limits, or remove it", key=True)
    if pool.tcp is not None:
        _check_tcp(pool.tcp, report.below("tcp"))
    if pool.http is not None:
        _check_http(pool.http, report.below("http"))


def check_outlier(outlier: OutlierDetection, report: Report) -> None:
    """Counts and durations; the report's paths begin at the outlier detection."""
    check_duration(outlier.interval, report, "interval")
    check_duration(outlier.base_ejection_time, report, "baseEjectionTime")
    if outlier.consecutive_errors:
        deprecated(report, "consecutiveErrors", "consecutiveGatewayErrors or consecutive5xxErrors", "consecutiveErrors")
        _check_count(outlier.consecutive_errors, report, "consecutiveErrors")
    if outlier.consecutive_local_origin_failures and not outlier.split_external_local_origin_errors:
        message = "consecutiveLocalOriginFailures counts only where splitExternalLocalOriginErrors is true"
        hint = "add `splitExternalLocalOriginErrors: true`"
        report.error("one-of", message, "consecutiveLocalOriginFailures", hint=hint, key=True)
    for index, status in enumerate(outlier.outlier_detection_http_error_codes):
        if status not in _STATUSES:
            message = f"{status} is not an HTTP status"
            report.error("value", message, "outlierDetectionHttpErrorCodes", index, hint="write one from 100 to 599")


def _check_tcp(tcp: TCPPool, report: Report) -> None:
    _check_count(tcp.max_connections, report, "maxConnections")
    check_duration(tcp.connect_timeout, report, "connectTimeout")
    check_duration(tcp.max_connection_duration, report, "maxConnectionDuration")
    check_duration(tcp.idle_timeout, report, "idleTimeout")
    if tcp.tcp_keepalive is not None:
        _check_keepalive(tcp.tcp_keepalive, report.below("tcpKeepalive"))


def _check_keepalive(keepalive: TcpKeepalive, report: Report) -> None:
    """What Linux takes (tcp(7)): Envoy can't open a connection if it is told more."""
    for field, value in (("time", keepalive.time), ("interval", keepalive.interval)):
        if value is not None and value > _KEEPALIVE:
            message = f"{field} must be at most {_KEEPALIVE // timedelta(seconds=1)}s: Linux takes no more"
            report.error("duration", message, field, hint="leave it out for the system's default")
        else:
            check_duration(value, report, field)
    if keepalive.probes > _PROBES:
        message = f"probes must be at most {_PROBES}: Linux takes no more"
        report.error("value", message, "probes", hint="leave it out for the system's default")


def _check_http(http: HTTPPool, report: Report) -> None:
    for name, field in _COUNTS.items():
        _check_count(getattr(http, name), report, field)
    check_duration(http.idle_timeout, report, "idleTimeout")
    if http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE and http.use_client_protocol:
        message = "useClientProtocol can't be true where h2UpgradePolicy is UPGRADE"
        report.error("one-of", message, "useClientProtocol", hint="keep one of the two", key=True)
    keepalive = http.http2_keep_alive
    if keepalive is not None:
        for field, value in (("interval", keepalive.interval), ("timeout", keepalive.timeout)):
            check_duration(value, report, "http2KeepAlive", field)
            if value is None:
                message = f"http2KeepAlive needs {field}: Envoy takes it with both"
                hint = "such as `{interval: 30s, timeout: 5s}`"
                report.error("missing-field", message, "http2KeepAlive", field, hint=hint)


def _check_count(count: int, report: Report, field: str) -> None:
    if not 0 <= count <= _MAX:
        report.error("value", f"{field} must be from 0 to {_MAX}", field, hint="to have no limit, leave it out")
