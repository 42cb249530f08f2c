"""Which cluster a destination of a VirtualService means; the same for requests and for connections."""

from __future__ import annotations

from dataclasses import replace

from reconciler.compile.index import Index
from reconciler.compile.names import ClusterRef
from reconciler.errors import Severity
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.services import Service
from reconciler.model.spec import Spec
from reconciler.model.virtualservice import Destination


def target(
    policy: Policy[Spec], destination: Destination, *, port: int, index: Index, path: FieldPath
) -> tuple[ClusterRef, Finding | None]:
    """The cluster of a destination, and what is wrong with it.

    Its port is the one that it names, else the service's only one, else the listener's (Istio's `GetDestinationCluster`).

    Args:
        policy: The document that names the destination: short names mean its namespace.
        destination: As written.
        port: The listener's.
        index: The mesh.
        path: Where the destination stands, for findings.
    """
    host = index.resolve(destination.host, policy)
    ref = ClusterRef(host, port, destination.subset)
    service = index.services.get(host)
    if destination.port is not None:
        ref = replace(ref, port=destination.port.number)
        return ref, _missing(service, ref.port, origin=policy.origin, path=path) if service is not None else None
    if service is None or service.port(port) is not None:
        return ref, None
    if len(service.ports) == 1:
        return replace(ref, port=service.ports[0].number), None
    if not service.origin.file:
        return replace(ref, port=service.ports[0].number), _ambiguous(service, origin=policy.origin, path=path)
    finding = Finding(
        code="destination-port",
        message=f"{host} has the ports {_known(service)}, and none of them is {port}, the port of the listener that routes to it",
        hint="say which port is meant: `port: {number: ...}`",
        origin=policy.origin,
        path=path,
    )
    return ref, finding


def _ambiguous(service: Service, *, origin: Origin, path: FieldPath) -> Finding:
    """A port that nobody has to say until registries list a second one. Only a warning, and the first port goes on to be used."""
    return Finding(
        code="destination-port",
        severity=Severity.WARNING,
        message=f"registries list the ports {_known(service)} for {service.host}; the first is used",
        hint="say which port is meant: `port: {number: ...}`",
        origin=origin,
        path=path,
    )


def _missing(service: Service, port: int, *, origin: Origin, path: FieldPath) -> Finding | None:
    """A port that registries have not given a service of theirs; `policy` looks at those that documents declare.

    Only a warning: what registries list changes without anybody's commit, and must not stop anybody's.
    """
    if service.origin.file or service.port(port) is not None:
        return None
    return Finding(
        code="destination-port",
        severity=Severity.WARNING,
        message=f"{service.host} has no port {port} by what registries list, so requests to it are answered with 503",
        hint=f"it has {_known(service)}",
        origin=origin,
        path=(*path, "port", "number"),
    )


def _known(service: Service) -> str:
    return ", ".join(str(item.number) for item in service.ports)
