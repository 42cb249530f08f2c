"""A sidecar's settings: which Sidecar resource holds for it, what becomes of unknown traffic; and what an outbound listener is.

Which outbound listeners there are is decided by `outbound`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from envoy.extensions.filters.network.tcp_proxy.v3.tcp_proxy_pb2 import TcpProxy

from reconciler.compile import names
from reconciler.compile.connections import NOTHING, Connected
from reconciler.compile.index import Index
from reconciler.compile.listeners import Chain, Direction, build, rds
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.scope import Scope
from reconciler.compile.sockets import Fixed, Socket
from reconciler.compile.sources import Source
from reconciler.compile.viewer import Viewer
from reconciler.model.hosts import fqdn
from reconciler.model.key import DEFAULT_NAMESPACE
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.proxy import Interception, MeshSpec
from reconciler.model.resource import Resource
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.services import selected
from reconciler.model.sidecar import Sidecar, TrafficMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Unknown:
    """What becomes of traffic for hosts that no service has.

    Attributes:
        cluster: Name of the cluster that gets it, or "" if HTTP is refused and everything else closed.
        proxy: That cluster, where it is a service's (`egressProxy`).
    """

    cluster: str = ""
    proxy: ClusterRef | None = None


REFUSED = Unknown()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """One outbound listener.

    Attributes:
        routes: Name of its route configuration, unique in the proxy; "" if it speaks no HTTP.
        proxying: An HTTP_PROXY: routes among the ports of all services in scope, not only the listener's.
        scope: What it routes to.
        connections: What it does with connections that are not plain HTTP.
        unknown: What becomes of the rest.
        bound: Whether it opens its port itself; otherwise `virtualOutbound` hands connections over.
        local: Whether the address certainly is the machine's own, so that failing to bind it is worth an error.
        origin: The document that asks for it: a Sidecar, or the service whose port it is.
        written: Whether a Sidecar asks for it by its port.
    """

    bind: str
    port: int
    routes: str = ""
    proxying: bool = False
    scope: Scope
    connections: Connected = NOTHING
    unknown: Unknown = REFUSED
    bound: bool = True
    local: bool = True
    origin: Origin
    path: FieldPath
    written: bool


def applying(index: Index, workload: Policy[WorkloadEntry]) -> Policy[Sidecar] | None:
    """The Sidecar of a workload: one that selects its labels, else the namespace's, else none; the first by name of each."""
    candidates = index.sidecars.get(workload.key.namespace, ())
    default = None
    for policy in candidates:
        selector = policy.spec.workload_selector
        if selector is None:
            default = default or policy
        elif selected(workload.spec.labels, selector.labels):
            return policy
    return default


def unknown_traffic(index: Index, settings: MeshSpec, sidecar: Policy[Sidecar] | None, *, bound: bool) -> Unknown:
    """What becomes of unknown traffic, as the Sidecar says, or else the Mesh.

    Args:
        index: The mesh.
        settings: The mesh's.
        sidecar: The one that applies.
        bound: Whether the listener opens its port itself. Then there is no original destination that it could pass
            connections on to.
    """
    own = sidecar.spec.outbound_traffic_policy if sidecar else None
    policy = own or settings.outbound_traffic_policy
    if policy.egress_proxy is not None:
        namespace = sidecar.key.namespace if own and sidecar else DEFAULT_NAMESPACE
        host = fqdn(policy.egress_proxy.host, namespace=namespace, domain=index.domain)
        service = index.services.get(host)
        only = service.ports[0].number if service and len(service.ports) == 1 else 0
        port = policy.egress_proxy.port.number if policy.egress_proxy.port else only
        ref = ClusterRef(host, port, policy.egress_proxy.subset)
        return Unknown(cluster=ref.name, proxy=ref)
    passing = settings.interception is Interception.REDIRECT and policy.mode is TrafficMode.ALLOW_ANY and not bound
    return Unknown(cluster=names.PASSTHROUGH) if passing else REFUSED


def passed_on(cluster: str, *, name: str = "", port: int = 0) -> Chain:
    """A chain that hands every connection to one cluster."""
    return Chain(name=name, port=port, tcp=TcpProxy(stat_prefix=cluster, cluster=cluster))


def listener(item: Outbound, prototypes: Prototypes, *, source: Source, http_filters: Iterable[Any] = ()) -> Resource:
    """An outbound listener as a resource.

    Plain HTTP has a chain by itself; beside TLS that is told apart by what the connection begins with. What nothing takes goes
    where unknown traffic goes.
    """
    chains = list(item.connections.chains)
    if item.routes:
        transport = "raw_buffer" if any(chain.inspects_tls for chain in chains) else ""
        chains.insert(0, Chain(routes=rds(source, item.routes), transport=transport))
    rest = item.unknown.cluster or ("" if item.bound else names.BLACK_HOLE)
    return build(
        direction=Direction.OUTBOUND,
        address=item.bind,
        port=item.port,
        chains=chains,
        default=passed_on(rest, name=names.PASSTHROUGH_CHAIN) if rest else None,
        bound=item.bound,
        free=item.bound and not item.local,
        prototypes=prototypes,
        http_filters=http_filters,
    )


def named(items: Iterable[Outbound]) -> Iterator[Outbound]:
    """Route configurations by Istio's names: the port, or `http_proxy`.

    Istio has one of each. Listeners of one port with equal content share it, such as those at a service's own addresses.
    Where they differ in content, the one on 127.0.0.1, or else the first that is written, keeps the name, and the others
    append where they listen.
    """
    used: dict[str, tuple[Scope, Unknown]] = {}
    for item in sorted(items, key=lambda item: item.bind != names.LOOPBACK):
        if not item.routes:
            yield item
            continue
        name = names.HTTP_PROXY if item.proxying else str(item.port)
        content = (item.scope, item.unknown)
        if used.setdefault(name, content) != content:
            suffix = names.listener(item.bind, item.port) if item.proxying else item.bind
            name = f"{name}.{suffix}"
        yield replace(item, routes=name)


def one_in_a_place(items: Iterable[Outbound]) -> list[Outbound]:
    """The first listener of each address and port: a second one is a `port-clash`, and has no place in a view."""
    return list({(item.bind, item.port): item for item in reversed([*items])}.values())[::-1]


def sockets(items: Iterable[Outbound], owner: str) -> Iterator[Socket]:
    """What the outbound side binds."""
    for item in items:
        if item.bound:
            yield Socket(
                address=item.bind,
                port=item.port,
                what=f"the outbound listener of {owner}",
                listener=True,
                fixed=Fixed.WRITTEN if item.written else Fixed.DERIVED,
                origin=item.origin,
                path=item.path,
            )


def circles(index: Index, items: Iterable[Outbound], owner: str, viewer: Viewer) -> Iterator[Finding]:
    """Outbound listeners where an instance should be that they route to: they would call themselves."""
    for item in items:
        for service in index.at.get((item.bind, item.port), ()) if item.bound else ():
            if item.scope.sees(service, viewer):
                yield Finding(
                    code="port-clash",
                    message=f"the outbound listener of {owner} is on {item.bind}:{item.port}, "
                    f"and so is an endpoint of {service.host}, to which it routes",
                    hint="give the sidecar a Sidecar with an `egress` listener on another port or address",
                    origin=item.origin,
                    path=item.path,
                )
