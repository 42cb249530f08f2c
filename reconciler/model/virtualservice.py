"""VirtualService: Istio's `networking/v1alpha3/virtual_service.proto`."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from reconciler.model.spec import Duration, Labels, PortNumber, Spec

MESH_GATEWAY = "mesh"
"""The gateway name that stands for all sidecars; the default of `gateways`."""

Percentage = Annotated[float, Field(ge=0, le=100)]


class StringMatch(Spec):
    """Exactly one of the three; a header or query matcher with none of them asks for presence.

    Attributes:
        exact: The whole text, case-sensitive.
        prefix: How the text begins.
        regex: RE2, Envoy's syntax; has to match the whole text.
    """

    exact: str | None = None
    prefix: str | None = None
    regex: str | None = None


class Percent(Spec):
    """A share of requests.

    Attributes:
        value: From 0 to 100; fractions down to a ten-thousandth count.
    """

    value: Percentage = 0


class PortSelector(Spec):
    """A service port by its number.

    Attributes:
        number: The service's port, not the endpoints'.
    """

    number: PortNumber


class Destination(Spec):
    """Where requests go.

    Attributes:
        host: A service, by full or short name.
        subset: A subset of the host's DestinationRule.
        port: Needed only where the service has several ports and none is the listener's.
    """

    host: Annotated[str, Field(min_length=1)]
    subset: str = ""
    port: PortSelector | None = None


class HeaderOperations(Spec):
    """What is done to headers, in this order: `set`, `add`, `remove`.

    Attributes:
        set: Values by name, in place of what is there.
        add: Values by name, beside what is there.
        remove: Names.
    """

    set: Mapping[str, str] = {}
    add: Mapping[str, str] = {}
    remove: tuple[str, ...] = ()


class Headers(Spec):
    """Header operations on the way to the destination and back.

    Attributes:
        request: Before the request is sent on; `host` and `:authority` can be set.
        response: Before the response is returned.
    """

    request: HeaderOperations | None = None
    response: HeaderOperations | None = None


class HTTPRouteDestination(Spec):
    """One share of a split.

    Attributes:
        destination: Where this share goes.
        weight: Share relative to the others' sum; a single destination needs none.
        headers: For this share only, after the route's own.
    """

    destination: Destination
    weight: int = 0
    headers: Headers | None = None


class RouteDestination(Spec):
    """One share of the connections of a TCP or TLS route.

    Attributes:
        destination: Where this share goes.
        weight: Share relative to the others' sum; a single destination needs none.
    """

    destination: Destination
    weight: int = 0


class HTTPMatch(Spec):
    """Conditions that must all hold.

    Attributes:
        name: Added to the rule's name in the Envoy route: `<rule>.<match>`.
        uri: On the path; a prefix is textual, as in Istio (`/a` includes `/ab`).
        ignore_uri_case: Whether `uri` matches in any case; for `exact` and `prefix`.
        scheme: `http` or `https`, as the `:scheme` header says.
        method: HTTP method, in upper case.
        authority: The `Host` header, as sent.
        headers: By header name; an empty matcher asks for presence.
        without_headers: Headers that must not match; a header that is absent does not match.
        query_params: By parameter name; an empty matcher asks for presence.
        port: Holds on listeners of this port only.
        source_labels: Holds on proxies whose workload carries these labels; not looked at where `gateways` is set.
        source_namespace: Holds on proxies of this namespace; not looked at where `gateways` is set.
        gateways: Holds at these Gateways (or `mesh`) instead of the VirtualService's own.
        stat_prefix: Envoy counts the matching requests under this name too.
    """

    name: str = ""
    uri: StringMatch | None = None
    ignore_uri_case: bool = False
    scheme: StringMatch | None = None
    method: StringMatch | None = None
    authority: StringMatch | None = None
    headers: Mapping[str, StringMatch] = {}
    without_headers: Mapping[str, StringMatch] = {}
    query_params: Mapping[str, StringMatch] = {}
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = 0
    source_labels: Labels = {}
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()
    stat_prefix: str = ""


class HTTPRetry(Spec):
    """How failed requests are repeated; Istio's default of 2 attempts holds where a route says nothing.

    Attributes:
        attempts: Repetitions after the first try; 0 turns retries off.
        per_try_timeout: For each try; the route's timeout holds for all of them together.
        retry_on: Envoy's and gRPC's retry conditions and status codes, comma-separated.
        backoff: Base interval between tries.
        retry_remote_localities: Whether further tries go to endpoints of other localities.
        retry_ignore_previous_hosts: Whether further tries go to other endpoints; true by default.
    """

    attempts: int = 0
    per_try_timeout: Duration | None = None
    retry_on: str = ""
    backoff: Duration | None = None
    retry_remote_localities: bool | None = None
    retry_ignore_previous_hosts: bool | None = None


class RedirectPort(StrEnum):
    """Where a redirect's port comes from: 80 or 443 by its scheme, or the port of the request."""

    FROM_PROTOCOL_DEFAULT = "FROM_PROTOCOL_DEFAULT"
    FROM_REQUEST_PORT = "FROM_REQUEST_PORT"


class HTTPRedirect(Spec):
    """An answer that sends the client elsewhere; what is not said stays as in the request.

    Attributes:
        uri: In place of the whole path.
        prefix_rewrite: In place of the matched prefix; goes before `uri`.
        authority: In place of the host.
        port: In place of the port; excludes `derive_port`.
        derive_port: Where the port comes from.
        scheme: `http` or `https`.
        redirect_code: 301, 302, 303, 307 or 308; 301 by default.
    """

    uri: str = ""
    prefix_rewrite: str = ""
    authority: str = ""
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] | None = None
    derive_port: RedirectPort | None = None
    scheme: str = ""
    redirect_code: int = 0


class HTTPBody(Spec):
    """The body of a direct response: exactly one.

    Attributes:
        string: Text.
        bytes: Base64.
    """

    string: str | None = None
    bytes: str | None = None


class HTTPDirectResponse(Spec):
    """An answer that Envoy gives by itself.

    Attributes:
        status: HTTP status, 100 to 599.
        body: At most 1 MiB.
    """

    status: int
    body: HTTPBody | None = None


class Delegate(Spec):
    """Rules that stand in another VirtualService, which has no `hosts`; each is combined with this rule's matches.

    Attributes:
        name: The other VirtualService.
        namespace: Its namespace; this document's by default.
    """

    name: str = ""
    namespace: str = ""


class RegexRewrite(Spec):
    r"""A rewrite of the path by a regular expression.

    Attributes:
        match: RE2.
        rewrite: With `\1` for the first group.
    """

    match: str = ""
    rewrite: str = ""


class HTTPRewrite(Spec):
    """What the destination sees in place of what was asked for.

    Attributes:
        uri: In place of the matched prefix, or of the whole path where it was matched exactly.
        authority: In place of the host.
        uri_regex_rewrite: In place of what a regular expression finds in the path; excludes `uri`.
    """

    uri: str = ""
    authority: str = ""
    uri_regex_rewrite: RegexRewrite | None = None


class HTTPMirrorPolicy(Spec):
    """A copy of requests that somebody else gets too; its answers are thrown away.

    Attributes:
        destination: Who gets the copies.
        percentage: Share of requests that are copied; all by default.
    """

    destination: Destination
    percentage: Percent | None = None


class FaultDelay(Spec):
    """Requests that have to wait.

    Attributes:
        fixed_delay: How long.
        percentage: Share of requests; none by default.
        percent: The older form of `percentage`, whole numbers.
    """

    refused: ClassVar[Mapping[str, str]] = {"exponentialDelay": "Envoy has no such delay; use fixedDelay"}

    fixed_delay: Duration | None = None
    percentage: Percent | None = None
    percent: Annotated[int, Field(ge=0, le=100, strict=True)] = 0


class FaultAbort(Spec):
    """Requests that are answered with an error: exactly one of the two statuses.

    Attributes:
        http_status: HTTP status, 200 to 599.
        grpc_status: gRPC status by name, such as `UNAVAILABLE`.
        percentage: Share of requests; none by default.
    """

    refused: ClassVar[Mapping[str, str]] = {"http2Error": "Istio does not carry it out; use httpStatus or grpcStatus"}

    http_status: int | None = None
    grpc_status: str | None = None
    percentage: Percent | None = None


class HTTPFaultInjection(Spec):
    """Faults put in on purpose, at the caller, before a request is sent on.

    Attributes:
        delay: Requests that have to wait.
        abort: Requests that are answered with an error.
    """

    delay: FaultDelay | None = None
    abort: FaultAbort | None = None


class UnmatchedPreflights(StrEnum):
    """What happens to preflight requests from origins that are not allowed: sent on (the default), or answered without."""

    UNSPECIFIED = "UNSPECIFIED"
    FORWARD = "FORWARD"
    IGNORE = "IGNORE"


class CorsPolicy(Spec):
    """Which pages of other origins may call (Cross-Origin Resource Sharing).

    Attributes:
        allow_origins: Origins that may.
        allow_origin: The older form of `allow_origins`, exact texts or `*`.
        allow_methods: `Access-Control-Allow-Methods`.
        allow_headers: `Access-Control-Allow-Headers`.
        expose_headers: `Access-Control-Expose-Headers`.
        max_age: How long a browser may keep the answer; whole seconds.
        allow_credentials: Whether requests may carry cookies.
        unmatched_preflights: What happens to preflight requests from other origins; `FORWARD` by default.
    """

    allow_origins: tuple[StringMatch, ...] = ()
    allow_origin: tuple[str, ...] = ()
    allow_methods: tuple[str, ...] = ()
    allow_headers: tuple[str, ...] = ()
    expose_headers: tuple[str, ...] = ()
    max_age: Duration | None = None
    allow_credentials: bool | None = None
    unmatched_preflights: UnmatchedPreflights = UnmatchedPreflights.UNSPECIFIED


class HTTPRoute(Spec):
    """One rule: what it matches, and where matching requests go or how they are answered.

    Attributes:
        name: Names the Envoy route; plans and runtime mappings refer to it.
        match: Alternatives; none matches everything.
        route: The split.
        redirect: An answer that sends the client elsewhere; instead of `route`.
        direct_response: An answer that Envoy gives by itself; instead of `route`.
        delegate: Rules that stand in another VirtualService; instead of `route`.
        rewrite: What the destination sees in place of what was asked for.
        timeout: For the whole request with its retries; none by default.
        retries: How failed requests are repeated; without it, as the template `route.yaml` says.
        fault: Faults put in on purpose.
        mirror: Who gets copies of requests; excludes `mirrors`.
        mirror_percentage: Share of requests that `mirror` gets; all by default.
        mirror_percent: The older form of `mirror_percentage`, whole numbers.
        mirrors: Several that get copies.
        cors_policy: Which pages of other origins may call.
        headers: Header operations, for all of the split.
    """

    refused: ClassVar[Mapping[str, str]] = {"mirror_percent": "it is the oldest form; use mirrorPercentage"}

    name: str = ""
    match: tuple[HTTPMatch, ...] = ()
    route: tuple[HTTPRouteDestination, ...] = ()
    redirect: HTTPRedirect | None = None
    direct_response: HTTPDirectResponse | None = None
    delegate: Delegate | None = None
    rewrite: HTTPRewrite | None = None
    timeout: Duration | None = None
    retries: HTTPRetry | None = None
    fault: HTTPFaultInjection | None = None
    mirror: Destination | None = None
    mirror_percentage: Percent | None = None
    mirror_percent: Annotated[int, Field(ge=0, le=100, strict=True)] | None = None
    mirrors: tuple[HTTPMirrorPolicy, ...] = ()
    cors_policy: CorsPolicy | None = None
    headers: Headers | None = None


class L4Match(Spec):
    """Conditions on a TCP connection that must all hold.

    Attributes:
        destination_subnets: Addresses the connection was made to, as `10.0.0.0/8`; needs interception or such a bind.
        port: Holds on listeners of this port only.
        source_labels: Holds on proxies whose workload carries these labels.
        source_namespace: Holds on proxies of this namespace.
        gateways: Holds at these Gateways (or `mesh`) instead of the VirtualService's own.
    """

    refused: ClassVar[Mapping[str, str]] = {"sourceSubnet": "Istio does not carry it out"}

    destination_subnets: tuple[str, ...] = ()
    port: Annotated[int, Field(ge=0, le=65535, strict=True)] = 0
    source_labels: Labels = {}
    source_namespace: str = ""
    gateways: tuple[str, ...] = ()


class TLSMatch(L4Match):
    """Conditions on a TLS connection that must all hold.

    Attributes:
        sni_hosts: Server names that clients ask for, within the VirtualService's hosts; wildcards as in hosts.
    """

    sni_hosts: tuple[str, ...] = ()


class TLSRoute(Spec):
    """One rule for TLS connections that are passed on as they are, by the server name that clients ask for.

    Attributes:
        match: Alternatives; at least one.
        route: The split.
    """

    match: tuple[TLSMatch, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class TCPRoute(Spec):
    """One rule for TCP connections.

    Attributes:
        match: Alternatives; none matches everything.
        route: The split.
    """

    match: tuple[L4Match, ...] = ()
    route: tuple[RouteDestination, ...] = ()


class VirtualService(Spec):
    """Rules for requests and connections to some hosts.

    Attributes:
        hosts: Full names, short names or wildcards; none in one that others delegate to.
        gateways: `mesh` (all sidecars, the default), or Gateways by `name` or `namespace/name`.
        http: For HTTP ports, and TLS that a gateway ends; in order, the first rule that matches is used.
        tls: For TLS that is passed on.
        tcp: For every other port.
        export_to: Namespaces whose proxies see it: names, `.` (its own), `*` (all, the default), `~` (none).
    """

    hosts: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    http: tuple[HTTPRoute, ...] = ()
    tls: tuple[TLSRoute, ...] = ()
    tcp: tuple[TCPRoute, ...] = ()
    export_to: tuple[str, ...] = ()
