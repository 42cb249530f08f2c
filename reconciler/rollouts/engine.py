"""The engine: one turn of one rollout, from (course, evidence, facts) to (evidence, decision). Pure, a fold.

The pass calls it between load and compile, carries the decision out (`writing`, a commit), and records the evidence. What is
decided is never remembered as done: the next turn reads from `main` whether it was.
"""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.rollouts.course import Course
from reconciler.rollouts.decision import Decision
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.facts import Facts


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What came out of one turn.

    Attributes:
        evidence: What is known now; goes into the next turn, and to the record branch.
        decision: What happens now.
        keep: Whether the evidence has to be recorded before the next turn (an abort: before anything else), because a step, a verdict
            or a count changed. Otherwise once a minute is enough.
    """

    evidence: Evidence
    decision: Decision
    keep: bool


def turn(course: Course, evidence: Evidence | None, facts: Facts) -> Turn:
    """What one rollout does now.

    Args:
        course: From the mesh of the commit that `main` is at; of the last one that can be applied where `main` can't.
        evidence: From the last turn or from the record branch; None if there is none.
        facts: The world now.
    """
    raise NotImplementedError
