"""`Mesh.telemetry` in listeners: which requests are logged, and who gets spans of them. Metrics are `bootstrap_metrics`'s.

The templates say how; a Mesh that says nothing leaves them as they are. All of it stands in listeners, so a change of it changes
every listener and no route, cluster or endpoint.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog as EnvoyLog
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLogFilter, ComparisonFilter
from envoy.config.trace.v3.opentelemetry_pb2 import OpenTelemetryConfig
from envoy.extensions.access_loggers.file.v3.file_pb2 import FileAccessLog
from envoy.extensions.access_loggers.stream.v3.stream_pb2 import StderrAccessLog, StdoutAccessLog
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.type.tracing.v3.custom_tag_pb2 import CustomTag as EnvoyTag
from envoy.type.v3.percent_pb2 import FractionalPercent

from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.model.hosts import fqdn
from reconciler.model.key import DEFAULT_NAMESPACE
from reconciler.model.mesh import Policy
from reconciler.model.proxy import MeshSpec, Proxy
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.telemetry import AccessLog, CustomTag, OpenTelemetry, Tracing

_APP = "app"
_MILLIONTHS = 10_000
_TRACER = "envoy.tracers.opentelemetry"
_FILE_LOGGER = "envoy.access_loggers.file"
_MIN_STATUS, _PERCENT = "access_log.min_status", "access_log.percent"
_TIMEOUT = 10
_OPERATION = "%CEL(xds.virtual_host_name)%/*"
"""The names of spans, as Istio's: `HOST:PORT/*`. Virtual hosts of inbound listeners have other names."""
_INBOUND_OPERATION = "%REQ(:AUTHORITY)%/*"


class Telling:
    """What the proxies of one mesh tell: its templates, as each proxy needs them.

    Args:
        settings: The mesh's.
        prototypes: The templates in force.
    """

    def __init__(self, settings: MeshSpec, prototypes: Prototypes) -> None:
        telemetry = settings.telemetry
        self._tracing = telemetry.tracing
        self._domain = settings.domain
        log = prototypes.access_log
        if telemetry.access_log is not None and log is not None:
            prototypes = replace(prototypes, access_log=_log(log, telemetry.access_log))
        self._prototypes = prototypes

    def prototypes(self, proxy: Policy[Proxy], workload: Policy[WorkloadEntry] | None) -> Prototypes:
        """The templates for one proxy."""
        if self._tracing is None:
            return self._prototypes
        manager = HttpConnectionManager()
        manager.CopyFrom(self._prototypes.http_connection_manager)
        _trace(manager.tracing, self._tracing, self._collector, service_name(proxy, workload))
        return replace(self._prototypes, http_connection_manager=manager)

    @property
    def clusters(self) -> frozenset[ClusterRef]:
        """The clusters that every proxy needs for what it tells."""
        return frozenset({self._collector}) if self._tracing is not None else frozenset()

    @property
    def _collector(self) -> ClusterRef:
        if self._tracing is None:
            return ClusterRef("", 0)
        return collector(self._tracing.open_telemetry, domain=self._domain)


def collector(wanted: OpenTelemetry, *, domain: str) -> ClusterRef:
    """The cluster of a collector; its host may be a short name of the namespace `default`."""
    return ClusterRef(fqdn(wanted.service, namespace=DEFAULT_NAMESPACE, domain=domain), wanted.port)


def service_name(proxy: Policy[Proxy], workload: Policy[WorkloadEntry] | None) -> str:
    """`service.name` of a proxy's spans, as Istio's by default: its workload's label `app`, and the namespace.

    Without that label the workload's name; a gateway's own.
    """
    app = workload.spec.labels.get(_APP, "") if workload is not None else ""
    return f"{app or proxy.spec.workload or proxy.key.name}.{proxy.key.namespace}"


def name_inbound(manager: Any) -> None:
    """Name the spans of an inbound connection manager by what was asked for, where their names are ours to give."""
    if manager.tracing.operation == _OPERATION:
        manager.tracing.operation = _INBOUND_OPERATION


def _log(template: Any, wanted: AccessLog) -> Any:
    if wanted.disabled:
        return None
    log = EnvoyLog()
    log.CopyFrom(template)
    log.ClearField("filter")
    filters = [*_filters(wanted)]
    if len(filters) == 1:
        log.filter.CopyFrom(filters[0])
    elif filters:
        log.filter.and_filter.filters.extend(filters)
    if wanted.file:
        _into(log, wanted.file)
    return log


def _filters(wanted: AccessLog) -> list[Any]:
    filters = []
    if wanted.min_status:
        status = AccessLogFilter()
        comparison = status.status_code_filter.comparison
        comparison.op = ComparisonFilter.GE
        comparison.value.default_value = wanted.min_status
        comparison.value.runtime_key = _MIN_STATUS
        filters.append(status)
    if wanted.percent < 100:  # noqa: PLR2004 -- all of them
        sampled = AccessLogFilter()
        sampled.runtime_filter.runtime_key = _PERCENT
        sampled.runtime_filter.percent_sampled.numerator = round(wanted.percent * _MILLIONTHS)
        sampled.runtime_filter.percent_sampled.denominator = FractionalPercent.MILLION
        filters.append(sampled)
    return filters


def _into(log: Any, path: str) -> None:
    """The same lines in a file; a logger of another kind than files and standard streams stays what it is."""
    for kind in (FileAccessLog, StdoutAccessLog, StderrAccessLog):
        if log.typed_config.Is(kind.DESCRIPTOR):
            there = kind()
            log.typed_config.Unpack(there)
            file = FileAccessLog(path=path)
            if there.HasField("log_format"):
                file.log_format.CopyFrom(there.log_format)
            log.name = _FILE_LOGGER
            log.typed_config.Pack(file, deterministic=True)
            return


def _trace(message: Any, wanted: Tracing, to: ClusterRef, name: str) -> None:
    message.random_sampling.value = wanted.random_sampling_percentage
    message.max_path_tag_length.value = wanted.max_path_tag_length
    for tag in sorted(wanted.custom_tags):
        message.custom_tags.append(_tag(tag, wanted.custom_tags[tag]))
    message.operation = message.operation or _OPERATION
    config = OpenTelemetryConfig(service_name=name)
    if wanted.open_telemetry.http is not None:
        uri = config.http_service.http_uri
        uri.uri = f"http://{to.host}:{to.port}{wanted.open_telemetry.http.path}"
        uri.cluster = to.name
        uri.timeout.FromSeconds(_TIMEOUT)
    else:
        config.grpc_service.envoy_grpc.cluster_name = to.name
        config.grpc_service.timeout.FromSeconds(_TIMEOUT)
    message.provider.name = _TRACER
    message.provider.typed_config.Pack(config, deterministic=True)


def _tag(name: str, wanted: CustomTag) -> Any:
    tag = EnvoyTag(tag=name)
    if wanted.literal is not None:
        tag.literal.value = wanted.literal.value
    elif wanted.environment is not None:
        tag.environment.name = wanted.environment.name
        tag.environment.default_value = wanted.environment.default_value
    elif wanted.header is not None:
        tag.request_header.name = wanted.header.name
        tag.request_header.default_value = wanted.header.default_value
    return tag
