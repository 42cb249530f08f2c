"""How often a healthy canary is aborted, and how soon a bad one is found: by simulation, ours beside what others do.

    python -m tests.benchmarks.analysis [--runs 10000] [--time-runs 2000] [--found 200] [--workers 2]

Traffic is described in `analysis_traffic` and `analysis_times`, the methods in `analysis_methods`. Every run is seeded by what it is and
its number, so any part of the tables can be made alone. A healthy run has 60 windows, each of which is looked at. `at least` is the 99%
lower bound (Clopper-Pearson) on the probability of an abort: for ours it has to stay at most 1%. `concluded` is how many runs of ours
end with a verdict and not inconclusive. A bad canary is bad from the start, in independent traffic of 1,000 requests a window, for up
to 1,000 windows; figures are requests of both sides together and of the canary when it is aborted.
"""

from __future__ import annotations

import argparse
import json
import platform
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from numpy.random import Generator

from reconciler.rollouts.comparison import Window
from tests.benchmarks import analysis_times as times
from tests.benchmarks.analysis_bounds import at_least
from tests.benchmarks.analysis_methods import METHODS, RATE, followed, windows
from tests.benchmarks.analysis_traffic import MODELS, Plan, healthy, independent

WINDOWS = 60
EACH = 1000.0
LONGEST = 1000
WEIGHTS = (0.01, 0.05, 0.25, 0.5)
EFFECTS = ((0.01, 0.02), (0.01, 0.05), (0.001, 0.01))
Row = dict[str, Any]


def seeded(*words: object) -> Generator:
    """Random numbers that depend on these words only."""
    return np.random.default_rng([zlib.crc32(repr(word).encode()) for word in words])


def healthy_run(model: str, number: int) -> Row:
    """Whether each method aborts one healthy run, and what ours says at its end."""
    random = seeded("healthy", model, number)
    run = MODELS[model](random, healthy(random, WINDOWS))
    at, last = followed("success", windows(run))
    found: Row = {name: method(run) is not None for name, method in METHODS.items() if name != "ours"}
    return {"ours": at is not None, **found, "concluded": last.verdict != "inconclusive"}


def healthy_times(model: str, number: int) -> Row:
    """The same for request times."""
    random = seeded("times", model, number)
    share = float(random.choice(WEIGHTS[1:]))
    given: Row = {"windows": WINDOWS, "requests": float(random.choice([500, 3000])), "share": share}
    found = times.sticky(random, **given) if model == "sticky" else times.independent(random, effect="none", **given)
    at, last = followed("duration", (Window(canary=one, stable=two, share=share) for one, two in found))
    return {"ours": at is not None, "concluded": last.verdict != "inconclusive"}


def bad_run(errors: tuple[float, float], share: float, number: int) -> Row:
    """Requests of both and of the canary until each method aborts; None if it does not."""
    random = seeded("bad", errors, share, number)
    plan = Plan(weights=np.full(LONGEST, share), requests=EACH, errors=errors[0], canary_errors=errors[1])
    run = independent(random, plan)
    return {name: _spent(method(run), run.requests) for name, method in METHODS.items()}


def slow_run(effect: str, share: float, number: int) -> Row:
    """The same for ours and request times."""
    random = seeded("slow", effect, share, number)
    found: list[list[int]] = []

    def coming() -> Iterator[Window]:
        while len(found) < LONGEST:
            ((canary, stable),) = times.independent(random, windows=1, requests=EACH, share=share, effect=effect)
            found.append([canary.requests, stable.requests])
            yield Window(canary=canary, stable=stable, share=share)

    at, _ = followed("duration", coming())
    return {"ours": _spent(at, np.array(found))}


def _spent(at: int | None, requests: np.ndarray) -> tuple[int, int] | None:
    return None if at is None else (int(requests[: at + 1].sum()), int(requests[: at + 1, 0].sum()))


def false_alarms(rows: list[Row]) -> Row:
    """By method: how often, and the lower bound."""
    total = len(rows)
    found: Row = {"runs": total, "concluded": sum(row["concluded"] for row in rows) / total}
    for name in rows[0].keys() - {"concluded"}:
        count = sum(row[name] for row in rows)
        found[name] = {"aborts": count, "observed": count / total, "at least": at_least(count, total)}
    return found


def detection(rows: list[Row]) -> Row:
    """By method: how many are found, and the requests that half and nine tenths of them take."""
    out: Row = {"runs": len(rows)}
    for name in rows[0]:
        spent = [row[name] or (np.inf, np.inf) for row in rows]
        figures = {"found": sum(row[name] is not None for row in rows) / len(rows)}
        for column, side in enumerate(("total", "canary")):
            for word, part in (("median", 0.5), ("p90", 0.9)):
                value = float(np.quantile([item[column] for item in spent], part, method="higher"))
                figures[f"{side} {word}"] = value if np.isfinite(value) else None  # type: ignore[assignment]
        out[name] = figures
    return out


def main() -> None:
    """Simulate, print the tables, print the JSON."""
    parser = argparse.ArgumentParser(description="Try the comparison of a canary with stable on simulated traffic.")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--time-runs", type=int, default=2_000)
    parser.add_argument("--found", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    results: Row = {"healthy": {}, "healthy times": {}, "bad": {}, "slow": {}}
    with ProcessPoolExecutor(given.workers) as pool:

        def made(task: Any, *words: Any, runs: int) -> list[Row]:
            return list(pool.map(partial(task, *words), range(runs), chunksize=20))

        for model in MODELS:
            results["healthy"][model] = _told(model, false_alarms(made(healthy_run, model, runs=given.runs)))
        for model in ("independent", "sticky"):
            rows = made(healthy_times, model, runs=given.time_runs)
            results["healthy times"][model] = _told(f"times, {model}", false_alarms(rows))
        for errors in EFFECTS:
            for share in WEIGHTS:
                name = f"errors {errors[0]:.1%} -> {errors[1]:.0%} at {share:.0%}"
                results["bad"][name] = _caught(name, detection(made(bad_run, errors, share, runs=given.found)))
        for effect in times.EFFECTS[1:]:
            for share in WEIGHTS:
                name = f"p99 x 1.5 ({effect}) at {share:.0%}"
                results["slow"][name] = _caught(name, detection(made(slow_run, effect, share, runs=given.found // 4)))
    told = {"benchmark": "analysis", "python": platform.python_version(), "promised": RATE, "given": vars(given)}
    print(json.dumps({**told, "results": results}))


def _told(name: str, row: Row) -> Row:
    parts = [
        f"{method} {row[method]['observed']:.2%} (at least {row[method]['at least']:.2%})"
        for method in METHODS
        if method in row
    ]
    print(f"{name:20} {row['runs']} healthy, concluded {row['concluded']:.0%}; aborted: {', '.join(parts)}", flush=True)
    return row


def _caught(name: str, row: Row) -> Row:
    for method in METHODS:
        if method in row:
            figures = row[method]
            shown = [
                f"{word} {figures[word]:,.0f}" if figures[word] else f"{word} -"
                for word in ("total median", "total p90", "canary median", "canary p90")
            ]
            print(f"{name:34} {method:12} found {figures['found']:.0%}: {', '.join(shown)}", flush=True)
    return row


if __name__ == "__main__":
    main()
