"""A rollout as Git has it, for the verbs that read; no proxy and no daemon is asked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from reconciler.cycle.commanding import UnknownRolloutError, find
from reconciler.cycle.past import Past, Standpoint, evidence_of, recorded_of, weight_of
from reconciler.gitrepo import Repository, open_repository
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.rollout import Rollout
from reconciler.rollouts.chronicle import Recorded, Written
from reconciler.rollouts.course import Course, course_of
from reconciler.rollouts.evidence import Evidence
from reconciler.settings import Settings

__all__ = ["Reader", "Seen", "UnknownRolloutError", "find", "reader", "seen_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One rollout now.

    Attributes:
        weight: Percent that the policy branch gives the canary; None if its target has no such split.
        evidence: Of its run, as last recorded; None if there is none.
        recorded: The newest receipt, as far as this rollout is concerned; None before the first.
    """

    course: Course
    weight: float | None
    evidence: Evidence | None
    recorded: Recorded | None

    @property
    def verified(self) -> bool:
        """Whether the step that the policy branch names is recorded as live on every proxy that has to have it."""
        status = self.course.status
        return self.evidence is not None and self.evidence.step == status.step and self.evidence.verified is not None


class Reader:
    """Reads rollouts of one branch; each look is at what Git has then."""

    def __init__(self, repository: Repository, ref: str) -> None:
        self.repository = repository
        self._past = Past(repository, ref)
        self._known: tuple[tuple[Key, str, str | None], tuple[tuple[Written, ...], tuple[Recorded, ...]]] | None = None

    def look(self) -> Standpoint:
        """Fetch, and say where things stand.

        Raises:
            PolicyError: Neither the head nor what was applied last can be used.
            ReconcilerError: Git can't be read.
        """
        self.repository.fetch()
        return self.standpoint()

    def standpoint(self) -> Standpoint:
        """Say where things stand as of the last fetch; as `look`."""
        return self._past.standpoint()

    def past(self, seen: Seen, point: Standpoint) -> tuple[tuple[Written, ...], tuple[Recorded, ...]]:
        """A rollout's commits on the policy branch and its receipts, oldest first. Remembered until one of the branches moves."""
        branch = point.mesh.settings.record.branch
        now = (seen.course.key, point.head, self.repository.branch(branch))
        if self._known is None or self._known[0] != now:
            written = self._past.written(seen.course.key, head=point.head)
            self._known = (now, (written, self._past.recorded(seen.course.key, branch)))
        return self._known[1]


@contextmanager
def reader(chosen: Settings) -> Iterator[Reader]:
    """A reader for the time of one command."""
    with open_repository(chosen.repo, chosen.git) as repository:
        yield Reader(repository, chosen.ref)


def seen_of(point: Standpoint, policy: Policy[Rollout]) -> Seen:
    """One rollout at a standpoint."""
    course = course_of(point.mesh, policy)
    run = course.status.run or course.spec.run_name
    evidence = evidence_of(point.receipt, policy.key)
    return Seen(
        course=course,
        weight=weight_of(point.mesh, course),
        evidence=evidence if evidence is not None and evidence.run == run else None,
        recorded=recorded_of(point.receipt, policy.key) if point.receipt is not None else None,
    )
