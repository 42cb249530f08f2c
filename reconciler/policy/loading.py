"""From a tree to a mesh, or to everything that is wrong with it: the front door of the room.

Every file is read by itself (`documents`), then what the documents say about each other is checked (`references`). Only
reading the tree touches the outside; the rest is a function of its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from reconciler.errors import Diagnostic, Severity
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import MeshSpec
from reconciler.model.tree import Tree, TreeFile
from reconciler.policy.cache import DocumentCache
from reconciler.policy.documents import FileResult, read_file
from reconciler.policy.files import POLICIES, TEMPLATES, choose
from reconciler.policy.findings import locate
from reconciler.policy.loaded import Loaded
from reconciler.policy.references import check_duplicates, check_references
from reconciler.policy.templates import house_templates, override
from reconciler.settings import shipped

_FIELDS = {
    "VirtualService": "virtual_services",
    "DestinationRule": "destination_rules",
    "ServiceEntry": "service_entries",
    "WorkloadEntry": "workload_entries",
    "Gateway": "gateways",
    "Sidecar": "sidecars",
    "Proxy": "proxies",
}


def load(tree: Tree, *, cache: DocumentCache | None = None) -> Loaded:
    """Read `policies/` and `envoy-templates/` of a tree.

    Never raises for what is written in the files: that is what diagnostics are for. With a cache, files that were read before
    are not read again.

    Raises:
        reconciler.errors.PermanentError: The tree itself can't be read.
    """
    known = cache if cache is not None else DocumentCache()
    defaults = house_templates(shipped(TEMPLATES))
    policies, problems = _split(choose(tree, POLICIES))
    overrides, more = _split(choose(tree, TEMPLATES))
    problems += more
    fingerprint = (tuple(policies), tuple(overrides), tuple(problems), tuple(defaults.items()))
    loaded = known.last(fingerprint)
    if loaded is None:
        loaded = _load(tree, policies, overrides, problems, defaults, known)
        known.remember(fingerprint, loaded)
    return loaded


def _load(
    tree: Tree,
    policies: Sequence[TreeFile],
    overrides: list[TreeFile],
    problems: Sequence[Diagnostic],
    defaults: Mapping[str, str],
    cache: DocumentCache,
) -> Loaded:
    results = [_read(tree, entry, cache) for entry in policies]
    templates, found = override(defaults, tree, overrides)
    diagnostics = [*problems, *found, *(item for result in results for item in result.diagnostics)]
    if not policies and not problems:
        hint = f"put VirtualServices, Proxies and the rest into files named *.yaml below {POLICIES}/"
        diagnostics.append(
            Diagnostic(code="no-policies", message=f"there is no policy file below {POLICIES}/", hint=hint)
        )
    documents = [policy for result in results for policy in result.policies]
    failed = [item for result in results for item in result.failed]
    mesh = _mesh(documents)
    findings = check_duplicates(documents, mesh.settings.domain)
    if not problems:  # a file that was refused may hold anything that is referred to
        findings += check_references(mesh, failed)
    diagnostics.extend(locate(findings, tree))
    ordered = tuple(sorted(diagnostics, key=Diagnostic.sort_key))
    broken = any(item.severity is Severity.ERROR for item in ordered)
    return Loaded(mesh=None if broken else mesh, templates=MappingProxyType(templates), diagnostics=ordered)


def _split(chosen: Iterable[TreeFile | Diagnostic]) -> tuple[list[TreeFile], list[Diagnostic]]:
    files: list[TreeFile] = []
    problems: list[Diagnostic] = []
    for item in chosen:
        if isinstance(item, Diagnostic):
            problems.append(item)
        else:
            files.append(item)
    return files, problems


def _read(tree: Tree, entry: TreeFile, cache: DocumentCache) -> FileResult:
    return cache.file((entry.path, entry.blob), lambda: read_file(tree.read(entry), file=entry.path))


def _mesh(documents: Iterable[Policy[Any]]) -> Mesh:
    """The mesh of these documents; the first of two with one name is kept, and the first Mesh document."""
    found: dict[str, dict[Any, Policy[Any]]] = {kind: {} for kind in (*_FIELDS, "Mesh")}
    for policy in documents:
        found[policy.kind].setdefault(policy.key, policy)
    settings = next((policy.spec for policy in found["Mesh"].values()), MeshSpec())
    groups = {name: tuple(found[kind][key] for key in sorted(found[kind])) for kind, name in _FIELDS.items()}
    return Mesh(settings=settings, **groups)
