from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli.demo.backends import App, Backends, BackendsExitedError
from reconciler.cli.demo.ports import Ports
from reconciler.cli.demo.traffic import Tally, Traffic


@pytest.fixture
def ports() -> Iterator[Ports]:
    """Ports that are given back at the end of a test."""
    with Ports() as held:
        yield held


def send(port: int, count: int) -> Tally:
    """So many requests, one after the other's answer."""
    traffic = Traffic(port=port, authority="bookinfo", rate=0, limit=count)
    traffic.start()
    traffic.join()
    return traffic.tally()


def test_every_request_is_counted_where_it_was_served(ports: Ports, tmp_path: Path) -> None:
    """What the backends count is what was sent, by version; a caller shows up beside what it calls."""
    ratings, reviews, page = ports.reserve(), ports.reserve(), ports.reserve()
    apps = [
        App(app="ratings", version="v1", listener=ports.listen(ratings)),
        App(app="reviews", version="v3", listener=ports.listen(reviews), egress=ratings),
        App(app="productpage", version="v1", listener=ports.listen(page), egress=reviews),
    ]
    with Backends(apps, log=tmp_path / "log") as backends:
        assert not backends.counts()
        tally = send(page, 25)
        counts = backends.counts()
    assert tally.outcomes == {"200": 25}
    assert tally.versions == {"v3": 25}
    # The page asks for details and for reviews, and this port answers both; each asks for ratings.
    assert counts == {"productpage-v1": 25, "reviews-v3": 50, "ratings-v1": 50}


def test_when_the_first_and_the_last_request_came_is_remembered(ports: Ports, tmp_path: Path) -> None:
    """By the clock of whoever sent them; whoever had none is not there."""
    details, ratings = ports.reserve(), ports.reserve()
    apps = [
        App(app="details", version="v3", listener=ports.listen(details)),
        App(app="ratings", version="v1", listener=ports.listen(ratings)),
    ]
    with Backends(apps, log=tmp_path / "log") as backends:
        assert backends.times() == {}
        begin = time.monotonic()
        send(details, 1)
        first = backends.times()
        between = time.monotonic()
        send(details, 2)
        later = backends.times()
    assert first.keys() == later.keys() == {"details-v3"}
    assert begin < first["details-v3"][0] == first["details-v3"][1] == later["details-v3"][0] < between
    assert between < later["details-v3"][1] < time.monotonic()


def test_a_failure_below_reaches_the_top_with_its_reason(ports: Ports, tmp_path: Path) -> None:
    """An application whose callee can't be reached answers 502 and says why; it never makes up an answer."""
    page = ports.reserve()
    nobody = ports.reserve()
    apps = [App(app="productpage", version="v1", listener=ports.listen(page), egress=nobody)]
    with Backends(apps, log=tmp_path / "log"):
        tally = send(page, 3)
    assert tally.outcomes == {"502": 3}
    assert tally.failed == 3
    assert "ConnectionRefusedError" in tally.failures[0]


def test_an_application_fails_the_share_that_it_is_told_to(ports: Ports, tmp_path: Path) -> None:
    """Exactly that share, from then on and no longer; whoever asked at the top learns that it was by order, and all is counted."""
    reviews, page = ports.reserve(), ports.reserve()
    apps = [
        App(app="reviews", version="v1", listener=ports.listen(reviews)),
        App(app="productpage", version="v1", listener=ports.listen(page), egress=reviews),
    ]
    with Backends(apps, log=tmp_path / "log") as backends:
        assert send(page, 10).failed == 0
        backends.fail("reviews-v1", 0.25)
        told = send(page, 20)  # the page asks twice, for details and for reviews, and stops at the first failure
        failures = backends.failures()
        backends.fail("reviews-v1", 0.0)
        assert send(page, 10).failed == 0
        assert backends.failures() == failures
        assert backends.counts()["reviews-v1"] >= 40
    assert told.outcomes.keys() == {"200", "502"}
    assert told.failed == told.ordered == failures["reviews-v1"] >= 7
    assert failures.keys() == {"reviews-v1"}


def test_an_order_for_nobody_is_no_order(ports: Ports, tmp_path: Path) -> None:
    """Whoever names an application that is not there hears of it, and is not left to wait for failures."""
    port = ports.reserve()
    apps = [App(app="details", version="v1", listener=ports.listen(port))]
    with Backends(apps, log=tmp_path / "log") as backends, pytest.raises(BackendsExitedError, match="reviews-v9"):
        backends.fail("reviews-v9", 0.5)


def test_a_request_that_is_not_a_plain_get_is_refused(ports: Ports, tmp_path: Path) -> None:
    """Bodies and other methods get 501 and a closed connection, so a wrong client is noticed."""
    port = ports.reserve()
    app = App(app="details", version="v1", listener=ports.listen(port))
    with Backends([app], log=tmp_path / "log"), socket.create_connection(("127.0.0.1", port), timeout=5) as client:
        client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 501 ")


def test_a_process_that_stands_still_is_not_waited_for_without_end(
    ports: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Applications that do not answer are said not to; they are ended all the same."""
    port = ports.reserve()
    with Backends([App(app="details", version="v1", listener=ports.listen(port))], log=tmp_path / "log") as backends:
        process = backends._process
        assert process is not None
        os.kill(process.pid, signal.SIGSTOP)
        monkeypatch.setattr("reconciler.cli.demo.backends._PATIENCE", 0.1)
        with pytest.raises(BackendsExitedError, match=r"did not answer within 0\.1 s"):
            backends.counts()
    assert process.poll() is not None


def test_a_process_that_ended_is_reported_with_its_log(ports: Ports, tmp_path: Path) -> None:
    """Asking applications that died says so instead of counting zero."""
    port = ports.reserve()
    with Backends([App(app="details", version="v1", listener=ports.listen(port))], log=tmp_path / "log") as backends:
        process = backends._process
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        with pytest.raises(BackendsExitedError, match="ended"):
            backends.counts()


def test_nothing_is_left_at_the_end(ports: Ports, tmp_path: Path) -> None:
    """The process ends with the context, and what is not running can't be asked."""
    port = ports.reserve()
    with Backends([App(app="details", version="v1", listener=ports.listen(port))], log=tmp_path / "log") as backends:
        process = backends._process
        assert process is not None
    assert process.returncode == 0
    with pytest.raises(BackendsExitedError, match="not running"):
        backends.counts()
