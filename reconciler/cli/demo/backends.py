"""The demo's applications as seen from the stage: starts their process, and asks it what it counted.

The sockets are opened here and inherited, so that the ports can't be lost on the way. See `bookinfo` for what they serve.
"""

from __future__ import annotations

import json
import select
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import IO, Self

from reconciler.errors import TransientError

CALLS = {
    ("productpage", "v1"): ("details", "reviews"),
    ("reviews", "v2"): ("ratings",),
    ("reviews", "v3"): ("ratings",),
}
"""Who calls whom in bookinfo; everyone else calls nobody."""

_PATIENCE = 60.0
"""Seconds for one answer, which takes a moment; the first one takes the start of a Python."""


class BackendsExitedError(TransientError):
    """The process of the applications ended before it was asked to, or stands still."""

    default_code = "demo-backends-exited"


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One application to serve.

    Attributes:
        app: Service name, as the `app` label.
        version: As the `version` label.
        listener: Its listening socket; stays open here too.
        egress: Port of its sidecar's outbound HTTP proxy on 127.0.0.1, or 0.
    """

    app: str
    version: str
    listener: socket.socket
    egress: int = 0


class Backends:
    """The running applications. Ends with the context, and with this process however that ends.

    Args:
        apps: What to serve.
        log: Where its standard error goes.
    """

    def __init__(self, apps: Sequence[App], *, log: Path) -> None:
        self._apps = tuple(apps)
        self._log = log
        self._lock = Lock()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until every application listens.

        Raises:
            BackendsExitedError: It ended at once, or says nothing; the message has the end of its log.
        """
        specs = [
            {
                "app": app.app,
                "version": app.version,
                "egress": app.egress,
                "calls": CALLS.get((app.app, app.version), ()),
                "fd": app.listener.fileno(),
            }
            for app in self._apps
        ]
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "reconciler.cli.demo.bookinfo"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                pass_fds=[app.listener.fileno() for app in self._apps],
                start_new_session=True,
            )
        try:
            self._ask(json.dumps(specs))
        except BaseException:
            self.close()
            raise

    def counts(self) -> Counter[str]:
        """Requests served so far, by `app-version`: `reviews-v2`.

        Raises:
            BackendsExitedError: It has ended, or says nothing; the message has the end of its log.
        """
        return Counter(json.loads(self._ask("counts")))

    def failures(self) -> Counter[str]:
        """How many of them were failed by order, in the same form.

        Raises:
            BackendsExitedError: As `counts`.
        """
        return Counter(json.loads(self._ask("failures")))

    def times(self) -> dict[str, tuple[float, float]]:
        """When the first and the last request came to each that had one, by `time.monotonic`, in the same form.

        Raises:
            BackendsExitedError: As `counts`.
        """
        return {name: (first, last) for name, (first, last) in json.loads(self._ask("times")).items()}

    @property
    def names(self) -> tuple[str, ...]:
        """Each as `app-version`."""
        return tuple(f"{app.app}-{app.version}" for app in self._apps)

    def fail(self, name: str, share: float) -> None:
        """Have one of them answer a share of its requests, 0 to 1, with 500 from now on.

        Raises:
            BackendsExitedError: As `counts`; also if there is none of this name.
        """
        self._ask(f"fail {name} {share}")

    def close(self) -> None:
        """End it, politely, then by force."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):  # what could not be handed to a dead process is lost anyway
                    pipe.close()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _ask(self, order: str) -> bytes:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise BackendsExitedError("the applications are not running")
        line, what = b"", "ended"
        with self._lock, suppress(BrokenPipeError):
            process.stdin.write(order.encode() + b"\n")
            process.stdin.flush()
            if _readable(process.stdout):
                line = process.stdout.readline()
            else:
                what = f"did not answer within {_PATIENCE:g} s"
        if not line:
            tail = self._log.read_text(errors="replace")[-2000:]
            raise BackendsExitedError(f"the process of the applications {what}\n{tail}")
        return line


def _readable(pipe: IO[bytes]) -> bool:
    """Wait for an answer, or for the end. Answers are short lines, one at a time, so what can be read is a whole one."""
    waiting = select.poll()
    waiting.register(pipe)
    return bool(waiting.poll(_PATIENCE * 1000))
