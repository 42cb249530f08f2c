"""A mesh on which a canary walks: two versions that fail or dawdle when a test says so, callers, and steady traffic."""

from __future__ import annotations

import http.client
import json
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from tests.e2e.rig import Rig, clean_environment, git

ROLLOUT = """\
# Walks by itself; see docs/rollouts.md.
apiVersion: reconciler/v1alpha1
kind: Rollout
metadata: {name: details}
spec:
  target:
    virtualService: {name: details, routes: [primary]}
  stable: v1
  canary: v2
%(fields)s
  steps:
%(steps)s
"""

TEMPLATE = """\
apiVersion: reconciler/v1alpha1
kind: AnalysisTemplate
metadata: {name: golden-signals}
spec:
  metrics:
%(metrics)s
"""

SUCCESS_RATE = """\
  - name: request-success-rate
    interval: 1s
    minRequests: 10
    thresholdRange: {min: 95}
"""

DURATION = """\
  - name: request-duration
    interval: 1s
    minRequests: 10
    thresholdRange: {max: 200}
"""


class Upstream:
    """One version of the application, served from this process.

    Attributes:
        fail: Share of requests that are answered with 500.
        delay: Seconds that every answer takes.
    """

    def __init__(self, version: str, port: int) -> None:
        self.version = version
        self.fail = 0.0
        self.delay = 0.0
        self.served: Counter[int] = Counter()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                if outer.delay:
                    time.sleep(outer.delay)
                status = 500 if random.random() < outer.fail else 200  # noqa: S311 -- a share of requests
                outer.served[status] += 1
                self.send_response(status)
                self.send_header("x-version", outer.version)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            allow_reuse_address = True
            allow_reuse_port = True
            daemon_threads = True
            request_queue_size = 128

        self._server = Server(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)


class Load:
    """Steady requests through one caller, counted by status and version."""

    def __init__(self, port: int, *, rate: float, headers: Mapping[str, str] | None = None) -> None:
        self._port = port
        self._pause = 1 / rate
        self._headers = {"host": "details.example.com", **(headers or {})}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._seen: list[tuple[float, int, str]] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)

    def since(self, moment: float) -> Counter[tuple[int, str]]:
        """How many answers of which status by which version came after this time of `time.monotonic`."""
        with self._lock:
            return Counter((status, version) for at, status, version in self._seen if at >= moment)

    def last(self, requests: int) -> Counter[tuple[int, str]]:
        """The same of the newest answers; nothing before there are that many."""
        with self._lock:
            newest = self._seen[-requests:]
        return Counter((status, version) for _, status, version in newest) if len(newest) == requests else Counter()

    def all(self) -> Counter[tuple[int, str]]:
        return self.since(0.0)

    def _run(self) -> None:
        connection: http.client.HTTPConnection | None = None
        while not self._stop.wait(self._pause):
            at = time.monotonic()
            try:
                if connection is None:
                    connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
                connection.request("GET", "/", headers=self._headers)
                answer = connection.getresponse()
                answer.read()
                status, version = answer.status, answer.getheader("x-version", "")
            except (OSError, http.client.HTTPException):
                status, version = 0, ""
                if connection is not None:
                    connection.close()
                connection = None
            with self._lock:
                self._seen.append((at, status, version))
        if connection is not None:
            connection.close()


class Canary(Rig):
    """A rig whose versions are under the test's control."""

    @property
    def address(self) -> str:
        """Where the product finds the policies."""
        return str(self.repo)

    def serve(self) -> None:
        self.upstreams = {
            version: self.stack.enter_context(Upstream(version, port)) for version, port in self.app_ports.items()
        }

    def rollout(self, *steps: str, fields: str = "", metrics: str = SUCCESS_RATE) -> dict[str, str]:
        """The rollout's files, with one step for each text."""
        lines = "\n".join(f"  - {step}" for step in steps)
        said = "\n".join(f"  {line}" for line in fields.splitlines())
        text = ROLLOUT % {"fields": said, "steps": lines}
        return {"policies/rollout.yaml": text, "policies/analysis.yaml": TEMPLATE % {"metrics": metrics}}

    def load(self, name: str = "edge", *, rate: float = 150, headers: Mapping[str, str] | None = None) -> Load:
        return Load(self.listen[name], rate=rate, headers=headers)

    def main(self, path: str = "policies/rollout.yaml", *, ref: str = "main") -> str:
        return git("-C", str(self.repo), "show", f"{ref}:{path}")

    def status(self) -> dict[str, str]:
        """The rollout's status on main."""
        _, _, block = self.main().partition("\nstatus:")
        return dict(_fields(block))

    def phase(self) -> str:
        return self.status().get("phase", "")

    def weights(self, *, ref: str = "main") -> tuple[int, int]:
        """What main gives v1 and v2."""
        lines = [line for line in self.main("policies/routes.yaml", ref=ref).splitlines() if "weight:" in line]
        one, other = (int(line.partition("weight:")[2].split("#")[0]) for line in lines)
        return one, other

    def walked(self) -> list[str]:
        """Subjects of main's commits since the first, oldest first."""
        return git("-C", str(self.repo), "log", "--first-parent", "--reverse", "--format=%s", "main").splitlines()[1:]

    def pull(self) -> None:
        """Bring the person's clone up to date."""
        git("-C", str(self.clone), "pull", "-q", "--rebase", "origin", "main", quiet=True)

    def edit(self, path: str, old: str, new: str, message: str) -> str:
        """A person's commit that replaces one text."""
        self.pull()
        text = (self.clone / path).read_text()
        assert old in text, text
        return self.commit({path: text.replace(old, new)}, message)

    def until(self, phase: str, *, patience: float = 60.0) -> None:
        deadline = time.monotonic() + patience
        while self.phase() != phase:
            assert time.monotonic() < deadline, (phase, self.status(), self.walked(), self.receipts())
            time.sleep(0.05)

    def evidence(self) -> str:
        return git("-C", str(self.repo), "show", "reconciler/record:rollouts/default/details.yaml")

    @contextmanager
    def daemon(self, *options: str, log: str = "daemon.log") -> Iterator[subprocess.Popen[bytes]]:
        """The product itself, killed at the end if it still runs."""
        command = [sys.executable, "-m", "reconciler", "daemon", "--repo", self.address]
        command += ["--interval", "100ms", "--drift-interval", "5s", *options]
        path = self.folder / log
        with path.open("ab") as sink, subprocess.Popen(command, stderr=sink, env=clean_environment()) as process:
            try:
                self.wait(lambda: " ready\n" in path.read_text() or process.poll() is not None, "the daemon is ready")
                yield process
            finally:
                with suppress(ProcessLookupError):
                    process.send_signal(signal.SIGKILL)
                process.wait(20)

    def log(self, name: str = "daemon.log") -> str:
        return (self.folder / name).read_text()

    def stat(self, name: str, counter: str) -> int:
        return self.counters(name, f"^{counter}$").get(counter, 0)


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        if line.startswith("  ") and ":" in line:
            name, _, value = line.strip().partition(":")
            yield name, _scalar(value.strip())
        elif line.strip() and not line.startswith((" ", "#")):
            return


def _scalar(text: str) -> str:
    if text.startswith('"'):
        return str(json.loads(text))
    return text.strip("'")
