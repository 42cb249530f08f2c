"""One changed cluster of thousands on a real Envoy on ADS: from the publish to its effect, and what it costs Envoy.

    python -m tests.benchmarks.clusters [--clusters 5000] [--changes 30]

A change gives one EDS cluster another timeout and its service another instance, so the cluster is exchanged, warms until its
endpoints have come, and then the next request is answered by the other instance. `ACKed` is when the proxy has answered
everything, `version` when its admin endpoint shows the new version of all clusters, `request` when a request was answered by
the new instance; each in changes of its own, all from the call to publish, which includes working out the difference. `wire`
is what one change sends. Envoy's CPU is that of changes at which nothing else is asked of it.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

from reconciler.cli.demo.backends import App, Backends
from reconciler.cli.demo.ports import Ports
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceType
from tests.benchmarks.passes import Samples, figures
from tests.xds.lab import Lab, cluster, endpoints, listener, route, running, serving

PATIENCE = 20.0
HOT = "hot"


def main() -> None:
    """Measure, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="Time one changed cluster of many.")
    parser.add_argument("--clusters", type=int, default=5_000)
    parser.add_argument("--changes", type=int, default=30)
    given = parser.parse_args()
    found = figures(measure(given.clusters, given.changes))
    print(
        f"\none changed cluster of {given.clusters}, {given.changes} changes of each kind; milliseconds, wire: 1 and bytes"
    )
    print(f"{'':26}{'p50':>9}{'p99':>9}{'max':>9}")
    for name, values in found.items():
        print(f"{name:26}" + "".join(f"{values[part]:9.1f}" for part in ("p50", "p99", "max")))
    print(json.dumps({"benchmark": "clusters", "python": platform.python_version(), "results": found}))


def measure(clusters: int, changes: int) -> Samples:
    """All samples, in milliseconds."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="b")))
        ports = stack.enter_context(Ports())
        versions = {version: ports.reserve() for version in ("v1", "v2")}
        apps = [App(app="details", version=name, listener=ports.listen(port)) for name, port in versions.items()]
        stack.enter_context(Backends(apps, log=folder / "apps.log"))
        entry = ports.reserve()
        rest = (*others(clusters), listener("entry", entry, "routes"), route("routes", HOT))
        served = stack.enter_context(serving())
        served.plane.publish(Key("default", "lab"), ())  # it becomes ready when it is told that there is nothing
        lab = stack.enter_context(running(folder, served))
        return Changes(lab, rest, versions, entry).measured(changes)


def others(clusters: int) -> tuple[Resource, ...]:
    """All clusters but the one that changes, and their endpoints."""
    names = [f"outbound|80||service-{number:05}.default.svc.cluster.local" for number in range(clusters - 1)]
    return (*map(cluster, names), *(endpoints(name, 9) for name in names))


class Changes:
    """One change after another, each to the other instance."""

    def __init__(self, lab: Lab, rest: tuple[Resource, ...], ports: dict[str, int], entry: int) -> None:
        self._lab = lab
        self._rest = rest
        self._ports = ports
        self._connection = HTTPConnection("127.0.0.1", entry)
        self._number = 0
        self._samples: Samples = defaultdict(list)

    def measured(self, changes: int) -> Samples:
        """As many changes of each kind."""
        self._lab.publish(self._view(), seconds=PATIENCE)
        until(self._answers, "the first request is answered")
        for _ in range(changes):
            self._change("ACKed", lambda: self._lab.plane.wait(self._lab.key, timeout=PATIENCE).settled)
            self._change("version", self._shown)
            self._change("request", self._answers)
        return self._samples

    def _change(self, kind: str, done: Callable[[], bool]) -> None:
        self._number += 1
        view = self._view()
        before, started = self._spent(), time.perf_counter()
        self._lab.plane.publish(self._lab.key, view)
        self._samples["publish"].append((time.perf_counter() - started) * 1000)
        until(done, kind)
        self._samples[kind].append((time.perf_counter() - started) * 1000)
        if kind == "ACKed":
            self._samples["Envoy's CPU"].append((self._spent() - before) * 1000)
        until(lambda: self._lab.settled().settled and self._shown() and self._answers(), "everything")
        state = self._lab.plane.state(self._lab.key)
        self._samples["wire: resources"].append(state.resources_sent)
        self._samples["wire: bytes"].append(state.bytes_sent)

    def _view(self) -> tuple[Resource, ...]:
        changed = cluster(HOT, connect_timeout=f"{self._number + 1}s")
        return (*self._rest, changed, endpoints(HOT, self._ports[self._expected]))

    @property
    def _expected(self) -> str:
        return ("v1", "v2")[self._number % 2]

    def _shown(self) -> bool:
        wanted = self._lab.plane.state(self._lab.key).sets[ResourceType.CLUSTER]
        return self._lab.admin.versions().versions.get((ResourceType.CLUSTER, "")) == wanted

    def _answers(self) -> bool:
        self._connection.request("GET", "/details/0")
        reply = self._connection.getresponse()
        body = reply.read()
        seen = f"{dict(reply.headers)} {body!r}"
        return self._expected in seen

    def _spent(self) -> float:
        tasks = Path(f"/proc/{self._lab.process.pid}/task").glob("*/schedstat")
        return sum(int(task.read_text(encoding="ascii").split()[0]) for task in tasks) / 1e9


def until(condition: Callable[[], bool], what: str) -> None:
    """Until a condition holds, asked again at once: a request or a reading takes its time."""
    deadline = time.perf_counter() + PATIENCE
    while not condition():
        if time.perf_counter() > deadline:
            raise SystemExit(f"not within {PATIENCE:g} s: {what}")


if __name__ == "__main__":
    main()
