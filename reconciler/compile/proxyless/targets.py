"""What gRPC clients call, `xds:///<host>:<port>`, and the routes behind it: kept by key, so that an edited rule redoes its own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from reconciler.compile.configurations import Configurations
from reconciler.compile.index import Index
from reconciler.compile.proxyless import routes, unsupported
from reconciler.compile.scope import EVERYTHING, Scope
from reconciler.compile.sidecars import Outbound
from reconciler.compile.viewer import Place, Viewer
from reconciler.compile.virtualhosts import DEFAULT_PORT, Host
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Finding, Origin
from reconciler.model.resource import Resource
from reconciler.model.services import Service
from reconciler.model.sidecar import Sidecar
from reconciler.model.visibility import exported, visible

_NO_DOCUMENT = Origin("", 0)


@dataclass(frozen=True, slots=True)
class Target:
    """One name that clients call.

    Attributes:
        host: What its route configuration was made from.
        resource: The route configuration.
        unsupported: What the rules ask for in vain.
    """

    host: Host
    place: Place
    resource: Resource
    unsupported: tuple[Finding, ...]


class Targets:
    """The targets of one mesh; clients that see the same share them.

    Attributes:
        changed: The keys of those that are not as in the mesh that this one was edited from.

    Args:
        index: The mesh.
        configurations: What translates its rules.
        kept: Targets that are as in another mesh.
    """

    def __init__(
        self, index: Index, configurations: Configurations, kept: Mapping[object, Target] | None = None
    ) -> None:
        self._index = index
        self._configurations = configurations
        self._kept: dict[object, Target] = dict(kept or {})
        self.changed: set[object] = set()
        self._made: dict[tuple[object, ...], tuple[Host, Resource]] = {}

    def __getitem__(self, key: object) -> Target:
        """What a key stands for."""
        return self._kept[key]

    def edited(self, index: Index, configurations: Configurations, policies: Collection[Key]) -> Targets | None:
        """The same for a mesh in which nothing differs but the `http` rules of some VirtualServices.

        None if these lead to other clusters than before: then more than routes changes.
        """
        other = Targets(index, configurations, self._kept)
        for key, target in self._kept.items():
            if target.host.again is None or set(policies).isdisjoint(target.host.policies):
                continue
            host = target.host.again(configurations)
            if host.translated.clusters != target.host.translated.clusters:
                return None
            other._kept[key] = other._target(host, target.place)
            other.changed.add(key)
        return other

    def of(self, sidecar: Policy[Sidecar] | None, viewer: Viewer) -> Iterator[object]:
        """The keys of what a client can call: each HTTP port of the services it sees, and hosts that only its rules have.

        A Sidecar's `egress` says what it sees, as for an Envoy; where an egress listener has a port, for that port.
        """
        scopes = _scopes(sidecar)
        for service in self._index.services.values():
            for port in service.ports:
                scope = scopes.get(port.number, scopes.get(0))
                called = port.protocol.is_http and not service.host.startswith("*")
                if called and scope is not None and scope.sees(service, viewer):
                    yield self._of_service(service, port.number, scope, viewer)
        scope = scopes.get(DEFAULT_PORT, scopes.get(0))
        if scope is not None:
            yield from self._unknown(scope, viewer)

    def _of_service(self, service: Service, port: int, scope: Scope, viewer: Viewer) -> object:
        key = (service.host, port, scope, viewer)
        if key not in self._kept:
            host = self._configurations.of_service(service, port, _listener(port, scope), viewer)
            self._kept[key] = self._target(host, Place(viewer=viewer, port=port))
        return key

    def _unknown(self, scope: Scope, viewer: Viewer) -> Iterator[object]:
        """Hosts of VirtualServices that no service has: on port 80, as for Envoys, whether the rules hold there or not."""
        for name, policies in self._index.mesh_routes:
            seen = tuple(
                policy.key for policy in policies if _is_seen(policy.key, policy.spec.export_to, name, scope, viewer)
            )
            if not seen or name in self._index.services or name.startswith("*"):
                continue
            key = (name, DEFAULT_PORT, scope, viewer)
            if key not in self._kept:
                host = self._configurations.of_unknown(name, seen, _listener(DEFAULT_PORT, scope), viewer)
                self._kept[key] = self._target(host, Place(viewer=viewer, port=DEFAULT_PORT))
            yield key

    def _target(self, host: Host, place: Place) -> Target:
        same = (host.name, *map(id, host.translated.routes))
        if same not in self._made:
            self._made[same] = (host, routes.configuration(host))  # the host keeps the identities that the key has
        _, resource = self._made[same]
        return Target(host, place, resource, unsupported.of_rules(host.policies, place, self._index))


def _scopes(sidecar: Policy[Sidecar] | None) -> dict[int, Scope]:
    """What is seen, by service port; 0 for every port that has no scope of its own."""
    if sidecar is None or not sidecar.spec.egress:
        return {0: EVERYTHING}
    hosts: dict[int, list[str]] = {}
    for item in sidecar.spec.egress:
        hosts.setdefault(item.port.number if item.port else 0, []).extend(item.hosts)
    return {port: Scope.of(items, sidecar.key.namespace) for port, items in hosts.items()}


def _is_seen(key: Key, export_to: Collection[str], host: str, scope: Scope, viewer: Viewer) -> bool:
    return scope.includes(key.namespace, host) and visible(exported(export_to, key.namespace), viewer.namespace)


def _listener(port: int, scope: Scope) -> Outbound:
    """What the translation of a listener's routes looks at."""
    return Outbound(bind="", port=port, scope=scope, origin=_NO_DOCUMENT, path=(), written=False)
