"""From a tree to a mesh, or to everything that is wrong with it: the front door of the room.

Every file is read by itself (`documents`), the documents are put together (`assembly`), then what they say about each other is
checked (`references`, by way of `rechecking`). Only reading the tree touches the outside; the rest is a function of its bytes. A cache changes what
this costs, never what comes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from reconciler.errors import Diagnostic, Severity
from reconciler.model.origin import Finding
from reconciler.model.tree import Tree, TreeFile
from reconciler.policy.cache import DocumentCache
from reconciler.policy.collecting import uncollected
from reconciler.policy.documents import FileResult, read_file
from reconciler.policy.files import POLICIES, TEMPLATES, Changes, choose
from reconciler.policy.loaded import Loaded
from reconciler.policy.rechecking import Change, Stand
from reconciler.policy.templates import house_templates, override
from reconciler.settings import shipped


def load(tree: Tree, *, cache: DocumentCache | None = None) -> Loaded:
    """Read `policies/` and `envoy-templates/` of a tree.

    Never raises for what is written in the files: that is what diagnostics are for. With a cache, files that were read before
    are not read again, and documents, services and tuples of them that are as they were are the same objects.

    Raises:
        reconciler.errors.PermanentError: The tree itself can't be read. The cache is as it was.
    """
    known = cache if cache is not None else DocumentCache()
    changes = known.listing.compare(tree.files(POLICIES))
    templates = _templates(tree)
    last = known.last(templates)
    if last is not None and not changes:
        return last
    with uncollected(len(changes.changed)):
        results = _read(tree, changes, known)
        known.forget()
        known.listing.apply(changes)
        gone, new = known.assembly.update(results)
        loaded = _loaded(
            tree,
            known,
            Change(gone=gone, new=new),
            templates if last is None else replace(templates, texts=last.templates),
        )
    known.remember(templates, loaded)
    return loaded


@dataclass(frozen=True, slots=True)
class _Templates:
    """What the folder of templates comes to: refused entries, the texts in force, and what is wrong with the others."""

    refused: tuple[Diagnostic, ...]
    texts: Mapping[str, str]
    problems: tuple[Diagnostic, ...]


def _templates(tree: Tree) -> _Templates:
    chosen = [choose(entry) for entry in tree.files(TEMPLATES)]
    files = [item for item in chosen if isinstance(item, TreeFile)]
    texts, problems = override(house_templates(shipped(TEMPLATES)), tree, files)
    refused = tuple(item for item in chosen if isinstance(item, Diagnostic))
    return _Templates(refused, MappingProxyType(texts), tuple(problems))


def _read(tree: Tree, changes: Changes, cache: DocumentCache) -> dict[str, FileResult | None]:
    """What the changed files hold; None for those that are gone, or are not read."""
    out: dict[str, FileResult | None] = dict.fromkeys(changes.gone)
    for path, (_, chosen) in changes.changed.items():
        out[path] = _file(tree, chosen, cache) if isinstance(chosen, TreeFile) else None
    return out


def _file(tree: Tree, entry: TreeFile, cache: DocumentCache) -> FileResult:
    before = cache.assembly.file(entry.path)
    return cache.file((entry.path, entry.blob), lambda: read_file(tree.read(entry), file=entry.path, before=before))


def _loaded(tree: Tree, known: DocumentCache, change: Change, templates: _Templates) -> Loaded:
    """What all files come to."""
    assembly, refused = known.assembly, [*known.listing.problems, *templates.refused]
    mesh = assembly.mesh()
    diagnostics = [*refused, *templates.problems, *assembly.diagnostics()]
    if (
        mesh.settings.discovery
    ):  # who gives a service endpoints is then a question between documents (`references.workloads`)
        diagnostics = [item for item in diagnostics if item.code != "no-endpoints"]
    if known.listing.empty and not refused:
        hint = f"put VirtualServices, Proxies and the rest into files named *.yaml below {POLICIES}/"
        message = f"there is no policy file below {POLICIES}/"
        diagnostics.append(Diagnostic(code="no-policies", message=message, hint=hint))
    services = known.services.of(mesh)
    stand = Stand(documents=assembly.documents(), mesh=mesh, failed=assembly.failed())
    findings = known.references.findings(change, stand, services=services, refused=bool(refused))
    placed = known.locator.pairs(findings, tree)
    diagnostics.extend(item for _, item in placed)
    ordered = tuple(sorted(diagnostics, key=Diagnostic.sort_key))
    awaited = _awaited(placed)
    if any(item.severity is Severity.ERROR for item in ordered):
        return Loaded(mesh=None, templates=templates.texts, diagnostics=ordered, awaited=awaited)
    return Loaded(mesh=mesh, services=services, templates=templates.texts, diagnostics=ordered, awaited=awaited)


def _awaited(placed: Iterable[tuple[Finding, Diagnostic]]) -> Mapping[str, tuple[Diagnostic, ...]]:
    out: dict[str, tuple[Diagnostic, ...]] = {}
    for finding, diagnostic in placed:
        if finding.awaits:
            out[finding.awaits] = (*out.get(finding.awaits, ()), diagnostic)
    return MappingProxyType(out)
