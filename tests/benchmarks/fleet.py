"""How long a changed weight takes to be in force on a fleet of real Envoys on ADS: by the protocol, by the proof, by the whole pass.

    python -m tests.benchmarks.fleet [--envoys 20 100] [--changes 30] [--services 10]

One process has the server and runs the passes, as the daemon does; each Envoy has one worker. `pass` is from Git's commit on:
as `passes` measures it for files. `push and verify` is the part of a pass in which weights travel and are proven. `publish`
leaves everything else out: each proxy is given its view with another weight, until the last one's ACK, and in other changes until
the last one's admin endpoint has shown the version of its route configuration too (`confirmed`).
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.cycle import Ask, Stage, silent
from reconciler.cycle.report import Stopwatch
from reconciler.envoy import Admin
from reconciler.model.key import Key
from reconciler.model.protos import decode, resource
from reconciler.model.resource import Resource, ResourceType, View
from reconciler.settings import AdminSettings
from reconciler.xds import Plane
from tests.benchmarks.ads_rig import AdsRig
from tests.benchmarks.passes import ALLOW, Samples, check, extra_services, figures, timed
from tests.e2e.rig import HOST

PATIENCE = 10.0


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="Time changed weights on fleets of real Envoys on ADS.")
    parser.add_argument("--envoys", type=int, nargs="+", default=[20, 100])
    parser.add_argument("--changes", type=int, default=30)
    parser.add_argument("--services", type=int, default=10)
    given = parser.parse_args()
    results = {str(count): measure(count, given.changes, given.services) for count in given.envoys}
    for count, parts in results.items():
        print(f"\n{count} Envoys, {given.services + 1} services, {given.changes} changes; milliseconds")
        print(f"{'':26}{'p50':>9}{'p99':>9}{'max':>9}")
        for part, stages in parts.items():
            for stage, found in stages.items():
                row = "".join(f"{found[name] * 1000:9.1f}" for name in ("p50", "p99", "max"))
                print(f"{part + ' ' + stage:26}{row}")
    print(json.dumps({"benchmark": "fleet", "python": platform.python_version(), "results": results}))


def measure(envoys: int, changes: int, services: int) -> dict[str, dict[str, dict[str, float]]]:
    """All figures for one fleet, in seconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b")))
        rig = stack.enter_context(AdsRig(folder, gateways=envoys))
        rig.commit(extra_services(rig, services), "More services")
        chosen = settings(repo=str(rig.repo), ref="main", cache=folder / "cache")
        session = stack.enter_context(Session(chosen, quiet=True, plane=rig.plane))
        passes = through_passes(rig, session, changes)
        head = session.repository.tree(session.repository.resolve("main"))
        views = session.compiler.desired(head, Stopwatch(silent)).views
        return {"pass": passes, "publish": figures(through_the_plane(rig, views, changes))}


def through_passes(rig: AdsRig, session: Session, changes: int) -> dict[str, dict[str, float]]:
    """Commits, each with a pass of its own; no split comes twice."""
    reconciler = session.reconciler()
    check(reconciler.run(Ask()))
    samples: Samples = defaultdict(list)
    for number in range(changes):
        part = (number * 137 + 500) % 4500
        rig.commit(rig.routes(10_000 - part, part), f"{number}: v2 at {part / 100}%")
        report = timed(lambda: reconciler.run(Ask(exact=False, allow=ALLOW)), samples)
        check(report, receipts=True)
        samples["push and verify"].append(report.seconds[Stage.PUSH] + report.seconds[Stage.VERIFY])
    return figures(samples)


def through_the_plane(rig: AdsRig, views: Mapping[Key, View], changes: int) -> Samples:
    """Changes that are only published: each twice, once to the last ACK and once to the last confirmation."""
    samples: Samples = defaultdict(list)
    with ExitStack() as stack:
        admins = {key: stack.enter_context(Admin(f"unix://{rig.admin(key.name)}", AdminSettings())) for key in views}
        pool = stack.enter_context(ThreadPoolExecutor(AdminSettings().workers))
        for number in range(changes):
            changed = {key: reweighted(view, 2 * number) for key, view in views.items()}
            started = published(rig.plane, views, changed, samples)
            for key in views:
                rig.plane.wait(key, timeout=PATIENCE)
            samples["ACKed"].append(time.perf_counter() - started)
            state = rig.plane.state(next(iter(views)))
            samples["resources of one"].append(state.resources_sent / 1000)
            samples["bytes of one"].append(state.bytes_sent / 1000)

            changed = {key: reweighted(view, 2 * number + 1) for key, view in views.items()}
            started = published(rig.plane, views, changed, samples)
            list(pool.map(lambda key: confirm(rig.plane, key, admins[key], changed[key]), views))  # noqa: B023 -- done here
            samples["confirmed"].append(time.perf_counter() - started)
    return samples


def published(plane: Plane, views: Mapping[Key, View], changed: Mapping[Key, Resource], samples: Samples) -> float:
    """Give every proxy its view with one other resource; when that began."""
    states = {key: tuple(view.exchanged([changed[key]]).resources.values()) for key, view in views.items()}
    started = time.perf_counter()
    for key, resources in states.items():
        plane.publish(key, resources)
    samples["published"].append(time.perf_counter() - started)
    return started


def confirm(plane: Plane, key: Key, admin: Admin, wanted: Resource) -> None:
    """Wait for the ACKs, then until the admin endpoint shows the version."""
    state = plane.wait(key, timeout=PATIENCE)
    deadline = time.perf_counter() + PATIENCE
    while admin.versions().versions.get((ResourceType.ROUTE, wanted.id.name)) not in state.texts[ResourceType.ROUTE]:
        if time.perf_counter() > deadline:
            raise SystemExit(f"{key} does not show {wanted.id}")


def reweighted(view: View, number: int) -> Resource:
    """The route configuration with the split, with weights that it has not had."""
    for item in view.of_type(ResourceType.ROUTE):
        message = decode(item)
        for host in message.virtual_hosts:  # type: ignore[attr-defined]
            for route in host.routes:
                clusters = route.route.weighted_clusters.clusters
                if len(clusters) > 1 and HOST in clusters[0].name:
                    clusters[0].weight.value, clusters[1].weight.value = 100_000 - number, number
                    return resource(ResourceType.ROUTE, message)
    raise SystemExit(f"{view.proxy} has no split")


if __name__ == "__main__":
    main()
