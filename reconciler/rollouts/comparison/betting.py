"""From batches to bets: which epochs there are, and what each has won.

Old good evidence must not drown a canary that turns bad under load, so bets begin again and again: a part of the whole stake is set
aside for each beginning, 1/2 for the first, 1/6 for the second, 1/12, ... , which sum to 1. The sum of all epochs' winnings is one stake
again, and keeps the promise over all of them (Vovk and Wang 2021 on merging e-values by averages). To keep the state small the epoch that
has won least is dropped: money given away never breaks a promise.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, exp, log

from reconciler.rollouts.comparison.evidence import (
    CROWDS,
    STAKES,
    TOLERATED,
    UNEVEN,
    mean_of,
    odds_bets,
    odds_share,
    spread,
    stake_bets,
    sticking,
)
from reconciler.rollouts.comparison.state import Batch, Epoch, State, Track

EPOCHS = 5
"""That are kept."""
FRESH = 8
"""Batches after which bets begin again at an unchanged weight; then after twice as many, and so on: each beginning costs evidence."""
CREDIT = 4.0
"""What stakes on sticking callers count for: the simulations of tests/benchmarks/analysis.py show how much they fall short of their bound."""
LEARNING = 0.2
"""How far what is usual moves with each batch."""


def betted(state: State, batch: Batch) -> State:
    """After a batch. The first is not betted on: it tells what is usual."""
    usual = _usual(state.usual, batch)
    if not state.usual:
        return replace(state, usual=usual, batch=None)
    state = _begun(state, batch.share)
    epochs = tuple(_fed(epoch, batch, state.usual) for epoch in state.epochs)
    return replace(
        state,
        usual=usual,
        batch=None,
        epochs=epochs,
        share=batch.share,
        bets=state.bets + 1,
        batches=state.batches + 1,
    )


def won(state: State) -> float:
    """The logarithm of the whole stake, which was 0 at the beginning; what is not yet betted is not counted."""
    logs = [_won(epoch, state.users) - log(epoch.order * (epoch.order + 1)) for epoch in state.epochs]
    return mean_of(logs) + log(len(logs)) if logs else 0.0


def mismatch(state: State) -> float:
    """The logarithm of the evidence against requests being spread one by one at the weights."""
    logs = [
        mean_of([-_spread(epoch, crowd) for crowd in CROWDS]) - log(epoch.order * (epoch.order + 1))
        for epoch in state.epochs
    ]
    return mean_of(logs) + log(len(logs)) if logs else 0.0


def _usual(usual: tuple[float, ...], batch: Batch) -> tuple[float, ...]:
    found = tuple((bad + 0.5) / (batch.stable + 1) for bad in batch.stable_bad)
    if not usual:
        return tuple(round(item, 9) for item in found)
    return tuple(round(old + LEARNING * (new - old), 9) for old, new in zip(usual, found, strict=True))


def _begun(state: State, share: float) -> State:
    if state.epochs and share == state.share and state.batches < state.gap:
        return state
    gap = 2 * state.gap if state.epochs and share == state.share else FRESH
    epochs = state.epochs
    if len(epochs) == EPOCHS:
        least = min(epochs, key=_promise)
        epochs = tuple(epoch for epoch in epochs if epoch is not least)
    fresh = Epoch(order=state.begun + 1, tracks=(Track(),) * state.outcomes)
    return replace(state, epochs=(*epochs, fresh), begun=state.begun + 1, batches=0, gap=gap)


def _fed(epoch: Epoch, batch: Batch, usual: tuple[float, ...]) -> Epoch:
    requests = batch.canary + batch.stable
    part = batch.canary / requests
    tracks = []
    for track, canary, stable, normal in zip(epoch.tracks, batch.canary_bad, batch.stable_bad, usual, strict=True):
        rates = {"canary": canary / batch.canary, "stable": stable / batch.stable}
        tracks.append(
            Track(
                canary=track.canary + canary,
                bad=track.bad + canary + stable,
                even=round(track.even + part * (canary + stable), 6),
                odds=odds_bets(track.odds, share=part, canary=canary, bad=canary + stable),
                stakes=stake_bets(track.stakes, usual=normal, **rates),
            )
        )
    return replace(
        epoch,
        canary=epoch.canary + batch.canary,
        requests=epoch.requests + requests,
        expected=round(epoch.expected + batch.share * requests, 6),
        tracks=tuple(tracks),
    )


def _won(epoch: Epoch, users: int | None) -> float:
    return mean_of([_worth(epoch, track, users) for track in epoch.tracks])


def _promise(epoch: Epoch) -> float:
    """What an epoch may come to, if requests turn out to be spread one by one."""
    return mean_of([min(mean_of(track.odds), mean_of(track.stakes)) for track in epoch.tracks]) - log(
        epoch.order * (epoch.order + 1)
    )


def _worth(epoch: Epoch, track: Track, users: int | None) -> float:
    """The least of the three bets: good whichever of their assumptions holds.

    How many callers stick, if they do, is not known: the third is a bet against a mixture of crowds of all sizes.
    """
    held = min(mean_of(track.odds), mean_of(track.stakes))
    if held <= 0 or not track.bad or not epoch.requests:
        return held
    even = odds_share(track.even / track.bad, TOLERATED)
    counts = {"even": even, "canary": track.canary, "bad": track.bad}
    if users is not None:
        return min(held, sticking(crowd=users / UNEVEN, **counts))
    against = [-_spread(epoch, crowd) - sticking(crowd=crowd / UNEVEN, **counts) for crowd in CROWDS]
    return min(held, log(CREDIT) - mean_of(against))


def _spread(epoch: Epoch, crowd: float) -> float:
    share = epoch.expected / epoch.requests
    return spread(crowd=crowd, share=share, canary=epoch.canary, requests=epoch.requests)


def needed(rate: float) -> int:
    """How many batches it takes at least to find a canary that is plainly bad: one that wins three fifths of what a batch can."""
    logarithm = -log(rate) + log(2) + log(len(STAKES))
    return ceil(logarithm / log(1 + max(STAKES) * 0.6))


def value(logarithm: float) -> float:
    """The number, kept finite."""
    return exp(min(logarithm, 700.0))
