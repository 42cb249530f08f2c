"""Traffic policies: what a DestinationRule says of the connections to a service (Istio's `destination_rule.proto`)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.spec import Duration, Spec
from reconciler.model.virtualservice import Percentage, PortSelector

Unsigned32 = Annotated[int, Field(ge=0, le=4294967295, strict=True)]
Unsigned64 = Annotated[int, Field(ge=0, le=18446744073709551615, strict=True)]


class SimpleLB(StrEnum):
    """Load balancing policies; `UNSPECIFIED` and the old `LEAST_CONN` mean `LEAST_REQUEST`, Istio's default.

    `PASSTHROUGH` sends connections to the address that the caller asked for, and needs interception.
    """

    UNSPECIFIED = "UNSPECIFIED"
    LEAST_CONN = "LEAST_CONN"
    LEAST_REQUEST = "LEAST_REQUEST"
    ROUND_ROBIN = "ROUND_ROBIN"
    RANDOM = "RANDOM"
    PASSTHROUGH = "PASSTHROUGH"


class CookieAttribute(Spec):
    """An attribute of a cookie that Envoy sets.

    Attributes:
        name: Such as `SameSite`.
        value: Such as `Strict`; none for a flag such as `Secure`.
    """

    name: Annotated[str, Field(min_length=1)]
    value: str = ""


class HTTPCookie(Spec):
    """A cookie to hash; Envoy sets one where a client has none and `ttl` is given.

    Attributes:
        name: The cookie's.
        path: Of a cookie that Envoy sets.
        ttl: Life of a cookie that Envoy sets; `0s` for a session cookie.
        attributes: Of a cookie that Envoy sets.
    """

    name: Annotated[str, Field(min_length=1)]
    path: str = ""
    ttl: Duration | None = None
    attributes: tuple[CookieAttribute, ...] = ()


class RingHash(Spec):
    """Ketama hashing.

    Attributes:
        minimum_ring_size: At least this many places on the ring; 1024 by default.
    """

    minimum_ring_size: Unsigned64 = 0


class MagLev(Spec):
    """Maglev hashing.

    Attributes:
        table_size: A prime up to 5,000,011; 65,537 by default.
    """

    table_size: Unsigned64 = 0


class ConsistentHashLB(Spec):
    """The same key goes to the same endpoint: exactly one key, at most one algorithm.

    Attributes:
        http_header_name: The key is this header.
        http_cookie: The key is this cookie.
        use_source_ip: The key is the client's address.
        http_query_parameter_name: The key is this query parameter.
        ring_hash: Ketama hashing, the default.
        maglev: Maglev hashing.
        minimum_ring_size: The older form of `ring_hash.minimum_ring_size`.
    """

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: Unsigned64 = 0


class Distribute(Spec):
    """Where the requests of one locality go.

    Attributes:
        from_: The callers' locality: `region/zone/subzone`, with `*` at the end.
        to: Percent by locality; 100 together.
    """

    from_: Annotated[str, Field(alias="from")] = ""
    to: Mapping[str, Unsigned32] = {}


class Failover(Spec):
    """Which region comes after the callers' own.

    Attributes:
        from_: The callers' region.
        to: The region that is next.
    """

    from_: Annotated[str, Field(alias="from")] = ""
    to: str = ""


class LocalityLB(Spec):
    """Load balancing between localities; `distribute` excludes the other two.

    Attributes:
        distribute: Shares by locality; excludes the others.
        failover: Regions that come next; needs outlierDetection.
        failover_priority: Labels (`name` or `name=value`), most important first: endpoints that agree in more go first.
        enabled: Whether any of it holds; true by default.
    """

    distribute: tuple[Distribute, ...] = ()
    failover: tuple[Failover, ...] = ()
    failover_priority: tuple[str, ...] = ()
    enabled: bool | None = None


class Warmup(Spec):
    """New endpoints get their share little by little.

    Attributes:
        duration: How long it takes.
        minimum_percent: Share at the start; 10 by default.
        aggression: 1 (the default) grows evenly, more grows faster at first.
    """

    duration: Duration
    minimum_percent: Percentage | None = None
    aggression: Annotated[float, Field(ge=1)] | None = None


class LoadBalancer(Spec):
    """How endpoints are chosen: `simple` or `consistent_hash`.

    Attributes:
        simple: The policy; `LEAST_CONN` means `LEAST_REQUEST`, and `UNSPECIFIED` what the template `cluster.yaml` says.
        consistent_hash: The same key goes to the same endpoint.
        locality_lb_setting: Load balancing between localities.
        warmup: New endpoints get their share little by little; for ROUND_ROBIN and LEAST_REQUEST.
        warmup_duration_secs: The older form of `warmup.duration`.
    """

    refused: ClassVar[Mapping[str, str]] = {
        "zoneAwareLbSetting": "it needs a cluster that tells Envoy of its own peers; use localityLbSetting",
        "backendUtilization": "it needs endpoints that report their load; use simple: LEAST_REQUEST",
    }

    simple: SimpleLB | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLB | None = None
    warmup: Warmup | None = None
    warmup_duration_secs: Duration | None = None


class TcpKeepalive(Spec):
    """TCP keepalive probes on connections to endpoints.

    Attributes:
        probes: Lost ones until a connection counts as dead; the system's default where absent.
        time: Idle time before the first; the system's default where absent.
        interval: Between two; the system's default where absent.
    """

    probes: Unsigned32 = 0
    time: Duration | None = None
    interval: Duration | None = None


class TCPPool(Spec):
    """Connections, of HTTP too.

    Attributes:
        max_connections: At once, from one proxy to all endpoints.
        connect_timeout: Until a connection is there; 10s by default.
        tcp_keepalive: Keepalive probes.
        max_connection_duration: Age at which a connection is closed.
        idle_timeout: Idle time after which a connection is closed; 1h by default.
    """

    max_connections: int = 0
    connect_timeout: Duration | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Duration | None = None
    idle_timeout: Duration | None = None


class H2UpgradePolicy(StrEnum):
    """Whether HTTP/1.1 becomes HTTP/2 on the way to endpoints; `DEFAULT` does not."""

    DEFAULT = "DEFAULT"
    DO_NOT_UPGRADE = "DO_NOT_UPGRADE"
    UPGRADE = "UPGRADE"


class ConnectionKeepalive(Spec):
    """HTTP/2 PING frames.

    Attributes:
        interval: Between two.
        timeout: Until a missing answer ends the connection.
    """

    interval: Duration | None = None
    timeout: Duration | None = None


class HTTPPool(Spec):
    """Requests.

    Attributes:
        http1_max_pending_requests: Waiting for a connection at once.
        http2_max_requests: Active at once, of HTTP/1.1 too.
        max_requests_per_connection: After which a connection is closed; 1 turns keep-alive off.
        max_retries: Active retries at once.
        idle_timeout: Time without requests after which a connection is closed; goes before `tcp.idleTimeout`.
        h2_upgrade_policy: Whether HTTP/1.1 becomes HTTP/2.
        use_client_protocol: Whether endpoints are spoken to as the client speaks.
        max_concurrent_streams: On one HTTP/2 connection.
        http2_keep_alive: HTTP/2 PING frames.
    """

    http1_max_pending_requests: int = 0
    http2_max_requests: int = 0
    max_requests_per_connection: int = 0
    max_retries: int = 0
    idle_timeout: Duration | None = None
    h2_upgrade_policy: H2UpgradePolicy = H2UpgradePolicy.DEFAULT
    use_client_protocol: bool = False
    max_concurrent_streams: int = 0
    http2_keep_alive: Annotated[ConnectionKeepalive | None, Field(alias="http2KeepAlive")] = None


class ConnectionPool(Spec):
    """Limits that protect a service; 0 or absent is no limit.

    Attributes:
        tcp: Connections, of HTTP too.
        http: Requests.
    """

    tcp: TCPPool | None = None
    http: HTTPPool | None = None


class OutlierDetection(Spec):
    """Endpoints that fail get no requests for a while.

    Attributes:
        consecutive5xx_errors: 5xx answers in a row that eject an endpoint; 5 by default, 0 turns this cause off.
        consecutive_gateway_errors: 502, 503 and 504 in a row; off by default.
        consecutive_errors: The older form of `consecutive_gateway_errors`.
        split_external_local_origin_errors: Whether failures to connect are counted apart from answers.
        consecutive_local_origin_failures: Failures to connect in a row, where they are counted apart.
        interval: Between two looks; 10s by default.
        base_ejection_time: Times the number of ejections so far; 30s by default.
        max_ejection_percent: Of a service's endpoints at once; 10 by default.
        min_health_percent: Share of healthy endpoints below which all are used again; 0 by default.
        outlier_detection_http_error_codes: Statuses that count as 5xx does, in its place.
    """

    consecutive5xx_errors: Annotated[Unsigned32 | None, Field(alias="consecutive5xxErrors")] = None
    consecutive_gateway_errors: Unsigned32 | None = None
    consecutive_errors: int = 0
    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: Unsigned32 | None = None
    interval: Duration | None = None
    base_ejection_time: Duration | None = None
    max_ejection_percent: Annotated[int, Field(ge=0, le=100, strict=True)] = 0
    min_health_percent: Annotated[int, Field(ge=0, le=100, strict=True)] = 0
    outlier_detection_http_error_codes: tuple[Unsigned32, ...] = ()


class ClientTLSMode(StrEnum):
    """How connections to endpoints are secured; `ISTIO_MUTUAL` uses the certificates that Proxy or Mesh name."""

    DISABLE = "DISABLE"
    SIMPLE = "SIMPLE"
    MUTUAL = "MUTUAL"
    ISTIO_MUTUAL = "ISTIO_MUTUAL"


class ClientTLS(Spec):
    """TLS towards endpoints. Certificates and keys are files on the proxy's own host.

    Attributes:
        mode: How connections are secured.
        client_certificate: File of the proxy's certificate chain, for `MUTUAL`.
        private_key: File of its key, for `MUTUAL`.
        ca_certificates: File of the CAs that servers are checked against; the system's by default.
        ca_crl: File of revoked certificates.
        credential_name: Instead of the three files: a folder below `certificates.directory` with `tls.crt`, `tls.key`, `ca.crt`.
        subject_alt_names: Of which the server's certificate must have one.
        sni: Server name to ask for; the request's host by default.
        insecure_skip_verify: Whether servers are not checked at all.
    """

    mode: ClientTLSMode = ClientTLSMode.DISABLE
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    ca_crl: str = ""
    credential_name: str = ""
    subject_alt_names: tuple[str, ...] = ()
    sni: str = ""
    insecure_skip_verify: bool | None = None


class PortTrafficPolicy(Spec):
    """Settings for one port of a service; in place of everything that the policy around it says.

    Attributes:
        port: The service's port.
        load_balancer: How endpoints are chosen.
        connection_pool: Limits that protect the service.
        outlier_detection: Endpoints that fail get no requests for a while.
        tls: TLS towards endpoints.
    """

    port: PortSelector | None = None
    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLS | None = None


class Tunnel(Spec):
    """TCP connections carried through an HTTP proxy.

    Attributes:
        protocol: `CONNECT` (the default) or `POST`.
        target_host: Where the proxy is asked to connect to.
        target_port: Where the proxy is asked to connect to.
    """

    protocol: str = ""
    target_host: Annotated[str, Field(min_length=1)]
    target_port: Annotated[int, Field(ge=0, le=65535, strict=True)]


class ProxyProtocolVersion(StrEnum):
    """Version 1 is text, version 2 binary."""

    V1 = "V1"
    V2 = "V2"


class ProxyProtocol(Spec):
    """The PROXY protocol, which tells endpoints the caller's address.

    Attributes:
        version: `V1` by default.
    """

    version: ProxyProtocolVersion = ProxyProtocolVersion.V1


class RetryBudget(Spec):
    """A limit of retries that grows with traffic; in place of `connectionPool.http.maxRetries`.

    Attributes:
        percent: Active retries as a share of active requests; 20 by default.
        min_retry_concurrency: Always allowed; 3 by default.
    """

    refused: ClassVar[Mapping[str, str]] = {"budgetInterval": "Envoy's budget has no interval"}

    percent: Percentage | None = None
    min_retry_concurrency: Unsigned32 | None = None


class TrafficPolicy(Spec):
    """Settings for the connections to a service or a subset of it.

    Attributes:
        load_balancer: How endpoints are chosen.
        connection_pool: Limits that protect the service.
        outlier_detection: Endpoints that fail get no requests for a while.
        tls: TLS towards endpoints.
        port_level_settings: By port; each in place of all of the above.
        tunnel: TCP connections carried through an HTTP proxy.
        proxy_protocol: The PROXY protocol towards endpoints.
        retry_budget: A limit of retries that grows with traffic.
    """

    load_balancer: LoadBalancer | None = None
    connection_pool: ConnectionPool | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLS | None = None
    port_level_settings: tuple[PortTrafficPolicy, ...] = ()
    tunnel: Tunnel | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None
