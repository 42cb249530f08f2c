"""What whoever started the daemon is told, over a real datagram socket."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from reconciler.cycle import Report
from reconciler.daemon import Supervisor, stop_on_signals
from reconciler.errors import Diagnostic, TransientError
from reconciler.model.observation import Proof
from reconciler.model.receipt import Outcome, OutcomeKind
from tests.daemon.world import PATIENCE, PROXY

linux = pytest.mark.skipif(sys.platform != "linux", reason="abstract sockets are Linux' own")


@contextmanager
def listening(name: str) -> Iterator[socket.socket]:
    """A supervisor's socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door:
        door.bind(f"\0{name[1:]}" if name.startswith("@") else name)
        door.settimeout(PATIENCE)
        yield door


@pytest.fixture
def named(short_path: Path) -> str:
    return str(short_path / "notify")


def supervisor(name: str, *, healthy: bool = True, **more: str) -> Supervisor:
    return Supervisor(healthy=lambda: healthy, environ={"NOTIFY_SOCKET": name, **more}, monotonic=lambda: 1.5)


@pytest.mark.parametrize("kind", ["path", pytest.param("abstract", marks=linux)])
def test_the_life_of_a_daemon_is_told(kind: str, named: str) -> None:
    """Each word is one datagram in systemd's own form, to a path or to an abstract name."""
    name = named if kind == "path" else f"@reconciler-test-{os.getpid()}"
    with listening(name) as door:
        found = supervisor(name)
        found.ready()
        found.reloading()
        found.stopping()
        said = [door.recv(4096) for _ in range(4)]
    assert said == [b"READY=1", b"RELOADING=1\nMONOTONIC_USEC=1500000", b"READY=1", b"STOPPING=1\nSTATUS=stopping"]


def test_the_status_is_the_fleets(named: str) -> None:
    """One line that says where the fleet is; what does not change is not said again, and no word of others forges an assignment."""
    outcome = Outcome(proxy=PROXY, kind=OutcomeKind.APPLIED, proof=Proof.EXACT, detail="")
    report = Report(applied="c" * 40, outcomes={PROXY: outcome})
    bad = Report(errors=(Diagnostic(code="x", message="m"),))
    with listening(named) as door:
        found = supervisor(named)
        for each in (report, report):
            found.passed(each, reasons=["poll"], whole=True)
        found.passed(bad, reasons=["asked"], whole=False)
        found.git_asked(TransientError("m", code="a\nWATCHDOG=1"))
        found.git_asked(None)
        found.passed(bad, reasons=["poll"], whole=True)
        found.broken(ValueError("m"))
        said = [door.recv(4096).decode() for _ in range(5)]
    well = "STATUS=cccccccccc applied, 1 of 1 proxies confirmed"
    assert said == [
        well,
        f"STATUS=Git can't be asked: a\\nWATCHDOG=1; {well.removeprefix('STATUS=')}",
        well,
        "STATUS=nothing applied, 0 of 0 proxies confirmed, 1 errors",
        "STATUS=a pass ended by ValueError; see the log",
    ]


def test_the_watchdog_is_fed_as_long_as_the_loop_gets_on(named: str) -> None:
    """A loop that hangs is given up by the supervisor, which nobody inside could do."""
    with listening(named) as door:
        well = supervisor(named, WATCHDOG_USEC="20000", WATCHDOG_PID=str(os.getpid()))
        well.start()
        assert [door.recv(4096) for _ in range(3)] == [b"WATCHDOG=1"] * 3
        well.stop()
        door.settimeout(0)
        with suppress(BlockingIOError):
            while door.recv(4096):
                pass
        asked = threading.Event()

        def hangs() -> bool:
            asked.set()
            return False

        hanging = Supervisor(healthy=hangs, environ={"NOTIFY_SOCKET": named, "WATCHDOG_USEC": "20000"})
        hanging.start()
        assert asked.wait(PATIENCE)
        hanging.stop()
        with pytest.raises(BlockingIOError):
            door.recv(4096)


@pytest.mark.parametrize(
    "environ",
    [{}, {"WATCHDOG_USEC": "1"}, {"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "x"}, {"NOTIFY_SOCKET": "/s", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"}],
)  # fmt: skip
def test_a_watchdog_that_is_not_ours_is_not_fed(environ: dict[str, str]) -> None:
    """Without a supervisor, or with one that watches another process, there is no thread."""
    before = threading.active_count()
    found = Supervisor(healthy=lambda: True, environ=environ)
    found.start()
    assert threading.active_count() == before
    found.stop()


def test_a_supervisor_that_does_not_listen_stops_nobody(named: str) -> None:
    """One that is gone, that was never there, or that has its hands full, costs a word and no more."""
    supervisor(named).ready()
    supervisor("vsock:2:1").ready()
    Supervisor(healthy=lambda: True, environ={}).ready()
    with listening(named):
        found = supervisor(named)
        for _ in range(10_000):
            found.ready()


def test_a_hangup_asks_for_a_look_and_ends_nothing() -> None:
    """SIGHUP is how people say "read it again"; it must not kill."""
    asked = threading.Event()
    with stop_on_signals(lambda: pytest.fail("stopped"), again=asked.set):
        os.kill(os.getpid(), signal.SIGHUP)
        assert asked.wait(PATIENCE)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_a_hangup_that_is_ignored_on_purpose_stays_ignored() -> None:
    """Under nohup the terminal's end is no request."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(lambda: None, again=lambda: pytest.fail("heard")):
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
