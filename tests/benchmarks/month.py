"""A month of a daemon's life in some minutes: passes, merges, rollouts, proxies and registries that come and go.

    python -m tests.benchmarks.month [--days 30] [--seconds 10]

Each day a service's rules are changed and changed back, a bad commit is pushed and reverted, a canary walks to the end and the roles
change, an instance joins with its Envoy and leaves, a registry lists other instances, an Envoy is restarted, and whoever watches comes
and goes over HTTP. The daemon looks at Git and at the proxies a thousand times as often as it does by default. At the end of each day:

- `rss`: resident memory of the daemon, in MB; `fds`: its open files; `threads`; `children`: processes that it has.
- `repo`, `cache`: bytes on disk of the repository and of what the daemon keeps beside it, in MB; `commits`: on both branches, since
  the repository grows with those; `KB/commit` is what a commit has cost so far.
- `log`: bytes that the day added to the daemon's log, in KB; `passes`: that the day had, as its log counts them.

`grown` compares the mean of the last third of the days with that of the second third: what leaks grows from one to the other. The exit
code is 1 if memory, files, threads or processes grew by more than 5%.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from reconciler.cli.demo.commands import Daemon
from reconciler.http import HttpClient, HttpError
from reconciler.settings import AdminSettings
from tests.e2e.rig import git
from tests.e2e.sidecars import Sidecars

_ROLLOUT = """\
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata: {name: b}
spec:
  target:
    virtualService: {name: b, routes: [primary]}
  stable: %s
  canary: %s
  steps:
  - setWeight: 10
  - pause: {duration: 200ms}
  - setWeight: 50
  - pause: {duration: 200ms}
  - setWeight: 100
"""
_RULE = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: c}
spec:
  hosts: [c]
  http:
  - timeout: %ds
    route: [{destination: {host: c}}]
"""
_WATCHED = (
    "/healthz",
    "/readyz",
    "/v1/status",
    "/v1/services",
    "/v1/rollouts",
    "/v1/timeline",
    "/v1/traffic",
    "/metrics",
    "/",
)
_PATIENCE = 60.0
_GROWTH = 1.05

Day = dict[str, float]


class Month(Sidecars):
    """The mesh of sidecars, with a registry and a rollout, and a daemon that hurries."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.targets = folder / "targets.json"
        self.http = self.ports.reserve()
        self.roles = ("v1", "v2")
        self.daemon = Daemon(
            "--repo", str(self.repo), "--ads", f"127.0.0.1:{self.ads}", "--http", f"127.0.0.1:{self.http}",
            "--interval", "20ms", "--drift-interval", "100ms", "--verbose",
            environ=self.environ, log=folder / "daemon.log",
        )  # fmt: skip

    def files(self, v1: int = 100, v2: int = 0) -> dict[str, str]:
        """The mesh of sidecars, service c that files list, and b's rollout."""
        found = super().files(v1, v2)
        listed = json.dumps(
            [{"name": "files", "fileSd": {"files": [str(self.targets)]}, "protection": {"flaps": 1000000}}]
        )
        found["policies/mesh.yaml"] += f"  discovery: {listed}\n"
        found["policies/c.yaml"] = self.another("c").replace("  workloadSelector: {labels: {app: b}}\n", "")
        return found | {"policies/c-rule.yaml": _RULE % 1, "policies/rollout.yaml": _ROLLOUT % self.roles}

    # What happens on a day

    def push(self, files: dict[str, str | None], message: str) -> str:
        """A person's commit on whatever the daemon has committed meanwhile."""
        for _ in range(20):
            git("-C", str(self.clone), "fetch", "-q", "origin", quiet=True)
            git("-C", str(self.clone), "reset", "-q", "--hard", "origin/main", quiet=True)
            try:
                return self.commit(files, message)
            except AssertionError:  # the daemon was faster
                continue
        raise SystemExit("somebody else is faster each time")

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds."""
        deadline = time.monotonic() + _PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {_PATIENCE:g} s: {what}\n{self.told()}")
            time.sleep(0.05)

    def told(self) -> str:
        """The newest lines of the log that are not about every pass."""
        return "\n".join([line for line in self.daemon.read().splitlines() if " DEBUG " not in line][-30:])

    def live(self, commit: str) -> None:
        """Wait until a receipt says so."""
        self.until(lambda: (commit, "applied") in self.receipts()[:50], f"{commit[:10]} to be applied")

    def list_instances(self, number: int) -> None:
        """What the registry says from now on."""
        groups = [{"targets": [f"127.0.9.{1 + (number + more) % 200}:9000" for more in range(3)], "labels": {"job": "c.default.svc.cluster.local"}}]  # fmt: skip
        new = self.targets.with_suffix(".new")
        new.write_text(json.dumps(groups))
        new.rename(self.targets)

    def watch(self) -> None:
        """Somebody looks at everything, once."""
        with HttpClient(f"http://127.0.0.1:{self.http}", AdminSettings()) as client:
            for path in _WATCHED:
                try:
                    client.get(path)
                except HttpError as error:
                    raise SystemExit(f"{path}: {error}\n{self.told()}") from error

    def live_day(self, day: int, seconds: float) -> None:
        """One day."""
        began = time.monotonic()
        self.roles = (self.roles[1], self.roles[0]) if day else self.roles
        if day:
            self.push({"policies/rollout.yaml": _ROLLOUT % self.roles}, f"Canary {self.roles[1]}")
        name = "b-3"
        joined = self.push({f"policies/{name}.yaml": self.instance(name)}, f"{name} joins")
        self.start(name)
        self.push({"policies/bad.yaml": "kind: [\n"}, "A slip")
        self.push({"policies/bad.yaml": None}, "Mend it")
        for number in range(10):
            self.push({"policies/c-rule.yaml": _RULE % (2 + number)}, f"Wait {2 + number} s")
            self.list_instances(day * 10 + number)
            self.watch()
        self.until(lambda: self.ended() == self.roles, f"the canary to end:\n{self.rollout()}")
        self.live(self.push({"policies/c-rule.yaml": _RULE % 1}, "Wait 1 s"))
        self.envoys["b-1"].stop()
        self.start("b-1")
        gone = self.push({f"policies/{name}.yaml": None}, f"{name} leaves")
        self.live(gone)
        self.envoys.pop(name).stop()
        assert joined != gone
        while time.monotonic() < began + seconds:
            self.watch()
            time.sleep(0.5)

    def rollout(self) -> str:
        """Its file as it is now."""
        return git("-C", str(self.repo), "show", "main:policies/rollout.yaml")

    def ended(self) -> tuple[str, str] | None:
        """The roles of the run that has come to its end."""
        text = self.rollout()
        stable, canary = self.roles
        done = (
            f"stable: {stable}\n  canary: {canary}" in text
            and "phase: Succeeded" in text
            and f'run: "{stable}->{canary}"' in text
        )
        return self.roles if done else None

    # What is measured

    def measure(self) -> Day:
        """What the daemon has and has left behind."""
        pid = self.daemon.pid
        fields = dict(
            line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line
        )
        children = [(task / "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
        log = self.daemon.read()
        return {
            "rss": int(fields["VmRSS"].split()[0]) / 1024,
            "fds": len(os.listdir(f"/proc/{pid}/fd")),  # noqa: PTH208 -- as above
            "threads": int(fields["Threads"]),
            "children": sum(map(len, children)),
            "repo": _size(self.repo) / 1e6,
            "cache": _size(self.folder / "cache") / 1e6,
            "commits": sum(
                int(git("-C", str(self.repo), "rev-list", "--count", ref)) for ref in ("main", "reconciler/record")
            ),
            "log": sum(len(line) for line in log.splitlines() if " DEBUG " not in line) / 1e3,
            "passes": log.count(" pass for "),
        }


def main() -> None:
    """Live, print the table, print the JSON."""
    parser = argparse.ArgumentParser(description="A month of a daemon's life.")
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=10.0, help="That a day has at least.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="month-") as folder, Month(Path(folder)) as month:
        month.list_instances(0)
        month.start_all()
        days: list[Day] = []
        before: Day = {}
        for day in range(options.days):
            month.live_day(day, options.seconds)
            found = month.measure()
            days.append(found | {name: found[name] - before.get(name, 0.0) for name in ("log", "passes")})
            before = found
            sys.stderr.write(f"day {day + 1}: {_row(days[-1])}\n")
        code = month.daemon.stop()
    grown = _grown(days)
    _print(days)
    print(json.dumps({"days": days, "grown": grown, "exit_code": code}))
    leaks = max(grown.values()) > _GROWTH
    raise SystemExit(1 if leaks or code != 0 else 0)


def _grown(days: list[Day]) -> dict[str, float]:
    """The last third by the second."""
    third = max(1, len(days) // 3)
    found = {}
    for name in ("rss", "fds", "threads", "children"):
        before, after = (
            statistics.fmean(day[name] for day in part) for part in (days[third : 2 * third] or days, days[-third:])
        )
        found[name] = round(after / before, 4) if before else 1.0 + after
    return found


def _print(days: list[Day]) -> None:
    names = [*days[0], "KB/commit"]
    print(" ".join(["day", *(f"{name:>9}" for name in names)]))
    for number, day in enumerate(days, 1):
        if number == 1 or number % 5 == 0:
            values = [*day.values(), 1000 * day["repo"] / day["commits"]]
            print(f"{number:>3} " + " ".join(f"{value:>9.1f}" for value in values))


def _row(day: Day) -> str:
    return " ".join(f"{name}={value:.1f}" for name, value in day.items())


def _size(folder: Path) -> int:
    """Bytes on disk; what goes away meanwhile is not there."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_blocks * 512  # noqa: PTH118 -- a hundred thousand files
            except FileNotFoundError:
                continue
    return total


if __name__ == "__main__":
    main()
