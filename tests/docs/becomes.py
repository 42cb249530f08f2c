"""What the fields of docs/policies.md become in Envoy, where that helps; and which fields a rule, not the type, requires."""

from __future__ import annotations

from collections.abc import Mapping

BECOMES: Mapping[str, Mapping[str, str]] = {
    "VirtualService": {
        "hosts": "`virtual_hosts[].domains`",
        "http": "`virtual_hosts[].routes[]`, one for each match",
        "http[].name": "`routes[].name`",
        "http[].match[].uri.exact": "`match.path`",
        "http[].match[].uri.prefix": "`match.prefix`",
        "http[].match[].uri.regex": "`match.safe_regex`",
        "http[].match[].headers": "`match.headers[]`",
        "http[].route": "`route.cluster`; `route.weighted_clusters` for several",
        "http[].route[].destination": "the cluster `outbound\\|<port>\\|<subset>\\|<host>`",
        "http[].route[].weight": "`weighted_clusters.clusters[].weight`",
        "http[].timeout": "`route.timeout`",
        "http[].retries": "`route.retry_policy`",
        "http[].retries.attempts": "`num_retries`",
        "http[].retries.perTryTimeout": "`per_try_timeout`",
        "http[].retries.retryOn": "`retry_on`, `retriable_status_codes`",
        "http[].retries.backoff": "`retry_back_off.base_interval`",
    },
    "DestinationRule": {
        "trafficPolicy.loadBalancer.simple": "`Cluster.lb_policy`",
        "subsets[].name": "the cluster `outbound\\|<port>\\|<name>\\|<host>`",
        "subsets[].labels": "which endpoints are in its load assignment",
    },
    "ServiceEntry": {
        "hosts": "the names of virtual hosts and clusters",
        "ports[].number": "sidecars' outbound listeners, and clusters",
        "ports[].protocol": "`explicit_http_config.http2_protocol_options` of the cluster",
        "ports[].targetPort": "`socket_address.port_value` of its endpoints",
        "endpoints": "`ClusterLoadAssignment`",
    },
    "WorkloadEntry": {
        "address": "its endpoints' `socket_address.address`; where its sidecar listens",
        "ports": "`socket_address.port_value`",
        "weight": "`load_balancing_weight`",
    },
    "Gateway": {
        "servers[].port.number": "`Listener.address`, with `bind`",
        "servers[].bind": "`Listener.address`",
        "servers[].hosts": "`virtual_hosts[].domains`, as far as VirtualServices have them",
    },
    "Sidecar": {
        "ingress[].port.number": "`Listener.address`, with `bind`",
        "ingress[].bind": "`Listener.address`",
        "ingress[].defaultEndpoint": "the endpoint of the cluster `inbound\\|<port>\\|\\|`",
        "egress[].port": "`Listener.address`, with `bind`",
        "egress[].hosts": "which services are in the listener's routes",
    },
    "Proxy": {
        "workload": "`node.cluster`, as `<workload>.<namespace>`",
        "labels": "`node.metadata.labels`",
        "admin": "`admin.address` of the bootstrap",
        "push.files.directory": "every `path_config_source`",
        "push.runtime.routes[].prefix": "runtime keys `<prefix>.<cluster>`",
    },
    "Mesh": {},
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
    "VirtualService": frozenset({"hosts", "http", "http[].route"}),
    "ServiceEntry": frozenset({"hosts", "ports"}),
    "WorkloadEntry": frozenset({"address"}),
    "Gateway": frozenset({"servers", "servers[].hosts"}),
    "Sidecar": frozenset({"egress[].hosts"}),
    "RateLimit": frozenset({"global.limits"}),
    "Proxy": frozenset({"push.runtime.routes"}),
}
