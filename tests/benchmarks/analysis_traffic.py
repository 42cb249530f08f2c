"""Simulated traffic of a canary and stable, as callers' proxies would count it: what the analysis is tried on.

A run is a list of windows (a reading every ten seconds, say). All models are healthy unless an `Effect` is given: being on the canary
changes nothing. Drawn anew for each run: how many requests a window has, how probable errors are, the weights and when they change.

- `independent`: each request is assigned by its own coin, as Envoy does; each fails with the same probability.
- `drifting`: as that, while traffic rises and falls fourfold, the error rate wanders, and common outages (a database's) hit both sides.
- `overdispersed`: as `independent`, but each side's error rate has a life of its own (lognormal, sigma 0.3 to 0.8; drawn anew in each
  window, or autocorrelated by up to 0.8 from one window to the next), and each instance has bad stretches of its own (one in 300 windows begins one, of 6 windows on average, with 30% errors). The
  canary has 1 to 4 instances, stable has 10: the canary's clumps are the larger ones.
- `sticky-hash`: 50 to 2,000 users; activity lognormal (sigma 1 to 1.5: the top tenth makes a half to two thirds of the requests), error
  rates Beta with shape 0.3 to 2 (a few users make most errors). A user is on the canary if a fixed hash lies below the weight.
- `sticky-cookie`: such users, who come and go (a visit lasts 30 windows on average); each one's version is drawn once, on arrival, at
  the weight of that time, and is kept when the weight changes.
- `sticky-drifting`: as `sticky-hash`, and each user's activity has its own daily rhythm, users have bad stretches of their own, and
  the whole drifts as in `drifting`.

Users are summed up by side: given the users' rates, a side's requests and errors in a window are Poisson and binomial exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all models of one run share.

    Attributes:
        weights: The canary's share, by window.
        requests: Expected requests of both sides, a window.
        errors: Mean error rate.
        canary_errors: The canary's; equal where it is healthy.
    """

    weights: Numbers
    requests: float
    errors: float
    canary_errors: float

    @property
    def windows(self) -> int:
        return len(self.weights)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Counts by window.

    Attributes:
        weights: The canary's share by the weights.
        requests: Two columns: canary, stable.
        errors: Likewise.
    """

    weights: Numbers
    requests: NDArray[np.int64]
    errors: NDArray[np.int64]


Model = Callable[[Generator, Plan], Run]


def healthy(random: Generator, windows: int) -> Plan:
    """A plan for a healthy run: one weight, or three steps."""
    weights = np.full(windows, random.choice([0.01, 0.05, 0.1, 0.25, 0.5]))
    if random.random() < 0.5:
        steps = sorted(random.choice([0.01, 0.05, 0.1, 0.25, 0.5], size=3, replace=False))
        weights = np.repeat(steps, -(-windows // 3))[:windows]
    rate = float(random.choice([0.002, 0.01, 0.03]))
    return Plan(
        weights=weights, requests=float(random.choice([300, 1000, 3000, 10000])), errors=rate, canary_errors=rate
    )


def independent(random: Generator, plan: Plan) -> Run:
    return _drawn(random, plan, np.ones(plan.windows), _rates(plan))


def drifting(random: Generator, plan: Plan) -> Run:
    level, rates = _drift(random, plan)
    return _drawn(random, plan, level, rates)


def overdispersed(random: Generator, plan: Plan) -> Run:
    sigma, kept = random.uniform(0.3, 0.8), random.choice([0.0, random.uniform(0, 0.8)])
    state = random.normal(size=2)
    rates = _rates(plan)
    for window in range(plan.windows):
        rates[window] *= np.exp(sigma * state - sigma**2 / 2)
        state = kept * state + np.sqrt(1 - kept**2) * random.normal(size=2)
    for side, instances in enumerate((int(random.integers(1, 5)), 10)):
        for _ in range(instances):
            bad = _stretches(random, plan.windows, 1 / 300, 6)
            rates[:, side] += bad * 0.3 / instances
    return _drawn(random, plan, np.ones(plan.windows), rates)


def sticky_hash(random: Generator, plan: Plan) -> Run:
    return _hashed(random, plan, np.ones((plan.windows, 1)), np.ones((plan.windows, 1)))


def sticky_drifting(random: Generator, plan: Plan) -> Run:
    level, rates = _drift(random, plan)
    return _hashed(random, plan, level[:, None], rates[:, :1] / plan.errors, rhythm=True)


def sticky_cookie(random: Generator, plan: Plan) -> Run:
    count = _users(random)
    activity, rates = _people(random, plan, count)
    canary = random.random(count) < plan.weights[0]
    requests = np.zeros((plan.windows, 2), dtype=np.int64)
    errors = np.zeros((plan.windows, 2), dtype=np.int64)
    for window in range(plan.windows):
        gone = np.flatnonzero(random.random(count) < 1 / 30)
        activity[gone], rates[gone] = (item[: len(gone)] for item in _people(random, plan, len(gone), activity.sum()))
        canary[gone] = random.random(len(gone)) < plan.weights[window]
        for side, of in enumerate((canary, ~canary)):
            load = activity[of]
            requests[window, side] = random.poisson(load.sum() * plan.requests / count)
            mean = (load * rates[of]).sum() / load.sum() if load.size else 0.0
            errors[window, side] = random.binomial(requests[window, side], min(mean, 1.0))
    return Run(weights=plan.weights, requests=requests, errors=errors)


MODELS: dict[str, Model] = {
    "independent": independent,
    "drifting": drifting,
    "overdispersed": overdispersed,
    "sticky-hash": sticky_hash,
    "sticky-cookie": sticky_cookie,
    "sticky-drifting": sticky_drifting,
}


def _rates(plan: Plan) -> Numbers:
    return np.tile([plan.canary_errors, plan.errors], (plan.windows, 1))


def _drift(random: Generator, plan: Plan) -> tuple[Numbers, Numbers]:
    time = np.arange(plan.windows)
    level = np.exp(np.log(2) * np.sin(2 * np.pi * (time / random.uniform(40, 400) + random.random())))
    wander = np.exp(np.cumsum(random.normal(0, 0.1, plan.windows)))
    common = _stretches(random, plan.windows, 1 / 60, 5) * random.uniform(0.05, 0.5)
    return level, np.clip(_rates(plan) * wander[:, None] + common[:, None], 0, 0.9)


def _stretches(random: Generator, windows: int, begins: float, lasts: float) -> Numbers:
    """1 in windows of bad stretches, which begin and end by chance."""
    bad = np.zeros(windows)
    for start in np.flatnonzero(random.random(windows) < begins):
        bad[start : start + random.geometric(1 / lasts)] = 1
    return bad


def _drawn(random: Generator, plan: Plan, level: Numbers, rates: Numbers) -> Run:
    total = random.poisson(plan.requests * level)
    canary = random.binomial(total, plan.weights)
    requests = np.stack([canary, total - canary], axis=1)
    return Run(weights=plan.weights, requests=requests, errors=random.binomial(requests, np.clip(rates, 0, 1)))


def _users(random: Generator) -> int:
    return int(random.choice([50, 100, 200, 500, 2000]))


def _people(random: Generator, plan: Plan, count: int, _: float = 0) -> tuple[Numbers, Numbers]:
    sigma = random.uniform(1, 1.5)
    activity = random.lognormal(-(sigma**2) / 2, sigma, count)
    shape = random.uniform(0.3, 2)
    return activity, random.beta(shape, shape / plan.errors - shape, count)


def _hashed(random: Generator, plan: Plan, level: Numbers, outage: Numbers, *, rhythm: bool = False) -> Run:
    count = _users(random)
    activity, rates = _people(random, plan, count)
    load = np.tile(activity, (plan.windows, 1)) * level
    failing = rates * outage
    if rhythm:
        time = np.arange(plan.windows)[:, None]
        load = load * np.exp(np.sin(2 * np.pi * (time / 200 + random.random(count))))
        bad = random.random((plan.windows, count)) < 1 / 500
        failing = failing + 0.3 * (bad | np.roll(bad, 1, axis=0) | np.roll(bad, 2, axis=0))
    canary = random.random(count)[None, :] < plan.weights[:, None]
    sums = np.stack([(load * canary).sum(axis=1), (load * ~canary).sum(axis=1)], axis=1)
    failed = load * np.clip(failing, 0, 1)
    means = np.stack([(failed * canary).sum(axis=1), (failed * ~canary).sum(axis=1)], axis=1)
    requests = random.poisson(sums * plan.requests / count)
    share = np.divide(means, sums, out=np.zeros_like(means), where=sums > 0)
    return Run(weights=plan.weights, requests=requests, errors=random.binomial(requests, np.clip(share, 0, 1)))
