from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.errors import InputError
from reconciler.web import (
    Anonymous,
    Door,
    Notices,
    Offer,
    Owner,
    Role,
    TokenFile,
    WebServer,
    add_token,
    application,
    listen_tcp,
    mint,
    revoke_token,
)
from reconciler.web.access import Access
from reconciler.web.errors import BusyError
from tests.web.doors import START
from tests.web.world import LOGGER, PATIENCE, World, client, code, raw, until


class Shown:
    """Views that a test turns by hand."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self.error: Exception | None = None

    def _document(self, *asked: Any) -> Mapping[str, Any]:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        return {"schema_version": 1, "asked": list(asked)}

    def rollouts(self) -> Mapping[str, Any]:
        return self._document("rollouts")

    def rollout(self, namespace: str, name: str) -> Mapping[str, Any]:
        return self._document("rollout", namespace, name)

    def timeline(self, *, before: str, limit: int) -> Mapping[str, Any]:
        return self._document("timeline", before, limit)

    def commit(self, commit: str) -> Mapping[str, Any]:
        return self._document("commit", commit)

    def plan(self) -> Mapping[str, Any]:
        return self._document("plan")

    def traffic(self) -> Mapping[str, Any]:
        return self._document("traffic")


@contextmanager
def served(shown: Shown, notices: Notices, access: Access | None = None) -> Iterator[WebServer]:
    offer = Offer(knowledge=World(), access=access or Anonymous(), views=shown, notices=notices, page=True)
    server = WebServer(application(offer, logger=LOGGER), listen_tcp("127.0.0.1:0"), logger=LOGGER, drain=1)
    server.start()
    try:
        yield server
    finally:
        notices.close()
        server.stop()


@contextmanager
def watching(address: str, headers: Mapping[str, str] = MappingProxyType({})) -> Iterator[http.client.HTTPResponse]:
    connection = http.client.HTTPConnection(address, timeout=PATIENCE)
    try:
        connection.request("GET", "/v1/events", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200
        assert answer.getheader("content-type", "").startswith("text/event-stream")
        yield answer
    finally:
        connection.close()


def event(answer: http.client.HTTPResponse) -> tuple[str, Any]:
    """The next one, comments passed over."""
    kind = ""
    while True:
        line = answer.readline().decode().rstrip("\n")
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            return kind, json.loads(line.removeprefix("data: "))


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("/v1/rollouts", ["rollouts"]),
        ("/v1/rollouts/default/a%20%3Cb%3E", ["rollout", "default", "a <b>"]),
        ("/v1/timeline", ["timeline", "", 30]),
        ("/v1/timeline?before=x.-&limit=7", ["timeline", "x.-", 7]),
        ("/v1/commits/abc", ["commit", "abc"]),
        ("/v1/plan", ["plan"]),
        ("/v1/traffic", ["traffic"]),
    ],
)
def test_each_view_is_shown_to_readers_and_to_nobody_else(path: str, asked: list[Any]) -> None:
    """What is asked for comes through as it was written, and takes the role to read."""
    shown = Shown()
    with served(shown, Notices(["pass"])) as server, client(server.address) as http_client:
        reply = http_client.get(path)
        assert (reply.status, json.loads(reply.body)["asked"]) == (200, asked)
        shown.error = InputError("no such thing", code="x-y")
        assert (http_client.get(path).status, code(http_client.get(path).body)) == (400, "x-y")

    class Nobody(Owner):
        def caller(self, request: Any) -> Any:
            caller = super().caller(request)
            return type(caller)(roles=frozenset(set(caller.roles) - {"read"}))

    asked_before = len(shown.asked)
    with served(shown, Notices(["pass"]), Nobody()) as server, client(server.address) as http_client:
        assert http_client.get(path).status == 403
        assert http_client.get("/v1/events").status == 403
    assert len(shown.asked) == asked_before


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=x", "before=" + "a" * 101])
def test_pages_are_bounded(query: str) -> None:
    """Nobody gets a page without an end."""
    shown = Shown()
    with served(shown, Notices(["pass"])) as server, client(server.address) as http_client:
        assert http_client.get(f"/v1/timeline?{query}").status == 400
    assert shown.asked == []


def test_whoever_watches_is_told_of_each_kind_and_of_its_newest() -> None:
    """Notices come as they are told; one who is slow gets the newest of each kind, and never more."""
    notices = Notices(["pass", "rollout"], heartbeat=0.05)
    with served(Shown(), notices) as server, watching(server.address) as one, watching(server.address) as other:
        assert event(one) == ("hello", {})
        assert event(other) == ("hello", {})
        notices.tell("pass", {"n": 1})
        assert event(one) == ("pass", {"n": 1})
        assert event(other) == ("pass", {"n": 1})
        assert one.readline() in {b": still here\n", b"\n"}
        with pytest.raises(ValueError, match="unheard"):
            notices.tell("unheard", {})


def test_watchers_are_few_and_are_forgotten_when_they_go() -> None:
    """More than are served are told so; each that leaves makes room."""
    notices = Notices(["pass"], most=1, heartbeat=0.05)
    with served(Shown(), notices) as server:
        with watching(server.address) as one:
            event(one)
            status, _, body = raw(server.address, b"GET /v1/events HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert (status, code(body)) == (503, "http-busy")
        until(lambda: notices.watchers == 0)
        with watching(server.address) as again:
            assert event(again) == ("hello", {})


def test_as_many_watch_as_are_served_however_many_come_at_once() -> None:
    """Who is let in has a place from then on, not from the first event on; what is never read gives its place back."""

    async def come() -> None:
        notices = Notices(["pass"], most=2)
        unread = [notices.watch(), notices.watch()]
        with pytest.raises(BusyError):
            notices.watch()
        del unread
        assert notices.watchers == 0
        assert b"hello" in await anext(notices.watch())

    asyncio.run(come())


def test_watching_ends_in_time_and_with_the_right_to_it(tmp_path: Path) -> None:
    """A stream that nobody looks at takes no place for ever, and a revoked token does not go on watching."""
    with served(Shown(), Notices(["pass"], lasts=0.1)) as server, watching(server.address) as one:
        assert one.read().startswith(b"retry: ")

    file = tmp_path / "tokens"
    shown, token = mint(name="Ada", email="ada@x.test", roles=[Role.READ], created=START)
    add_token(file, token)
    door = Door(SystemClock(), tokens=TokenFile(file))
    bearer = {"Authorization": f"Bearer {shown}"}
    with served(Shown(), Notices(["pass"], heartbeat=0.05), door) as server, watching(server.address, bearer) as one:
        while one.readline() != b": still here\n":
            pass
        revoke_token(file, token.id)
        one.read()


def test_one_peer_watches_a_part_of_what_can_be_watched() -> None:
    """And has a place again when one of its streams has ended."""

    async def watch() -> None:
        notices = Notices(["pass"], of_one=1)
        one = notices.watch("192.0.2.1")
        with pytest.raises(BusyError, match="from this address"):
            notices.watch("192.0.2.1")
        others = [notices.watch(peer) for peer in ("192.0.2.2", "", "")]
        del one
        assert len([*others, notices.watch("192.0.2.1")]) == 4

    asyncio.run(watch())


def test_watching_ends_when_the_daemon_does() -> None:
    """Nobody who watches keeps the daemon from stopping, and the stream ends as a whole answer does."""
    notices = Notices(["pass"])
    with served(Shown(), notices) as server, watching(server.address) as one:
        event(one)
        notices.tell("pass", {})
        assert event(one) == ("pass", {})
        notices.close()
        assert one.read() == b"\n"  # the end of the last event; then the last chunk
        assert notices.watchers == 0
        assert raw(server.address, b"GET /v1/events HTTP/1.0\r\nHost: x\r\n\r\n")[0] == 503


def test_the_page_is_served_with_a_policy_that_lets_nothing_else_in() -> None:
    """No script, style, frame or connection that is not ours; a browser keeps the files for as long as they stay the same."""
    with served(Shown(), Notices(["pass"])) as server, client(server.address) as http_client:
        reply = http_client.get("/")
        assert reply.status == 200
        assert http_client.get("/page/none.js").status == 404
        _, headers, body = raw(server.address, b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert body == reply.body
        policy = headers["content-security-policy"].split("; ")
        assert policy == [
            "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
            "base-uri 'none'", "form-action 'self'", "frame-ancestors 'none'",
        ]  # fmt: skip
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        tag = headers["etag"]
        again = f"GET / HTTP/1.1\r\nHost: x\r\nIf-None-Match: {tag}\r\nConnection: close\r\n\r\n".encode()
        status, headers, body = raw(server.address, again)
        assert (status, headers["etag"], body) == (304, tag, b"")
