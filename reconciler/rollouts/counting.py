"""Counting: from cumulative counters of callers to the windows of running analyses, without loss and without counting twice.

A caller that can't be read now contributes nothing now, and all of it later. A caller whose process is another one, or whose
counters went back, contributes nothing until it is read again: fewer observations, never a verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from types import MappingProxyType

from reconciler.model.key import Key
from reconciler.model.reading import Counts, ProxyReading, Reading, SubsetReading, total
from reconciler.model.rollout import Phase
from reconciler.rollouts.comparison import Window, update
from reconciler.rollouts.course import Course, same_weight
from reconciler.rollouts.evidence import EMPTY, Evidence, Measured, Seen
from reconciler.rollouts.facts import Facts
from reconciler.rollouts.metric import Metric

NOTHING = Counts()
FULL = 100.0
PACE = timedelta(seconds=10)
"""How long one look of a comparison is at least, unless the metric's own interval is shorter; see docs/analysis.md."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """What came since the last reading.

    Attributes:
        canary: Requests of the canary.
        stable: Of stable.
        fair: Of both, what may be compared: callers that were proven to split by one weight all the time. None if there are none.
        at: When it was read, UTC.
    """

    at: datetime
    canary: Counts = NOTHING
    stable: Counts = NOTHING
    fair: Window | None = None


def came(course: Course, evidence: Evidence, facts: Facts) -> Came:
    """What all callers counted since they were last read."""
    if facts.reading is None:
        return Came(at=facts.now)
    deltas: dict[Key, tuple[Counts, Counts]] = {}
    fair: list[Key] = []
    for key, now in facts.reading.proxies.items():
        before = evidence.callers.get(key)
        delta = None if before is None else _since(before, now, timed=evidence.timed)
        if before is None or delta is None:
            continue
        deltas[key] = delta
        if _same(before.share, share_of(course, evidence, facts, key)):
            fair.append(key)
    return Came(
        canary=total(canary for canary, _ in deltas.values()),
        stable=total(stable for _, stable in deltas.values()),
        fair=_window([deltas[key] for key in fair], facts.weight),
        at=facts.now,
    )


def _window(deltas: list[tuple[Counts, Counts]], weight: float) -> Window | None:
    canary, stable = total(canary for canary, _ in deltas), total(stable for _, stable in deltas)
    if not canary.requests + stable.requests:
        return None
    return Window(canary=canary, stable=stable, share=weight / FULL)


def added(metric: Metric, measured: Measured, came: Came) -> Measured:
    """The window of a metric with what came; request times only where it looks at them."""
    kept = _whole if metric.kind == "duration" else without_times
    found = replace(
        measured, canary=measured.canary.plus(kept(came.canary)), stable=measured.stable.plus(kept(came.stable))
    )
    if measured.comparison is None or came.fair is None:
        return found
    slot = int(came.at.timestamp() / min(metric.interval or PACE, PACE).total_seconds())
    window = replace(came.fair, canary=kept(came.fair.canary), stable=kept(came.fair.stable), slot=slot)
    return replace(found, comparison=update(measured.comparison, window))


def share_of(course: Course, evidence: Evidence, facts: Facts, caller: Key) -> float | None:
    """Percent that a caller is proven to give the canary now, so that both sides can be compared; None if that is not known.

    Not at 0 and 100, where there is only one side. Nor with header or mirror routes, whose requests are no sample of all.
    """
    proven = facts.applied and facts.even and caller in facts.verified.scope and caller not in facts.verified.laggards
    if not proven or evidence.aborted is not None or not 0 < facts.weight < FULL or besides(course):
        return None
    return facts.weight


def besides(course: Course) -> bool:
    """Whether the canary gets requests besides its share."""
    step = course.status.step
    return bool(course.header_routes_at(step) or course.mirror_routes_at(step))


def read(course: Course, evidence: Evidence, facts: Facts, *, wanted: bool, timed: bool) -> Evidence:
    """Remember the counters as read now. Last thing in a turn, when it is known what is measured from here on.

    Args:
        course: The rollout.
        evidence: As it is otherwise.
        facts: The world now.
        wanted: Whether anything is measured from counters.
        timed: Whether anything is measured from request times.
    """
    if not wanted or evidence.phase not in {Phase.PROGRESSING, Phase.PAUSED}:
        return replace(evidence, callers=EMPTY, timed=False)

    def share(key: Key) -> float | None:
        return share_of(course, evidence, facts, key)

    if facts.reading is None:
        return replace(evidence, callers=MappingProxyType(dict(_unread(evidence.callers, share, _whole))))
    # Who was last read without request times has none to count from.
    old = evidence.callers if evidence.timed or not timed else EMPTY
    kept = _whole if timed else without_times
    found = _unread(old, share, kept) | _read(facts.reading, share, kept)
    return replace(evidence, callers=MappingProxyType(found), timed=timed)


Kept = Callable[[Counts], Counts]
Share = Callable[[Key], float | None]


def _unread(callers: Mapping[Key, Seen], share: Share, kept: Kept) -> dict[Key, Seen]:
    """Callers as they were last read; whose split is not the same any more has no known split since then."""
    return {
        key: replace(
            seen,
            share=seen.share if _same(seen.share, share(key)) else None,
            canary=None if seen.canary is None else kept(seen.canary),
            stable=None if seen.stable is None else kept(seen.stable),
        )
        for key, seen in callers.items()
    }


def _read(reading: Reading, share: Share, kept: Kept) -> dict[Key, Seen]:
    def counts(subset: SubsetReading | None) -> Counts | None:
        return None if subset is None else kept(subset.counts)

    return {
        key: Seen(epoch=now.epoch, canary=counts(now.canary), stable=counts(now.stable), share=share(key))
        for key, now in reading.proxies.items()
    }


def _since(before: Seen, now: ProxyReading, *, timed: bool) -> tuple[Counts, Counts] | None:
    """Canary and stable; None if these are not later counters of one process."""
    if before.epoch != now.epoch:
        return None
    kept = _whole if timed else without_times
    canary, stable = _delta(before.canary, now.canary, kept), _delta(before.stable, now.stable, kept)
    return None if canary is None or stable is None else (canary, stable)


def _delta(before: Counts | None, now: SubsetReading | None, kept: Kept) -> Counts | None:
    """A cluster that was not there, or is not, contributes nothing."""
    return NOTHING if before is None or now is None else kept(now.counts).minus(before)


def _same(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and same_weight(one, other)


def _whole(counts: Counts) -> Counts:
    return counts


def without_times(counts: Counts) -> Counts:
    """Only the numbers."""
    return replace(counts, times=EMPTY) if counts.times else counts
