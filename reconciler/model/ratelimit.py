"""RateLimit: our own kind (`reconciler/v1alpha1`), how many requests are let through, counted by each proxy or by all together."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from reconciler.model.serviceentry import WorkloadSelector
from reconciler.model.spec import Duration, Spec
from reconciler.model.virtualservice import PortSelector, StringMatch

LIMIT_KEY = "limit"
"""The descriptor entry that says which limit is meant; its value is the limit's name."""

QUERY_KEY = "query"
"""The entry that a limit with conditions on both headers and query parameters has besides; its value is the name too."""

_PATH_KEY = "path"
_ADDRESS_KEY = "remote_address"

Count = Annotated[int, Field(ge=1, le=2**32 - 1, strict=True)]


class Unit(StrEnum):
    """The time that a global limit is for; a rate limit service counts by the clock's second, minute, hour or day (UTC)."""

    SECOND = "SECOND"
    MINUTE = "MINUTE"
    HOUR = "HOUR"
    DAY = "DAY"


class LimitMatch(Spec):
    """Conditions on a request that must all hold for a limit to concern it.

    Attributes:
        path: On the path without its query; a prefix is textual, as in a VirtualService (`/a` includes `/ab`).
        method: HTTP method, in upper case.
        authority: The `Host` header, as sent.
        headers: By header name; an empty matcher asks for presence.
        without_headers: Headers that must not match; a header that is absent does not match.
        query_params: By parameter name; an empty matcher asks for presence.
    """

    path: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] = {}
    without_headers: Mapping[str, StringMatch] = {}
    query_params: Mapping[str, StringMatch] = {}

    @property
    def looks_at_headers(self) -> bool:
        """Whether it has conditions other than on query parameters."""
        return bool(self.path or self.method or self.authority or self.headers or self.without_headers)


class LimitBy(Spec):
    """What tells the counts of one limit apart: exactly one. A request that lacks it is not counted.

    Attributes:
        header: A count for each value of this header.
        query_parameter: A count for each value of this query parameter.
        path: A count for each path, without its query.
        remote_address: A count for each client address: the caller's; at a sidecar the last of `x-forwarded-for`, if there is one.
    """

    header: str = ""
    query_parameter: str = ""
    path: bool = False
    remote_address: bool = False

    @property
    def key(self) -> str:
        """The key of its descriptor entry."""
        if self.header:
            return self.header.lower()
        if self.query_parameter:
            return f"{QUERY_KEY}.{self.query_parameter}"
        return _PATH_KEY if self.path else _ADDRESS_KEY


class Limit(Spec):
    """So many requests, of those that match, for each value of what they are counted by.

    Attributes:
        name: Unique in its list; names the limit in Envoy and at the rate limit service.
        requests: How many are let through in the time.
        match: Which requests it is about; all by default.
        by: What tells counts apart; of several, each combination of values has a count. None is one count for all.
    """

    name: Annotated[str, Field(min_length=1)]
    requests: Count
    match: LimitMatch | None = None
    by: tuple[LimitBy, ...] = ()

    @property
    def entries(self) -> tuple[tuple[str, str], ...]:
        """The limit's descriptor, as key and value; the value is "" where each value of a request has its own count."""
        both = self.match is not None and self.match.looks_at_headers and bool(self.match.query_params)
        named = ((LIMIT_KEY, self.name), (QUERY_KEY, self.name)) if both else ((LIMIT_KEY, self.name),)
        return (*named, *((item.key, "") for item in self.by))


class LocalLimit(Limit):
    """A limit that every proxy counts by itself: a bucket of tokens that fills up evenly.

    Attributes:
        name: Unique in its list.
        requests: How many are let through in `per`, on average.
        match: Which requests it is about; all by default.
        by: What tells counts apart; of several, each combination of values has a bucket. None is one bucket for all.
        per: The time in which `requests` tokens come back.
        burst: Size of the bucket: how many are let through at once after a pause; `requests` by default.
    """

    per: Duration = timedelta(seconds=1)
    burst: Count | None = None


class GlobalLimit(Limit):
    """A limit that all proxies count together, at a rate limit service.

    Attributes:
        name: Unique in its list. Limits of one name and domain in several documents are one limit, and must be equal.
        requests: How many are let through in one unit.
        match: Which requests it is about; all by default.
        by: What tells counts apart; of several, each combination of values has a count. None is one count for all.
        unit: The time that the count is for.
    """

    unit: Unit


class RateLimitService(Spec):
    """A service of the mesh that speaks Envoy's rate limit service protocol, version 3, by gRPC.

    Attributes:
        host: By full or short name.
        port: Needed only where the service has several; its protocol is GRPC or HTTP2.
    """

    host: Annotated[str, Field(min_length=1)]
    port: PortSelector | None = None


class GlobalLimits(Spec):
    """Limits that all proxies count together.

    Attributes:
        service: Who counts.
        domain: The name under which the service knows these limits.
        timeout: How long a request waits for its verdict.
        fail_open: Whether requests are let through while the service does not answer; otherwise they get a 500.
        limits: At least one; all of them hold.
    """

    service: RateLimitService
    domain: Annotated[str, Field(min_length=1)]
    timeout: Duration = timedelta(milliseconds=100)
    fail_open: bool = True
    limits: tuple[GlobalLimit, ...]


class LimitResponse(Spec):
    """What requests get that are not let through.

    Attributes:
        status: HTTP status, 400 to 599; gRPC calls get RESOURCE_EXHAUSTED.
        headers: Values by name, in place of what is there. Envoy's commands (`%REQ(x-name)%`) are replaced.
        rate_limit_headers: Whether `x-ratelimit-limit`, `-remaining` and `-reset` tell clients how much is left.
    """

    status: int = 429
    headers: Mapping[str, str] = {}
    rate_limit_headers: bool = False


class LimitedRoutes(Spec):
    """The `http` rules of a VirtualService, wherever they are carried out. Rules that it delegates are the delegate's.

    Attributes:
        name: `name` or `namespace/name`.
        routes: Names of rules; all by default.
    """

    name: Annotated[str, Field(min_length=1)]
    routes: tuple[str, ...] = ()


class RateLimitTarget(Spec):
    """Whose requests are limited: exactly one.

    Attributes:
        workloads: Requests to the workloads of this namespace with these labels, at their sidecars.
        gateway: Requests to a Gateway's HTTP servers, by `name` or `namespace/name`.
        virtual_service: Requests that certain rules take, at the callers' sidecars and at gateways.
    """

    workloads: WorkloadSelector | None = None
    gateway: str = ""
    virtual_service: LimitedRoutes | None = None


class RateLimit(Spec):
    """How many requests are let through.

    Attributes:
        target: Whose requests are limited.
        local: Limits that each proxy counts by itself; all of them hold.
        global_: Limits that all proxies count together.
        response: What requests get that are not let through.
    """

    target: RateLimitTarget
    local: tuple[LocalLimit, ...] = ()
    global_: Annotated[GlobalLimits | None, Field(alias="global")] = None
    response: LimitResponse = LimitResponse()
