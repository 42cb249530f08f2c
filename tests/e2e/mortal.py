"""A canary whose reconciler is killed again and again, and what each of its runs leaves behind."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.e2e.canary import Canary
from tests.e2e.lives import MAIN
from tests.e2e.rig import MESH, clean_environment, git

RECORD = "refs/heads/reconciler/record"
PAUSE = 60
_STEPS = ("setWeight: 10", f"pause: {{duration: {PAUSE}s}}", "setWeight: 50")
HEALTHY = (*_STEPS, "analysis: {templates: [{templateName: golden-signals}]}", "setWeight: 100")
SICK = (*_STEPS, "pause: {}")
"""Its last step waits until something happens."""
METRICS = """\
  - name: request-success-rate
    interval: 30s
    minRequests: 5
    thresholdRange: {min: 90}
"""
BACKGROUND = "analysis: {templates: [{templateName: golden-signals}]}"


@dataclass(frozen=True)
class Run:
    """What a run of a rollout has left in Git, and what people were told.

    Attributes:
        steps: Subject and tree of each commit on `main` since the first, oldest first.
        last: What the last one says in the rollout's files, without the numbers in the reason for an abort.
        waited: Seconds from the receipt by which the weight of the pause was first seen live, where the pause's clock starts, to the commit of
            the step after it.
        told: The id of each state that people were told of.
        deaths: The moments at which a life was ended.
    """

    steps: tuple[tuple[str, str], ...]
    last: str
    waited: int
    told: dict[tuple[str, int], str]
    deaths: tuple[str, ...] = ()


class Mortal(Canary):
    """A rig in which one rollout walks as often as one likes, each time from the same commit."""

    def serve(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.receiver = self.ports.reserve()
        self.stack.enter_context(_serving(self.receiver, _receiver(self.told)))
        for version, port in self.app_ports.items():
            self.stack.enter_context(_serving(port, _application(version)))
        self.diary = self.folder / "diary"

    def begin(self, *steps: str) -> None:
        """Commit the rollout; runs begin here. And be ready to live."""
        told = f"notifications: [{{url: 'http://127.0.0.1:{self.receiver}/'}}]"
        mesh = MESH.replace("{verifyDeadline: 5s}", f"{{verifyDeadline: 5s, {told}}}")
        self.first = self.commit(
            {"policies/mesh.yaml": mesh, **self.rollout(*steps, fields=BACKGROUND, metrics=METRICS)}, "Roll v2 out"
        )
        words = self.stack.enter_context((self.folder / "lives.log").open("wb"))
        command = [sys.executable, "-m", "tests.e2e.lives", str(self.repo), str(self.folder)]
        command += [str(self.listen["edge"]), str(self.receiver)]
        self.process = self.stack.enter_context(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=words, text=True, env=clean_environment()
            )
        )

    def undisturbed(self, *, sick: int | None = None) -> Run:
        """One life from the first step to the end."""
        self._back()
        assert self._live(sick=sick) == "over", self._all()
        return self._run()

    def killed_at_every_write(self, *, sick: int | None = None) -> Run:
        """A run in which each life ends at its first write, or right after it, at which none has ended before."""
        self._back()
        while (how := self._live(sick=sick, done=self._deaths())) == "killed":
            self._never_ahead()
        assert how == "over", self._all()
        return self._run()

    def killed_after(self, lives: Iterable[float], *, sick: int | None = None) -> Run:
        """A run in which each life ends after so many seconds, as far as there are some; the last one lives to the end."""
        self._back()
        how = ""
        for seconds in lives:
            how = self._live(sick=sick, seconds=seconds)
            self._never_ahead()
            if how == "over":
                break
            assert how == "killed", (seconds, self._all())
        if how != "over":
            assert self._live(sick=sick) == "over", self._all()
        return self._run()

    def _live(self, *, sick: int | None, done: Iterable[str] | None = None, seconds: float | None = None) -> str:
        order = {"sick": sick, "done": None if done is None else list(done), "seconds": seconds}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        assert answer, self._all()
        return str(json.loads(answer))

    def _back(self) -> None:
        """The first commit, no record, nothing told; and traffic as that commit has it."""
        here = ["-C", str(self.repo)]
        git(*here, "update-ref", MAIN, self.first)
        git(*here, "update-ref", "-d", RECORD)
        self.diary.unlink(missing_ok=True)
        self.apply(allow=frozenset({"guard-weight-increase"}))
        self.told.clear()

    def _never_ahead(self) -> None:
        """What the proxy gives the canary is on `main`, or still to be given; or the rollout is aborted, and that is written down."""
        live = self.live_weight()
        if live > self.weights()[1] and self.phase() != "Aborted":
            raise AssertionError((live, self.weights(), self._all()))
        if live == 0 and self.status().get("step", "0") != "0" and self.phase() != "Aborted":
            assert "aborted" in self.evidence(), self._all()

    def live_weight(self) -> int:
        """What the proxy gives the canary."""
        found = [
            int(item.get("weight", 0))
            for config in self.config("edge")[2].get("configs", ())
            for host in config["route_config"]["virtual_hosts"]
            for route in host["routes"]
            for item in route["route"].get("weighted_clusters", {}).get("clusters", ())
            if "|v2|" in item["name"]
        ]
        assert len(found) == 1, found
        return found[0]

    def _deaths(self) -> list[str]:
        return self.diary.read_text().splitlines() if self.diary.exists() else []

    def _run(self) -> Run:
        lines = git(
            "-C", str(self.repo), "log", "--first-parent", "--reverse", "--format=%H|%ct|%T|%s", f"{self.first}..main"
        )
        commits = [line.split("|", 3) for line in lines.splitlines()]
        told = {(item["phase"], int(item["step"])): str(item["id"]) for item in self.told}
        assert len({item["id"] for item in self.told}) == len(told), self.told
        return Run(
            steps=tuple((subject, tree) for _, _, tree, subject in commits),
            last=re.sub(r"(?m)^  reason: .*", lambda found: re.sub(r"[0-9.]+", "#", found[0]), self.main())
            + self.main("policies/routes.yaml"),
            waited=int(commits[2][1]) - self._seen_live(commits[0][0], commits[1][0]),
            told=told,
            deaths=tuple(self._deaths()),
        )

    def _seen_live(self, *commits: str) -> int:
        """When a receipt first said that one of these is live: seconds since 1970."""
        form = "%ct|%(trailers:key=Policy-Commit,valueonly,separator=%x20)|%(trailers:key=Outcome,valueonly,separator=%x20)"
        lines = git("-C", str(self.repo), "log", "--reverse", f"--format={form}", RECORD).splitlines()
        said = (line.split("|") for line in lines)
        return next(int(at) for at, commit, outcome in said if commit in commits and outcome == "applied")

    def _all(self) -> str:
        said = (self.folder / "lives.log").read_text().splitlines()[-30:]
        written = ["main:", *self.walked(), "record:", *self.receipts()]
        return "\n".join([*written, "deaths:", *self._deaths()[-5:], "said:", *said])

    def close(self) -> None:
        if hasattr(self, "process") and self.process.stdin is not None:
            self.process.stdin.close()
            self.process.wait(30)
        super().close()


class _Quiet(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def _receiver(told: list[dict[str, Any]]) -> type[_Quiet]:
    class Receiver(_Quiet):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.answer(202)

    return Receiver


def _application(version: str) -> type[_Quiet]:
    """One that fails requests whose header `x-fails` names its version."""

    class Application(_Quiet):
        def do_GET(self) -> None:
            self.answer(500 if self.headers["x-fails"] == version else 200)

    return Application


class _Server(ThreadingHTTPServer):
    allow_reuse_port = True
    daemon_threads = True


@contextmanager
def _serving(port: int, handler: type[_Quiet]) -> Iterator[None]:
    server = _Server(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
