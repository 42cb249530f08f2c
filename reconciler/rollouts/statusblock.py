"""The parts of a Rollout's document that are written by machine: `status`, and single fields of `spec` for the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reconciler.errors import BugError
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.rollout import Rollout, RolloutStatus
from reconciler.rollouts.course import Course
from reconciler.rollouts.words import visible
from reconciler.yamldoc import Change, Drop, Edit, Put, SpliceError, splice

Read = Callable[[str], bytes]
"""The content of a file of one commit, by its path."""

_REASON = 400


def status_edit(course: Course, mesh: Mesh, status: RolloutStatus) -> Put:
    """The block `status`, at the end of the rollout's document or in the place of the one that is there."""
    return Put(policy_of(course, mesh).origin.document, ("status",), status_block(status))


def status_block(status: RolloutStatus) -> Mapping[str, Any]:
    """What `status` says: `reason` is one bounded line, and left out where there is none."""
    block = {"phase": str(status.phase), "step": status.step, "run": status.run, "steps": status.steps}
    reason = visible(status.reason, _REASON)
    return block | ({"reason": reason} if reason else {})


def field(course: Course, mesh: Mesh, name: str, value: str | float) -> Put:
    """A field of the rollout's spec."""
    return Put(policy_of(course, mesh).origin.document, ("spec", name), value)


def without(course: Course, mesh: Mesh, read: Read, names: Sequence[str]) -> tuple[Change, ...]:
    """The edits that take back fields of the rollout's spec; one that has a comment beside it becomes `false`, and `step` 0."""
    origin = policy_of(course, mesh).origin
    text = read(origin.file)
    found: list[Change] = []
    for name in names:
        path = ("spec", name)
        try:
            splice(text, [Drop(origin.document, path)])
            found.append(Drop(origin.document, path))
        except SpliceError:
            found.append(Edit(origin.document, path, value=0 if name == "step" else False))
    return tuple(found)


def policy_of(course: Course, mesh: Mesh) -> Policy[Rollout]:
    """The document of a course.

    Raises:
        BugError: The mesh is not the one that the course was made from.
    """
    for policy in mesh.rollouts:
        if policy.key == course.key:
            return policy
    raise BugError(f"the mesh has no rollout {course.key}")


def spliced(read: Read, edits: Mapping[str, Sequence[Change]]) -> dict[str, bytes]:
    """The files that come out different, each spliced once.

    Raises:
        SpliceError: A file is written in a way in which this can't be changed in place; its message begins with the path.
    """
    found: dict[str, bytes] = {}
    for path in sorted(edits):
        before = read(path)
        try:
            after = splice(before, edits[path])
        except SpliceError as error:
            raise SpliceError(f"{path}: {error.message}", hint=error.diagnostics[0].hint) from error
        if after != before:
            found[path] = after
    return found
