"""The documents of one tree, put together as files come, change and go: a changed file costs its own documents.

What comes out is a function of the files alone, in whatever order they came: two documents with one name stand in the order of
their places, and the first is in the mesh.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping
from typing import Any

from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import MeshSpec
from reconciler.policy.documents import Failed, FileResult

_FIELDS = {
    "VirtualService": "virtual_services",
    "DestinationRule": "destination_rules",
    "ServiceEntry": "service_entries",
    "WorkloadEntry": "workload_entries",
    "Gateway": "gateways",
    "Sidecar": "sidecars",
    "RateLimit": "rate_limits",
    "HealthCheck": "health_checks",
    "Rollout": "rollouts",
    "AnalysisTemplate": "analysis_templates",
    "Proxy": "proxies",
}
_SETTINGS = "Mesh"


class Assembly:
    """What a set of files says. Of a kind that no file changed, the mesh has the same tuple as before."""

    def __init__(self) -> None:
        self._files: dict[str, FileResult] = {}
        self._noisy: set[str] = set()
        self._kinds = {kind: _Kind() for kind in (*_FIELDS, _SETTINGS)}
        self._mesh: Mesh | None = None

    def update(self, changes: Mapping[str, FileResult | None]) -> tuple[list[Policy[Any]], list[Policy[Any]]]:
        """Put what these files hold in the place of what they held; None for a file that is gone.

        Returns:
            The documents that went and those that came. A document that is as it was is neither, and stays the same object.
        """
        gone: list[Policy[Any]] = []
        new: list[Policy[Any]] = []
        for path, result in changes.items():
            before = self._files.pop(path, None)
            self._noisy.discard(path)
            after = result and unchanged_kept(result, before)
            olds, news = (item.policies if item else () for item in (before, after))
            stay = {id(policy) for policy in olds} & {id(policy) for policy in news}
            gone.extend(policy for policy in olds if id(policy) not in stay)
            new.extend(policy for policy in news if id(policy) not in stay)
            if after is not None:
                self._files[path] = after
                if after.failed or after.diagnostics:
                    self._noisy.add(path)
        for policy in gone:
            self._kinds[policy.kind].remove(policy)
        for policy in new:
            self._kinds[policy.kind].add(policy)
        return gone, new

    def mesh(self) -> Mesh:
        """The mesh of all documents; the first of two with one name is kept, and the first Mesh document."""
        first = self._kinds[_SETTINGS].first()
        settings = first.spec if first else MeshSpec()
        groups = {name: self._kinds[kind].policies() for kind, name in _FIELDS.items()}
        last = self._mesh
        if last is not None and all(getattr(last, name) is group for name, group in groups.items()):
            if last.settings is settings or last.settings == settings:
                return last
        elif last is not None and last.settings == settings:
            settings = last.settings
        self._mesh = Mesh(settings=settings, **groups)
        return self._mesh

    def file(self, path: str) -> FileResult | None:
        """What a file holds."""
        return self._files.get(path)

    def documents(self) -> Iterator[Policy[Any]]:
        """All of them, those that are not in the mesh too."""
        for result in self._files.values():
            yield from result.policies

    def failed(self) -> list[Failed]:
        """The documents with errors, in the order of their places."""
        return [item for path in sorted(self._noisy) for item in self._files[path].failed]

    def diagnostics(self) -> Iterator[Diagnostic]:
        """What is wrong with each file by itself."""
        for path in sorted(self._noisy):
            yield from self._files[path].diagnostics


class _Kind:
    """The documents of one kind, sorted by key; those with one key by their places."""

    def __init__(self) -> None:
        self._keys: list[tuple[str, str]] = []
        self._firsts: list[Policy[Any]] = []
        self._others: dict[tuple[str, str], list[Policy[Any]]] = {}
        self._tuple: tuple[Policy[Any], ...] | None = ()

    def policies(self) -> tuple[Policy[Any], ...]:
        """One for each key."""
        if self._tuple is None:
            self._tuple = tuple(self._firsts)
        return self._tuple

    def first(self) -> Policy[Any] | None:
        """The one that stands before all others."""
        return min(self._firsts, key=_place, default=None)

    def add(self, policy: Policy[Any]) -> None:
        """Put a document in."""
        key = _key(policy.key)
        at = bisect_left(self._keys, key)
        if at == len(self._keys) or self._keys[at] != key:
            self._keys.insert(at, key)
            self._firsts.insert(at, policy)
        elif _place(policy) < _place(self._firsts[at]):
            insort(self._others.setdefault(key, []), self._firsts[at], key=_place)
            self._firsts[at] = policy
        else:
            insort(self._others.setdefault(key, []), policy, key=_place)
            return
        self._tuple = None

    def remove(self, policy: Policy[Any]) -> None:
        """Take this very document out."""
        key = _key(policy.key)
        at = bisect_left(self._keys, key)
        others = self._others.get(key, [])
        if self._firsts[at] is not policy:
            others[:] = [item for item in others if item is not policy]
        elif others:
            self._firsts[at], self._tuple = others.pop(0), None
        else:
            del self._keys[at], self._firsts[at]
            self._tuple = None
        if not others:
            self._others.pop(key, None)


def unchanged_kept(result: FileResult, before: FileResult | None) -> FileResult:
    """What a file holds now, with the objects of before for the documents that are as they were."""
    if before is None or result is before:
        return result
    known = {(policy.kind, policy.key, policy.origin): policy for policy in before.policies}
    kept = []
    for policy in result.policies:
        old = known.get((policy.kind, policy.key, policy.origin))
        kept.append(old if old is not None and old == policy else policy)
    return FileResult(policies=tuple(kept), failed=result.failed, diagnostics=result.diagnostics, pieces=result.pieces)


def _key(key: Key) -> tuple[str, str]:
    return key.namespace, key.name


def _place(policy: Policy[Any]) -> tuple[str, int]:
    return policy.origin.file, policy.origin.document
