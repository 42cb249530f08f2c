"""From rollouts to notices: finds out whose state has not been told, and has it told. Called once a pass, after evidence is known.

What was told is handed back as evidence, so that the pass records it. Asks Git, and nobody else; never waits for a receiver.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from reconciler.cycle.notices import due_notice
from reconciler.cycle.notifier import Notifier
from reconciler.gitrepo import Repository
from reconciler.model.key import DEFAULT_NAMESPACE, Key
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.rollout import Rollout
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.weights import standing
from reconciler.yamldoc import YamlError, load


class Herald:
    """Has people told of rollouts' states.

    Args:
        repository: Where the policy branch is.
        notifier: Delivers.
    """

    def __init__(self, repository: Repository, notifier: Notifier) -> None:
        self._repository = repository
        self._notifier = notifier
        self._began: dict[Key, tuple[Course, dict[tuple[str, ...], str]]] = {}

    def tell(
        self, mesh: Mesh, evidence: Mapping[Key, Evidence], *, commit: str, now: datetime
    ) -> Mapping[Key, Evidence]:
        """Have told what is new; returns at once.

        Args:
            mesh: Of the commit, as its files have it.
            evidence: By rollout, as far as there is any.
            commit: What the policy branch is at, or the last good one where that can't be used.
            now: UTC.

        Returns:
            The evidence that has changed, because somebody has been told since.
        """
        changed: dict[Key, Evidence] = {}
        for policy in mesh.rollouts if mesh.settings.notifications else ():
            known = evidence.get(policy.key)
            if known is None:
                continue
            course = course_of(mesh, policy)
            notice = due_notice(
                course,
                known,
                began=self._origin(policy, course, commit),
                weight=standing(course, mesh).percent,
                repository=self._repository.location,
                at=now,
            )
            if notice is not None and self._notifier.tell(notice, mesh.settings.notifications):
                changed[policy.key] = replace(known, notified=notice.id)
        return changed

    def _origin(self, policy: Policy[Rollout], course: Course, commit: str) -> Callable[[tuple[str, ...]], str]:
        """Looks into history once for each status."""
        known = self._began.get(policy.key)
        if known is None or known[0].status != course.status:
            known = (course, {})
            self._began[policy.key] = known
        found = known[1]

        def began(fields: tuple[str, ...]) -> str:
            if fields not in found:
                found[fields] = origin(self._repository, commit, policy.origin.file, policy.key, fields)
            return found[fields]

        return began


def origin(repository: Repository, commit: str, path: str, key: Key, fields: tuple[str, ...]) -> str:
    """The oldest commit, of those without a break up to this one, in which these fields of a rollout's status have their values.

    A commit in which the file can't be read is passed over; a file that came from elsewhere is as far as it goes.

    Args:
        repository: Where.
        commit: Where to begin, full id.
        path: The rollout's file.
        key: The rollout.
        fields: Of its status.
    """
    wanted = _status(repository, commit, path, key, fields)
    oldest = commit
    for info in repository.log(commit, first_parent=True):
        parent = info.parents[0] if info.parents else None
        if parent is not None and repository.same(info.id, parent, (path,)):
            continue
        said = _status(repository, info.id, path, key, fields)
        if said is None and repository.read(info.id, path) is not None:
            continue
        if said != wanted:
            break
        oldest = info.id
    return oldest


def _status(
    repository: Repository, commit: str, path: str, key: Key, fields: tuple[str, ...]
) -> tuple[Any, ...] | None:
    """These fields of a rollout's status; None if the file, or the rollout in it, can't be read."""
    data = repository.read(commit, path)
    try:
        documents = load(data, file=path) if data is not None else []
    except YamlError:
        return None
    for document in documents:
        if isinstance(document, dict) and document.get("kind") == "Rollout":
            meta = document.get("metadata")
            named = (
                Key(str(meta.get("namespace") or DEFAULT_NAMESPACE), str(meta.get("name")))
                if isinstance(meta, dict)
                else None
            )
            if named == key:
                status = document.get("status")
                return tuple(status.get(name) for name in fields) if isinstance(status, dict) else (None,) * len(fields)
    return None
