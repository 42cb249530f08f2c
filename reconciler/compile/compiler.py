"""A mesh into one view per proxy, and what is wrong with them: the table of contents of this room.

Pure: the same mesh, services and templates give the same bytes in every process and in any order of the input.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.compile import doors, gateways, inbound, sidecars
from reconciler.compile.clusters import Clusters
from reconciler.compile.configurations import Configurations, Routed
from reconciler.compile.index import Index
from reconciler.compile.listeners import Chain, Direction, build, rds
from reconciler.compile.names import ClusterRef
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.runtime import runtime_view
from reconciler.compile.sidecars import applying, outbound_listeners
from reconciler.compile.sockets import Socket, port_clashes
from reconciler.compile.sources import FilesSource
from reconciler.compile.tls import Site, certificates
from reconciler.compile.viewer import Viewer
from reconciler.errors import BugError
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding
from reconciler.model.proxy import Proxy
from reconciler.model.resource import Resource, View
from reconciler.model.secrets import secret_resource
from reconciler.model.services import Service


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a mesh compiles to.

    Attributes:
        views: One for each Proxy, by key, sorted.
        findings: What is wrong with the whole, sorted: `port-clash` and the like.
    """

    views: Mapping[Key, View]
    findings: tuple[Finding, ...]


def compile_mesh(mesh: Mesh, services: Sequence[Service], prototypes: Prototypes) -> Compiled:
    """Compile every proxy of a mesh.

    Args:
        mesh: A valid one; what validation should have refused is compiled to something that serves an error.
        services: Declared and discovered ones, in any order; of two with one host the first by namespace is used.
        prototypes: The templates in force.
    """
    compiler = _Compiler(mesh, Index.of(mesh, services), prototypes)
    proxies = sorted(mesh.proxies, key=lambda policy: policy.key)
    views = {proxy.key: compiler.view(proxy) for proxy in proxies}
    findings = {*compiler.findings, *port_clashes(compiler.sockets, compiler.places)}
    return Compiled(MappingProxyType(views), tuple(sorted(findings, key=_finding_order)))


def _finding_order(finding: Finding) -> tuple[str, int, list[str], str, str]:
    origin = finding.origin
    place = (origin.file, origin.document) if origin else ("", 0)
    return (*place, [f"{step:>6}" for step in finding.path], finding.code, finding.message)


class _Compiler:
    """One compile: what the proxies share, and what was found on the way.

    Attributes:
        sockets: By proxy, what its view binds.
        places: The address at which a proxy certainly is.
    """

    def __init__(self, mesh: Mesh, index: Index, prototypes: Prototypes) -> None:
        self._mesh = mesh
        self._index = index
        self._prototypes = prototypes
        self._clusters = Clusters(index, prototypes)
        self._configurations = Configurations(index=index, prototypes=prototypes, clusters=self._clusters)
        self.findings: list[Finding] = []
        self.sockets: dict[Key, list[Socket]] = {}
        self.places: dict[Key, str] = {}

    def view(self, proxy: Policy[Proxy]) -> View:
        """The view of one proxy."""
        push = proxy.spec.push
        if push.runtime is not None:
            return runtime_view(proxy, push.runtime, self._mesh)
        if push.files is None:
            raise BugError(f"proxy {proxy.key} has no way to be pushed to")
        source = FilesSource(push.files.directory)
        site = Site(source, certificates(proxy.spec.certificates, self._mesh.settings.certificates))
        resources = self._sidecar(proxy, source) if proxy.spec.workload else self._gateway(proxy, site)
        return View.of(proxy.key, resources)

    def _sidecar(self, proxy: Policy[Proxy], source: FilesSource) -> list[Resource]:
        owner = f"sidecar {proxy.key}"
        workload = self._index.workloads.get(Key(proxy.key.namespace, proxy.spec.workload))
        viewer = Viewer.of(proxy, workload)
        sidecar = applying(self._index, workload) if workload else None
        outbound = outbound_listeners(self._index, sidecar)
        self.findings.extend(sidecars.circles(self._index, outbound, owner))
        bound = [*sidecars.sockets(outbound, owner)]
        outbound = sidecars.one_in_a_place(outbound)
        out = [self._listener(Direction.OUTBOUND, (item.bind, item.port), item.routes, source) for item in outbound]
        routed = [self._configurations.sidecar(item, viewer) for item in outbound]
        out.extend(self._behind(routed, source, viewer))
        if workload is not None:
            items, findings = inbound.inbound_listeners(self._index, workload, sidecar)
            self.findings.extend(findings)
            bound.extend(inbound.sockets(items, owner))
            out.extend(part for item in items for part in inbound.resources(item, self._prototypes))
            self.places[proxy.key] = workload.spec.address
        self.sockets[proxy.key] = bound
        return out

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
            self._configurations.gateway(part.name, part.place, part.hosts, redirected=part.redirected)
            for _, item in opened
            for part in item.behind
        ]
        listeners = [
            build(
                direction=Direction.GATEWAY,
                address=door.address,
                port=door.port,
                chains=item.chains,
                prototypes=self._prototypes,
            )
            for door, item in opened
            if item.chains
        ]
        secrets = {secret for _, item in opened for secret in item.secrets}
        clusters = {ref for _, item in opened for ref in item.clusters}
        return [
            *listeners,
            *map(secret_resource, secrets),
            *self._behind(routed, site.source, viewer, clusters=clusters),
        ]

    def _listener(self, direction: Direction, place: tuple[str, int], routes: str, source: FilesSource) -> Resource:
        address, port = place
        return build(
            direction=direction,
            address=address,
            port=port,
            chains=[Chain(routes=rds(source, routes))],
            prototypes=self._prototypes,
        )

    def _behind(
        self, routed: Iterable[Routed], source: FilesSource, viewer: Viewer, *, clusters: Iterable[ClusterRef] = ()
    ) -> Iterator[Resource]:
        """Every cluster that these route configurations can lead to with its endpoints, and the configurations.

        `clusters` are led to by connections that are passed on whole.

        By type and name, which is how a view sorts them: sorting what is sorted costs next to nothing.
        """
        items = tuple(routed)
        self.findings.extend(finding for item in items for finding in item.findings)
        refs = sorted({*clusters, *(ref for item in items for ref in item.clusters)}, key=lambda ref: ref.name)
        pairs = [self._clusters.resources(ref, source, viewer=viewer) for ref in refs]
        yield from (cluster for cluster, _ in pairs)
        yield from (endpoints for _, endpoints in pairs)
        yield from (item.resource for item in items)
