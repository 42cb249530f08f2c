"""Which Sidecar resource holds for a proxy, and the outbound listeners that follow from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.compile import names
from reconciler.compile.index import Index
from reconciler.compile.scope import EVERYTHING, Scope
from reconciler.compile.sockets import Fixed, Socket
from reconciler.model.mesh import Policy
from reconciler.model.origin import FieldPath, Finding, Origin
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.services import selected
from reconciler.model.sidecar import EgressListener, Sidecar, SidecarProtocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Outbound:
    """One outbound listener.

    Attributes:
        routes: Name of its route configuration, unique in the proxy.
        proxying: An HTTP_PROXY: routes among the ports of all services in scope, not only the listener's.
        scope: What it routes to.
        written: Whether a Sidecar asks for it by its port.
        origin: The document that asks for it: a Sidecar, or the service whose port it is.
    """

    bind: str
    port: int
    routes: str
    proxying: bool
    scope: Scope
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


def outbound_listeners(index: Index, sidecar: Policy[Sidecar] | None) -> list[Outbound]:
    """A proxy's outbound listeners, sorted by address and port.

    An egress listener with a port is one listener. Those without are the scope of the default ones: one for each service
    port in scope, except where an egress listener already has that address and port.
    """
    written = [*_written(sidecar)] if sidecar else []
    taken = {(item.bind, item.port) for item in written}
    derived = [item for item in _derived(index, sidecar) if (item.bind, item.port) not in taken]
    return sorted(_named([*written, *derived]), key=lambda item: (item.bind, item.port, item.routes))


def _written(sidecar: Policy[Sidecar]) -> Iterator[Outbound]:
    for number, item in enumerate(sidecar.spec.egress):
        if item.port is not None:
            yield Outbound(
                bind=item.bind or names.LOOPBACK,
                port=item.port.number,
                routes="",
                proxying=item.port.protocol is SidecarProtocol.HTTP_PROXY,
                scope=Scope.of(item.hosts, sidecar.key.namespace),
                origin=sidecar.origin,
                path=("spec", "egress", number, "port", "number"),
                written=True,
            )


def _derived(index: Index, sidecar: Policy[Sidecar] | None) -> Iterator[Outbound]:
    for bind, scope in _default_scopes(sidecar):
        for port, services in index.by_port.items():
            visible = [service for service in services if scope.includes(service.namespace, service.host)]
            if visible:
                first = visible[0]
                position = next(place for place, item in enumerate(first.ports) if item.number == port)
                yield Outbound(
                    bind=bind,
                    port=port,
                    routes="",
                    proxying=False,
                    scope=scope,
                    origin=first.origin,
                    path=("spec", "ports", position, "number"),
                    written=False,
                )


def _default_scopes(sidecar: Policy[Sidecar] | None) -> list[tuple[str, Scope]]:
    if sidecar is None or not sidecar.spec.egress:
        return [(names.LOOPBACK, EVERYTHING)]
    hosts: dict[str, list[str]] = {}
    for item in sidecar.spec.egress:
        if item.port is None:
            hosts.setdefault(_bind(item), []).extend(item.hosts)
    return [(bind, Scope.of(hosts[bind], sidecar.key.namespace)) for bind in sorted(hosts)]


def _bind(item: EgressListener) -> str:
    return item.bind or names.LOOPBACK


def _named(items: list[Outbound]) -> Iterator[Outbound]:
    """Route configurations by Istio's names: the port, or `http_proxy`.

    Istio has one of each; where several listeners would share a name and differ in content, the one on 127.0.0.1, or else
    the first that is written, keeps it, and the others append where they listen.
    """
    used: set[str] = set()
    for item in sorted(items, key=lambda item: item.bind != names.LOOPBACK):
        name = names.HTTP_PROXY if item.proxying else str(item.port)
        if name in used:
            suffix = names.listener(item.bind, item.port) if item.proxying else item.bind
            name = f"{name}.{suffix}"
        used.add(name)
        yield replace(item, routes=name)


def one_in_a_place(items: Iterable[Outbound]) -> list[Outbound]:
    """The first listener of each address and port: a second one is a `port-clash`, and has no place in a view."""
    return list({(item.bind, item.port): item for item in reversed([*items])}.values())[::-1]


def sockets(items: Iterable[Outbound], owner: str) -> Iterator[Socket]:
    """What the outbound side binds."""
    for item in items:
        yield Socket(
            address=item.bind,
            port=item.port,
            what=f"the outbound listener of {owner}",
            listener=True,
            fixed=Fixed.WRITTEN if item.written else Fixed.DERIVED,
            origin=item.origin,
            path=item.path,
        )


def circles(index: Index, items: Iterable[Outbound], owner: str) -> Iterator[Finding]:
    """Outbound listeners where an instance should be that they route to: they would call themselves."""
    for item in items:
        for service in index.at.get((item.bind, item.port), ()):
            if item.scope.includes(service.namespace, service.host):
                yield Finding(
                    code="port-clash",
                    message=f"the outbound listener of {owner} is on {item.bind}:{item.port}, "
                    f"and so is an endpoint of {service.host}, to which it routes",
                    hint="give the sidecar a Sidecar with an `egress` listener on another port or address",
                    origin=item.origin,
                    path=item.path,
                )
