"""What documents say about each other, from one load to the next: checked again where it can have changed.

Most commits move the weight of one route, and with it the status of a rollout: in neither has a check of another document a
say. Then that route's document alone is checked again, with the index that is there; after any other change everything is. Both
come to the same findings.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.model.mesh import Mesh, Policy
from reconciler.model.origin import Finding
from reconciler.model.rollout import Rollout
from reconciler.model.services import Service
from reconciler.model.virtualservice import VirtualService
from reconciler.policy.documents import Failed
from reconciler.policy.references import check_duplicates, check_references
from reconciler.policy.references.index import Index
from reconciler.policy.references.routes import check_virtual_services

_SPLITS = ("http", "tls", "tcp")
_LOCAL = ("timeout", "retries", "fault", "headers", "cors_policy")
"""What no check of another document looks at in a rule; nor at the weights of its split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """The documents that went and those that came since the last load."""

    gone: Sequence[Policy[Any]]
    new: Sequence[Policy[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stand:
    """What there is after a change.

    Attributes:
        documents: All of them, those too that the mesh has no place for.
        mesh: One by each name.
        failed: Documents that may be referred to, and could not be read.
    """

    documents: Iterable[Policy[Any]]
    mesh: Mesh
    failed: Sequence[Failed]


class References:
    """The findings of the last load, to be changed into those of the next."""

    def __init__(self) -> None:
        self._index: Index | None = None
        self._failed: Sequence[Failed] = ()
        self._findings: list[Finding] = []

    def findings(
        self, change: Change, stand: Stand, *, services: Sequence[Service], refused: bool
    ) -> tuple[Finding, ...]:
        """All findings about several documents.

        Args:
            change: Since the last call.
            stand: What there is now.
            services: What its mesh declares.
            refused: Whether there are files that were not read; they may hold anything that is referred to.
        """
        mesh, failed = stand.mesh, stand.failed
        index, self._index = self._index, None  # whatever is raised on the way, the next call begins anew
        narrow = _narrow(change) if index is not None and not refused and failed == self._failed else None
        if index is not None and narrow is not None:
            for old, new in narrow:
                for finding in check_virtual_services(_focused(index, old)):
                    self._findings.remove(finding)
                self._findings.extend(check_virtual_services(_focused(index, new)))
            self._index = index
            return tuple(self._findings)
        duplicates = check_duplicates(stand.documents)
        if refused:
            return tuple(duplicates)
        index = Index(mesh, failed, known=services)
        self._findings = [*duplicates, *check_references(mesh, failed, index=index)]
        # With two documents of one name, the mesh doesn't tell which of them a check was about.
        self._index = None if duplicates or any(item.kind in {"", "Mesh"} for item in failed) else index
        self._failed = failed
        return tuple(self._findings)


def _narrow(change: Change) -> list[tuple[Policy[VirtualService], Policy[VirtualService]]] | None:
    """Each changed document before and after, if nothing changed but what concerns none but itself."""
    before = {(policy.kind, policy.key, policy.origin): policy for policy in change.gone}
    if len(change.gone) != len(change.new):
        return None
    out = []
    for policy in change.new:
        old = before.get((policy.kind, policy.key, policy.origin))
        if old is None or old.labels != policy.labels:
            return None
        if isinstance(policy.spec, Rollout) and old.spec == policy.spec:
            continue  # nothing is checked that a status says
        if not isinstance(policy.spec, VirtualService):
            return None
        if _seen_by_others(old.spec) != _seen_by_others(policy.spec):
            return None
        out.append((old, policy))
    return out


def _seen_by_others(spec: VirtualService) -> dict[str, Any]:
    out = spec.model_dump(exclude_unset=True)
    for section in _SPLITS:
        for rule in out.get(section) or ():
            for name in _LOCAL:
                rule.pop(name, None)
            for share in rule.get("route") or ():
                share["weight"] = "weight" in share  # a rollout can move what is written only
                share.pop("headers", None)
    return out


def _focused(index: Index, policy: Policy[VirtualService]) -> Index:
    """The same index, to check one VirtualService with."""
    one = copy.copy(index)
    one.mesh = replace(index.mesh, virtual_services=(policy,))
    return one
