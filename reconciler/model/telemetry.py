"""Telemetry: what proxies tell of the requests that they carry: metrics, access logs and traces. Parts of Mesh and Proxy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from reconciler.model.spec import PortNumber, Spec

Percentage = Annotated[float, Field(ge=0, le=100)]


class Metrics(Spec):
    """Where a proxy serves `/stats/prometheus`, and nothing else of its admin endpoint. Part of its bootstrap.

    Attributes:
        address: IP address that it binds: loopback by default, for a Prometheus on the same host; `0.0.0.0` or `::` for all of the
            host's addresses.
        port: TCP port, which nothing else on that host may have.
        mutual_tls: Whether clients need a certificate of the root that `certificates` names, and speak TLS.
    """

    address: str = "127.0.0.1"
    port: PortNumber
    mutual_tls: bool = False


class AccessLog(Spec):
    """Which requests proxies log, in the form that `access-log.yaml` says.

    Attributes:
        disabled: Log nothing.
        min_status: Log requests that are answered with this status or a higher one; 0 for all of them, and for connections.
        percent: Of those, how many; a request is logged by all proxies on its way or by none.
        file: Absolute path on the proxy's host; by default where the template says, which is standard output.
    """

    disabled: bool = False
    min_status: Annotated[int, Field(ge=0, le=599, strict=True)] = 500
    percent: Percentage = 100
    file: str = ""


class LiteralTag(Spec):
    """A text.

    Attributes:
        value: The text.
    """

    value: Annotated[str, Field(min_length=1)]


class NamedTag(Spec):
    """A value that has a name: a request's header, or a variable of Envoy's environment.

    Attributes:
        name: Of the header or variable.
        default_value: Where there is none; without it there is no tag then.
    """

    name: Annotated[str, Field(min_length=1)]
    default_value: str = ""


class CustomTag(Spec):
    """What is said of every span: exactly one.

    Attributes:
        literal: A text.
        environment: A variable of Envoy's environment.
        header: A request's header.
    """

    literal: LiteralTag | None = None
    environment: NamedTag | None = None
    header: NamedTag | None = None


class OtlpHttp(Spec):
    """OTLP over HTTP with protobuf bodies.

    Attributes:
        path: Where the collector takes traces.
    """

    path: Annotated[str, Field(pattern=r"^/[^\s?#]*$")] = "/v1/traces"


class OpenTelemetry(Spec):
    """A collector that speaks OTLP, as a service of the mesh.

    Attributes:
        service: Its host; a short name is completed as in the namespace `default`.
        port: One of its ports, of protocol GRPC or HTTP2; of HTTP with `http`.
        http: Send by HTTP instead of gRPC.
    """

    service: Annotated[str, Field(min_length=1)]
    port: PortNumber
    http: OtlpHttp | None = None


class Tracing(Spec):
    """Spans of the requests that proxies carry, with W3C trace context (`traceparent`).

    Attributes:
        open_telemetry: Who gets them.
        random_sampling_percentage: How many requests are traced. The first proxy on the way decides for all; what comes with a
            `traceparent` that is not sampled never is.
        custom_tags: What else is said of every span, by name.
        max_path_tag_length: Characters of a request's path in a span.
    """

    open_telemetry: OpenTelemetry
    random_sampling_percentage: Percentage = 1
    custom_tags: Mapping[str, CustomTag] = {}
    max_path_tag_length: Annotated[int, Field(ge=1, le=65535, strict=True)] = 256


class Telemetry(Spec):
    """What all proxies tell. Metrics are part of bootstraps; a change of the others is a change of every listener.

    Attributes:
        metrics: Where `/stats/prometheus` is served; nowhere by default. A Proxy may say its own.
        access_log: Which requests are logged; by default what `access-log.yaml` says.
        tracing: Who gets spans; nobody by default.
    """

    metrics: Metrics | None = None
    access_log: AccessLog | None = None
    tracing: Tracing | None = None
