"""Compiling one mesh after another: what a change does not concern is not compiled again.

The change that this product is for, other `http` rules in a VirtualService (a weight), redoes the virtual hosts that have these
rules, and nothing else; other instances of a service that registries list redo its load assignments. After any other change the
mesh is arranged anew, and clusters, endpoints, routes and virtual hosts whose documents are the same are taken over. What comes out never depends on what was compiled before: the laws in
`tests/compile` hold one against the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace

from reconciler.compile.compiler import Compilation, Compiled
from reconciler.compile.instances import moved, only_instances
from reconciler.compile.prototypes import Prototypes
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.services import Service
from reconciler.model.virtualservice import VirtualService

_ELSEWHERE = frozenset({"rollouts", "analysis_templates"})
"""What no view is made from: what a rollout has in force is in the VirtualServices of the mesh that is compiled."""


@dataclass(frozen=True, slots=True)
class _Last:
    mesh: Mesh
    services: Sequence[Service]
    compilation: Compilation
    compiled: Compiled


class MeshCompiler:
    """Compiles meshes, with what it knows of the last one. Documents that are the same object count as unchanged.

    Not safe for use by several threads at once: one pass runs at a time.
    """

    def __init__(self, prototypes: Prototypes) -> None:
        self._prototypes = prototypes
        self._last: _Last | None = None

    def compile(self, mesh: Mesh, services: Sequence[Service]) -> Compiled:
        """As `compile_mesh`, and the same result."""
        last = self._last
        instances = moved(last.services, services) if last is not None else None
        if last is None or instances is None:
            before = last.compilation if last is not None else None
            return self._keep(mesh, services, Compilation.of(mesh, services, self._prototypes, before=before))
        compilation = last.compilation.refilled(_used(last, instances)) if instances else last.compilation
        if mesh is last.mesh:
            compiled = replace(last.compiled, views=compilation.views)
            self._last = _Last(mesh, services, compilation, compiled)
            return compiled
        rules = edited_rules(last.mesh, mesh)
        edited = compilation.edited(mesh, rules) if rules is not None else None
        if edited is None:
            edited = Compilation.of(mesh, services, self._prototypes, before=compilation)
        return self._keep(mesh, services, edited)

    def _keep(self, mesh: Mesh, services: Sequence[Service], compilation: Compilation) -> Compiled:
        compiled = compilation.compiled()
        self._last = _Last(mesh, services, compilation, compiled)
        return compiled


def _used(last: _Last, instances: Mapping[str, Service]) -> dict[str, Service]:
    """Those of which the last compilation used the service of this namespace: of several with one host it used one."""
    known = last.compilation.index.services
    return {host: item for host, item in instances.items() if host in known and only_instances(known[host], item)}


def edited_rules(old: Mesh, new: Mesh) -> dict[Key, Policy[VirtualService]] | None:
    """The VirtualServices of which only the `http` rules differ, by key; None if anything else differs as well.

    Delegation makes the rules of one document depend on another, so documents that take part in it count as anything else.
    """
    if any(
        getattr(old, item.name) is not getattr(new, item.name)
        for item in fields(Mesh)
        if item.name != "virtual_services" and item.name not in _ELSEWHERE
    ):
        return None
    if len(old.virtual_services) != len(new.virtual_services):
        return None
    pairs = zip(old.virtual_services, new.virtual_services, strict=True)
    changed = [(before, after) for before, after in pairs if before is not after]
    if not all(_only_rules(before, after) for before, after in changed):
        return None
    return {after.key: after for _, after in changed}


def _only_rules(before: Policy[VirtualService], after: Policy[VirtualService]) -> bool:
    same = before.key == after.key and before.origin == after.origin and before.labels == after.labels
    return (
        same
        and bool(after.spec.hosts)
        and all(
            getattr(before.spec, name) == getattr(after.spec, name)
            for name in VirtualService.model_fields
            if name != "http"
        )
        and not any(rule.delegate for rule in (*before.spec.http, *after.spec.http))
    )
