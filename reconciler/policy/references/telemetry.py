"""What `Mesh.telemetry` refers to: the collector of spans."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.errors import Severity
from reconciler.model.hosts import fqdn
from reconciler.model.key import DEFAULT_NAMESPACE
from reconciler.model.origin import Finding
from reconciler.model.telemetry import OpenTelemetry
from reconciler.policy.findings import LISTED, close
from reconciler.policy.references.index import Index

_WHERE = "Mesh.telemetry.tracing.openTelemetry"


def check_telemetry(index: Index) -> Iterator[Finding]:
    """The collector is a service of the mesh, and its port speaks what is to be sent there.

    A mesh knows its settings and not where they are written, so these findings have no place.
    """
    tracing = index.mesh.settings.telemetry.tracing
    if tracing is None or index.failed("ServiceEntry"):
        return
    wanted = tracing.open_telemetry
    host = fqdn(wanted.service, namespace=DEFAULT_NAMESPACE, domain=index.mesh.settings.domain)
    service = index.services.get(host)
    if service is None:
        if index.may_be_service(host):
            return
        listed = index.providers.may_list(host)
        hint = close(host, index.services) or (LISTED if listed else "declare it with a ServiceEntry")
        if listed:
            message = f"{_WHERE}: no document declares the host {host}; unless a registry lists it, spans are lost"
            yield Finding(code="ref-host", message=message, hint=hint, severity=Severity.WARNING, awaits=host)
        else:
            yield Finding(code="ref-host", message=f"{_WHERE}: no service has the host {host}", hint=hint)
        return
    known = ", ".join(f"{port.number} ({port.protocol})" for port in service.ports)
    port = service.port(wanted.port)
    if port is None:
        message = f"{_WHERE}: {host} has no port {wanted.port}"
        yield Finding(code="ref-port", message=message, hint=f"it has {known}")
    elif not _fits(wanted, http=port.protocol.is_http, http2=port.protocol.is_http2):
        speaks = "HTTP" if wanted.http is not None else "GRPC or HTTP2"
        message = f"{_WHERE}: port {wanted.port} of {host} speaks {port.protocol}, and spans are sent by {speaks}"
        hint = "give the port that protocol in its ServiceEntry, or name another; `http: {}` sends them by HTTP"
        yield Finding(code="ref-port", message=message, hint=hint)


def _fits(wanted: OpenTelemetry, *, http: bool, http2: bool) -> bool:
    return http if wanted.http is not None else http2
