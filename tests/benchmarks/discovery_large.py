"""Ten thousand endpoints of one service: a cold start with them, and one change of them.

    python -m tests.benchmarks.discovery_large [--kinds fileSd kubernetes] [--endpoints 1000 10000] [--changes 20]

`daemon to shown` is from the start of the daemon's process, which remembers nothing, until the Envoy, which has been waiting for its
configuration, shows all endpoints in `/clusters`; `ready` is from the start of both (`again`: of a daemon that remembers them from
the one before). Each change adds one instance, and is timed like those of `discovery`: to the adapter's event, to its delivery,
and until `/clusters` has it, which is looked at every 20 ms, as its answer has about 10 MB. The numbers of
endpoints are compared in one run.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.benchmarks.discovery_figures import Usage, spread
from tests.benchmarks.discovery_platforms import KINDS, Managed, timed
from tests.benchmarks.discovery_rig import DiscoveryRig

SERVICE = "b"
STEPS = (("yielded", "yield"), ("delivered", "delivered"))


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="Time a service with very many endpoints.")
    parser.add_argument("--kinds", nargs="+", default=["fileSd", "kubernetes"], choices=[*KINDS])
    parser.add_argument("--endpoints", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--changes", type=int, default=20)
    given = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for kind in given.kinds:
        results[kind] = {str(count): measure(kind, count, given.changes) for count in given.endpoints}
        for count, found in results[kind].items():
            print(f"\n{kind}, {int(count):,} endpoints")
            for name, value in found["start"].items():
                print(f"  {name:38}{value:12.1f}")
            print(f"  {'a change, ms':24}{'p50':>9}{'p90':>9}{'p99':>9}")
            for step, figures in found["change"].items():
                row = "".join(f"{figures[name]:9.1f}" for name in ("p50", "p90", "p99"))
                print(f"  {step:24}{row}", flush=True)
    print(json.dumps({"benchmark": "discovery_large", "python": platform.python_version(), "results": results}))


def measure(kind: str, count: int, changes: int) -> dict[str, Any]:
    """All figures for one kind of registry and so many endpoints."""
    with tempfile.TemporaryDirectory(prefix="b") as name, KINDS[kind](Path(name)) as listed:
        host = listed.host(SERVICE)
        with DiscoveryRig(Path(name), registry=listed.registry, hosts=(host,)) as rig:
            listed.put(SERVICE, addresses(count), rig.listening)
            start = _cold(rig, host, count)
            change = _changes(rig, listed, host, count, changes)
            start["daemon: rss MB"] = Usage(rig.daemon.pid).memory()
            began = time.monotonic()
            rig.restart_daemon(kill=True)
            rig.wait(lambda: bool(rig.stamped("pass", since=began)), "the first pass of the second daemon")
            start["again, ready: s"] = rig.stamped("pass", since=began)[0][1] - began
            return {"start": start, "change": change}


def addresses(count: int, *, more: int = 0) -> list[str]:
    """Loopback addresses; `more` of them that the service has not had before."""
    every = [f"127.3.{number // 250}.{number % 250 + 1}" for number in range(count)]
    return [*every, *(f"127.4.0.{number + 1}" for number in range(more))]


def _cold(rig: DiscoveryRig, host: str, count: int) -> dict[str, float]:
    rig.render(rig.names[0])
    began = time.monotonic()
    rig.daemon.start()
    rig.start_all(daemon=False)
    ready = time.monotonic()
    rig.wait(lambda: len(rig.endpoints("a-1").get(host, ())) == count, "all endpoints to be shown")
    shown = time.monotonic()
    return {
        "daemon to the adapter's list: s": rig.stamped("yield")[0][1] - began,
        "daemon to the first receipt: s": ready - began,
        "daemon to shown: s": shown - began,
    }


def _changes(rig: DiscoveryRig, listed: Managed, host: str, count: int, changes: int) -> dict[str, dict[str, float]]:
    samples: dict[str, list[float]] = defaultdict(list)
    for number in range(1, changes + 1):
        wanted = addresses(count, more=number)
        at = timed(lambda: listed.put(SERVICE, wanted, rig.listening))  # noqa: B023 -- done here
        new = f"::{wanted[-1]}:".encode()
        rig.wait(lambda: new in rig.shown("a-1", "/clusters"), "a change to be shown")  # noqa: B023 -- done here
        samples["shown"].append(time.monotonic() - at)
        time.sleep(0.3)
        for step, name in STEPS:
            samples[step].append(next(stamp[1] for stamp in rig.stamped(name, since=at)) - at)
    if len(rig.endpoints("a-1")[host]) != count + changes:
        raise SystemExit("endpoints are missing")
    return {step: spread(samples[step]) for step in ("yielded", "delivered", "shown")}


if __name__ == "__main__":
    main()
