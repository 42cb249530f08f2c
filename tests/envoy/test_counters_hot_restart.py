"""A hot restart: two processes of one Envoy, of which the new one goes on with a part of what the old one has counted."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.envoy import Admin, AdminError
from reconciler.envoy.binary import find_envoy
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.envoy.counted import Application, entrance, upstream
from tests.envoy.live import Files, until
from tests.http.servers import serving

PATIENT = ["--drain-time-s", "1", "--parent-shutdown-time-s", "2", "--concurrency", "1", "--log-level", "critical"]


class Generations:
    """Processes of one Envoy with its files in one directory, each of which takes over from the one before."""

    def __init__(self, directory: Path) -> None:
        self.admin = f"unix://{directory / 'admin'}"
        self.entrance = f"unix://{directory / 'in'}"
        self._base = directory / "base"
        self._processes: list[subprocess.Popen[bytes]] = []

        def source(name: str) -> dict[str, object]:
            return {"resource_api_version": "V3", "path_config_source": {"path": str(directory / name)}}

        bootstrap = {
            "node": {"id": "lab", "cluster": "lab"},
            "admin": {"address": {"pipe": {"path": str(directory / "admin")}}},
            "dynamic_resources": {"cds_config": source("cds.pb"), "lds_config": source("lds.pb")},
            "stats_flush_interval": "1s",
        }
        self._bootstrap = directory / "bootstrap.json"
        self._bootstrap.write_text(json.dumps(bootstrap))

    def next(self) -> None:
        """Start one, and wait until it is the one that answers."""
        number = len(self._processes)
        known = self._base.read_text().strip() if number else ""
        base = ["--base-id", known] if number else ["--use-dynamic-base-id", "--base-id-path", str(self._base)]
        before = self._epoch()
        command = [find_envoy(), "-c", str(self._bootstrap), "--restart-epoch", str(number), *base, *PATIENT]
        self._processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        until(lambda: self._epoch() not in {"", before} and self._ready())

    def wait_for_the_first(self) -> None:
        """Wait until the process that was taken over from has ended."""
        self._processes[0].wait(20)

    def end(self) -> None:
        """End all of them, and remove what they shared."""
        for process in self._processes:
            process.terminate()
            process.wait(20)
        if self._base.exists():
            Path(f"/dev/shm/envoy_shared_memory_{self._base.read_text().strip()}0").unlink(missing_ok=True)  # noqa: S108 -- Envoy's own name

    def _epoch(self) -> str:
        try:
            with Admin(self.admin, AdminSettings()) as admin:
                return admin.versions().epoch
        except AdminError:
            return ""

    def _ready(self) -> bool:
        with HttpClient(self.admin, AdminSettings()) as client:
            return client.get("/ready").status == 200


@contextmanager
def generations(directory: Path, port: int) -> Iterator[Generations]:
    """One cluster `a`, behind a listener on a Unix socket, which is handed over like any other."""
    Files(directory).write([upstream("a", port), entrance({"a": {"cluster": "a"}}, directory / "in")])
    found = Generations(directory)
    try:
        yield found
    finally:
        found.end()


def test_a_hot_restart_is_another_epoch(short_path: Path) -> None:
    """The new process has not what the old one counted before; what the old one still counts becomes its own, each request once."""
    with serving(Application()) as server, generations(short_path, server.port) as envoy:
        envoy.next()
        with Admin(envoy.admin, AdminSettings()) as admin, HttpClient(envoy.entrance, AdminSettings()) as early:
            assert [early.get("/a/200").status for _ in range(5)] == [200] * 5
            old = admin.counters(["a"])
            assert old.clusters["a"].counts.requests == 5
            until(lambda: sum(admin.counters(["a"]).clusters["a"].counts.times.values()) == 5)
            envoy.next()
            with Admin(envoy.admin, AdminSettings()) as fresh, HttpClient(envoy.entrance, AdminSettings()) as late:
                new = fresh.counters(["a"])
                assert new.epoch != old.epoch
                assert new.clusters["a"].counts.requests == 0
                assert early.get("/a/200").status == 200  # on a connection of the old process
                assert [late.get("/a/200").status for _ in range(2)] == [200] * 2
                until(lambda: fresh.counters(["a"]).clusters["a"].counts.requests == 3)
                envoy.wait_for_the_first()
                # A client that keeps its connection reads the old process as long as it lives, and then the new one, under its name.
                seen = admin.counters(["a"])
                assert seen == fresh.counters(["a"])
                assert (seen.epoch, seen.clusters["a"].counts.requests) == (new.epoch, 3)
