"""What the daemon tells whoever started it: that it is ready, reloads, stops, gets on, and how the fleet is (sd_notify(3)).

systemd names a datagram socket in `NOTIFY_SOCKET`; without it nothing is told. A supervisor that is gone, slow or refuses never
stops or delays the daemon: a word that can't be sent at once is left out. The watchdog is fed only while the loop gets on.
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from reconciler.cycle import Report
from reconciler.errors import ReconcilerError
from reconciler.model.receipt import OutcomeKind
from reconciler.plan import visible

_LONGEST_STATUS = 500
_MICROSECOND = 1e-6


class Supervisor:
    """Tells the process that started this one; an `Observer` of passes.

    Args:
        healthy: Whether the loop gets on; asked on a thread of its own.
        environ: Where the socket and the patience of the watchdog are named.
        monotonic: The clock by which systemd tells reloads apart, in seconds: CLOCK_MONOTONIC.
    """

    def __init__(
        self,
        *,
        healthy: Callable[[], bool],
        environ: Mapping[str, str] = os.environ,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._healthy = healthy
        self._monotonic = monotonic
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self._every = _watchdog(environ) / 2  # as sd_watchdog_enabled(3) advises
        self._standing = self._said = "the first pass has not ended"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._feed, name="watchdog", daemon=True)

    def start(self) -> None:
        """Feed the watchdog from now on, if there is one."""
        if self._address and self._every:
            self._thread.start()

    def stop(self) -> None:
        """Feed it no more."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def ready(self) -> None:
        """The first pass has ended."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Git is looked at because somebody asked for it; nothing has to be waited for."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(self._monotonic() / _MICROSECOND)}")
        self._tell("READY=1")

    def stopping(self) -> None:
        """The daemon ends after the pass that is running."""
        self._tell("STOPPING=1", "STATUS=stopping")

    def passed(self, report: Report, *, reasons: Sequence[str], whole: bool) -> None:  # noqa: ARG002 -- an Observer's
        """A pass ended."""
        if whole:
            self._standing = _standing(report)
            self._say(self._standing)

    def broken(self, error: Exception) -> None:
        """A pass ended by an exception nobody expects."""
        self._say(f"a pass ended by {type(error).__name__}; see the log")

    def git_asked(self, error: ReconcilerError | None) -> None:
        """Git was asked."""
        self._say(self._standing if error is None else f"Git can't be asked: {error.code}; {self._standing}")

    def _say(self, text: str) -> None:
        if text == self._said:
            return
        self._said = text
        self._tell(f"STATUS={visible(text)[:_LONGEST_STATUS]}")

    def _tell(self, *assignments: str) -> None:
        if not self._address:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
            door.settimeout(0)
            door.sendto("\n".join(assignments).encode("utf-8", "replace"), self._address)

    def _feed(self) -> None:
        while True:
            if self._healthy():
                self._tell("WATCHDOG=1")
            if self._stopping.wait(self._every):
                return


def _address(named: str) -> str:
    """The address of a Unix socket; "" for none, or for a kind that is not spoken here (`vsock:`)."""
    if named.startswith("@"):
        return f"\0{named[1:]}"
    return named if named.startswith("/") else ""


def _watchdog(environ: Mapping[str, str]) -> float:
    """Seconds after which the supervisor gives this process up if it hears nothing; 0 if it has all the time."""
    for_somebody_else = environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid())
    microseconds = environ.get("WATCHDOG_USEC", "")
    return int(microseconds) * _MICROSECOND if microseconds.isdecimal() and not for_somebody_else else 0.0


def _standing(report: Report) -> str:
    live = sum(outcome.kind is OutcomeKind.APPLIED for outcome in report.outcomes.values())
    wrong = len(report.errors) + (len(report.plan.refused) if report.plan is not None else 0)
    said = f"{report.applied[:10] or 'nothing'} applied, {live} of {len(report.outcomes)} proxies confirmed"
    return f"{said}, {wrong} errors" if wrong else said
