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
