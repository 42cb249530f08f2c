"""The product as its users start it: `python -m reconciler ...` as child processes, on this stage's repository."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import TransientError

_PATIENCE = 60.0


class DaemonExitedError(TransientError):
    """The daemon ended before it was asked to."""

    default_code = "demo-daemon-exited"


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that has ended."""

    code: int
    out: str
    err: str


def reconcile(
    *arguments: str,
    environ: Mapping[str, str],
    shield: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Finished:
    """Run one command to its end, for at most a minute.

    Args:
        arguments: After `reconcile`.
        environ: Its environment.
        shield: What holds signals back while it is started; nothing by default.

    Raises:
        subprocess.TimeoutExpired: It did not end; it has been killed.
    """
    started: list[subprocess.Popen[str]] = []
    try:
        with shield():
            started.append(
                subprocess.Popen(
                    [sys.executable, "-m", "reconciler", *arguments],
                    env=dict(environ),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                    errors="replace",
                    start_new_session=True,
                )
            )
        out, err = started[0].communicate(timeout=_PATIENCE)
        return Finished(started[0].returncode, out, err)
    finally:
        for process in started:
            with process:
                _kill(process)


class Daemon:
    """`reconcile daemon` as a child process, with its log in a file.

    Args:
        arguments: After the verb.
        environ: Its environment.
        log: Where its standard error goes; later daemons add to it.
    """

    def __init__(self, *arguments: str, environ: Mapping[str, str], log: Path) -> None:
        self._command = [sys.executable, "-m", "reconciler", "daemon", *arguments]
        self._environ = dict(environ)
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Its process id.

        Raises:
            DaemonExitedError: It is not running.
        """
        self.check()
        assert self._process is not None  # noqa: S101 -- `check` saw to it
        return self._process.pid

    def start(self) -> None:
        """Start it, without waiting for anything."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def check(self) -> None:
        """Make sure that it is still running.

        Raises:
            DaemonExitedError: It is not; the message has the end of its log.
        """
        if self._process is None or self._process.poll() is not None:
            raise DaemonExitedError(f"the daemon is not running\n{self.tail()}")

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        return "\n".join(self.read().splitlines()[-lines:])

    def read(self) -> str:
        """Its log."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def stop(self, timeout: float = 10.0) -> int | None:
        """End it politely, then by force, and return its exit code; None if it had not been started."""
        process, self._process = self._process, None
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            _kill(process)
            return process.wait()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            _kill(self._process)
            self._process = None


def _kill(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End a process, if it has not ended, and what it started."""
    if process.poll() is not None:
        return
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
