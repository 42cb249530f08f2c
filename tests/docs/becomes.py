"""What the fields of our own kinds become in Envoy, where that helps; and which fields a rule, not the type, requires.

Those of Istio's kinds are in `istio_becomes`.
"""

from __future__ import annotations

from collections.abc import Mapping

BECOMES: Mapping[str, Mapping[str, str]] = {
    "Proxy": {
        "workload": "`node.cluster`, as `<workload>.<namespace>`",
        "labels": "`node.metadata.labels`",
        "admin": "`admin.address` of the bootstrap",
        "push.files.directory": "every `path_config_source`",
        "push.runtime.routes[].prefix": "runtime keys `<prefix>.<cluster>`",
    },
    "HealthCheck": {
        "http": "`health_checks[].http_health_check` of the service's clusters",
        "http.expectedStatuses[].end": "`expected_statuses[].end`, less one",
        "http.headers": "`request_headers_to_add[]`",
        "tcp": "`health_checks[].tcp_health_check`",
        "grpc": "`health_checks[].grpc_health_check`",
        "port": "`health_check_config.port_value` of each endpoint",
        "interval": "`interval`, `no_traffic_interval`",
        "timeout": "`timeout`",
        "unhealthyThreshold": "`unhealthy_threshold`",
        "healthyThreshold": "`healthy_threshold`",
        "noTrafficInterval": "`no_traffic_healthy_interval`",
        "initialJitter": "`initial_jitter`",
        "intervalJitter": "`interval_jitter`; `interval_jitter_percent` by default",
        "reuseConnection": "`reuse_connection`",
        "closeConnections": "`close_connections_on_host_health_failure`",
        "panicThreshold": "`common_lb_config.healthy_panic_threshold`",
    },
    "RateLimit": {
        "local": "`typed_per_filter_config` of `envoy.filters.http.local_ratelimit`, of `...routes` for a VirtualService",
        "local[].requests": "`descriptors[].token_bucket.tokens_per_fill`",
        "local[].per": "`descriptors[].token_bucket.fill_interval`",
        "local[].burst": "`descriptors[].token_bucket.max_tokens`",
        "local[].match": "`rate_limits[].actions[].header_value_match`, `query_parameter_value_match`",
        "local[].by": "`rate_limits[].actions[]`, with an entry of any value in `descriptors[]`",
        "global": "the filter `envoy.filters.http.ratelimit.<namespace>.<name>`",
        "global.service": "`rate_limit_service.grpc_service.envoy_grpc.cluster_name`",
        "global.domain": "`domain`",
        "global.timeout": "`timeout`",
        "global.failOpen": "`failure_mode_deny`",
        "global.limits": "`typed_per_filter_config`: `rate_limits[]`; the counts stand in the service's own configuration",
        "response.status": "`status`, `rate_limited_status`",
        "response.headers": "`response_headers_to_add[]`",
        "response.rateLimitHeaders": "`enable_x_ratelimit_headers`",
    },
}

REQUIRED: Mapping[str, frozenset[str]] = {
    "ServiceEntry": frozenset({"hosts", "ports"}),
    "WorkloadEntry": frozenset({"address"}),
    "Gateway": frozenset({"servers", "servers[].hosts"}),
    "Sidecar": frozenset({"egress[].hosts"}),
    "RateLimit": frozenset({"global.limits"}),
    "Proxy": frozenset({"push.runtime.routes"}),
}
