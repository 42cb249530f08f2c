"""A sidecar's inbound side: a listener for each port at which its workload is called, and the application behind it.

Which listeners there are is decided here; `applications` makes resources of them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.compile import names
from reconciler.compile.clusters import speaks_http2
from reconciler.compile.effective import effective
from reconciler.compile.index import Index
from reconciler.compile.sockets import Fixed, Socket
from reconciler.compile.viewer import Viewer
from reconciler.model.gateway import ServerTLS
from reconciler.model.hosts import is_address
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.protocol import Protocol
from reconciler.model.proxy import Interception
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.sidecar import CaptureMode, IngressListener, Sidecar
from reconciler.model.trafficpolicy import ConnectionPool

_UNIX = "unix://"
_HTTP_PROXY = "HTTP_PROXY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inbound:
    """One inbound listener, and the application behind it.

    Attributes:
        cluster: Name of its cluster, unique in the proxy.
        application: Address and port, or the path of a Unix socket and 0.
        tls: TLS that it ends, or None.
        pool: Limits that protect the application.
        bound: Whether it opens its port itself; otherwise `virtualInbound` takes its connections.
        origin: The document that puts the listener there: a Sidecar or a WorkloadEntry.
    """

    bind: str
    port: int
    protocol: str
    cluster: str
    application: tuple[str, int]
    tls: ServerTLS | None = None
    pool: ConnectionPool | None = None
    bound: bool = True
    origin: Origin
    path: FieldPath
    application_path: FieldPath
    fixed: Fixed

    @property
    def is_http(self) -> bool:
        """Whether requests are looked at: HTTP, and HTTPS whose TLS ends here."""
        if self.protocol == _HTTP_PROXY:
            return True
        protocol = Protocol(self.protocol)
        return protocol.is_http or (protocol is Protocol.HTTPS and self.tls is not None)


def is_ipv6(workload: Policy[WorkloadEntry] | None) -> bool:
    """Whether a workload's address is of the newer family."""
    address = workload.spec.address if workload else ""
    return is_address(address) and ipaddress.ip_address(address).version == 6  # noqa: PLR2004 -- its name


def inbound_listeners(
    index: Index,
    workload: Policy[WorkloadEntry],
    sidecar: Policy[Sidecar] | None,
    *,
    interception: Interception = Interception.NONE,
) -> tuple[list[Inbound], list[Finding]]:
    """A workload's inbound listeners, and what is wrong with them: a Sidecar's, or one for each endpoint port."""
    if not is_address(workload.spec.address):
        return [], [_nowhere(workload)]
    if sidecar is not None and sidecar.spec.ingress:
        return _written(index, workload, sidecar, interception)
    pool = sidecar.spec.inbound_connection_pool if sidecar else None
    return _derived(index, workload, pool, bound=interception is Interception.NONE)


def _declared_pool(index: Index, workload: Policy[WorkloadEntry], port: int) -> ConnectionPool | None:
    """What the DestinationRules of the workload's services say of connections to this endpoint port.

    As in Istio they hold on the callee's side too where its Sidecar says nothing; the first service by host that says anything
    decides, and rules for the proxies of some workloads only are no matter of the callee.
    """
    for service, endpoint in sorted(index.memberships.get(workload.key, ()), key=lambda item: item[0].host):
        rule = index.rule(service.host, Viewer(namespace=service.namespace))
        for item in service.ports:
            if endpoint.ports.get(item.name) == port:
                pool = effective(rule, "", item.number).connection_pool
                if pool is not None:
                    return pool
    return None


def _derived(
    index: Index, workload: Policy[WorkloadEntry], pool: ConnectionPool | None, *, bound: bool
) -> tuple[list[Inbound], list[Finding]]:
    protocols: dict[int, dict[str, Protocol]] = {}
    for service, endpoint in index.memberships.get(workload.key, ()):
        for port in service.ports:
            if port.name in endpoint.ports:  # a registry may know of ports that Git's own endpoints don't have
                protocols.setdefault(endpoint.ports[port.name], {}).setdefault(service.host, port.protocol)
    loopback = names.LOOPBACK_6 if is_ipv6(workload) and not bound else names.LOOPBACK
    items = [
        Inbound(
            bind=workload.spec.address,
            port=port,
            protocol=protocols[port][min(protocols[port])],
            cluster=names.inbound_cluster(port),
            application=(loopback, port),
            pool=pool or _declared_pool(index, workload, port),
            bound=bound,
            origin=workload.origin,
            path=("spec", "address"),
            application_path=("spec", "address"),
            fixed=Fixed.WORKLOAD,
        )
        for port in sorted(protocols)
    ]
    return items, [_mixed(workload, port, protocols[port]) for port in sorted(protocols) if _differ(protocols[port])]


def _differ(protocols: dict[str, Protocol]) -> bool:
    return len({(protocol.is_http, speaks_http2(protocol)) for protocol in protocols.values()}) > 1


def _mixed(workload: Policy[WorkloadEntry], port: int, protocols: dict[str, Protocol]) -> Finding:
    named = ", ".join(f"{protocols[host]} in {host}" for host in sorted(protocols))
    return Finding(
        code="port-protocol",
        message=f"port {port} of workload {workload.key} has several protocols: {named}",
        hint="let the services that select this workload agree on what the port speaks",
        origin=workload.origin,
        path=("spec", "ports"),
    )


def _nowhere(workload: Policy[WorkloadEntry]) -> Finding:
    return Finding(
        code="workload-address",
        message=f"{workload.spec.address!r} is not an IP address, so a sidecar can't listen there for workload {workload.key}",
        hint="write the IP address at which the workload is called",
        origin=workload.origin,
        path=("spec", "address"),
    )


def _written(
    index: Index, workload: Policy[WorkloadEntry], sidecar: Policy[Sidecar], interception: Interception
) -> tuple[list[Inbound], list[Finding]]:
    items: list[Inbound] = []
    findings: list[Finding] = []
    taken: set[str] = set()
    for number, item in enumerate(sidecar.spec.ingress):
        path: FieldPath = ("spec", "ingress", number)
        if item.capture_mode is CaptureMode.IPTABLES and interception is Interception.NONE:
            findings.append(_without_iptables(sidecar, path))
        bound = interception is Interception.NONE or item.capture_mode is CaptureMode.NONE
        if not bound and any(other.port == item.port.number and not other.bound for other in items):
            findings.append(_twice(sidecar, item, path))
            continue
        application = _application(item, workload, bound=bound)
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
                tls=item.tls,
                pool=item.connection_pool
                or sidecar.spec.inbound_connection_pool
                or _declared_pool(index, workload, item.port.number),
                bound=bound,
                origin=sidecar.origin,
                path=(*path, "port", "number"),
                application_path=(*path, "defaultEndpoint"),
                fixed=Fixed.WRITTEN,
            )
        )
    return items, findings


def _application(item: IngressListener, workload: Policy[WorkloadEntry], *, bound: bool) -> tuple[str, int] | None:
    """Where the application of an ingress listener is; on loopback, at the port itself, unless it says so."""
    if not item.default_endpoint:
        return names.LOOPBACK_6 if is_ipv6(workload) and not bound else names.LOOPBACK, item.port.number
    return _endpoint(item.default_endpoint, workload.spec.address)


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


def _twice(sidecar: Policy[Sidecar], item: IngressListener, path: FieldPath) -> Finding:
    return Finding(
        code="port-clash",
        message=f"two ingress listeners are for port {item.port.number}, and redirected connections are told apart by port alone",
        hint="give one of them another port, or `captureMode: NONE` and a `bind` of its own",
        origin=sidecar.origin,
        path=(*path, "port", "number"),
    )


def _without_iptables(sidecar: Policy[Sidecar], path: FieldPath) -> Finding:
    return Finding(
        code="capture-mode",
        message="captureMode IPTABLES needs interception, and Mesh.interception is NONE",
        hint="set Mesh.interception to REDIRECT, or leave captureMode out",
        origin=sidecar.origin,
        path=(*path, "captureMode"),
    )


def sockets(items: Iterable[Inbound], owner: str) -> Iterator[Socket]:
    """What the inbound side binds: the listeners, and the applications behind them."""
    kept = [item for item in items if item.bound]
    for item in kept:
        yield Socket(
            address=item.bind,
            port=item.port,
            what=f"the inbound listener of {owner}",
            listener=True,
            fixed=item.fixed,
            origin=item.origin,
            path=item.path,
        )
    applications: dict[tuple[str, int], Inbound] = {}
    for item in items:
        applications.setdefault(item.application, item)
    for (address, port), item in sorted(applications.items(), key=lambda entry: entry[0]):
        if port:
            yield Socket(
                address=address,
                port=port,
                what=f"the application of {owner}",
                listener=False,
                fixed=item.fixed,
                origin=item.origin,
                path=item.application_path,
            )
