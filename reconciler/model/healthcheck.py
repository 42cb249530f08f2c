"""HealthCheck: our own kind (`reconciler/v1alpha1`), how callers find out by themselves which instances of a service are well.

These are Envoy's active health checks: every proxy that calls the service asks each instance again and again, and sends no new
requests to one that fails. What a platform says of its instances, and outlier detection, hold besides: an instance gets requests
while nothing speaks against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from reconciler.model.spec import Duration, PortNumber, Spec

Threshold = Annotated[int, Field(ge=1, le=2**32 - 1, strict=True)]
Status = Annotated[int, Field(ge=100, le=599, strict=True)]


class ProbeMethod(StrEnum):
    """Methods of HTTP that an instance can be asked with."""

    GET = "GET"
    HEAD = "HEAD"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    OPTIONS = "OPTIONS"
    TRACE = "TRACE"
    PATCH = "PATCH"


class StatusRange(Spec):
    """HTTP statuses that lie next to each other.

    Attributes:
        start: The lowest.
        end: The highest; it belongs to the range (in Envoy's own API it does not).
    """

    start: Status
    end: Status


class HttpProbe(Spec):
    """A request over HTTP: in HTTP/2 where requests to the port are, else in HTTP/1.1.

    Attributes:
        path: With its query, if there is one.
        host: The `Host` header; the service's host by default.
        expected_statuses: What an instance that is well answers; 200 alone by default.
        method: `GET` by default.
        headers: Values by name, in place of what Envoy would send (`user-agent` is `Envoy/HC`).
    """

    path: Annotated[str, Field(min_length=1)]
    host: str = ""
    expected_statuses: tuple[StatusRange, ...] = ()
    method: ProbeMethod = ProbeMethod.GET
    headers: Mapping[str, str] = {}


class TcpProbe(Spec):
    """A connection that is taken; nothing is sent."""


class GrpcProbe(Spec):
    """A call of `grpc.health.v1.Health/Check`; an instance that is well answers `SERVING`.

    Attributes:
        service_name: The service that is asked about; the whole server by default.
        authority: The `:authority` header; the service's host by default.
    """

    service_name: str = ""
    authority: str = ""


class HealthCheck(Spec):
    """How callers check the instances of a service; it holds for every proxy of the mesh that calls it.

    Attributes:
        host: The service, by full or short name.
        ports: Of the service; all by default. Each instance is checked apart for each port.
        subsets: All by default, and the service as a whole; if any are named, then these alone. Each instance is checked apart
            for each subset that a proxy may call.
        http: Ask by HTTP.
        tcp: Only connect.
        grpc: Ask by gRPC's health protocol.
        port: Another port of the instances that is asked instead of the one that is called.
        interval: Between the end of a check and the next.
        timeout: After which an instance that has not answered fails. A cluster that is new or changed serves only once all its
            instances were checked for the first time, so a push may last as long as this and `initialJitter` together.
        unhealthy_threshold: Failures in a row that take an instance out: a status that is not expected counts once, as no answer
            does. A gRPC answer other than `SERVING` takes it out at once, and so does the very first check.
        healthy_threshold: Successes in a row that bring it back; at the very first check one is enough.
        no_traffic_interval: As `interval`, for instances that are well while the proxy has called none of the service since it
            began; `interval` by default. A longer one spares a large mesh checks that nobody needs yet; the first callers then learn
            of a failure only at its end, for that is when the next check comes.
        initial_jitter: Spreads first checks over this time; a new instance gets no requests before its own. None by default.
        interval_jitter: At most so much is added to each interval, by chance; a tenth of it by default.
        reuse_connection: Whether checks of one instance share a connection.
        close_connections: Whether connections to an instance are closed as soon as it is out. Otherwise requests in flight end, and
            TCP connections last as long as both sides want.
        panic_threshold: Percentage of instances that are well below which all of them get requests, as if nothing were known; 0
            for never. By default a DestinationRule's `minHealthPercent`, if it is written, and else 1: only when none is well. A
            service that registries list has 0 instead of 1, as in Istio: among those that are not well may be some that its platform
            calls unhealthy, or that drain, and Envoy would call these too.
    """

    host: Annotated[str, Field(min_length=1)]
    ports: tuple[PortNumber, ...] = ()
    subsets: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    http: HttpProbe | None = None
    tcp: TcpProbe | None = None
    grpc: GrpcProbe | None = None
    port: PortNumber | None = None
    interval: Duration = timedelta(seconds=10)
    timeout: Duration = timedelta(seconds=1)
    unhealthy_threshold: Threshold = 3
    healthy_threshold: Threshold = 2
    no_traffic_interval: Duration | None = None
    initial_jitter: Duration | None = None
    interval_jitter: Duration | None = None
    reuse_connection: bool = True
    close_connections: bool = False
    panic_threshold: Annotated[int, Field(ge=0, le=100, strict=True)] | None = None
