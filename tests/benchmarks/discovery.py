"""How long after a platform's event an instance serves its first request, and one that goes its last, for each adapter.

    python -m tests.benchmarks.discovery [--kinds fileSd kubernetes consul etcd httpSd dns] [--events 50]

A caller's application sends one request after another to its sidecar, a real Envoy on ADS, which balances over the instances
that a registry lists; the daemon is a process of its own. Each event lists one more instance, which has been listening for
long, or takes it away again. Times are from just before the platform is told:

- `yielded`: the adapter has said so (for `httpSd` and `dns` this has up to `interval` of waiting in it, which `after yield` leaves out);
- `catalogue`: the endpoints-only path was woken;
- `delivered`: the proxy's stream was given the change;
- `shown`: Envoy's `/clusters` has it (looked at every 2 ms);
- `first request`: the application had an answer of the instance; with two instances every second request goes there;
- `last request`: it had the last one of an instance that was taken away; 0 if there was none after the event.

Time that tests' servers take (Consul, Kubernetes) is in it, as is etcd's or Knot's. Failed requests end the benchmark.
"""

from __future__ import annotations

import argparse
import json
import platform
import random
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

from tests.benchmarks.discovery_figures import polling, spread
from tests.benchmarks.discovery_platforms import KINDS, Managed, timed
from tests.benchmarks.discovery_rig import DiscoveryRig
from tests.benchmarks.discovery_traffic import Caller

BASE = "127.2.0.1"
STEPS = ("yielded", "catalogue", "delivered", "shown", "first request", "after yield")
SERVICE = "b"


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(
        description="Time instances that come and go, from the platform's event to requests."
    )
    parser.add_argument("--kinds", nargs="+", default=[*KINDS], choices=[*KINDS])
    parser.add_argument("--events", type=int, default=50, help="instances that come, and go again, of each kind")
    given = parser.parse_args()
    results = {}
    for kind in given.kinds:
        results[kind] = measure(kind, given.events)
        show(kind, results[kind])
    print(json.dumps({"benchmark": "discovery", "python": platform.python_version(), "results": results}))


def show(kind: str, found: dict[str, Any]) -> None:
    """One kind's table."""
    print(f"\n{kind}, interval {found['interval'] * 1000:g} ms; milliseconds after the event")
    print(f"{'':26}{'p50':>9}{'p90':>9}{'p99':>9}")
    for part in ("added", "removed"):
        for step, figures in found[part].items():
            row = "".join(f"{figures[name]:9.1f}" for name in ("p50", "p90", "p99"))
            print(f"{part + ' ' + step:26}{row}", flush=True)


def measure(kind: str, events: int) -> dict[str, Any]:
    """All figures for one kind of registry, in milliseconds."""
    with tempfile.TemporaryDirectory(prefix="b") as name, KINDS[kind](Path(name)) as listed:
        host = listed.host(SERVICE)
        with DiscoveryRig(Path(name), registry=listed.registry, hosts=(host,)) as rig:
            listed.put(SERVICE, [BASE], rig.listening)
            rig.start_all()
            rig.wait(lambda: BASE in rig.endpoints("a-1").get(host, ()), "the first instance to be there")
            seen: list[tuple[float, bytes]] = []
            looking = polling(lambda: rig.shown("a-1", "/clusters"), seen)
            caller = Caller((rig.bind("a-1"), rig.egress), host)
            with looking, caller:
                moments = [_event(rig, listed, caller, seen, number) for number in range(events)]
            if any(not who for _, who in caller.seen):
                raise SystemExit(f"{kind}: requests failed")
            return {"interval": listed.interval, **_figures(rig, caller, seen, moments)}


def _event(
    rig: DiscoveryRig, listed: Managed, caller: Caller, seen: list[tuple[float, bytes]], number: int
) -> tuple[str, float, float]:
    """One instance comes, serves, and goes: which, and when the platform was told of each."""
    chance = random.Random(number)  # noqa: S311 -- so that events meet polls at any phase
    address = f"127.2.1.{number + 1}"
    time.sleep(chance.uniform(0.15, 0.45))
    came = timed(lambda: listed.put(SERVICE, [BASE, address], rig.listening))
    rig.wait(lambda: caller.first(address, came) is not None, f"{address} to serve")
    time.sleep(chance.uniform(0.15, 0.45))
    went = timed(lambda: listed.put(SERVICE, [BASE], rig.listening))
    rig.wait(lambda: not _shows(seen[-1], address), f"{address} to be gone")
    time.sleep(0.1)
    return address, came, went


def _shows(seen: tuple[float, bytes], address: str) -> bool:
    return f"::{address}:".encode() in seen[1]


def _figures(
    rig: DiscoveryRig, caller: Caller, seen: list[tuple[float, bytes]], moments: list[tuple[str, float, float]]
) -> dict[str, Any]:
    stamps = {name: [at for _, at, _ in rig.stamped(name)] for name in ("yield", "told", "delivered")}
    added: dict[str, list[float]] = defaultdict(list)
    removed: dict[str, list[float]] = defaultdict(list)
    for address, came, went in moments:
        for into, since in ((added, came), (removed, went)):
            for step, name in (("yielded", "yield"), ("catalogue", "told"), ("delivered", "delivered")):
                into[step].append(next(at for at in stamps[name] if at >= since) - since)
        first = caller.first(address, came)
        assert first is not None
        added["shown"].append(next(look[0] for look in seen if look[0] >= came and _shows(look, address)) - came)
        added["first request"].append(first - came)
        added["after yield"].append(first - came - added["yielded"][-1])
        gone = next(look[0] for look in seen if look[0] >= went and not _shows(look, address))
        last = caller.last(address)
        assert last is not None
        removed["shown"].append(gone - went)
        removed["last request"].append(max(0.0, last - went))
        removed["after yield"].append(max(0.0, last - went - removed["yielded"][-1]))
    return {
        "added": {step: spread(added[step]) for step in STEPS},
        "removed": {step: spread(values) for step, values in removed.items()},
    }


if __name__ == "__main__":
    main()
