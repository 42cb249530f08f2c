"""Commands of people, as commits: what `reconcile rollout promote`, `pause`, `resume`, `abort` and `retry` write. Pure.

Each sets what a person could as well write into `spec` by hand; the engine reads it from `main` and does the rest. Only `resume`
writes a status, since nothing else says that a person has looked.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from reconciler.errors import InputError
from reconciler.model.mesh import Mesh
from reconciler.model.rollout import Phase
from reconciler.rollouts.course import WEIGHT_TOLERANCE, Course
from reconciler.rollouts.deciding import PAUSED_BY_SPEC
from reconciler.rollouts.messages import ROLLOUT, position
from reconciler.rollouts.resuming import resumption
from reconciler.rollouts.statusblock import Read, field, policy_of, spliced, without
from reconciler.rollouts.weights import standing
from reconciler.rollouts.wording import points
from reconciler.rollouts.words import visible
from reconciler.rollouts.writing import edits
from reconciler.yamldoc import Change

COMMAND = "Rollout-Command"

_NAME = 80
_NUMBER = re.compile(r"(.*?)(\d+)\Z", re.DOTALL)


class CommandError(InputError):
    """A command does not fit where the rollout stands; nothing is written."""

    default_code = "rollout-command"


@dataclass(frozen=True, slots=True)
class Commanded:
    """One command as a commit.

    Attributes:
        files: Content of the files that change, by path.
        message: Subject, and the trailers `Rollout` and `Rollout-Command`.
    """

    files: Mapping[str, bytes]
    message: str


def promote(course: Course, mesh: Mesh, read: Read) -> Commanded:
    """Go on to the next step, whatever this one waits for: `spec.step`.

    Raises:
        CommandError: No run walks, or it was asked for already.
    """
    return _promote(course, mesh, read, course.status.step + 1, "promote")


def promote_full(course: Course, mesh: Mesh, read: Read) -> Commanded:
    """Go through all steps, whatever they wait for: `spec.step`.

    Raises:
        CommandError: As `promote`.
    """
    return _promote(course, mesh, read, len(course.steps), "promote-full")


def pause(course: Course, mesh: Mesh, read: Read) -> Commanded:
    """Hold the run where it is, or keep one that is to come from beginning: `spec.paused: true`.

    Raises:
        CommandError: Nothing runs or is to run, or it is paused.
    """
    if not course.starts:
        _require_running(course)
    if course.spec.paused:
        raise CommandError(f"{course.key.short()} is paused already", hint="resume ends that")
    return _commanded(course, mesh, read, [field(course, mesh, "paused", value=True)], "pause")


def resume(course: Course, mesh: Mesh, read: Read) -> Commanded:
    """Go on: take `spec.paused` away, and where the pause has another reason, say that a person has looked.

    The latter writes the status, the weights of the step that it goes on at, and the digest of the steps as they are now.

    Raises:
        CommandError: It is not paused.
        WeightError: The target can't have the weight of that step.
    """
    phase, spec = course.status.phase, course.spec
    if phase is not Phase.PAUSED and not spec.paused:
        raise CommandError(f"{course.key.short()} is not paused: it is {phase}", hint="nothing has to be resumed")
    found: dict[str, list[Change]] = {}
    file = policy_of(course, mesh).origin.file
    kept = course.starts and spec.paused  # from beginning: of the last run nothing is said
    if phase is Phase.PAUSED and not kept and (course.status.reason != PAUSED_BY_SPEC or not spec.paused):
        found = edits(course, mesh, *resumption(course, standing(course, mesh).percent))
    if spec.paused:
        found.setdefault(file, []).extend(without(course, mesh, read, ["paused"]))
    return Commanded(spliced(read, found), _message(course, "resume"))


def abort(course: Course, mesh: Mesh, read: Read) -> Commanded:
    """Give all traffic back to stable: `spec.abort: true`.

    Raises:
        CommandError: Nothing runs, or it was asked for already.
    """
    _require_running(course)
    if course.spec.abort:
        raise CommandError(f"{course.key.short()} is told to abort already", hint="the next pass does it")
    return _commanded(course, mesh, read, [field(course, mesh, "abort", value=True)], "abort")


def retry(course: Course, mesh: Mesh, read: Read, *, run: str = "") -> Commanded:
    """Begin another run of the same subsets: another `spec.run`, without the `abort`, `paused` and `step` of the last.

    Args:
        course: An ended run.
        mesh: Of the same commit.
        read: Files of the same commit.
        run: The new run's name; by default the last one's with its number plus one.

    Raises:
        CommandError: The run has not ended, the name is the last one's, or the canary has more than the first step gives it.
    """
    spec = course.spec
    if not course.status.phase.ended:
        raise CommandError(f"{course.key.short()} has not ended: it is {course.status.phase}", hint="abort it first")
    name = run or _next(spec.run)
    if name == spec.run:
        raise CommandError(f"the last run is called {visible(name, _NAME)} too", hint="give the new one another name")
    has, first = standing(course, mesh).percent, course.weight_at(0)
    if has > first + WEIGHT_TOLERANCE:
        raise CommandError(
            f"{visible(spec.canary, _NAME)} has {points(has)} of the traffic already, and a run begins with {points(first)}",
            hint=f"give {visible(spec.stable, _NAME)} its traffic back first, or exchange stable and canary for a run the other way",
        )
    changes: list[Change] = [field(course, mesh, "run", name)]
    changes += without(course, mesh, read, [item for item in ("abort", "paused") if getattr(spec, item)])
    if spec.step is not None:
        changes.append(field(course, mesh, "step", 0))
    return _commanded(course, mesh, read, changes, "retry")


def _promote(course: Course, mesh: Mesh, read: Read, step: int, command: str) -> Commanded:
    _require_running(course)
    if course.status.phase is Phase.PAUSED or course.spec.paused:
        raise CommandError(f"{course.key.short()} is paused", hint="resume it first")
    if step > len(course.steps) or (course.spec.step is not None and course.spec.step >= step):
        raise CommandError(
            f"{course.key.short()} is told to go on already",
            hint=f"`reconcile rollout show {visible(course.key.short(), _NAME)}` says what it waits for",
        )
    return _commanded(course, mesh, read, [field(course, mesh, "step", step)], command)


def _require_running(course: Course) -> None:
    phase = course.status.phase
    if course.starts or phase is Phase.PENDING or phase.ended:
        name = visible(course.key.short(), _NAME)
        begins = course.starts or phase is Phase.PENDING
        said = "has not begun" if begins else f"has ended: it is {phase}"
        keep = (
            f"`reconcile rollout pause {name}` keeps it from beginning; " if begins and not course.spec.paused else ""
        )
        raise CommandError(
            f"the run {course.spec.run_name} of {name} {said}",
            hint=f"{keep}`reconcile rollout show {name}` says how it stands",
        )


def _commanded(course: Course, mesh: Mesh, read: Read, changes: list[Change], command: str) -> Commanded:
    return Commanded(spliced(read, {policy_of(course, mesh).origin.file: changes}), _message(course, command))


def _message(course: Course, command: str) -> str:
    name = visible(course.key.short(), _NAME)
    at = f"at step {position(course.status.step, course)}/{len(course.steps)}"
    if course.starts:
        at = f"before {visible(course.spec.run_name, _NAME)} begins"
    return f"canary({name}): {command} {at}\n\n{ROLLOUT}: {course.key}\n{COMMAND}: {command}\n"


def _next(run: str) -> str:
    if not run:
        return "2"
    found = _NUMBER.match(run)
    return f"{found[1]}{int(found[2]) + 1}" if found else f"{run}-2"
