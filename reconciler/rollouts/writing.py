"""Writing: what a decision changes in the files of `main`: the weights and the status, in one commit. Pure.

Comes after the engine and before Git. It only splices, so everything that people wrote stays as it is to the byte.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from reconciler.model.mesh import Mesh
from reconciler.model.rollout import RolloutStatus
from reconciler.rollouts.course import Course
from reconciler.rollouts.decision import Decision
from reconciler.rollouts.statusblock import Read, policy_of, spliced, status_edit, without
from reconciler.rollouts.weights import service_of, weight_edits
from reconciler.yamldoc import Change, SpliceError


def files(decision: Decision, course: Course, mesh: Mesh, read: Read) -> Mapping[str, bytes]:
    """The content of the files that a decision changes, by path; none for HOLD.

    The end of a run takes `spec.step` with it, which has promoted that run and would keep the next one from beginning.

    Args:
        decision: Made from `course`.
        course: Of the commit that is to be the parent.
        mesh: Of that commit, as its files have it (without overlays).
        read: The files of that commit.

    Raises:
        WeightError: The target can't have such a weight.
        SpliceError: A file is written in a way in which it can't be changed in place.
    """
    if not decision.commits:
        return {}
    return next(ways(decision, course, mesh, read))


def ways(decision: Decision, course: Course, mesh: Mesh, read: Read) -> Iterator[Mapping[str, bytes]]:
    """What `files` writes, and then what else would say the same: the end of a run that leaves `spec.step` where it is.

    The latter is written where the field can't be taken away in place, and lands where somebody promotes a run whose end is proposed.
    """
    bare = edits(course, mesh, decision.status, decision.weight)
    if decision.status.phase.ended and course.spec.step and not course.starts:
        path = policy_of(course, mesh).origin.file
        with suppress(SpliceError):  # an anchor, perhaps: people can take it away, and the run has ended all the same
            yield spliced(read, {**bare, path: [*bare[path], *without(course, mesh, read, ["step"])]})
    yield spliced(read, bare)


def edits(course: Course, mesh: Mesh, status: RolloutStatus, weight: float | None) -> dict[str, list[Change]]:
    """By file, the edits that write a status, and a weight unless it is None."""
    found: dict[str, list[Change]] = {policy_of(course, mesh).origin.file: [status_edit(course, mesh, status)]}
    service = service_of(course, mesh)
    if weight is not None:
        moved = weight_edits(course, mesh, weight)
        if service is not None and moved:
            found.setdefault(service.origin.file, []).extend(moved)
    return found
