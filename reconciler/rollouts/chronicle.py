"""What Git says of a run, in the order of time: commits on `main` by what they changed, and what the record branch saw of them.

Pure. By content, not by trailers: a step that was squashed, rebased or reverted by a person is told as what it did.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from reconciler.model.rollout import Phase, RolloutStatus, Step
from reconciler.rollouts.axes import number
from reconciler.rollouts.course import Course
from reconciler.rollouts.evidence import Evidence, Measured, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A rollout as one commit on `main` has it.

    Attributes:
        commit: Full id.
        at: Commit time, UTC.
        by: Name of its author.
        subject: Its first line.
        measured: The measured values in its message, a line each.
        course: The rollout; None where the policies of this commit can't be used.
        weight: Percent that the canary has; None where its target has no such split.
    """

    commit: str
    at: datetime
    by: str
    subject: str
    measured: tuple[str, ...] = ()
    course: Course | None
    weight: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A rollout as one receipt has it.

    Attributes:
        commit: Of the record branch, full id.
        at: Commit time, UTC.
        subject: Its first line.
        policy_commit: What was live by it.
        applied: Proxies that had their view.
        proxies: Of how many.
        evidence: None if there was none that can be read.
    """

    commit: str
    at: datetime
    subject: str
    policy_commit: str
    applied: int
    proxies: int
    evidence: Evidence | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened.

    Attributes:
        branch: `main` or `record`: who says so.
        by: Who did it; "" for what was seen.
        what: In words.
        before: Weight before, in percent; None where it did not move.
        after: Weight after.
        run: Of which run.
        phase: Where the run stood then.
        step: Likewise, an index from 0.
        measured: Measured values, a line each.
        applied: Proxies on which it was live; None where nothing is known of that.
        proxies: Of how many.
        subject: Of the commit.
    """

    at: datetime
    branch: str
    commit: str
    by: str = ""
    what: str
    before: float | None = None
    after: float | None = None
    run: str
    phase: Phase
    step: int
    measured: tuple[str, ...] = ()
    applied: int | None = None
    proxies: int | None = None
    subject: str


def events(written: Sequence[Written], recorded: Sequence[Recorded]) -> tuple[Event, ...]:
    """All that happened, oldest first; what `main` says comes before what was seen in the same second.

    Args:
        written: Commits that touched the rollout or its split, oldest first.
        recorded: Receipts, oldest first.
    """
    found = [*_of_main(written), *_of_record(recorded)]
    return tuple(sorted(found, key=lambda event: event.at))


def described(step: Step) -> str:
    """A step in a few words: `setWeight 25`, `pause 10m`, `analysis golden-signals`."""
    if step.set_weight is not None:
        return f"setWeight {number(step.set_weight)}"
    if step.pause is not None:
        return (
            f"pause {said(step.pause.duration.total_seconds())}"
            if step.pause.duration is not None
            else "pause until promoted"
        )
    if step.analysis is not None:
        return f"analysis {', '.join(template.template_name for template in step.analysis.templates)}"
    if step.set_header_route is not None:
        return f"setHeaderRoute {step.set_header_route.name}" + ("" if step.set_header_route.match else " (remove)")
    if step.set_mirror_route is not None:
        return f"setMirrorRoute {step.set_mirror_route.name}" + (" (remove)" if step.set_mirror_route.removes else "")
    return "nothing"


def said(seconds: float) -> str:
    """A duration as people say it, in its two largest units: `2d 3h`, `4m 12s`, `0s`."""
    left = max(0, round(seconds))
    parts = []
    for unit, size in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        amount, left = divmod(left, size)
        if amount:
            parts.append((size, f"{amount}{unit}"))
    return " ".join(text for _, text in parts[:2]) or "0s"


def _of_main(written: Sequence[Written]) -> Iterator[Event]:
    usable = [item for item in written if item.course is not None]
    for before, after in pairwise([None, *usable]):
        if after is None or after.course is None:
            continue
        what = _changed(before, after)
        if not what:
            continue
        status = after.course.status
        moved = before is not None and before.weight != after.weight
        yield Event(
            at=after.at,
            branch="main",
            commit=after.commit,
            by=after.by,
            what=what,
            before=before.weight if before is not None and moved else None,
            after=after.weight if moved else None,
            run=status.run or after.course.spec.run_name,
            phase=status.phase,
            step=status.step,
            measured=after.measured,
            subject=after.subject,
        )


def _changed(before: Written | None, after: Written) -> str:
    """What a commit did to a rollout, by content; "" for nothing that matters here."""
    if after.course is None:
        return ""
    if before is None or before.course is None:
        return f"wrote the rollout: {after.course.spec.stable} -> {after.course.spec.canary}"
    found = [*_status(before.course, after.course), *_asked(before.course, after.course)]
    if before.weight != after.weight and after.weight is not None:
        found.append(f"weight {_percent(before.weight)} -> {_percent(after.weight)}")
    return ", ".join(found)


def _status(old: Course, new: Course) -> Iterator[str]:
    was, now = old.status, new.status
    if (was.run, was.phase, was.step) == (now.run, now.phase, now.step):
        return
    total = len(new.steps)
    here = f"step {min(now.step + 1, total)}/{total}" if now.step < total else "all steps done"
    if was.run != now.run and now.run:
        yield f"began the run {now.run}"
    elif now.phase is not was.phase:
        yield {
            Phase.PENDING: "took the run back to where it had not begun",
            Phase.PROGRESSING: "resumed",
            Phase.PAUSED: "paused",
            Phase.SUCCEEDED: "succeeded",
            Phase.ABORTED: "aborted",
        }[now.phase] + _why(now)
    if now.step < was.step and was.run == now.run:
        yield f"took the run back to {here}"
    elif now.step != was.step or was.run != now.run:
        yield f"{here} ({described(new.steps[now.step])})" if now.step < total else here


def _asked(old: Course, new: Course) -> Iterator[str]:
    """What a person asked for in the spec."""
    was, now = old.spec, new.spec
    if was.run_name != now.run_name:
        yield f"asked for the run {now.run_name}"
    for name, before, after in (("pause", was.paused, now.paused), ("abort", was.abort, now.abort)):
        if before != after:
            yield f"asked to {name}" if after else f"took the {name} back"
    if was.step != now.step and now.step is not None:
        yield "asked to promote fully" if now.step >= len(new.steps) else f"asked to reach step {now.step + 1}"
    if old.digest != new.digest:
        yield "edited the steps"
    if (was.analysis, was.post_promotion_analysis) != (now.analysis, now.post_promotion_analysis):
        yield "edited the analysis"


def _of_record(recorded: Sequence[Recorded]) -> Iterator[Event]:
    for before, after in pairwise([None, *recorded]):
        if after is None or after.evidence is None:
            continue
        old = before.evidence if before is not None else None
        if old is not None and old.run != after.evidence.run:
            old = None
        what, measured = _seen(old, after.evidence)
        if what:
            yield Event(
                at=after.at,
                branch="record",
                commit=after.commit,
                what=what,
                run=after.evidence.run,
                phase=after.evidence.phase,
                step=after.evidence.step,
                measured=measured,
                applied=after.applied,
                proxies=after.proxies,
                subject=after.subject,
            )


def _seen(old: Evidence | None, new: Evidence) -> tuple[str, tuple[str, ...]]:
    """What a receipt saw for the first time, and the measurements that it brought."""
    found = []
    if new.aborted is not None and (old is None or old.aborted is None):
        found.append(f"aborted: {new.aborted.reason}")
    fresh = old is None or old.step != new.step or old.verified is None
    if new.verified is not None and fresh:
        found.append(f"step {new.step + 1} verified")
    if new.pausing and (old is None or old.pausing != new.pausing):
        found.append(f"pauses: {new.pausing}")
    measured = tuple(_measurements(old, new))
    if measured:
        found.append("measured")
    return ", ".join(found), (*(new.aborted.measured if new.aborted is not None and found else ()), *measured)


def _measurements(old: Evidence | None, new: Evidence) -> Iterator[str]:
    for name, running in new.analyses.items():
        known = old.analyses.get(name) if old is not None else None
        for metric, item in running.metrics.items():
            before = known.metrics.get(metric) if known is not None and known.started == running.started else None
            if item.begun and (before is None or _count(before) != _count(item)):
                yield f"{metric}: {item.outcome}: {item.detail}" if item.detail else f"{metric}: {item.outcome}"


def _count(item: Measured) -> tuple[int, int, int, int, Outcome | None]:
    return (item.passed, item.failed, item.inconclusive, item.errors, item.outcome)


def _why(status: RolloutStatus) -> str:
    return f" ({status.reason})" if status.reason else ""


def _percent(weight: float | None) -> str:
    return "none" if weight is None else f"{number(weight)}%"


def of_run(found: Iterable[Event], run: str) -> tuple[Event, ...]:
    """The events of one run."""
    return tuple(event for event in found if event.run == run)
