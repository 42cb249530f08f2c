"""From a tree to what every proxy should have: load, discover, compile. Remembers the last commits."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.compile import MeshCompiler, Prototypes
from reconciler.cycle.report import Stage, Stopwatch
from reconciler.errors import Diagnostic, PolicyError, Severity
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh
from reconciler.model.resource import View
from reconciler.model.tree import Tree
from reconciler.policy import DocumentCache, load, locate, uncollected

_REMEMBERED = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """What one commit asks for.

    Attributes:
        notes: By proxy, what the policies ask for and its way to push can't do.
    """

    commit: str
    mesh: Mesh
    templates: Mapping[str, str]
    views: Mapping[Key, View]
    warnings: tuple[Diagnostic, ...]
    notes: Mapping[Key, tuple[Diagnostic, ...]]


class Compiler:
    """Compiles commits, each once: a commit's content never changes, and neither does what it compiles to."""

    def __init__(self) -> None:
        self._documents = DocumentCache()
        self._meshes = _Meshes()
        self._done: OrderedDict[str, Desired | PolicyError] = OrderedDict()

    def desired(self, tree: Tree, watch: Stopwatch) -> Desired:
        """What this tree asks for.

        Raises:
            PolicyError: It can't be used; carries every error that was found, and the warnings.
        """
        found = self._done.get(tree.commit) if tree.commit else None
        if found is None:
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

    def _compile(self, tree: Tree, watch: Stopwatch) -> Desired:
        with watch.stage(Stage.LOAD):
            loaded = load(tree, cache=self._documents)
            if loaded.mesh is None:
                raise PolicyError(diagnostics=loaded.diagnostics)
        with watch.stage(Stage.COMPILE), uncollected(0):
            compiled = self._meshes.of(loaded.templates).compile(loaded.mesh, loaded.services)
            found = (*loaded.diagnostics, *locate(compiled.findings, tree))
            ordered = tuple(sorted(found, key=Diagnostic.sort_key))
            if any(item.severity is Severity.ERROR for item in ordered):
                raise PolicyError(diagnostics=ordered)
            notes = {key: locate(view.unsupported, tree) for key, view in compiled.views.items() if view.unsupported}
            return Desired(
                commit=tree.commit,
                mesh=loaded.mesh,
                templates=loaded.templates,
                views=compiled.views,
                warnings=ordered,
                notes=notes,
            )


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
