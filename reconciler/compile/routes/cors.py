"""Which pages of other origins may call: the settings of Envoy's CORS filter for one route."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from envoy.extensions.filters.http.cors.v3.cors_pb2 import CorsPolicy as EnvoyCors

from reconciler.compile.routes.percentages import whole
from reconciler.compile.routes.strings import string_matcher
from reconciler.model.virtualservice import CorsPolicy, StringMatch, UnmatchedPreflights

_FILTER = "envoy.filters.http.cors"


def fill_cors(route: Any, policy: CorsPolicy) -> None:
    """Say to the CORS filter what holds for a route. Preflights of other origins are sent on unless told otherwise."""
    message = EnvoyCors(
        allow_methods=",".join(policy.allow_methods),
        allow_headers=",".join(policy.allow_headers),
        expose_headers=",".join(policy.expose_headers),
    )
    message.filter_enabled.default_value.CopyFrom(whole(100))
    forwarded = policy.unmatched_preflights is not UnmatchedPreflights.IGNORE
    message.forward_not_matching_preflights.value = forwarded
    origins = policy.allow_origins or tuple(StringMatch(exact=origin) for origin in policy.allow_origin)
    message.allow_origin_string_match.extend(string_matcher(origin) for origin in origins)
    if policy.max_age is not None:
        message.max_age = str(policy.max_age // timedelta(seconds=1))
    if policy.allow_credentials is not None:
        message.allow_credentials.value = policy.allow_credentials
    route.typed_per_filter_config[_FILTER].Pack(message, deterministic=True)
