"""Telling people where rollouts stand, once each. Comes last in a pass, when what is told is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from reconciler.cycle.desired import Compiler, Desired
from reconciler.cycle.notices import Notice, due_notice
from reconciler.cycle.notifier import Notifier
from reconciler.gitrepo import Repository
from reconciler.model.key import Key
from reconciler.model.rollout import RolloutStatus
from reconciler.rollouts.course import Course
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.weights import standing


class Teller:
    """Has the receivers of `Mesh.notifications` told.

    Args:
        notifier: Delivers.
        repository: Where the policy branch is.
        compiler: Reads the policies of its commits.
        settle: Seconds to wait for deliveries: for a process that ends after its pass.
    """

    def __init__(self, notifier: Notifier, repository: Repository, compiler: Compiler, *, settle: float) -> None:
        self._notifier = notifier
        self._repository = repository
        self._compiler = compiler
        self._settle = settle
        self._brought: dict[Key, tuple[RolloutStatus, dict[tuple[str, ...], str]]] = {}

    def told(
        self, desired: Desired, walks: Iterable[tuple[Course, Evidence]], *, at: datetime
    ) -> tuple[tuple[Course, Evidence], ...]:
        """Tell what has not been told.

        Returns:
            The rollouts of which everybody has been told something new now, with evidence that says so.
        """
        receivers = desired.mesh.settings.notifications
        if not receivers:
            return ()
        due = [
            (course, evidence, notice)
            for course, evidence in walks
            if (notice := self._notice(desired, course, evidence, at)) is not None
        ]
        waiting = [notice for _, _, notice in due if not self._notifier.tell(notice, receivers)]
        if waiting and self._settle:
            self._notifier.wait(self._settle)
        return tuple(
            (course, replace(evidence, notified=notice.id))
            for course, evidence, notice in due
            if self._notifier.tell(notice, receivers)
        )

    def _notice(self, desired: Desired, course: Course, evidence: Evidence, at: datetime) -> Notice | None:
        return due_notice(
            course,
            evidence,
            began=lambda fields: self._bringing(course, fields, desired.commit),
            weight=standing(course, desired.source).percent,
            repository=self._repository.location,
            at=at,
        )

    def _bringing(self, course: Course, fields: tuple[str, ...], head: str) -> str:
        """The commit that gave these fields of the status their values; looked up once for each status."""
        status, known = self._brought.get(course.key, (None, {}))
        if status != course.status:
            known = {}
            self._brought[course.key] = (course.status, known)
        if fields not in known:
            known[fields] = self._search(course, fields, head)
        return known[fields]

    def _search(self, course: Course, fields: Sequence[str], head: str) -> str:
        wanted = [getattr(course.status, name) for name in fields]
        found = head
        for info in self._repository.log(head, first_parent=True):
            mesh = self._compiler.mesh(self._repository.tree(info.id))
            if mesh is None:
                continue
            policy = next((item for item in mesh.rollouts if item.key == course.key), None)
            status = policy.status if policy is not None else None
            if status is None or [getattr(status, name) for name in fields] != wanted:
                break
            found = info.id
        return found
