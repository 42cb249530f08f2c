"""Resuming: where a paused run goes on. The engine's own way when `spec.paused` is gone, and the command line's."""

from __future__ import annotations

from reconciler.model.rollout import Phase, RolloutStatus
from reconciler.rollouts.course import WEIGHT_TOLERANCE, Course


def resumption(course: Course, weight: float) -> tuple[RolloutStatus, float]:
    """The status that resumes a paused run, and the canary's weight that goes with it.

    It goes on at its step. Where the steps were edited, or somebody took weight away, it goes on at the last `setWeight` that gives the
    canary no more than it has, and never raises it; at the first step if there is none.

    Args:
        course: A paused run.
        weight: Percent that `main` gives the canary now.
    """
    status = course.status
    same = status.steps == course.digest and status.step <= len(course.steps)
    stays = same and course.weight_at(status.step) <= weight + WEIGHT_TOLERANCE
    step = status.step if stays else course.step_for(weight)
    found = RolloutStatus(phase=Phase.PROGRESSING, step=step, run=status.run, steps=course.digest)
    return found, course.weight_at(step)
