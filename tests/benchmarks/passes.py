"""How long a pass takes, stage by stage, with real Envoys: from the wake-up after a commit to its receipt.

    python -m tests.benchmarks.passes [--envoys 1 20] [--changes 50] [--services 10] [--url]

Each change is one weight, committed to a bare repository and then reconciled in a process that lives on, as the daemon does.
`verified` is everything up to the proof at every Envoy; `total` has the receipt too. The no-op passes follow in the same run:
`no-op` trusts versions that this process has proven, as between two drift checks; `no-op exact` reads all content again.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.cycle import Ask, Report, Stage
from tests.e2e.rig import Rig

ALLOW = frozenset({"guard-weight-increase"})
Samples = dict[str, list[float]]


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="Time passes with real Envoys.")
    parser.add_argument("--envoys", type=int, nargs="+", default=[1, 20])
    parser.add_argument("--changes", type=int, default=50)
    parser.add_argument("--services", type=int, default=10)
    parser.add_argument("--url", action="store_true", help="read and write Git by URL, through a mirror")
    given = parser.parse_args()
    results = {str(count): measure(count, given.changes, given.services, url=given.url) for count in given.envoys}
    for count, phases in results.items():
        print(f"\n{count} Envoys, {given.services + 1} services, {given.changes} changes; milliseconds")
        print(f"{'':26}{'p50':>9}{'p99':>9}{'max':>9}")
        for phase, stages in phases.items():
            for stage, figures in stages.items():
                row = "".join(f"{figures[name] * 1000:9.1f}" for name in ("p50", "p99", "max"))
                print(f"{phase + ' ' + stage:26}{row}")
    first, last = str(given.envoys[0]), str(given.envoys[-1])
    if first != last:
        ratio = results[last]["change"]["verified"]["p50"] / results[first]["change"]["verified"]["p50"]
        print(f"\nverified, p50: {last} Envoys take {ratio:.1f} times as long as {first}")
    print(json.dumps({"benchmark": "passes", "python": platform.python_version(), "results": results}))


def measure(envoys: int, changes: int, services: int, *, url: bool) -> dict[str, dict[str, dict[str, float]]]:
    """All figures for one fleet, in seconds."""
    with tempfile.TemporaryDirectory(prefix="b") as folder, Rig(Path(folder), gateways=envoys) as rig:
        rig.commit(extra_services(rig, services), "More services")
        where = rig.repo.as_uri() if url else str(rig.repo)
        chosen = settings(repo=where, ref="main", cache=Path(folder) / "cache")
        with Session(chosen, quiet=True) as session:
            reconciler = session.reconciler()
            check(reconciler.run(Ask()))

            def change(number: int) -> Report:
                # No split comes twice, so nothing that was worked out for one change serves another.
                part = (number * 137 + 500) % 4500
                rig.commit(rig.routes(10_000 - part, part), f"{number}: v2 at {part / 100}%")
                return timed(lambda: reconciler.run(Ask(exact=False, allow=ALLOW)), changed)

            changed: Samples = defaultdict(list)
            quick: Samples = defaultdict(list)
            exact: Samples = defaultdict(list)
            for number in range(changes):
                check(change(number), receipts=True)
            for _ in range(changes):
                check(timed(lambda: reconciler.run(Ask(exact=False)), quick))
                check(timed(lambda: reconciler.run(Ask(exact=True)), exact))
    return {"change": figures(changed), "no-op": figures(quick), "no-op exact": figures(exact)}


def timed(work: Callable[[], Report], into: Samples) -> Report:
    """Run a pass and keep its stages, their sum up to the proof, and the whole."""
    started = time.perf_counter()
    report = work()
    total = time.perf_counter() - started
    for stage, seconds in report.seconds.items():
        into[str(stage)].append(seconds)
    into["verified"].append(total - report.seconds.get(Stage.RECORD, 0.0))
    into["total"].append(total)
    return report


def check(report: Report, *, receipts: bool = False) -> None:
    """A pass that did not do its work has no time worth printing."""
    if report.exit_code() != 0 or (receipts and report.receipt is None):
        raise SystemExit(f"a pass failed: {report.errors or report.outcomes or report.plan}")


def figures(samples: Samples) -> dict[str, dict[str, float]]:
    """p50, p99 and maximum of each stage."""
    return {
        stage: {
            "p50": statistics.median(values),
            "p99": sorted(values)[min(len(values) - 1, int(len(values) * 0.99))],
            "max": max(values),
        }
        for stage, values in samples.items()
    }


def extra_services(rig: Rig, count: int) -> dict[str, str]:
    """Services beside the one that is measured, each with a route of its own on every gateway."""
    found = rig.files()
    service, routes = found["policies/details.yaml"], found["policies/routes.yaml"]
    return {
        f"policies/extra-{number}.yaml": f"{service}---\n{routes}".replace("details", f"extra-{number}")
        for number in range(count)
    }


if __name__ == "__main__":
    main()
