"""The methods that are tried: ours, which is the product's code as it stands, and what others do. Each says in which window it aborts.

- `ours`: `reconciler.rollouts.comparison`, looked at after every window; 1% promised.
- `per request`: only the first of its three bets, as it would be for traffic without clumps; 1% promised.
- `threshold`: Flagger-like: every minute (six windows) the canary's success rate must be 99%; the fifth failed check aborts (`threshold: 5`).
- `z-test`: one-sided two-proportion test at 1%, made for one look at the end, looked at after every window with 100 requests on either
  side and 10 errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np

from reconciler.model.reading import Counts
from reconciler.rollouts.comparison import Judgement, Window, begin, judge, update
from reconciler.rollouts.comparison.evidence import ODDS, TOLERATED
from tests.benchmarks.analysis_traffic import Numbers, Run

RATE = 0.01
MINUTE = 6
Method = Callable[[Run], int | None]


def followed(kind: Literal["success", "duration"], windows: Iterable[Window]) -> tuple[int | None, Judgement]:
    """The window in which ours fails, if it does, and what it says last."""
    state = begin(kind, rate=RATE)
    found = judge(state)
    for at, window in enumerate(windows):
        state = update(state, window)
        found = judge(state)
        if found.verdict == "fail":
            return at, found
    return None, found


def windows(run: Run) -> Iterable[Window]:
    for share, requests, errors in zip(run.weights.tolist(), run.requests.tolist(), run.errors.tolist(), strict=True):
        canary, stable = (Counts(requests=n, errors=k) for n, k in zip(requests, errors, strict=True))
        yield Window(canary=canary, stable=stable, share=share)


def ours(run: Run) -> int | None:
    return followed("success", windows(run))[0]


def per_request(run: Run) -> int | None:
    total = run.requests.sum(axis=1)
    share = np.where(total > 0, run.requests[:, 0] / np.maximum(total, 1), 0)
    known = (share > 0) & (share < 1)
    share = np.where(known, share, 0.5)[:, None]
    none = _worse(share, np.array([TOLERATED]))
    worse = _worse(none, np.array(ODDS))
    gains = run.errors[:, :1] * np.log(worse / none) + run.errors[:, 1:] * np.log((1 - worse) / (1 - none))
    logs = np.cumsum(np.where(known[:, None], gains, 0), axis=0)
    return _first(np.logaddexp.reduce(logs, axis=1) - np.log(len(ODDS)) >= -np.log(RATE))


def threshold(run: Run) -> int | None:
    whole = len(run.weights) // MINUTE * MINUTE
    requests = run.requests[:whole, 0].reshape(-1, MINUTE).sum(axis=1)
    errors = run.errors[:whole, 0].reshape(-1, MINUTE).sum(axis=1)
    failed = np.cumsum((requests > 0) & (errors > 0.01 * requests))
    minute = _first(failed >= 5)
    return None if minute is None else (minute + 1) * MINUTE - 1


def z_test(run: Run) -> int | None:
    requests, errors = run.requests.cumsum(axis=0), run.errors.cumsum(axis=0)
    safe = np.maximum(requests, 1)
    rates = errors / safe
    pooled = errors.sum(axis=1) / safe.sum(axis=1)
    spread = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / safe[:, 0] + 1 / safe[:, 1]))
    ready = (requests.min(axis=1) >= 100) & (errors.sum(axis=1) >= 10)
    return _first(ready & ((rates[:, 0] - rates[:, 1]) / spread >= 2.3263478740))


METHODS: dict[str, Method] = {"ours": ours, "per request": per_request, "threshold": threshold, "z-test": z_test}


def _worse(share: Numbers, odds: Numbers) -> Numbers:
    found: Numbers = share * odds / (1 - share + share * odds)
    return found


def _first(true: np.ndarray) -> int | None:
    found = np.flatnonzero(true)
    return int(found[0]) if len(found) else None
