from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

from reconciler.cli.demo.backends import App, Backends
from reconciler.cli.demo.bookinfo import BY_ORDER
from reconciler.cli.demo.ports import Ports
from reconciler.cli.demo.traffic import Sample, Tally, Traffic, version_of


@contextmanager
def server(*replies: bytes) -> Iterator[int]:
    """A real server that gives one raw reply to each connection, then closes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for reply in replies:
                connection, _ = listener.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(reply)

        thread = Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def outcomes_of(*replies: bytes, requests: int) -> Tally:
    """What one client counts that meets these replies, one connection each."""
    with server(*replies) as port:
        traffic = Traffic(port=port, authority="x", rate=0, limit=requests, connections=1, timeout=0.5)
        traffic.start()
        traffic.join()
    return traffic.tally()


def test_every_kind_of_failure_is_an_outcome_of_its_own() -> None:
    """Statuses, closed connections, garbage and answers that aren't the applications' are counted, none is dropped."""
    tally = outcomes_of(
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno",
        b"",
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 900\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello",
        requests=6,
    )
    assert tally.outcomes == {"503": 1, "ConnectionResetError": 2, "WireError": 2, "not-json": 1}
    assert tally.failed == tally.requests == 6
    assert "503 no" in tally.failures


def test_a_server_that_never_answers_is_a_timeout() -> None:
    """A request that hangs ends as a failure, and does not stop the ones after it."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        traffic = Traffic(port=silent.getsockname()[1], authority="x", rate=0, limit=2, connections=1, timeout=0.05)
        traffic.start()
        traffic.join()
    assert traffic.tally().outcomes == {"TimeoutError": 2}


def test_a_kept_connection_that_was_closed_is_opened_again_once() -> None:
    """A server may close an idle connection at any time; a client repeats the request then, and nothing failed."""
    body = b'{"app": "reviews", "version": "v1"}'
    reply = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    assert outcomes_of(reply, reply, reply, requests=3).outcomes == {"200": 3}


def test_nothing_that_was_sent_is_lost_when_it_stops(tmp_path: Path) -> None:
    """After `stop`, samples and what the server counted agree to the request."""
    with Ports() as ports:
        port = ports.reserve()
        app = App(app="reviews", version="v1", listener=ports.listen(port))
        with Backends([app], log=tmp_path / "log") as backends:
            with Traffic(port=port, authority="x", rate=500) as traffic:
                while traffic.tally().requests < 50:
                    time.sleep(0.005)
            counted = backends.counts()["reviews-v1"]
    tally = traffic.tally()
    assert tally.requests == counted
    assert tally.share("v1") == 1.0


def test_a_window_holds_what_was_sent_since_its_beginning() -> None:
    """A request that was under way when the window opened is not part of it."""
    samples = [Sample(1.0, 5.0, "200", "v1"), Sample(2.0, 0.1, "200", "v2"), Sample(3.0, 0.1, "503", "", "down")]
    traffic = Traffic(port=1, authority="x")
    traffic._samples.extend(samples)
    tally = traffic.tally(since=2.0)
    assert (tally.requests, tally.failed, dict(tally.versions)) == (2, 1, {"v2": 1})
    assert tally.failures == ("503 down",)
    assert traffic.tally(until=5.9).outcomes == {"200": 1, "503": 1}
    assert (tally.percentile(0.5), Tally.of([]).percentile(0.5), Tally.of([]).share("v1")) == (0.1, 0.0, 0.0)


def test_what_failed_by_order_is_told_from_what_failed_by_itself() -> None:
    """Both are failures; the words that are shown are rather those of the ones that nobody asked for."""
    told = Sample(2.0, 0.1, "502", "", f'{{"reason": "500 {BY_ORDER}"}}')
    tally = Tally.of([told, Sample(1.0, 0.1, "200", "v1"), Sample(3.0, 0.1, "503", "", "down")])
    assert (tally.failed, tally.ordered, tally.failing) == (2, 1, (2.0, 3.0))
    assert tally.failures == ("503 down",)
    assert BY_ORDER in Tally.of([told]).failures[0]


def test_the_version_is_found_at_any_depth() -> None:
    """The watched application may have been called by whoever was asked."""
    page = {"app": "productpage", "version": "v1", "calls": [{"app": "details"}, {"app": "reviews", "version": "v3"}]}
    assert version_of(page, "reviews") == "v3"
    assert version_of(page, "ratings") == ""
    assert version_of(["reviews"], "reviews") == ""
