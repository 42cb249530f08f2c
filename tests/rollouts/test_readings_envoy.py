"""What two real callers counted of a canary and of stable is, summed, what the upstreams served."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from reconciler.http import HttpClient
from reconciler.model.reading import Counts, total
from reconciler.rollouts.quantiles import quantile
from reconciler.settings import AdminSettings
from tests.envoy.counted import Application, Caller, calling, port_of, upstream
from tests.envoy.live import until
from tests.http.servers import serving

STABLE, CANARY = (f"outbound|9080|{subset}|reviews.default.svc.cluster.local" for subset in ("v1", "v2"))
SLOW = 60
"""Milliseconds that the canary takes for some."""
ASKED = {STABLE: {"200": 57, "404": 2, "503": 1}, CANARY: {"200": 20, f"sleep/{SLOW}": 5, "503": 4, "reset": 1}}
"""What each client asks for, by subset; there are two clients of each caller."""


def send(caller: Caller, seed: int) -> None:
    """One client's requests, in an order of its own, one after the other."""
    paths = [
        f"/{number}/{path}" for number, name in enumerate(ASKED) for path, n in ASKED[name].items() for _ in range(n)
    ]
    with HttpClient(f"http://127.0.0.1:{port_of(caller.live)}", AdminSettings()) as client:
        for path in paths[seed:] + paths[:seed]:
            client.get(path)


def seen(callers: list[Caller]) -> dict[str, Counts]:
    """What all callers counted."""
    readings = [caller.live.admin.counters([STABLE, CANARY]).clusters for caller in callers]
    return {name: total(reading[name].counts for reading in readings) for name in (STABLE, CANARY)}


def test_the_sum_of_the_callers_is_what_was_served(short_path: Path) -> None:
    """To the request: with errors, resets and slow answers, and two clients at once at each caller; times tell the slow subset."""
    served = {name: Application() for name in ASKED}
    with ExitStack() as stack:
        ports = {name: stack.enter_context(serving(served[name])).port for name in ASKED}
        clusters = {name: upstream(name, port) for name, port in ports.items()}
        routes = {str(number): {"cluster": name} for number, name in enumerate(ASKED)}
        callers = []
        for name in ("a", "b"):
            (short_path / name).mkdir()
            callers.append(stack.enter_context(calling(short_path / name, clusters, routes)))
        before = seen(callers)
        assert before == {name: Counts() for name in ASKED}
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(send, [*callers, *callers], (0, 13, 31, 47)))
        expected = {name: 4 * sum(paths.values()) for name, paths in ASKED.items()}
        resets = {STABLE: 0, CANARY: 4}
        until(
            lambda: all(sum(it.times.values()) == expected[name] - resets[name] for name, it in seen(callers).items())
        )
        after = seen(callers)
        assert {name: it.requests for name, it in after.items()} == expected
        assert {name: application.asked for name, application in served.items()} == expected
        assert {name: it.errors for name, it in after.items()} == {STABLE: 4, CANARY: 20}
        assert {name: it.resets for name, it in after.items()} == resets
        # 20 of the canary's 116 answers were made to be slow: every percentile above 100 * 96 / 116 is at least as slow.
        assert [quantile(after[CANARY].times, percent) >= SLOW for percent in (83, 90, 99, 100)] == [True] * 4
        assert sum(count for (lower, _), count in after[CANARY].times.items() if lower >= SLOW) >= 20
