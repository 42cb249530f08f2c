"""From a tree to what every proxy should have: load, discover, compile. Remembers the last commits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.compile import Compiled, MeshCompiler, Prototypes
from reconciler.cycle.joining import Joined, join, left_out, same
from reconciler.cycle.report import Stage, Stopwatch
from reconciler.discovery import Accounts, Merged, Merger
from reconciler.errors import Diagnostic, PolicyError, Severity
from reconciler.model.discovered import NOTHING, Catalogue
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import View
from reconciler.model.services import Endpoint, Service
from reconciler.model.tree import Tree
from reconciler.policy import DocumentCache, Loaded, load, locate, uncollected
from reconciler.rollouts.overlay import Overlay
from reconciler.xds import Announcement

_REMEMBERED = 16
_MERGING = 2
"""Commits whose services are followed; others are compiled anew when registries list something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What one commit asks for.

    Attributes:
        mesh: With the proxies that announced themselves, and what rollouts lay over the policies.
        source: The policies as they are written.
        notes: By proxy, what the policies ask for and its way to push can't do.
        announced: Members that no document declares.
        declared_services: The services that documents declare.
        services: The services there are: these, and what registries list.
    """

    commit: str
    mesh: Mesh
    source: Mesh
    templates: Mapping[str, str]
    views: Mapping[Key, View]
    warnings: tuple[Diagnostic, ...]
    notes: Mapping[Key, tuple[Diagnostic, ...]]
    announced: frozenset[Key] = frozenset()
    declared_services: tuple[Service, ...] = ()
    services: tuple[Service, ...] = ()

    @property
    def declared(self) -> frozenset[Key]:
        """Members that a document declares."""
        return frozenset(self.views) - self.announced

    @property
    def listed(self) -> frozenset[str]:
        """Hosts that only registries know."""
        known = {service.host for service in self.declared_services}
        return frozenset(service.host for service in self.services if service.host not in known)


class Compiler:
    """Compiles commits, each once: a commit's content never changes, and neither does what it compiles to.

    Attributes:
        accounts: Service accounts that instances have had, whatever commit they were instances by.
    """

    def __init__(self) -> None:
        self._documents = DocumentCache()
        self._meshes = _Meshes()
        self._done: OrderedDict[str, Desired | PolicyError] = OrderedDict()
        self._announced: dict[Key, Announcement] = {}
        self._everybody: tuple[Policy[Proxy], ...] = ()
        self._overlay = Overlay()
        self._aborted: dict[Key, str] = {}
        self._catalogue = NOTHING
        self._merging: OrderedDict[str, _Merging] = OrderedDict()
        self.accounts = Accounts()

    def discover(self, catalogue: Catalogue) -> None:
        """From now on commits are compiled with what registries list.

        Other instances of the same services compile nothing anew: their endpoints are made from recipes when they are sent.
        """
        self._catalogue = catalogue

    def overlay(self, aborted: Mapping[Key, str]) -> None:
        """From now on commits are compiled with these runs of rollouts aborted, as far as they don't say so themselves.

        Args:
            aborted: Names of runs by rollout.
        """
        if aborted != self._aborted:
            self._aborted = dict(aborted)
            self._done.clear()

    def mesh(self, tree: Tree) -> Mesh | None:
        """The policies of a tree as they are written, without compiling them; None if they can't be used."""
        known = self._done.get(tree.commit) if tree.commit else None
        return known.source if isinstance(known, Desired) else load(tree, cache=self._documents).mesh

    def join(self, announced: Iterable[Announcement]) -> None:
        """From now on commits are compiled for these proxies too, as far as the commit does not declare them itself."""
        found = same(self._announced, announced)
        if found is not None:
            self._announced = found
            self._done.clear()

    def desired(self, tree: Tree, watch: Stopwatch) -> Desired:
        """What this tree asks for.

        Raises:
            PolicyError: It can't be used; carries every error that was found, and the warnings.
        """
        found = self._done.get(tree.commit) if tree.commit else None
        if found is None or self._outdated(tree.commit, found):
            try:
                found = self._compile(tree, watch)
            except PolicyError as error:
                found = error
            if tree.commit:
                self._done[tree.commit] = found
                while len(self._done) > _REMEMBERED:
                    self._done.popitem(last=False)
        elif tree.commit:
            self._done.move_to_end(tree.commit)
        if isinstance(found, PolicyError):
            raise PolicyError(diagnostics=found.diagnostics)
        return found

    def endpoints(self, desired: Desired) -> Mapping[str, tuple[Endpoint, ...]]:
        """What registries list now of a commit's services, by host; nothing if it was not asked for lately."""
        merging = self._merging.get(desired.commit)
        return merging.endpoints if merging is not None else {}

    def _compile(self, tree: Tree, watch: Stopwatch) -> Desired:
        with watch.stage(Stage.LOAD):
            loaded = load(tree, cache=self._documents)
            if loaded.mesh is None:
                raise PolicyError(diagnostics=loaded.diagnostics)
        with watch.stage(Stage.COMPILE), uncollected(0):
            mesh = self._overlay.of(loaded.mesh, aborted=self._aborted)
            joined = self._joined(mesh)
            merged = self._merged(tree.commit, loaded.services, mesh)
            compiled, found = self._found(loaded, joined.mesh, merged, tree)
            if merged.services is not loaded.services and _failed(found):
                found = self._not_of_registries(loaded, joined.mesh, tree, found)
            if joined.members and _failed(found):
                compiled, without = self._found(loaded, mesh, merged, tree)
                joined = Joined(mesh=mesh, strangers=() if _failed(without) else left_out(joined.members, found))
                found = without
            if _failed(found):
                raise PolicyError(diagnostics=found)
            notes = {key: locate(view.unsupported, tree) for key, view in compiled.views.items() if view.unsupported}
            return Desired(
                commit=tree.commit,
                mesh=joined.mesh,
                source=loaded.mesh,
                templates=loaded.templates,
                views=compiled.views,
                warnings=(*found, *joined.strangers),
                notes=notes,
                announced=joined.members,
                declared_services=loaded.services,
                services=merged.services,
            )

    def _merged(self, commit: str, declared: tuple[Service, ...], mesh: Mesh) -> Merged:
        """The services that documents declare with those of the registries that they name."""
        if not mesh.settings.discovery:
            return Merged(services=declared, lasting=declared)
        merging = self._merging.get(commit) or _Merging(Merger(self.accounts))
        merged = merging.merger.merged(declared, mesh, self._catalogue)
        merging.catalogue, merging.lasting, merging.endpoints = self._catalogue, merged.lasting, merged.endpoints
        self._merging[commit] = merging
        self._merging.move_to_end(commit)
        while len(self._merging) > _MERGING:
            self._merging.popitem(last=False)
        return merged

    def _not_of_registries(
        self, loaded: Loaded, mesh: Mesh, tree: Tree, found: tuple[Diagnostic, ...]
    ) -> tuple[Diagnostic, ...]:
        """The same with errors that the commit has only by what registries list as warnings: they must not stop anybody's commit.

        What is wrong then is the misfortune of the rule that it is about, as after any change that nobody could check.
        """
        _, own = self._found(loaded, mesh, Merged(services=loaded.services, lasting=loaded.services), tree)
        errors = {item for item in own if item.severity is Severity.ERROR}
        return tuple(item if item in errors or item.severity is Severity.WARNING else item.demoted() for item in found)

    def _outdated(self, commit: str, found: Desired | PolicyError) -> bool:
        """Whether registries list other services by now, and not only other instances of the same."""
        if isinstance(found, Desired) and not found.mesh.settings.discovery:
            return False
        merging = self._merging.get(commit)
        if merging is None or isinstance(found, PolicyError):
            return self._catalogue is not NOTHING
        if merging.catalogue is self._catalogue:
            return False
        before = merging.lasting
        return self._merged(commit, found.declared_services, found.mesh).lasting is not before

    def _joined(self, mesh: Mesh) -> Joined:
        """The mesh with who joined it; the same proxies are the same objects, by which the compiler knows them."""
        joined = join(mesh, tuple(self._announced.values()))
        if joined.members:
            if joined.mesh.proxies == self._everybody:
                joined = replace(joined, mesh=replace(joined.mesh, proxies=self._everybody))
            self._everybody = joined.mesh.proxies
        return joined

    def _found(self, loaded: Loaded, mesh: Mesh, merged: Merged, tree: Tree) -> tuple[Compiled, tuple[Diagnostic, ...]]:
        """The compiled mesh, and all that is to be said about it, in the order in which it is printed."""
        compiled = self._meshes.of(loaded.templates).compile(mesh, merged.services)
        said = loaded.besides({service.host for service in merged.services})
        found = (*said, *locate((*merged.notes, *compiled.findings), tree))
        return compiled, tuple(sorted(found, key=Diagnostic.sort_key))


@dataclass(slots=True)
class _Merging:
    """One commit's services with those of registries, from one catalogue to the next."""

    merger: Merger
    catalogue: Catalogue = NOTHING
    lasting: tuple[Service, ...] = ()
    endpoints: Mapping[str, tuple[Endpoint, ...]] = field(default_factory=dict)


def _failed(found: Iterable[Diagnostic]) -> bool:
    return any(item.severity is Severity.ERROR for item in found)


class _Meshes:
    """The compiler of meshes for the templates in force, with what it knows of the last mesh."""

    def __init__(self) -> None:
        self._last: tuple[Mapping[str, str], MeshCompiler] | None = None

    def of(self, templates: Mapping[str, str]) -> MeshCompiler:
        """The last one, if the templates are the same.

        Raises:
            TemplateError: They can't be used.
        """
        if self._last is None or self._last[0] is not templates:
            self._last = (templates, MeshCompiler(Prototypes.parse(templates)))
        return self._last[1]
