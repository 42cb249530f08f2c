"""From what Git says of a run to its picture: what weight, success rate and request times were, and when. Pure.

Each two receipts with counters of one caller bound a window, and what was counted in it is one point of each line: exact, for canary and
stable alike, and whatever an analysis looked at. A window without requests, or in which a caller began anew, has no point of it.
Where no counters were recorded (metrics from a Prometheus), an analysis' own measurements are the canary's line.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import pairwise

from reconciler.model.analysis import DURATION, SUCCESS_RATE
from reconciler.model.reading import Counts, total
from reconciler.model.rollout import Phase
from reconciler.rollouts.chronicle import Event, Recorded, Written, events, of_run, said
from reconciler.rollouts.course import Course
from reconciler.rollouts.evidence import Evidence, Seen
from reconciler.rollouts.metric import Metric
from reconciler.rollouts.quantiles import quantile
from reconciler.rollouts.timeline import Mark, Moment, Pair, Point, Timeline

_ENDS = {
    Phase.PAUSED: (Mark.HELD, "paused"),
    Phase.SUCCEEDED: (Mark.GOOD, "succeeded"),
    Phase.ABORTED: (Mark.BAD, "aborted"),
}


def picture(written: Sequence[Written], recorded: Sequence[Recorded], course: Course, *, now: datetime) -> Timeline:
    """The newest run.

    Args:
        written: Commits on `main`, oldest first.
        recorded: Receipts, oldest first.
        course: As `main` has it now.
        now: Where the picture of a run that goes on ends.
    """
    run = course.status.run or course.spec.run_name
    mine = of_run(events(written, recorded), run)
    began = next((event.at for event in mine if event.branch == "main" and event.phase is not Phase.PENDING), None)
    start = began or (mine[0].at if mine else now)
    ended = course.status.phase.ended
    last = max((event.at for event in mine), default=now)
    end = max(start, last if ended else max(now, last))
    seen = [item for item in recorded if item.evidence is not None and item.evidence.run == run and item.at >= start]
    percentile = _percentile(course)
    return Timeline(
        title=f"{course.key.short()}: {course.spec.stable} \N{RIGHTWARDS ARROW} {course.spec.canary}",
        words=_words(course, (end - start).total_seconds()),
        start=start,
        end=end,
        weight=tuple(_weights(written, start, end)),
        success=_pair(seen, course, SUCCESS_RATE, percentile),
        duration=_pair(seen, course, DURATION, percentile),
        percentile=percentile,
        moments=tuple(_moments(mine, start)),
    )


def _words(course: Course, seconds: float) -> str:
    status, total_steps = course.status, len(course.steps)
    at = f"step {min(status.step + 1, total_steps)}/{total_steps}"
    reason = f": {status.reason}" if status.reason else ""
    if status.phase is Phase.SUCCEEDED:
        return f"Succeeded after {said(seconds)}"
    return f"{status.phase} after {said(seconds)}, {at}{reason}"


def _weights(written: Sequence[Written], start: datetime, end: datetime) -> Iterator[Point]:
    last: float | None = None
    for index, item in enumerate(written):
        following = written[index + 1].at if index + 1 < len(written) else None
        if (
            item.weight is None
            or item.weight == last
            or item.at > end
            or (following is not None and following <= start)
        ):
            continue
        last = item.weight
        yield Point(max(item.at, start), item.weight)


def _moments(found: Sequence[Event], start: datetime) -> Iterator[Moment]:
    """Steps where they begin, and pauses and ends where `main` says so."""
    step, phase = -1, Phase.PENDING
    for event in found:
        if event.branch != "main" or event.at < start:
            continue
        if event.phase is not phase and event.phase in _ENDS:
            mark, label = _ENDS[event.phase]
            yield Moment(at=event.at, mark=mark, label=label, words=event.what)
        elif event.step != step and event.phase is not Phase.PENDING:
            yield Moment(at=event.at, mark=Mark.STEP, label=str(event.step + 1), words=event.what)
        step, phase = event.step, event.phase


def _pair(seen: Sequence[Recorded], course: Course, kind: str, percentile: float) -> Pair:
    canary = tuple(_counted(seen, kind, percentile, stable=False))
    stable = tuple(_counted(seen, kind, percentile, stable=True))
    limit = next((limit for metric in _metrics(course, kind) if (limit := _limit(metric)) is not None), None)
    if not canary and not stable:
        canary = tuple(_measured(seen, course, kind))
    return Pair(canary=canary, stable=stable, limit=limit if canary or stable else None)


def _counted(seen: Sequence[Recorded], kind: str, percentile: float, *, stable: bool) -> Iterator[Point]:
    for before, after in pairwise(seen):
        if before.evidence is None or after.evidence is None:
            continue
        counts = _window(before.evidence, after.evidence, stable=stable)
        value = math.nan
        if counts.requests and kind == SUCCESS_RATE:
            value = 100 * (1 - counts.errors / counts.requests)
        elif kind == DURATION:
            value = quantile(counts.times, percentile)
        if math.isfinite(value):
            yield Point(after.at, value)


def _window(before: Evidence, after: Evidence, *, stable: bool) -> Counts:
    """What all callers counted between two receipts."""
    found = []
    for key, now in after.callers.items():
        then = before.callers.get(key)
        if then is None or then.epoch != now.epoch:
            continue
        old, new = _side(then, stable=stable), _side(now, stable=stable)
        counted = new.minus(old) if old is not None and new is not None else None
        if counted is not None:
            found.append(counted)
    return total(found)


def _side(seen: Seen, *, stable: bool) -> Counts | None:
    return seen.stable if stable else seen.canary


def _measured(seen: Sequence[Recorded], course: Course, kind: str) -> Iterator[Point]:
    """Each new measurement of the first metric of this kind."""
    names = [(planned, metric.name) for planned, metric in _planned(course) if metric.spec.name == kind]
    last = None
    for item in seen:
        for planned, name in names:
            running = item.evidence.analyses.get(planned) if item.evidence is not None else None
            measured = running.metrics.get(name) if running is not None else None
            if (
                measured is not None
                and measured.value is not None
                and (planned, measured.since, measured.value) != last
            ):
                last = (planned, measured.since, measured.value)
                yield Point(item.at, measured.value)
                break


def _planned(course: Course) -> Iterator[tuple[str, Metric]]:
    for planned in (course.background, *course.analyses.values(), course.post):
        if planned is not None:
            for metric in planned.metrics:
                yield planned.id, metric


def _metrics(course: Course, kind: str) -> list[Metric]:
    return [metric for _, metric in _planned(course) if metric.spec.name == kind]


def _limit(metric: Metric) -> float | None:
    limits = metric.spec.threshold_range
    if limits is None:
        return None
    return limits.max if metric.spec.name == DURATION else limits.min


def _percentile(course: Course) -> float:
    """The first that an analysis asks for; 99 if none does."""
    return next((metric.spec.envoy.percentile for metric in _metrics(course, DURATION) if metric.spec.envoy), 99.0)
