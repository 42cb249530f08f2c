"""Connection pools: limits of connections and requests, timeouts, keepalive, and how HTTP is spoken to endpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto
from typing import Any

from envoy.config.core.v3.base_pb2 import RoutingPriority
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from google.protobuf.any_pb2 import Any as AnyMessage

from reconciler.compile.clusters.subject import Subject
from reconciler.compile.prototypes import Prototypes
from reconciler.model.protocol import Protocol
from reconciler.model.trafficpolicy import (
    ClientTLS,
    ClientTLSMode,
    ConnectionKeepalive,
    H2UpgradePolicy,
    HTTPPool,
    RetryBudget,
    TcpKeepalive,
    TCPPool,
)

HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_PING_TIMEOUT = timedelta(seconds=10)
"""Envoy refuses HTTP/2 keepalive without a timeout; Istio takes it."""


class Speech(Enum):
    """How HTTP is spoken to endpoints: by the template (HTTP/1.1), always HTTP/2, or as the client speaks."""

    PLAIN = auto()
    HTTP2 = auto()
    AS_CLIENT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What distinguishes one cluster's HTTP options from another's; None and 0 are the template's.

    Attributes:
        streams: On one HTTP/2 connection.
        ping: Of HTTP/2.
        auto_sni: Whether the TLS server name is the request's host.
        auto_san: Whether the server's certificate must have that name.
        error_codes: Statuses that count as failures for outlier detection, instead of 5xx.
    """

    speech: Speech = Speech.PLAIN
    idle_timeout: timedelta | None = None
    max_duration: timedelta | None = None
    max_requests: int = 0
    streams: int = 0
    ping: ConnectionKeepalive | None = None
    auto_sni: bool = False
    auto_san: bool = False
    error_codes: tuple[int, ...] = ()


_PLAIN = Options()
_HTTP2_ONLY = Options(speech=Speech.HTTP2)


def speaks_http2(protocol: str) -> bool:
    """Whether a port of this protocol takes HTTP/2 without an upgrade; Sidecar ports have the same names."""
    return protocol in {Protocol.HTTP2, Protocol.GRPC, Protocol.GRPC_WEB}


def options_of(subject: Subject) -> Options:
    """The HTTP options of a cluster; plain ones for TCP and TLS ports, unless their connections are carried by HTTP."""
    policy = subject.policy
    if not subject.is_http and policy.tunnel is None:
        return _PLAIN
    pool = policy.connection_pool
    tcp, http = (pool.tcp or TCPPool(), pool.http or HTTPPool()) if pool else (TCPPool(), HTTPPool())
    speech = _speech(subject, http)
    named = tls_names(policy.tls)
    return Options(
        speech=speech,
        idle_timeout=tcp.idle_timeout if http.idle_timeout is None else http.idle_timeout,
        max_duration=tcp.max_connection_duration,
        max_requests=http.max_requests_per_connection,
        streams=http.max_concurrent_streams if speech is not Speech.PLAIN else 0,
        ping=http.http2_keep_alive if speech is not Speech.PLAIN else None,
        auto_sni=named is not None and not named.sni,
        auto_san=named is not None and not _checked_otherwise(named, subject),
        error_codes=policy.outlier_detection.outlier_detection_http_error_codes if policy.outlier_detection else (),
    )


def _speech(subject: Subject, http: HTTPPool) -> Speech:
    if http.use_client_protocol:
        return Speech.AS_CLIENT
    upgraded = http.h2_upgrade_policy is H2UpgradePolicy.UPGRADE
    native = subject.port is not None and subject.port.protocol.is_http2
    return Speech.HTTP2 if upgraded or native else Speech.PLAIN


def tls_names(tls: ClientTLS | None) -> ClientTLS | None:
    """TLS whose server name and certificate are the user's affair: SIMPLE and MUTUAL."""
    return tls if tls is not None and tls.mode in {ClientTLSMode.SIMPLE, ClientTLSMode.MUTUAL} else None


def _checked_otherwise(tls: ClientTLS, subject: Subject) -> bool:
    named = tls.subject_alt_names or (subject.service.subject_alt_names if subject.service else ())
    return bool(tls.sni or named or tls.insecure_skip_verify)


class HttpOptions:
    """HTTP options on top of the templates', each packed once."""

    def __init__(self, prototypes: Prototypes) -> None:
        self._http2 = prototypes.cluster_http2
        self._packed: dict[tuple[Options, bytes], AnyMessage] = {}

    def apply(self, message: Any, options: Options) -> None:
        """Put options into a cluster, which has the template's."""
        if options == _PLAIN:
            return
        slot = message.typed_extension_protocol_options
        given = slot[HTTP_OPTIONS].value if HTTP_OPTIONS in slot else b""
        if (options, given) not in self._packed:
            found = HttpProtocolOptions()
            found.ParseFromString(given)
            _fill(found, options, self._http2)
            packed = AnyMessage()
            packed.Pack(found, deterministic=True)
            self._packed[options, given] = packed
        slot[HTTP_OPTIONS].CopyFrom(self._packed[options, given])


def with_http2(cluster: Any, prototypes: Prototypes) -> Any:
    """A copy of a cluster that speaks HTTP/2, whatever else the template says of HTTP."""
    message = type(cluster)()
    message.CopyFrom(cluster)
    HttpOptions(prototypes).apply(message, _HTTP2_ONLY)
    return message


def _fill(found: HttpProtocolOptions, options: Options, http2: HttpProtocolOptions) -> None:
    if options.speech is Speech.HTTP2:
        found.MergeFrom(http2)
    elif options.speech is Speech.AS_CLIENT:
        settings = http2.explicit_http_config.http2_protocol_options
        found.use_downstream_protocol_config.http_protocol_options.SetInParent()
        found.use_downstream_protocol_config.http2_protocol_options.CopyFrom(settings)
    elif found.WhichOneof("upstream_protocol_options") is None:
        found.explicit_http_config.http_protocol_options.SetInParent()
    _fill_http2(found, options)
    _fill_common(found, options)
    if options.auto_sni:
        found.upstream_http_protocol_options.auto_sni = True
    if options.auto_san:
        found.upstream_http_protocol_options.auto_san_validation = True
    if options.error_codes:
        _failures(found.outlier_detection.error_matcher, options.error_codes)


def _fill_common(found: HttpProtocolOptions, options: Options) -> None:
    common = found.common_http_protocol_options
    if options.idle_timeout is not None:
        common.idle_timeout.FromTimedelta(options.idle_timeout)
    if options.max_duration is not None:
        common.max_connection_duration.FromTimedelta(options.max_duration)
    if options.max_requests > 0:
        common.max_requests_per_connection.value = options.max_requests


def _fill_http2(found: HttpProtocolOptions, options: Options) -> None:
    if options.streams <= 0 and options.ping is None:
        return
    explicit = options.speech is Speech.HTTP2
    part = found.explicit_http_config if explicit else found.use_downstream_protocol_config
    http2 = part.http2_protocol_options
    if options.streams > 0:
        http2.max_concurrent_streams.value = options.streams
    if options.ping is not None:
        if options.ping.interval is not None:
            http2.connection_keepalive.interval.FromTimedelta(options.ping.interval)
        http2.connection_keepalive.timeout.FromTimedelta(
            _PING_TIMEOUT if options.ping.timeout is None else options.ping.timeout
        )


def _failures(matcher: Any, codes: tuple[int, ...]) -> None:
    wanted = sorted(set(codes))
    rules = [matcher] if len(wanted) == 1 else [matcher.or_match.rules.add() for _ in wanted]
    for rule, code in zip(rules, wanted, strict=True):
        header = rule.http_response_headers_match.headers.add(name=":status")
        header.string_match.exact = str(code)


def limit(message: Any, subject: Subject) -> None:
    """Set a cluster's circuit breakers, connect timeout and TCP keepalive; 0 and None are the template's."""
    pool = subject.policy.connection_pool
    tcp, http = (pool.tcp, pool.http) if pool else (None, None)
    limits: dict[str, int] = {}
    if tcp is not None:
        limits["max_connections"] = tcp.max_connections
        if tcp.connect_timeout is not None:
            message.connect_timeout.FromTimedelta(tcp.connect_timeout)
        if tcp.tcp_keepalive is not None:
            _keepalive(message.upstream_connection_options.tcp_keepalive, tcp.tcp_keepalive)
    if http is not None:
        limits["max_pending_requests"] = http.http1_max_pending_requests
        limits["max_requests"] = http.http2_max_requests
        limits["max_retries"] = http.max_retries
    _break(message, {name: value for name, value in limits.items() if value > 0}, subject.policy.retry_budget)


def _keepalive(message: Any, settings: TcpKeepalive) -> None:
    """Sockets count in whole seconds; a shorter time is one."""
    message.SetInParent()
    if settings.probes:
        message.keepalive_probes.value = settings.probes
    for name, value in (("keepalive_time", settings.time), ("keepalive_interval", settings.interval)):
        if value is not None:
            getattr(message, name).value = max(1, round(value.total_seconds()))


def _break(message: Any, limits: Mapping[str, int], budget: RetryBudget | None) -> None:
    if not limits and budget is None:
        return
    known = message.circuit_breakers.thresholds
    found = next((item for item in known if item.priority == RoutingPriority.DEFAULT), None) or known.add()
    for name, value in limits.items():
        getattr(found, name).value = value
    if budget is not None:
        found.retry_budget.SetInParent()
        if budget.percent is not None:
            found.retry_budget.budget_percent.value = budget.percent
        if budget.min_retry_concurrency is not None:
            found.retry_budget.min_retry_concurrency.value = budget.min_retry_concurrency
