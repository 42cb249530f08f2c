"""Pausing: what makes a run wait for a person although nobody touched it: doubt about measurements, and deadlines."""

from __future__ import annotations

from reconciler.clock import format_duration
from reconciler.rollouts.analysing import doubt, pending, uncompared, unmeasured
from reconciler.rollouts.course import Course
from reconciler.rollouts.evidence import Evidence
from reconciler.rollouts.facts import Facts
from reconciler.rollouts.gates import not_live
from reconciler.rollouts.walking import deadline, own


def why_pause(course: Course, evidence: Evidence, facts: Facts) -> str:
    """Why a person has to look; "" if nobody has."""
    return doubt(course, evidence) or _late(course, evidence, facts)


def _late(course: Course, evidence: Evidence, facts: Facts) -> str:
    end = deadline(course, evidence)
    if end is None or facts.now < end:
        return ""
    limit = format_duration(course.progress_deadline)
    if evidence.verified is None:
        return f"no progress in {limit}: {not_live(course, facts)}"
    analysis = own(course)
    waiting = pending(analysis, course, evidence) if analysis is not None else ""
    waiting = waiting or uncompared(course, evidence) or unmeasured(course, evidence)
    return f"no verdict in {limit} more than it needs: {waiting}"
