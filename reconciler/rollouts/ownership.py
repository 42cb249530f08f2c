"""Ownership: whether a commit is what the engine would have written, and what a person's commit did to a rollout. Pure.

A commit is ours if its content is what the engine writes from its first parent. Ids and trailers do not count: they are lost by
squashing and rebasing, and survive where a person has added to a step. Who a commit is by does not count either: a person
who commits just the step that is due has done the engine's work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from reconciler.errors import InputError
from reconciler.model.mesh import Mesh
from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.model.tree import FileKind, Tree
from reconciler.rollouts.commands import resume
from reconciler.rollouts.course import WEIGHT_TOLERANCE, Course, same_weight
from reconciler.rollouts.decision import Decision, Move
from reconciler.rollouts.resuming import resumption
from reconciler.rollouts.statusblock import Read, policy_of
from reconciler.rollouts.walking import last
from reconciler.rollouts.weights import Standing, shares, standing
from reconciler.rollouts.writing import ways
from reconciler.yamldoc import YamlError, load


@dataclass(frozen=True, slots=True)
class Stand:
    """A rollout in one commit.

    Attributes:
        course: Made from `mesh`.
        mesh: As the files have it, without overlays.
    """

    course: Course
    mesh: Mesh


def changed(before: Tree, after: Tree) -> dict[str, bytes | None]:
    """The files in which two commits differ, with their content afterwards; None for what is gone or is no file."""
    old = {file.path: (file.blob, file.kind) for file in before.files("")}
    new = {file.path: file for file in after.files("")}
    found: dict[str, bytes | None] = dict.fromkeys(path for path in old if path not in new)
    for path, file in new.items():
        if old.get(path) != (file.blob, file.kind):
            found[path] = after.read(file) if file.kind is FileKind.FILE else None
    return found


def explains(parent: Stand, read: Read, child: Mapping[str, bytes | None]) -> Decision | None:
    """The decision whose files these are, or None if the engine would not have written them from that parent.

    The child's `status` says which decision that would be. Then the files that it writes have to be the child's, to the byte, and
    no other file may differ; and the parent has to allow it: no step forward past `spec.paused`, `spec.abort`, steps that were
    edited, or weights that are not those of the parent's step. Whether the step was due by time and evidence is not asked.

    Args:
        parent: The rollout in the first parent.
        read: The files of the first parent.
        child: Every file in which the commit differs from its first parent (`changed`).
    """
    try:
        status = _status(parent, child)
        decision = _candidate(parent, status) if status is not None else None
        if decision is None:
            return None
        ours = any(dict(way) == dict(child) for way in ways(decision, parent.course, parent.mesh, read))
        if not ours and decision.move is Move.RESUME:  # with spec.paused taken away in the same commit
            ours = dict(resume(parent.course, parent.mesh, read).files) == dict(child)
    except InputError:
        return None
    return decision if ours else None


def touched(before: Stand | None, after: Stand | None) -> str:
    """What a person's commit did to a run, as a verb with its object; "" if nothing that the engine minds.

    Args:
        before: The rollout in the first parent; None if it is not there.
        after: The rollout in the commit; None if it is not there.
    """
    if before is None or after is None:
        return ""  # begun by a person, or taken away: there is nothing to walk
    old, new = before.course, after.course
    if old.status != new.status:
        return _restated(old.status, new)
    was, now = shares(old, before.mesh), shares(new, after.mesh)
    name = old.spec.target.virtual_service.name
    if old.spec.target != new.spec.target or was.keys() != now.keys():
        return f"changed the routes of {name} that are moved"
    if was != now:
        return f"moved the weight of {name}"
    return "edited the steps" if old.digest != new.digest else ""


def _restated(old: RolloutStatus, new: Course) -> str:
    """What somebody did who wrote another status."""
    if new.starts and old.run == new.spec.run_name:
        return "took the beginning of the run back"
    return "took a step back" if old.run == new.status.run and new.status.step < old.step else "changed the status"


def _status(parent: Stand, child: Mapping[str, bytes | None]) -> RolloutStatus | None:
    """What the child says in the document that the parent has the rollout in; None if it says nothing new there."""
    origin = policy_of(parent.course, parent.mesh).origin
    text = child.get(origin.file)
    if text is None:
        return None
    try:
        documents = load(text)
        said: Any = documents[origin.document]["status"]
        return RolloutStatus.model_validate(said | {"phase": Phase(said["phase"])})
    except (YamlError, LookupError, TypeError, ValueError, ValidationError):
        return None


def _candidate(parent: Stand, status: RolloutStatus) -> Decision | None:
    """The decision that leads from the parent to this status, if the engine could have made it."""
    course, has = parent.course, standing(parent.course, parent.mesh)
    weight: float | None = None
    begins = course.starts and status.run == course.spec.run_name
    match status.phase:
        case Phase.ABORTED:
            move, weight = Move.ABORT, 0.0
            expected = course.status.model_copy(update={"phase": status.phase})
        case Phase.PAUSED:
            move = Move.PAUSE
            fresh = RolloutStatus(run=course.spec.run_name, steps=course.digest)
            expected = (fresh if begins else course.status).model_copy(update={"phase": status.phase})
        case Phase.PROGRESSING if begins:
            move, weight = Move.START, course.weight_at(0)
            expected = RolloutStatus(phase=status.phase, run=course.spec.run_name, steps=course.digest)
        case Phase.PROGRESSING if course.status.phase is Phase.PAUSED:
            move = Move.RESUME
            expected, weight = resumption(course, has.percent)
        case Phase.PROGRESSING:
            move, weight = Move.ADVANCE, course.weight_at(course.status.step + 1)
            expected = course.status.model_copy(update={"step": course.status.step + 1})
        case Phase.SUCCEEDED:
            move, weight = Move.FINISH, course.weight_at(len(course.steps))
            expected = course.status.model_copy(update={"phase": status.phase, "step": len(course.steps)})
        case _:
            return None
    said = move in {Move.ABORT, Move.PAUSE}
    if status != (expected.model_copy(update={"reason": status.reason}) if said else expected):
        return None
    if not _allowed(course, has, move):
        return None
    return Decision(
        rollout=course.key, move=move, before=course.status, status=status, weight=weight, reason=status.reason
    )


def _allowed(course: Course, has: Standing, move: Move) -> bool:
    """Whether the parent leaves the engine free to make this move."""
    spec, status = course.spec, course.status
    match move:
        case Move.ABORT | Move.PAUSE:
            return not status.phase.ended or move is Move.PAUSE
        case Move.RESUME:
            return not spec.abort
        case Move.START:
            free = has.even and has.percent <= course.weight_at(0) + WEIGHT_TOLERANCE
        case _:
            stands = has.even and same_weight(has.percent, course.weight_at(status.step))
            walks = status.phase is Phase.PROGRESSING and status.steps == course.digest and not course.starts
            free = stands and walks and last(course) == (move is Move.FINISH)
    return free and not spec.paused and not spec.abort
