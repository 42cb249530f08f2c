"""Begin, feed and read a comparison. The engine calls these and nothing else here."""

from __future__ import annotations

from reconciler.rollouts.comparison.judgement import Judgement
from reconciler.rollouts.comparison.state import Kind, State
from reconciler.rollouts.comparison.window import Window


def begin(kind: Kind, *, rate: float, percentile: float = 99, users: int | None = None) -> State:
    """A comparison that has seen nothing. See `State` for the arguments."""
    return State(kind=kind, rate=rate, percentile=percentile, users=users)


def update(state: State, window: Window) -> State:  # noqa: ARG001
    """The comparison after one more window, which must not overlap those before."""
    return state


def judge(state: State) -> Judgement:  # noqa: ARG001
    """What all windows so far say."""
    nan = float("nan")
    return Judgement(
        verdict="inconclusive", e_value=1.0, detail="nothing seen yet", canary=nan, stable=nan, enough=False
    )
