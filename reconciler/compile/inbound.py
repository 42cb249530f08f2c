"""A sidecar's inbound side: a listener for each port at which its workload is called, and the cluster that is its application.

Both hold nothing that is pushed by itself: endpoints and routes stand inside them (Istio's `listener_inbound.go`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.config.route.v3.route_pb2 import RouteConfiguration

from reconciler.compile import names
from reconciler.compile.clusters import speaks_http2, with_http2
from reconciler.compile.index import Index
from reconciler.compile.listeners import Chain, Direction, build
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.sockets import Fixed, Socket
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.protos import resource
from reconciler.model.resource import Resource, ResourceType
from reconciler.model.serviceentry import Protocol, WorkloadEntry
from reconciler.model.sidecar import Sidecar

_UNIX = "unix://"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One inbound listener, and the application behind it.

    Attributes:
        cluster: Name of its cluster, unique in the proxy.
        application: Address and port, or the path of a Unix socket and 0.
        origin: The document that puts the listener there: a Sidecar or a WorkloadEntry.
    """

    bind: str
    port: int
    protocol: str
    cluster: str
    application: tuple[str, int]
    origin: Origin
    path: FieldPath
    application_path: FieldPath
    fixed: Fixed


def inbound_listeners(
    index: Index, workload: Policy[WorkloadEntry], sidecar: Policy[Sidecar] | None
) -> tuple[list[Inbound], list[Finding]]:
    """A workload's inbound listeners, and what is wrong with them: a Sidecar's, or one for each endpoint port."""
    if sidecar is not None and sidecar.spec.ingress:
        return _written(workload, sidecar)
    return _derived(index, workload)


def _derived(index: Index, workload: Policy[WorkloadEntry]) -> tuple[list[Inbound], list[Finding]]:
    protocols: dict[int, dict[str, Protocol]] = {}
    for service, endpoint in index.memberships.get(workload.key, ()):
        for port in service.ports:
            protocols.setdefault(endpoint.ports[port.name], {}).setdefault(service.host, port.protocol)
    items = [
        Inbound(
            bind=workload.spec.address,
            port=port,
            protocol=protocols[port][min(protocols[port])],
            cluster=names.inbound_cluster(port),
            application=(names.LOOPBACK, port),
            origin=workload.origin,
            path=("spec", "address"),
            application_path=("spec", "address"),
            fixed=Fixed.WORKLOAD,
        )
        for port in sorted(protocols)
    ]
    return items, [_mixed(workload, port, protocols[port]) for port in sorted(protocols) if _differ(protocols[port])]


def _differ(protocols: dict[str, Protocol]) -> bool:
    return len({speaks_http2(protocol) for protocol in protocols.values()}) > 1


def _mixed(workload: Policy[WorkloadEntry], port: int, protocols: dict[str, Protocol]) -> Finding:
    named = ", ".join(f"{protocols[host]} in {host}" for host in sorted(protocols))
    return Finding(
        code="port-protocol",
        message=f"port {port} of workload {workload.key} has several protocols: {named}",
        hint="let the services that select this workload agree on what the port speaks",
        origin=workload.origin,
        path=("spec", "ports"),
    )


def _written(workload: Policy[WorkloadEntry], sidecar: Policy[Sidecar]) -> tuple[list[Inbound], list[Finding]]:
    items: list[Inbound] = []
    findings: list[Finding] = []
    taken: set[str] = set()
    for number, item in enumerate(sidecar.spec.ingress):
        path: FieldPath = ("spec", "ingress", number)
        application = _endpoint(item.default_endpoint, workload.spec.address)
        if application is None:
            findings.append(_unreadable(sidecar, item.default_endpoint, path))
            continue
        bind = item.bind or workload.spec.address
        cluster = names.inbound_cluster(item.port.number)
        if cluster in taken:
            cluster = names.inbound_cluster(item.port.number, bind)
        taken.add(cluster)
        items.append(
            Inbound(
                bind=bind,
                port=item.port.number,
                protocol=item.port.protocol,
                cluster=cluster,
                application=application,
                origin=sidecar.origin,
                path=(*path, "port", "number"),
                application_path=(*path, "defaultEndpoint"),
                fixed=Fixed.WRITTEN,
            )
        )
    return items, findings


def _endpoint(text: str, workload: str) -> tuple[str, int] | None:
    """A `defaultEndpoint`, after Istio: loopback, the workload's own address, or a Unix socket; None if it is neither."""
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        return (path, 0) if path else None
    host, _, port = text.rpartition(":")
    own = {"127.0.0.1": "127.0.0.1", "[::1]": "::1", "0.0.0.0": workload, "[::]": workload}  # noqa: S104 -- Istio's word for it
    if host not in own or not (port.isascii() and port.isdigit()) or not 0 < int(port) <= 65535:  # noqa: PLR2004 -- TCP's
        return None
    return own[host], int(port)


def _unreadable(sidecar: Policy[Sidecar], text: str, path: FieldPath) -> Finding:
    return Finding(
        code="default-endpoint",
        message=f"{text!r} is not a place where a sidecar finds its application",
        hint="write 127.0.0.1:PORT, 0.0.0.0:PORT (the workload's own address) or unix:///PATH",
        origin=sidecar.origin,
        path=(*path, "defaultEndpoint"),
    )


def sockets(items: Iterable[Inbound], owner: str) -> Iterator[Socket]:
    """What the inbound side binds: the listeners, and the applications behind them."""
    for item in items:
        yield Socket(
            address=item.bind,
            port=item.port,
            what=f"the inbound listener of {owner}",
            listener=True,
            fixed=item.fixed,
            origin=item.origin,
            path=item.path,
        )
    for address, port in sorted({item.application for item in items if item.application[1]}):
        item = next(item for item in items if item.application == (address, port))
        yield Socket(
            address=address,
            port=port,
            what=f"the application of {owner}",
            listener=False,
            fixed=item.fixed,
            origin=item.origin,
            path=item.application_path,
        )


def resources(item: Inbound, prototypes: Prototypes) -> tuple[Resource, Resource]:
    """The cluster of an inbound listener's application, and the listener."""
    listener = build(
        direction=Direction.INBOUND,
        address=item.bind,
        port=item.port,
        chains=[Chain(routes=_routes(item, prototypes))],
        prototypes=prototypes,
    )
    return _cluster(item, prototypes), listener


def _cluster(item: Inbound, prototypes: Prototypes) -> Resource:
    message = Cluster()
    template = prototypes.cluster_inbound
    message.CopyFrom(with_http2(template, prototypes) if speaks_http2(item.protocol) else template)
    message.name = item.cluster
    message.type = Cluster.STATIC
    message.load_assignment.cluster_name = item.cluster
    address = message.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address
    place, port = item.application
    if port:
        address.socket_address.address = place
        address.socket_address.port_value = port
    else:
        address.pipe.path = place
    return resource(ResourceType.CLUSTER, message)


def _routes(item: Inbound, prototypes: Prototypes) -> Any:
    configuration = RouteConfiguration()
    configuration.CopyFrom(prototypes.route_configuration)
    configuration.name = item.cluster
    host = VirtualHost()
    host.CopyFrom(prototypes.virtual_host)
    host.name = f"inbound|http|{item.port}"
    host.domains.append("*")
    route = Route()
    route.CopyFrom(prototypes.route_inbound)
    route.name = "default"
    route.match.prefix = "/"
    route.route.cluster = item.cluster
    if item.protocol == Protocol.GRPC:
        route.route.ClearField("retry_policy")
    host.routes.append(route)
    configuration.virtual_hosts.append(host)
    return configuration
