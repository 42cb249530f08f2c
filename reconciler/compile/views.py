"""The views of a mesh's proxies: which listeners, routes and clusters each one has, sidecar or gateway.

Puts together what the other modules of this room decide; says nothing itself about how a resource looks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from reconciler.compile import applications, doors, gateways, inbound, interception, names, ratelimits, sidecars
from reconciler.compile.clusters import Clusters
from reconciler.compile.configurations import Configurations
from reconciler.compile.inbound import Inbound
from reconciler.compile.index import Index
from reconciler.compile.listeners import Chain, Direction, build
from reconciler.compile.names import ClusterRef
from reconciler.compile.outbound import Outbounds, reached_clusters
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.proxyless import Applications
from reconciler.compile.runtime import runtime_view
from reconciler.compile.sidecars import applying
from reconciler.compile.sockets import Fixed, Socket
from reconciler.compile.sources import AdsSource, FilesSource, Source
from reconciler.compile.telemetry import Telling
from reconciler.compile.tls import Site, certificates
from reconciler.compile.viewer import Viewer
from reconciler.errors import BugError
from reconciler.model.hosts import is_address
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding
from reconciler.model.proxy import Interception, Proxy
from reconciler.model.resource import Resource, View
from reconciler.model.secrets import Certificate, Root, secret_resource
from reconciler.model.serviceentry import WorkloadEntry
from reconciler.model.sidecar import Sidecar
from reconciler.model.visibility import visible


class Views:
    """The views of one mesh, made one by one: what the proxies share, and what was found on the way.

    Attributes:
        sockets: By proxy, what its view binds.
        places: The address at which a proxy certainly is.
        behind: By proxy, the keys of its route configurations.
        applications: The proxies that are gRPC applications.

    Args:
        mesh: What is compiled.
        index: The same, arranged.
        prototypes: The templates in force.
        last: The clusters of another mesh with the same settings, to take over what is the same.
        configurations: And its route configurations; its RateLimits are the same too.
    """

    def __init__(
        self,
        mesh: Mesh,
        index: Index,
        prototypes: Prototypes,
        *,
        last: Clusters | None = None,
        configurations: Configurations | None = None,
    ) -> None:
        self._mesh = mesh
        self._index = index
        self._prototypes = prototypes
        self.clusters = Clusters(index, prototypes, interception=mesh.settings.interception)
        self.configurations = Configurations(
            index=index, prototypes=prototypes, clusters=self.clusters, last=configurations
        )
        if last is not None:
            self.clusters.after(last)
        self._telling = Telling(mesh.settings, prototypes)
        self._outbounds = Outbounds(index, mesh.settings, self.clusters)
        self._filters: dict[Viewer, tuple[Any, ...]] = {}
        self.applications = Applications(
            index=index,
            prototypes=prototypes,
            clusters=self.clusters,
            configurations=self.configurations,
            interception=mesh.settings.interception,
        )
        self.findings: list[Finding] = []
        self.behind: dict[Key, tuple[object, ...]] = {}
        self.sockets: dict[Key, list[Socket]] = {}
        self.places: dict[Key, str] = {}

    def view(self, proxy: Policy[Proxy]) -> View:
        """The view of one proxy."""
        push = proxy.spec.push
        if push.runtime is not None:
            return runtime_view(proxy, push.runtime, self._mesh)
        source: Source
        if push.files is not None:
            source = FilesSource(push.files.directory)
        elif push.ads is not None:
            source = AdsSource()
        else:
            raise BugError(f"proxy {proxy.key} has no way to be pushed to")
        site = Site(source, certificates(proxy.spec.certificates, self._mesh.settings.certificates))
        if push.proxyless:
            return self.applications.view(proxy, site)
        resources = self._sidecar(proxy, site) if proxy.spec.workload else self._gateway(proxy, site)
        self._watched(proxy)
        return View.of(proxy.key, resources)

    def _sidecar(self, proxy: Policy[Proxy], site: Site) -> list[Resource]:
        owner = f"sidecar {proxy.key}"
        workload = self._index.workloads.get(Key(proxy.key.namespace, proxy.spec.workload))
        viewer = Viewer.of(proxy, workload)
        prototypes = self._telling.prototypes(proxy, workload)
        sidecar = applying(self._index, workload) if workload else None
        wildcard = names.ANY_ADDRESS_6 if inbound.is_ipv6(workload) else names.ANY_ADDRESS
        side = self._outbounds.of(sidecar, viewer, wildcard=wildcard)
        self.findings.extend([*side.findings, *sidecars.circles(self._index, side.listeners, owner, viewer)])
        bound = self.sockets[proxy.key] = [*sidecars.sockets(side.listeners, owner)]
        outbound = sidecars.one_in_a_place(side.listeners)
        filters = self._http_filters(Direction.OUTBOUND, viewer)
        out = [sidecars.listener(item, prototypes, source=site.source, http_filters=filters) for item in outbound]
        routed = {item.routes: self.configurations.sidecar(item, viewer) for item in outbound if item.routes}
        asked = ratelimits.services(self._index, viewer, Direction.OUTBOUND, Direction.INBOUND)
        out.extend(
            self._behind(
                proxy,
                routed.values(),
                site,
                viewer,
                clusters={*reached_clusters(outbound, side.rest), *asked, *self._telling.clusters},
            )
        )
        if workload is not None:
            out.extend(self._inbound(proxy, workload, sidecar, site, prototypes))
        if self._intercepting:
            out.append(interception.virtual_outbound(side.rest, prototypes, wildcard=wildcard))
            out.extend(interception.clusters(self._prototypes, wildcard=wildcard))
            bound.extend(interception.sockets(owner, proxy.origin, wildcard=wildcard))
        return out

    def _inbound(
        self,
        proxy: Policy[Proxy],
        workload: Policy[WorkloadEntry],
        sidecar: Policy[Sidecar] | None,
        site: Site,
        prototypes: Prototypes,
    ) -> Iterator[Resource]:
        """The listeners in front of a workload, and its application."""
        mode = self._mesh.settings.interception
        items, findings = inbound.inbound_listeners(self._index, workload, sidecar, interception=mode)
        self.findings.extend(findings)
        self.sockets[proxy.key].extend(inbound.sockets(items, f"sidecar {proxy.key}"))
        if is_address(workload.spec.address):
            self.places[proxy.key] = workload.spec.address
        yield from (applications.cluster(item, self._prototypes) for item in items)
        opened: list[tuple[Inbound, list[Chain]]] = []
        secrets: set[Certificate | Root] = set()
        for item in items:
            served = applications.served(item, self._prototypes, site=site)
            self.findings.extend(served.findings)
            secrets |= served.secrets
            if served.chains:
                limited = [ratelimits.limited(chain, self._index, workload) for chain in served.chains]
                opened.append((item, limited))
        yield from map(secret_resource, secrets)
        filters = self._http_filters(Direction.INBOUND, Viewer.of(proxy, workload))
        for item, chains in opened:
            if item.bound:
                yield _listener(Direction.INBOUND, item.bind, item.port, chains, filters, prototypes)
        if self._intercepting:
            taken = [(item.port, chain) for item, chains in opened if not item.bound for chain in chains]
            wildcard = names.ANY_ADDRESS_6 if inbound.is_ipv6(workload) else names.ANY_ADDRESS
            yield interception.virtual_inbound(taken, prototypes, wildcard=wildcard, http_filters=filters)

    @property
    def _intercepting(self) -> bool:
        return self._mesh.settings.interception is Interception.REDIRECT

    def _http_filters(self, direction: Direction, viewer: Viewer) -> tuple[Any, ...]:
        """What the HTTP connection managers of a proxy's listeners have before their router, in addition to the template's.

        That depends on the services that it sees and never on routes: a changed route must not change a listener.
        """
        limiting = ratelimits.filters(self._index, viewer, direction, self._prototypes)
        if direction is Direction.INBOUND:
            return limiting
        if viewer not in self._filters:
            wild = [
                ClusterRef(service.host, port.number)
                for service in self._index.services.values()
                if "*" in service.host and visible(service.export_to, viewer.namespace)
                for port in service.ports
            ]
            self._filters[viewer] = (*limiting, *self.clusters.http_filters(wild, viewer=viewer))
        return self._filters[viewer]

    def _gateway(self, proxy: Policy[Proxy], site: Site) -> list[Resource]:
        viewer = Viewer.of(proxy, None)
        found = gateways.doors(self._index, proxy)
        self.sockets[proxy.key] = [*gateways.sockets(found, f"gateway {proxy.key}")]
        binds = sorted(door.bind for door in found if door.bind)
        if binds:
            self.places[proxy.key] = binds[0]
        opened = [(door, doors.opened(self._index, door, viewer=viewer, site=site)) for door in found]
        self.findings.extend(finding for _, item in opened for finding in item.findings)
        routed = [
            self.configurations.gateway(part.name, part.place, part.hosts, redirected=part.redirected)
            for _, item in opened
            for part in item.behind
        ]
        filters = self._http_filters(Direction.GATEWAY, viewer)
        prototypes = self._telling.prototypes(proxy, None)
        listeners = [
            _listener(Direction.GATEWAY, door.address, door.port, item.chains, filters, prototypes)
            for door, item in opened
            if item.chains
        ]
        secrets = {secret for _, item in opened for secret in item.secrets}
        clusters = {ref for _, item in opened for ref in item.clusters}
        clusters.update(ratelimits.services(self._index, viewer, Direction.GATEWAY))
        clusters.update(self._telling.clusters)
        return [
            *listeners,
            *map(secret_resource, secrets),
            *self._behind(proxy, routed, site, viewer, clusters=clusters),
        ]

    def _watched(self, proxy: Policy[Proxy]) -> None:
        """What a proxy's bootstrap binds for its metrics."""
        metrics = proxy.spec.metrics or self._mesh.settings.telemetry.metrics
        if metrics is not None and is_address(metrics.address):
            own = proxy.spec.metrics is not None
            self.sockets[proxy.key].append(
                Socket(
                    address=metrics.address,
                    port=metrics.port,
                    what=f"the metrics of {proxy.key}",
                    listener=True,
                    fixed=Fixed.WRITTEN if own else Fixed.WORKLOAD,
                    origin=proxy.origin,
                    path=("spec", "metrics", "port") if own else ("spec",),
                )
            )

    def _behind(
        self,
        proxy: Policy[Proxy],
        routed: Iterable[object],
        site: Site,
        viewer: Viewer,
        *,
        clusters: Iterable[ClusterRef] = (),
    ) -> Iterator[Resource]:
        """Every cluster that route configurations, by their keys, can lead to with its endpoints, and the configurations.

        `clusters` are led to by connections that are passed on whole.

        By type and name, which is how a view sorts them: sorting what is sorted costs next to nothing.
        """
        keys = self.behind[proxy.key] = tuple(routed)
        items = [self.configurations[key] for key in keys]
        refs = sorted({*clusters, *(ref for item in items for ref in item.clusters)}, key=lambda ref: ref.name)
        built = [self.clusters.resources(ref, site, viewer=viewer) for ref in refs]
        self.findings.extend(finding for item in built for finding in item.findings)
        yield from map(secret_resource, {secret for item in built for secret in item.secrets})
        yield from (item.cluster for item in built)
        yield from (item.endpoints for item in built if item.endpoints is not None)
        yield from (item.resource for item in items)


def _listener(
    direction: Direction,
    address: str,
    port: int,
    chains: Sequence[Chain],
    filters: Iterable[Any],
    prototypes: Prototypes,
) -> Resource:
    return build(
        direction=direction, address=address, port=port, chains=chains, prototypes=prototypes, http_filters=filters
    )
