"""Begin, feed and read a comparison. The engine calls these and nothing else here."""

from __future__ import annotations

from dataclasses import replace
from math import log, nan

from reconciler.model.reading import Counts
from reconciler.rollouts.comparison.betting import betted, mismatch, needed, value, won
from reconciler.rollouts.comparison.judgement import Judgement, Verdict
from reconciler.rollouts.comparison.slowness import followed, percentile, slow
from reconciler.rollouts.comparison.state import Batch, Kind, Side, State
from reconciler.rollouts.comparison.window import Window

LEAST = 50
"""Requests of either side that make a batch."""
UNSPREAD = log(1000)
"""Evidence of another spreading than one by one from which nothing is concluded."""


def begin(kind: Kind, *, rate: float, percentile: float = 99, users: int | None = None) -> State:
    """A comparison that has seen nothing. See `State` for the arguments.

    Raises:
        ValueError: `rate` is not between 0 and 1, `percentile` not between 0 and 100, or `users` not positive.
    """
    if not 0 < rate < 1:
        raise ValueError(f"rate: {rate} is not between 0 and 1")
    if not 0 < percentile < 100:  # noqa: PLR2004  # percent
        raise ValueError(f"percentile: {percentile} is not between 0 and 100")
    if users is not None and users < 1:
        raise ValueError(f"users: {users} is not positive")
    return State(kind=kind, rate=rate, percentile=percentile, users=users)


def update(state: State, window: Window) -> State:
    """The comparison after one more window, which must not overlap those before.

    A window in which one side has no share is no comparison, and leaves it as it is. Errors that a reading has more of than requests, since
    counters are not read in one instant, are not counted.
    """
    if not 0 < window.share < 1 or not (window.canary.requests or window.stable.requests):
        return state
    seen = replace(
        state, canary=_side(state, state.canary, window.canary), stable=_side(state, state.stable, window.stable)
    )
    if state.kind == "success":
        canary, stable = ((min(counts.errors, counts.requests),) for counts in (window.canary, window.stable))
        return _collected(seen, window, canary, stable)
    known = state.thresholds
    seen = replace(seen, thresholds=followed(known, window.stable.times, state.percentiles))
    if not known:
        return seen
    ours, theirs = (tuple(slow(counts.times, item) for item in known) for counts in (window.canary, window.stable))
    return _collected(seen, window, ours, theirs)


def judge(state: State) -> Judgement:
    """What all windows so far say."""
    logarithm = won(state)
    e_value = value(logarithm)
    wanted = needed(state.rate)
    enough = state.bets >= wanted
    verdict: Verdict = "pass"
    detail = f"no evidence that the canary is worse ({e_value:.3g}, {1 / state.rate:.3g} would do)"
    if logarithm >= -log(state.rate) and not _unspread(state):
        verdict = "fail"
        detail = f"the canary is worse (evidence {e_value:.3g}, {1 / state.rate:.3g} would do)"
    elif not enough:
        verdict = "inconclusive"
        detail = f"{state.bets} of {wanted} windows in which both sides had {LEAST} requests"
    elif _unspread(state):
        verdict = "inconclusive"
        detail = "requests are not spread one by one at the weights; if callers stick to a version, set users"
    return Judgement(
        verdict=verdict,
        e_value=e_value,
        detail=detail,
        canary=_shown(state, state.canary),
        stable=_shown(state, state.stable),
        enough=enough,
    )


def _unspread(state: State) -> bool:
    return state.users is None and mismatch(state) >= UNSPREAD


def _side(state: State, side: Side, counts: Counts) -> Side:
    if state.kind == "success":
        return Side(requests=side.requests + counts.requests, measure=side.measure + counts.errors)
    timed = sum(counts.times.values())
    measure = side.measure + timed * percentile(counts.times, state.percentile)
    return Side(requests=side.requests + timed, measure=round(measure, 3))


def _shown(state: State, side: Side) -> float:
    if not side.requests:
        return nan
    mean = side.measure / side.requests
    return 100 * (1 - mean) if state.kind == "success" else mean


def _collected(state: State, window: Window, canary: tuple[int, ...], stable: tuple[int, ...]) -> State:
    """With the window in the batch, and the batch betted on when it is over and large enough. A batch has one weight."""
    if state.batch is not None and _over(state.batch, window):
        state = betted(state, state.batch)
    held = state.batch if state.batch is not None and state.batch.share == window.share else None
    totals = [
        counts.requests if state.kind == "success" else sum(counts.times.values())
        for counts in (window.canary, window.stable)
    ]
    batch = Batch(
        share=window.share,
        canary=totals[0],
        stable=totals[1],
        canary_bad=canary,
        stable_bad=stable,
        slot=window.slot,
    )
    if held is not None:
        batch = replace(
            batch,
            canary=held.canary + batch.canary,
            stable=held.stable + batch.stable,
            canary_bad=tuple(map(sum, zip(held.canary_bad, canary, strict=True))),
            stable_bad=tuple(map(sum, zip(held.stable_bad, stable, strict=True))),
        )
    if window.slot is None and _large(batch):
        return betted(state, batch)
    return replace(state, batch=batch)


def _over(batch: Batch, window: Window) -> bool:
    """Whether a batch has all that belongs to it: its slot is over, and it is large enough; or its weight is no more."""
    if not _large(batch):
        return False
    return batch.share != window.share or (batch.slot is not None and batch.slot != window.slot)


def _large(batch: Batch) -> bool:
    return min(batch.canary, batch.stable) >= LEAST
