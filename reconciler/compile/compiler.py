"""A mesh into one view per proxy, and what is wrong with them: the table of contents of this room.

Pure: the same mesh, services and templates give the same bytes in every process and in any order of the input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Self

from reconciler.compile.clusters import Clusters
from reconciler.compile.configurations import Configurations
from reconciler.compile.index import Index
from reconciler.compile.instances import found
from reconciler.compile.prototypes import Prototypes
from reconciler.compile.proxyless import Application, Targets
from reconciler.compile.runtime import runtime_view
from reconciler.compile.sockets import port_clashes
from reconciler.compile.views import Views
from reconciler.errors import BugError
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding
from reconciler.model.resource import Resource, ResourceId, View
from reconciler.model.services import Endpoint, Service
from reconciler.model.virtualservice import VirtualService


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
    return Compilation.of(mesh, services, prototypes).compiled()


@dataclass(frozen=True, slots=True, kw_only=True)
class Compilation:
    """A compiled mesh with all that was made on the way, from which one with other rules can be made.

    Attributes:
        behind: By proxy, the keys of its route configurations.
        targets: What gRPC applications call.
        applications: By proxy, those that are gRPC applications.
        findings: Those that no rule of a VirtualService has a part in.
        discovered: By host, then by proxy, the load assignments that registries have a part in.
    """

    mesh: Mesh
    index: Index
    clusters: Clusters
    configurations: Configurations
    views: Mapping[Key, View]
    behind: Mapping[Key, tuple[object, ...]]
    targets: Targets
    applications: Mapping[Key, Application]
    findings: frozenset[Finding]
    discovered: Mapping[str, Mapping[Key, tuple[ResourceId, ...]]]

    @classmethod
    def of(
        cls, mesh: Mesh, services: Sequence[Service], prototypes: Prototypes, *, before: Compilation | None = None
    ) -> Self:
        """Compile a mesh; clusters, endpoints, routes and virtual hosts that are as they were before are taken over.

        `before` was compiled with the same templates. Documents and services that are the same object are unchanged.
        """
        if before is not None and (
            before.mesh.settings is not mesh.settings
            or before.mesh.rate_limits is not mesh.rate_limits
            or before.mesh.health_checks is not mesh.health_checks
        ):
            before = None
        index = Index.of(mesh, services, before=before.index if before else None)
        made = Views(
            mesh,
            index,
            prototypes,
            last=before.clusters if before else None,
            configurations=before.configurations if before else None,
        )
        proxies = sorted(mesh.proxies, key=lambda policy: policy.key)
        views = {proxy.key: made.view(proxy) for proxy in proxies}
        made.clusters.forget()
        made.configurations.forget()
        return cls(
            mesh=mesh,
            index=index,
            clusters=made.clusters,
            configurations=made.configurations,
            views=MappingProxyType(views),
            behind=made.behind,
            targets=made.applications.targets,
            applications=made.applications.made,
            findings=frozenset((*made.findings, *made.applications.findings, *port_clashes(made.sockets, made.places))),
            discovered=_discovered(views),
        )

    def refilled(self, services: Mapping[str, Service]) -> Self:
        """The same with other instances behind some services, by host, of which nothing else differs (`instances.moved`).

        Only their load assignments are made anew: nothing else looks at instances.
        """
        kept = {**self.index.services}
        kept.update((host, service) for host, service in services.items() if host in kept)
        made: dict[int, Resource] = {}  # proxies share resources, by identity, and so they stay
        new: dict[Key, list[Resource]] = {}
        for host, service in services.items():
            listed = found(service)
            for key, ids in self.discovered.get(host, {}).items():
                resources = self.views[key].resources
                new.setdefault(key, []).extend(_refilled(resources[id_], listed, made) for id_ in ids)
        views = {**self.views, **{key: self.views[key].exchanged(items) for key, items in new.items()}}
        return replace(self, index=replace(self.index, services=kept), views=MappingProxyType(views))

    def edited(self, mesh: Mesh, policies: Mapping[Key, Policy[VirtualService]]) -> Self | None:
        """The same for a mesh in which nothing differs but the `http` rules of these VirtualServices, none of them delegated.

        None if more than routes changes by it.
        """
        index = self.index.edited(policies)
        configurations = self.configurations.edited(index, policies)
        targets = self.targets.edited(index, configurations, policies) if configurations is not None else None
        if configurations is None or targets is None:
            return None
        views = dict(self.views)
        for proxy in mesh.proxies:
            if proxy.spec.push.runtime is not None:
                views[proxy.key] = runtime_view(proxy, proxy.spec.push.runtime, mesh)
            changed = [
                key for key in self.behind.get(proxy.key, ()) if configurations[key] is not self.configurations[key]
            ]
            if changed:
                views[proxy.key] = views[proxy.key].exchanged(configurations[key].resource for key in changed)
        for key, application in self.applications.items():
            views[key] = application.edited(views[key], self.targets, targets)
        return replace(
            self,
            mesh=mesh,
            index=index,
            configurations=configurations,
            targets=targets,
            views=MappingProxyType(views),
        )

    def compiled(self) -> Compiled:
        """What comes out."""
        used = {key for keys in self.behind.values() for key in keys}
        findings = {*self.findings, *(finding for key in used for finding in self.configurations[key].findings)}
        findings.update(item for made in self.applications.values() for item in made.findings(self.targets))
        return Compiled(self.views, tuple(sorted(findings, key=_finding_order)))


def _discovered(views: Mapping[Key, View]) -> Mapping[str, Mapping[Key, tuple[ResourceId, ...]]]:
    out: dict[str, dict[Key, tuple[ResourceId, ...]]] = {}
    for key, view in views.items():
        for item in view.resources.values():
            if item.recipe is not None:
                ids = out.setdefault(item.recipe.host, {})
                ids[key] = (*ids.get(key, ()), item.id)
    return out


def _refilled(item: Resource, listed: Sequence[Endpoint], made: dict[int, Resource]) -> Resource:
    if item.recipe is None:
        raise BugError(f"{item.id} has no recipe")
    if id(item) not in made:
        made[id(item)] = item.recipe.at(listed)
    return made[id(item)]


def _finding_order(finding: Finding) -> tuple[str, int, list[str], str, str]:
    origin = finding.origin
    place = (origin.file, origin.document) if origin else ("", 0)
    return (*place, [f"{step:>6}" for step in finding.path], finding.code, finding.message)
