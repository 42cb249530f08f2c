"""What `reconcile rollout` says, as documents: the contract of `--output json`, and what the text is made of. Pure."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from reconciler.cli.rollout.reading import Seen
from reconciler.cycle.past import Standpoint
from reconciler.cycle.standstill import held
from reconciler.rollouts.chronicle import Event, described, of_run
from reconciler.rollouts.comparison import State, judge
from reconciler.rollouts.course import Course, Planned
from reconciler.rollouts.decision import Move
from reconciler.rollouts.evidence import Evidence, Measured
from reconciler.rollouts.metric import Metric
from reconciler.rollouts.outlook import Outlook, outlook

SCHEMA = 1
_HOLD = f"{Move.HOLD}: "


def listed(point: Standpoint, rollouts: Iterable[Seen], *, now: datetime) -> dict[str, Any]:
    """All rollouts, a row each."""
    return _head(point) | {"rollouts": [_row(point, seen, now) for seen in rollouts], "errors": _errors(point)}


def shown(point: Standpoint, seen: Seen, found: Sequence[Event], *, now: datetime) -> dict[str, Any]:
    """One rollout: its steps, what was measured, its commits, and what comes next.

    Args:
        point: Where it is read.
        seen: The rollout.
        found: All that happened to it, oldest first.
        now: What is left until something falls due counts from here.
    """
    course, evidence, spec = seen.course, seen.evidence, seen.course.spec
    run = course.status.run or spec.run_name
    detail = {
        "stable": spec.stable,
        "canary": spec.canary,
        "target": course.spec.target.virtual_service.name,
        "plan": [
            {"step": index, "words": described(step), "state": _state(course, index)}
            for index, step in enumerate(course.steps)
        ],
        "evidence": _evidence(seen),
        "analyses": list(_analyses(course, evidence)) if evidence is not None else [],
        "commits": [
            {
                "at": _time(event.at),
                "branch": event.branch,
                "commit": event.commit,
                "by": event.by,
                "subject": event.subject,
            }
            for event in of_run(found, run)
        ],
    }
    return _head(point) | {"rollout": _row(point, seen, now) | detail, "errors": _errors(point)}


def told(point: Standpoint, seen: Seen, found: Iterable[Event]) -> dict[str, Any]:
    """All that happened to one rollout, oldest first."""
    return _head(point) | {
        "rollout": {"name": seen.course.key.name, "namespace": seen.course.key.namespace},
        "events": [_event(event) for event in found],
        "errors": _errors(point),
    }


def _head(point: Standpoint) -> dict[str, Any]:
    return {"schema_version": SCHEMA, "head": point.head, "commit": point.commit}


def _errors(point: Standpoint) -> list[dict[str, Any]]:
    return [item.as_json() for item in point.errors]


def _row(point: Standpoint, seen: Seen, now: datetime) -> dict[str, Any]:
    course, evidence = seen.course, seen.evidence
    status = course.status
    aborted = evidence.aborted if evidence is not None else None
    ahead, waiting = outlook(course, evidence, weight=seen.weight), _waiting(seen)
    if point.commit != point.head and aborted is None and not (status.phase.ended or course.spec.abort):
        waiting = "the head of the branch can't be used"
        ahead = Outlook(words="nothing moves until somebody mends the branch; a failed analysis aborts all the same")
    else:
        standing = held(point.mesh.settings, now)
        if standing.rollouts and aborted is None and not (status.phase.ended or course.spec.abort):
            waiting, ahead = standing.rollouts, _after(ahead, standing.rollouts_until)
    left = (ahead.due - now).total_seconds() if ahead.due is not None else None
    return {
        "name": course.key.name,
        "namespace": course.key.namespace,
        "run": status.run or course.spec.run_name,
        "phase": str(status.phase),
        "step": status.step,
        "steps": len(course.steps),
        "weight": seen.weight,
        "verified": seen.verified,
        "verified_at": _time(evidence.verified) if evidence is not None and seen.verified else None,
        "reason": status.reason or (f"aborted: {aborted.reason}" if aborted is not None else ""),
        "waiting": waiting,
        "next": {
            "words": ahead.words,
            "due": _time(ahead.due),
            "seconds": None if left is None else round(max(0.0, left), 3),
            "verb": ahead.verb,
        },
    }


def _after(ahead: Outlook, end: datetime | None) -> Outlook:
    """What comes next, and not before what holds it ends."""
    times = [time for time in (ahead.due, end) if time is not None]
    return replace(ahead, words=f"{ahead.words}, once changes are made again", due=max(times, default=None))


def _waiting(seen: Seen) -> str:
    """Why nothing happened in the pass that was recorded last; "" if the run has come further since."""
    evidence = seen.evidence
    if evidence is None or evidence.step != seen.course.status.step or evidence.phase is not seen.course.status.phase:
        return ""
    return evidence.note.partition(_HOLD)[2] if evidence.note.startswith(_HOLD) else ""


def _state(course: Course, index: int) -> str:
    status = course.status
    if course.starts or index > status.step or not status.run:
        return "to-come"
    return "current" if index == status.step else "done"


def _evidence(seen: Seen) -> dict[str, Any] | None:
    evidence, recorded = seen.evidence, seen.recorded
    if evidence is None or recorded is None:
        return None
    aborted = evidence.aborted
    return {
        "commit": recorded.commit,
        "at": _time(recorded.at),
        "subject": recorded.subject,
        "policy_commit": recorded.policy_commit,
        "applied": recorded.applied,
        "proxies": recorded.proxies,
        "entered": _time(evidence.entered),
        "verified": _time(evidence.verified),
        "note": evidence.note,
        "pausing": evidence.pausing,
        "aborted": None
        if aborted is None
        else {"reason": aborted.reason, "at": _time(aborted.at), "measured": list(aborted.measured)},
    }


def _analyses(course: Course, evidence: Evidence) -> Iterator[dict[str, Any]]:
    for planned in _planned(course):
        running = evidence.analyses.get(planned.id)
        if running is not None:
            yield {
                "id": planned.id,
                "started": _time(running.started),
                "passed": running.passed,
                "metrics": [
                    _metric(metric, running.metrics[metric.name])
                    for metric in planned.metrics
                    if metric.name in running.metrics
                ],
            }


def _planned(course: Course) -> Iterator[Planned]:
    if course.background is not None:
        yield course.background
    yield from (course.analyses[index] for index in sorted(course.analyses))
    if course.post is not None:
        yield course.post


def _metric(metric: Metric, measured: Measured) -> dict[str, Any]:
    spec = metric.spec
    limits = spec.threshold_range
    return {
        "name": metric.name,
        "label": metric.label,
        "unit": metric.unit.strip(),
        "value": _finite(measured.value),
        "outcome": str(measured.outcome) if measured.outcome is not None else None,
        "detail": measured.detail,
        "waiting": measured.waiting,
        "passed": measured.passed,
        "failed": measured.failed,
        "inconclusive": measured.inconclusive,
        "errors": measured.errors,
        "count": metric.count,
        "min": limits.min if limits is not None else None,
        "max": limits.max if limits is not None else None,
        "failure_limit": spec.failure_limit,
        "inconclusive_limit": spec.inconclusive_limit,
        "consecutive_error_limit": spec.consecutive_error_limit,
        "min_requests": spec.min_requests if spec.envoy is not None else None,
        "canary_requests": measured.canary.requests,
        "stable_requests": measured.stable.requests,
        "comparison": _comparison(measured.comparison),
    }


def _comparison(state: State | None) -> Mapping[str, Any] | None:
    if state is None:
        return None
    found = judge(state)
    return {"verdict": str(found.verdict), "e_value": _finite(found.e_value), "detail": found.detail}


def _event(event: Event) -> dict[str, Any]:
    return {
        "at": _time(event.at),
        "branch": event.branch,
        "commit": event.commit,
        "by": event.by,
        "what": event.what,
        "before": event.before,
        "after": event.after,
        "run": event.run,
        "phase": str(event.phase),
        "step": event.step,
        "measured": list(event.measured),
        "applied": event.applied,
        "proxies": event.proxies,
        "subject": event.subject,
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity; evidence beyond all numbers is the greatest there is."""
    if value is None or math.isnan(value):
        return None
    return min(max(value, -sys.float_info.max), sys.float_info.max)


def _time(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat()
