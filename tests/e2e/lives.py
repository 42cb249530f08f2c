"""Lives of one reconciler, one after the other, any of which may end by SIGKILL: `lives.py REPO FOLDER GATEWAY RECEIVER [FROM]`, as a process.

Each line of stdin is an order in JSON, for which a life is lived in a forked process, and answered by a line that says how it ended:
`over` if the rollout has ended and nothing more is to be done, or `killed`. A life runs passes, with some requests after each, and a
clock that skips ahead meanwhile. What it is, it has from Git and the proxies alone; only the clock goes on where it was.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.cli.options import settings
from reconciler.cli.session import Session
from reconciler.cycle import Ask
from reconciler.yamldoc import load

MAIN = "refs/heads/main"
SKIP = 20.0
"""Seconds by which the clock skips ahead after each pass."""
_REQUESTS = 60
_MOST = 80


class Skipping:
    """The machine's clocks, and what was skipped."""

    def __init__(self, memory: Path) -> None:
        self._memory = memory
        self._skipped = float(memory.read_text()) if memory.exists() else 0.0

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._skipped)

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))

    def skip(self) -> None:
        self._skipped += SKIP
        beside = self._memory.with_suffix(".new")
        beside.write_text(str(self._skipped))
        beside.rename(self._memory)


class Deadly:
    """Kills this process right before or after something is written, once for each such moment of a run.

    Attributes:
        at: What `main` says: the same write at another step is another moment.
    """

    def __init__(self, repo: Path, folder: Path, receiver: int, diary: int, done: set[str]) -> None:
        self._xds = str(folder / "xds")
        self._receiver = receiver
        self._diary = diary
        self._done = done
        self._open = ""
        self.at = _git(repo, "log", "-1", "--format=%s", "main")

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event not in {"subprocess.Popen", "os.rename", "socket.connect"}:
            return
        what = self._what(event, arguments)
        if self._open:
            self._reach(f"after {self._open}")
            self._open = ""
        if what:
            self._open = f"{what} | {self.at}"
            self._reach(f"before {self._open}")
        if what.startswith("main: "):
            self.at = what.removeprefix("main: ")

    def _what(self, event: str, arguments: tuple[Any, ...]) -> str:
        if event == "subprocess.Popen":
            command = list(arguments[1])
            if "update-ref" not in command:
                return ""
            log, ref = command[command.index("-m") + 1 :][:2]
            subject = log.removeprefix("reconcile: ")
            return f"main: {subject}" if ref == MAIN else f"record: {re.sub(r'[0-9.]+', '#', subject)}"
        if event == "os.rename":
            return f"push: {arguments[1]}" if str(arguments[1]).startswith(self._xds) else ""
        address = arguments[1]
        return "tell" if isinstance(address, tuple) and address[1] == self._receiver else ""

    def _reach(self, moment: str) -> None:
        if moment not in self._done:
            os.write(self._diary, f"{moment}\n".encode())
            os.kill(os.getpid(), signal.SIGKILL)


class Life:
    """What lives share, and how one is lived.

    Args:
        sick: The step, from 0, from which on v2 fails all its requests; None if never.
    """

    def __init__(self, repo: Path, folder: Path, gateway: int, receiver: int, sick: int | None) -> None:
        self.repo, self.folder, self.gateway, self.receiver, self.sick = repo, folder, gateway, receiver, sick

    def live(self, done: set[str] | None) -> int:
        """Until the rollout is over: 0, or until it should have been: 1."""
        clock = Skipping(self.folder / "skipped")
        diary = os.open(self.folder / "diary", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        with Session(settings(repo=str(self.repo), ref="main", admin_timeout="5s"), quiet=True) as session:
            session.clock = clock
            reconciler = session.reconciler()
            if done is not None:
                sys.addaudithook(Deadly(self.repo, self.folder, self.receiver, diary, done))
            calm = 0
            for _ in range(_MOST):
                report = reconciler.run(Ask())
                status = self._status()
                still = not (report.taken or report.receipt or report.errors)
                calm = calm + 1 if still and status.get("phase") in {"Succeeded", "Aborted"} else 0
                if calm > 1:
                    return 0
                self._call(fails=self.sick is not None and int(status.get("step", 0)) >= self.sick)
                clock.skip()
        return 1

    def _status(self) -> dict[str, Any]:
        """The rollout's on `main`."""
        (document,) = load(_git(self.repo, "show", f"{MAIN}:policies/rollout.yaml").encode())
        return dict(document.get("status", {}))

    def _call(self, *, fails: bool) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway, timeout=10)
        headers = {"host": "details.example.com", **({"x-fails": "v2"} if fails else {})}
        try:
            for _ in range(_REQUESTS):
                connection.request("GET", "/", headers=headers)
                connection.getresponse().read()
        finally:
            connection.close()


def _git(repo: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(repo), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def main(repo: str, folder: str, gateway: str, receiver: str) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if not child:
            life = Life(Path(repo), Path(folder), int(gateway), int(receiver), order["sick"])
            done = order["done"]
            os._exit(life.live(None if done is None else set(done)))
        print(json.dumps(_ended(child, order["seconds"])), flush=True)  # noqa: T201 -- how it is spoken to


def _ended(child: int, seconds: float | None) -> str:
    end = time.monotonic() + (seconds or 0)
    while seconds is not None and time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return _said(status)
        time.sleep(min(0.005, max(0.0, end - time.monotonic())))
    if seconds is not None:
        os.kill(child, signal.SIGKILL)
    return _said(os.waitpid(child, 0)[1])


def _said(status: int) -> str:
    if os.WIFSIGNALED(status):
        return "killed"
    return "over" if os.WEXITSTATUS(status) == 0 else f"exit status {os.WEXITSTATUS(status)}"


if __name__ == "__main__":
    main(*sys.argv[1:])
