"""GET /metrics, and that requests are counted by route."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.web import Access, Anonymous, Caller, Offer, WebServer, application, listen_tcp
from tests.web.world import World, client, code, raw

LOGGER = logging.getLogger("test.web")


class Counts:
    """What is told of requests."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()

    def exposition(self) -> tuple[bytes, str]:
        return b"a 1\n", "text/plain; version=0.0.4"

    def requested(self, route: str, method: str, code: int) -> None:
        self.requests[route, method, code] += 1


class Nobody:
    """Whoever asks may do nothing."""

    def caller(self, request: object) -> Caller:
        del request
        return Caller()


@contextmanager
def metered(counts: Counts, access: Access) -> Iterator[str]:
    app = application(Offer(knowledge=World(), metrics=counts, access=access), logger=LOGGER)
    server = WebServer(app, listen_tcp("127.0.0.1:0"), logger=LOGGER, drain=5)
    server.start()
    try:
        yield server.address
    finally:
        server.stop()


def test_whoever_may_read_reads_the_metrics() -> None:
    """They name the proxies, as the status does, and so take the same role."""
    with metered(Counts(), Anonymous()) as address, client(address) as http:
        reply = http.get("/metrics")
    assert (reply.body, reply.headers["content-type"]) == (b"a 1\n", "text/plain; version=0.0.4")
    with metered(Counts(), Nobody()) as address:
        status, _, body = raw(address, b"GET /metrics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    assert (status, code(body)) == (403, "http-forbidden")


def test_requests_are_counted_by_the_routes_that_there_are() -> None:
    """What clients make up, and what never reaches a route, is one and the same."""
    counts = Counts()
    with metered(counts, Anonymous()) as address:
        for line in (b"GET /metrics", b"GET /v1/status?a=1", b"GET /a", b"GET /b", b"POST /v1/status", b"GET /healthz"):
            raw(address, line + b" HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        raw(address, b"POST /v1/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 99999999\r\n\r\n")
    assert counts.requests == {
        ("/metrics", "GET", 200): 1,
        ("/v1/status", "GET", 200): 1,
        ("/healthz", "GET", 200): 1,
        ("other", "GET", 404): 2,
        ("/v1/status", "POST", 405): 1,
        ("other", "POST", 413): 1,
    }
