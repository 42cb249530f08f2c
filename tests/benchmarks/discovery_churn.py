"""Registries that never rest: hundreds of changes a second, over a thousand services that twenty real Envoys on ADS all have.

    python -m tests.benchmarks.discovery_churn [--kind fileSd] [--services 1000] [--envoys 20] [--rates 100 1000] [--seconds 20]

At each rate, services have one of their two instances replaced, in turn: at 1,000 a second, each of 1,000 services changes every
second. Beside that, one more service gets an instance twice a second, and applications behind the first and the last Envoy call it
without end: `first request` is from just before the platform is told of that until each of them had an answer of the new instance.

- `deliveries`: how often the endpoints-only path went round, and how long handing a change to all streams took (of a machine whose
  other work is heavy, its CPU time says more); `pushes` and `MB`: responses and bytes written to a stream, a second for
  each Envoy; `resources`: load assignments a second for each Envoy, of `changes` that the platform had.
- `cores`: CPU of the daemon, and of one Envoy on average; `rss`: of the daemon, before and after.
- `passes`: that ended meanwhile; changes of instances cause none.
- `settled`: from the last change until every Envoy shows exactly what the platform listed last, which is compared for every service
  and Envoy: nothing came in the wrong order.

Envoys have no traffic but that of the two applications; services come from the registry alone.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.benchmarks.discovery_figures import Usage, spread
from tests.benchmarks.discovery_platforms import KINDS, Kubernetes, Managed, timed
from tests.benchmarks.discovery_rig import DiscoveryRig
from tests.benchmarks.discovery_traffic import Caller

PROBE = "probe"
BASE = "127.5.0.1"
_EVERY = 0.5

State = dict[str, frozenset[str]]


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="Change instances without end under many Envoys.")
    parser.add_argument("--kind", default="fileSd", choices=[*KINDS])
    parser.add_argument("--services", type=int, default=1_000)
    parser.add_argument("--envoys", type=int, default=20)
    parser.add_argument("--rates", type=int, nargs="+", default=[100, 1_000])
    parser.add_argument("--seconds", type=float, default=20.0)
    given = parser.parse_args()
    results = measure(given)
    print(f"\n{given.kind}, {given.services:,} services, {given.envoys} Envoys, {given.seconds:g} s")
    print(f"{'changes a second':38}" + "".join(f"{rate:>12}" for rate in results))
    for name in next(iter(results.values())):
        print(f"  {name:36}" + "".join(f"{found[name]:12.2f}" for found in results.values()))
    print(
        json.dumps(
            {
                "benchmark": "discovery_churn",
                "python": platform.python_version(),
                "given": vars(given),
                "results": results,
            }
        )
    )


def measure(given: argparse.Namespace) -> dict[str, dict[str, float]]:
    """All figures by rate."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b")))
        listed: Managed = KINDS[given.kind](folder)
        stack.enter_context(listed)
        rig = stack.enter_context(DiscoveryRig(folder, registry=listed.registry, callers=given.envoys, patience=60))
        if isinstance(listed, Kubernetes):
            listed.egress = rig.egress
        changing = Changing(listed, rig, given.services)
        rig.start_all()
        rig.wait(changing.at_all, "all services to be shown")
        return {str(rate): _churn(rig, changing, rate, given.seconds) for rate in given.rates}


class Changing:
    """The platform, and what it lists."""

    def __init__(self, listed: Managed, rig: DiscoveryRig, services: int) -> None:
        self._listed, self._rig = listed, rig
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.names = [f"s-{number}" for number in range(services)]
        self.state: State = {}
        for name in (*self.names, PROBE):
            self.put(name, BASE)

    def put(self, name: str, *addresses: str) -> None:
        """List these."""
        with self._lock:
            self._listed.put(name, addresses, self._rig.listening)
        self.state[self._listed.host(name)] = frozenset(addresses)

    def host(self, name: str) -> str:
        return self._listed.host(name)

    def address(self) -> str:
        """One that was not there before."""
        number = next(self._numbers)
        return f"127.{10 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"

    def change(self, rate: int, seconds: float) -> int:
        """Change services in turn; how many times."""
        began, done = time.monotonic(), 0
        while (now := time.monotonic() - began) < seconds:
            while done < rate * now:
                self.put(self.names[done % len(self.names)], BASE, self.address())
                done += 1
                if time.monotonic() - began > seconds:
                    break
            time.sleep(0.001)
        return done

    def at_all(self) -> bool:
        """Whether every Envoy shows exactly what is listed."""
        return all(self._rig.endpoints(name) == self.state for name in self._rig.names)


@contextmanager
def probing(listed: Changing, into: list[tuple[str, float]]) -> Iterator[None]:
    """Have the probe's instance replaced, again and again; which, and when the platform was told."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(_EVERY):
            address = listed.address()
            into.append((address, timed(lambda: listed.put(PROBE, BASE, address))))  # noqa: B023 -- done here

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _churn(rig: DiscoveryRig, listed: Changing, rate: int, seconds: float) -> dict[str, float]:
    daemon, envoys = Usage(rig.daemon.pid), Usage(*(envoy.pid for envoy in rig.envoys.values()))
    rss, probes = daemon.memory(), list[tuple[str, float]]()
    with ExitStack() as stack:
        host = listed.host(PROBE)
        ends = [rig.names[0], *rig.names[1:][-1:]]
        callers = [stack.enter_context(Caller((rig.bind(name), rig.egress), host, rest=0.004)) for name in ends]
        began = time.monotonic()
        with probing(listed, probes):
            done = listed.change(rate, seconds)
        ended = time.monotonic()
        used = {"cores: daemon": daemon.cpu(), "cores: one Envoy": envoys.cpu() / len(rig.names)}
        rig.wait(listed.at_all, "every Envoy to show what was listed last")
        settled = time.monotonic() - ended
    if any(not who for caller in callers for _, who in caller.seen):
        raise SystemExit("requests failed")
    waits = [
        first - at
        for address, at in probes
        for caller in callers
        if (first := caller.first(address, at)) is not None  # or it was replaced before anybody had called it
    ]
    latency = spread(waits)
    return {
        "changes": done / (ended - began),
        **_pushed(rig, began, ended),
        **used,
        "rss MB: before": rss,
        "rss MB: after": daemon.memory(),
        "passes": float(len(rig.stamped("pass", since=began))),
        "settled: s": settled,
        **{f"first request ms: {name}": latency[name] for name in ("p50", "p90", "p99")},
        "first request: instances seen": len(waits) / (len(probes) * len(callers)),
    }


def _pushed(rig: DiscoveryRig, began: float, ended: float) -> dict[str, float]:
    stamped = [(at, more) for _, at, more in rig.stamped("delivered", since=began) if at <= ended]
    stamps = [more for _, more in stamped]
    each = (ended - began) * len(rig.names)
    return {
        "deliveries": len(stamps) / (ended - began),
        "hosts a delivery": sum(more["hosts"] for more in stamps) / len(stamps),
        "a delivery: CPU ms": sum(more["cpu"] for more in stamps) * 1000 / len(stamps),
        "a delivery: ms": sum(at - more["began"] for at, more in stamped) * 1000 / len(stamps),
        "pushes": (stamps[-1]["responses"] - stamps[0]["responses"]) / each,
        "resources": sum(more["resources"] for more in stamps) / each,
        "MB": (stamps[-1]["sent"] - stamps[0]["sent"]) / 1e6 / each,
    }


if __name__ == "__main__":
    main()
