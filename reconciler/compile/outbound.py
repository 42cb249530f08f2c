"""The outbound listeners of a sidecar: those that its Sidecar asks for, and one for each place at which services are called.

What a listener does with connections is put together here, shared by all proxies that see the same; where their route
configurations come from is added for each proxy.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from reconciler.compile import names
from reconciler.compile.arrivals import Arrival
from reconciler.compile.clusters import Clusters
from reconciler.compile.compositions import Compositions
from reconciler.compile.index import Index
from reconciler.compile.interception import RESERVED
from reconciler.compile.landscape import Ground, Landscapes
from reconciler.compile.scope import EVERYTHING, Scope
from reconciler.compile.sidecars import REFUSED, Outbound, Unknown, named, unknown_traffic
from reconciler.compile.viewer import Viewer
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding
from reconciler.model.proxy import Interception, MeshSpec
from reconciler.model.sidecar import CaptureMode, EgressListener, Sidecar, SidecarProtocol

_HTTPS = {SidecarProtocol.HTTPS, SidecarProtocol.TLS}
_HTTP = {
    SidecarProtocol.HTTP,
    SidecarProtocol.HTTP2,
    SidecarProtocol.GRPC,
    SidecarProtocol.GRPC_WEB,
    SidecarProtocol.HTTP_PROXY,
}


@dataclass(frozen=True, slots=True)
class OutboundSide:
    """A sidecar's outbound listeners, sorted by address and port, and what is wrong with them.

    Attributes:
        rest: What becomes of intercepted connections for which there is no listener; refused without interception.
    """

    listeners: tuple[Outbound, ...]
    rest: Unknown
    findings: tuple[Finding, ...]


class Outbounds:
    """The outbound sides of one mesh; sidecars that see the same share them."""

    def __init__(self, index: Index, settings: MeshSpec, clusters: Clusters) -> None:
        self._index = index
        self._settings = settings
        self._compositions = Compositions(index, clusters)
        self._landscapes = Landscapes(index)
        self._known: dict[tuple[Key | None, Viewer, str], OutboundSide] = {}

    def of(self, sidecar: Policy[Sidecar] | None, viewer: Viewer, *, wildcard: str = names.ANY_ADDRESS) -> OutboundSide:
        """The outbound side of a proxy.

        An egress listener with a port is one listener. Those without are the scope of the default ones: one for each place
        at which connections for services in scope arrive, except where an egress listener has that address and port.

        Args:
            sidecar: The one that applies.
            viewer: The proxy.
            wildcard: All addresses of the family that the workload has.
        """
        key = (sidecar.key if sidecar else None, viewer, wildcard)
        if key not in self._known:
            self._known[key] = self._side(sidecar, viewer, wildcard)
        return self._known[key]

    def _side(self, sidecar: Policy[Sidecar] | None, viewer: Viewer, wildcard: str) -> OutboundSide:
        findings: list[Finding] = []
        written = [*self._written(sidecar, viewer, wildcard, findings)] if sidecar else []
        taken = {(item.bind, item.port) for item in written}
        reached = {ref.host for item in written for ref in item.connections.clusters}
        derived = [
            item
            for ground in _grounds(sidecar, self._settings, wildcard)
            for item in self._derived(ground, sidecar, viewer, taken, findings, reached)
        ]
        found = [*written, *derived]
        findings.extend(_reserved(item) for item in found if _is_reserved(item))
        listeners = sorted(
            named(item for item in found if not _is_reserved(item)),
            key=lambda item: (item.bind, item.port, item.routes),
        )
        findings.extend(finding for item in listeners for finding in item.connections.findings)
        rest = REFUSED
        if self._settings.interception is Interception.REDIRECT:
            rest = unknown_traffic(self._index, self._settings, sidecar, bound=False)
        return OutboundSide(tuple(listeners), rest, tuple(dict.fromkeys(findings)))

    def _written(
        self, sidecar: Policy[Sidecar], viewer: Viewer, wildcard: str, findings: list[Finding]
    ) -> Iterator[Outbound]:
        for number, item in enumerate(sidecar.spec.egress):
            if item.capture_mode is CaptureMode.IPTABLES and self._settings.interception is Interception.NONE:
                findings.append(_without_iptables(sidecar, number))
            if item.port is None:
                continue
            bound = _is_bound(item, self._settings)
            scope = Scope.of(item.hosts, sidecar.key.namespace)
            path: FieldPath = ("spec", "egress", number, "port", "number")
            bind = item.bind or (names.LOOPBACK if bound else wildcard)
            http = item.port.protocol in _HTTP
            arrivals = (
                [] if http else [*self._called(scope, viewer, item.port.number, bind, tls=item.port.protocol in _HTTPS)]
            )
            if not http and not arrivals:
                continue  # validation says that no service has this port
            connections, problems = self._compositions.of(
                arrivals, scope, viewer, port=item.port.number, tls=item.port.protocol in _HTTPS
            )
            findings.extend(problem.at(sidecar.origin, path) for problem in problems)
            yield Outbound(
                bind=bind,
                port=item.port.number,
                routes="http" if http else "",
                proxying=item.port.protocol is SidecarProtocol.HTTP_PROXY,
                scope=scope,
                connections=connections,
                unknown=unknown_traffic(self._index, self._settings, sidecar, bound=bound),
                bound=bound,
                origin=sidecar.origin,
                path=path,
                written=True,
            )

    def _called(self, scope: Scope, viewer: Viewer, number: int, bind: str, *, tls: bool) -> Iterator[Arrival]:
        """What an egress listener that speaks no HTTP is for: services with its port, or else those with a single port."""
        seen = [service for service in self._index.by_port.get(number, ()) if scope.sees(service, viewer)]
        if seen:
            pairs = [(service, service.port(number)) for service in seen]
        else:
            alone = [item for item in self._index.services.values() if len(item.ports) == 1]
            pairs = [(service, service.ports[0]) for service in alone if scope.sees(service, viewer)]
        for service, port in pairs:
            if port is not None:
                yield Arrival(service=service, port=port, bind=bind, own=not tls)

    def _derived(
        self,
        ground: Ground,
        sidecar: Policy[Sidecar] | None,
        viewer: Viewer,
        taken: set[tuple[str, int]],
        findings: list[Finding],
        reached: set[str],
    ) -> Iterator[Outbound]:
        unknown = unknown_traffic(self._index, self._settings, sidecar, bound=ground.bound)
        landscape = self._landscapes.of(ground, viewer)
        findings.extend(finding for host, finding in landscape.findings if host not in reached)
        for site in landscape.sites:
            if (site.bind, site.port) in taken:
                continue
            connections, problems = self._compositions.of(
                site.arrivals, ground.scope, viewer, port=site.port, http=site.http, alone=site.count == 1
            )
            findings.extend(problem.at(problem.service.origin, ("spec", "addresses")) for problem in problems)
            yield Outbound(
                bind=site.bind,
                port=site.port,
                routes="http" if site.http else "",
                scope=ground.scope,
                connections=connections,
                unknown=unknown,
                bound=ground.bound,
                local=not site.first.own,
                origin=site.first.service.origin,
                path=site.path,
                written=False,
            )


def _grounds(sidecar: Policy[Sidecar] | None, settings: MeshSpec, wildcard: str) -> list[Ground]:
    """Where default listeners are: everything's, or those of the egress listeners without a port."""
    if sidecar is None or not sidecar.spec.egress:
        bound = settings.interception is Interception.NONE
        return [Ground(names.LOOPBACK if bound else wildcard, bound, EVERYTHING)]
    hosts: dict[tuple[str, bool], list[str]] = {}
    for item in sidecar.spec.egress:
        if item.port is None:
            bound = _is_bound(item, settings)
            bind = item.bind or (names.LOOPBACK if bound else wildcard)
            hosts.setdefault((bind, bound), []).extend(item.hosts)
    return [Ground(bind, bound, Scope.of(hosts[bind, bound], sidecar.key.namespace)) for bind, bound in sorted(hosts)]


def _is_bound(item: EgressListener, settings: MeshSpec) -> bool:
    """Whether an egress listener opens its port itself: without interception, where it says so, and to be a proxy."""
    proxying = item.port is not None and item.port.protocol is SidecarProtocol.HTTP_PROXY
    return settings.interception is Interception.NONE or item.capture_mode is CaptureMode.NONE or proxying


def _is_reserved(item: Outbound) -> bool:
    return not item.bound and item.port in RESERVED and item.bind in {names.ANY_ADDRESS, names.ANY_ADDRESS_6}


def _reserved(item: Outbound) -> Finding:
    return Finding(
        code="port-clash",
        message=f"port {item.port} is where iptables sends connections, so sidecars can't take connections to it for a service",
        hint="use another port, or give the service `addresses`",
        origin=item.origin,
        path=item.path,
    )


def _without_iptables(sidecar: Policy[Sidecar], number: int) -> Finding:
    return Finding(
        code="capture-mode",
        message="captureMode IPTABLES needs interception, and Mesh.interception is NONE",
        hint="set Mesh.interception to REDIRECT, or leave captureMode out",
        origin=sidecar.origin,
        path=("spec", "egress", number, "captureMode"),
    )


def reached_clusters(items: Iterable[Outbound], rest: Unknown) -> frozenset[names.ClusterRef]:
    """The clusters that connections of these listeners, and the rest, can lead to."""
    kept = tuple(items)
    proxies = {item.proxy for item in (rest, *(item.unknown for item in kept)) if item.proxy is not None}
    return frozenset(proxies.union(*(item.connections.clusters for item in kept)))
