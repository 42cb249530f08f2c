from __future__ import annotations

import asyncio
import json
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import BugError
from reconciler.web import Offer, WebServer, application, listen_tcp, listen_unix
from reconciler.web.access.limits import stranger
from reconciler.web.guard import Guard
from reconciler.web.protocol import PatientProtocol
from tests.web.world import LOGGER, PATIENCE, World, client, code, connect, on_tcp, on_unix, raw, said, serving, until

GET = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
TYPE = b"content-type: application/json\r\n"


class Hasty(PatientProtocol):
    """A server that loses its patience soon."""

    for_a_head = 0.2
    for_reading = 0.2
    most = 3


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"hello\r\n\r\n",
        b"GET /healthz HTTP/9.9\r\nhost: x\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nx" + b"y" * 200_000,
        b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: -5\r\n\r\n", b"GET \x00 HTTP/1.1\r\nhost: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nnope\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd",
    ],
    ids=range(10),
)  # fmt: skip
def test_garbage_is_answered_in_our_form_or_not_at_all(garbage: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """What is not HTTP costs its own connection, never the server, and never fills the log."""
    with on_tcp(World()) as address:
        status, _, body = raw(address, garbage)
        assert status in {0, 400}
        assert not body or code(body) == "http-request"
        with client(address) as http:
            assert http.get("/healthz").status == 200
    assert caplog.records == []


def test_garbage_behind_a_request_ends_the_connection_quietly(
    short_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Bytes that come while a pass is being waited for must not break what is answered to others."""
    world = World()
    world.gate = threading.Event()
    with on_unix(world, short_path / "d.sock") as address, connect(address) as plain:
        plain.sendall(_wish() + b"\x00garbage\r\n\r\n")
        assert world.entered.acquire(timeout=PATIENCE)
        plain.sendall(b"more garbage\r\n\r\n")
        with client(address) as http:
            assert http.get("/healthz").status == 200
        world.gate.set()
        assert said(plain)[0] in {0, 200}
    assert caplog.records == []


def test_an_upgrade_is_not_taken(caplog: pytest.LogCaptureFixture) -> None:
    """There are no WebSockets: the request is answered as if it had not asked for them."""
    request = GET[:-2] + b"connection: upgrade\r\nupgrade: websocket\r\n\r\n"
    with on_tcp(World()) as address, connect(address) as plain:
        plain.sendall(request)
        assert plain.recv(100).startswith(b"HTTP/1.1 200")
    assert caplog.records == []


def test_a_body_that_is_too_large_is_refused_before_it_is_read() -> None:
    """By what it says it has, or at the byte that is too many."""
    with on_tcp(World(), max_body=1000) as address:
        for length in (b"1001", b"9" * 400, b"00000001001"):
            status, _, body = raw(
                address, b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: " + length + b"\r\n\r\n"
            )
            assert (status, code(body)) in {(413, "http-body-size"), (400, "http-request")}
        chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
        chunked = b"GET /healthz HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
        status, _, body = raw(address, chunked + chunk + b"1\r\nx\r\n")
        assert (status, code(body)) == (413, "http-body-size")
        status, _, _ = raw(address, chunked[:-2] + b"connection: close\r\n\r\n" + chunk + b"0\r\n\r\n")
        assert status == 200, "as many as are allowed are allowed"


def test_a_body_that_does_not_come_is_not_waited_for() -> None:
    """A client that stops in the middle gets an error and loses the connection."""
    with on_tcp(World(), patience=0.1) as address:
        status, _, body = raw(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        assert (status, code(body)) == (408, "http-slow")


def test_a_connection_that_asks_nothing_is_ended() -> None:
    """Not a byte, half a head, and half a head after a good request: none of them holds a connection for ever."""
    with on_tcp(World(), protocol=Hasty) as address:
        for begun in (b"", b"GET /hea", GET + b"GET /hea"):
            with connect(address) as plain:
                plain.sendall(begun)
                status, _, _ = said(plain)
                assert status == (200 if begun.startswith(GET) else 0)


def test_a_client_that_does_not_read_is_ended() -> None:
    """An answer that nobody fetches is not kept: the connection is dropped, and the server can stop."""
    world = World()
    world.document = {"schema_version": 1, "x": "y" * 16_000_000}
    with serving(world, listen_tcp("127.0.0.1:0"), protocol=Hasty) as server, connect(server.address) as plain:
        plain.sendall(b"GET /v1/status HTTP/1.1\r\nhost: x\r\n\r\n")
        with client(server.address) as other:
            assert other.get("/healthz").status == 200, "it delays nobody"
        until(lambda: not server._server.server_state.connections)
        _, _, body = said(plain)
        assert len(body) < 16_000_000


def test_connections_are_limited_and_told_so() -> None:
    """One too many gets an error; the others go on, and a place that becomes free is given away."""
    with on_tcp(World(), protocol=type("Roomy", (Hasty,), {"for_a_head": PATIENCE})) as address:
        first = [connect(address) for _ in range(3)]
        for plain in first:  # each is known to the server when it has been answered
            plain.sendall(GET)
            assert plain.recv(12) == b"HTTP/1.1 200"
        with connect(address) as plain:
            status, _, body = said(plain)
            assert (status, code(body)) == (503, "http-busy")
        for plain in first:
            plain.close()
        until(lambda: raw(address, GET[:-2] + b"connection: close\r\n\r\n")[0] == 200)


def test_one_peer_has_a_part_of_the_connections() -> None:
    """Whoever keeps as many as they get shuts out nobody else."""
    told = {"for_a_head": PATIENCE, "most": 9, "of_one": 2, "stranger": staticmethod(str)}
    with on_tcp(World(), protocol=type("Shared", (Hasty,), told)) as address, ExitStack() as held:
        host, _, port = address.rpartition(":")

        def come(source: str) -> bytes:
            plain = held.enter_context(socket.create_connection((host, int(port)), PATIENCE, (source, 0)))
            plain.sendall(GET)
            return plain.recv(12)

        assert [come("127.0.0.2") for _ in range(3)] == [b"HTTP/1.1 200", b"HTTP/1.1 200", b"HTTP/1.1 503"]
        assert [come("127.0.0.3") for _ in range(2)] == [b"HTTP/1.1 200", b"HTTP/1.1 200"]


def test_who_comes_from_here_may_be_a_proxy_for_many() -> None:
    """Peers are addresses, or networks of IPv6; this machine and a Unix socket are none."""
    peers = ["", "127.0.0.9", "::1", "::ffff:127.0.0.1", "192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1:2", "unix"]
    found = [stranger(peer) for peer in peers]
    assert found == ["", "", "", "", "192.0.2.7", "192.0.2.7", "2001:db8::/64", "unix"]


def test_one_peer_sends_a_part_of_the_large_bodies() -> None:
    """Two of theirs are read at a time; somebody else's is taken all the same."""
    taken: list[Any] = []

    async def echo(scope: Any, receive: Any, _send: Any) -> None:
        taken.append((scope["client"][0], len((await receive())["body"])))

    async def come(guard: Guard, peer: str, going_on: asyncio.Event) -> Any:
        parts = [{"type": "http.request", "body": b"x" * 9, "more_body": True}]
        sent: list[Any] = []

        async def receive() -> Any:
            if parts:
                return parts.pop()
            await going_on.wait()
            return {"type": "http.request", "body": b"x"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/w",
            "headers": [],
            "client": (peer, 1),
        }
        await guard(scope, receive, send)
        return sent[0]["status"] if sent else None

    async def all_come() -> list[Any]:
        going_on = asyncio.Event()
        guard = Guard(echo, max_body=4, patience=PATIENCE, logger=LOGGER, wide={"/w": 99})
        coming = [asyncio.create_task(come(guard, peer, going_on)) for peer in ("192.0.2.1",) * 3 + ("192.0.2.2",)]
        await coming[2]
        going_on.set()
        return [*await asyncio.gather(*coming), await come(guard, "192.0.2.1", going_on)]

    assert asyncio.run(all_come()) == [None, None, 503, None, None]
    assert sorted(taken) == [("192.0.2.1", 10)] * 3 + [("192.0.2.2", 10)]


def test_many_clients_are_answered_at_the_same_time(short_path: Path) -> None:
    """Parallel clients on both doors get their own answers, while passes are waited for."""
    world = World()
    world.gate = threading.Event()
    with on_tcp(world) as tcp, on_unix(world, short_path / "d.sock") as unix, ThreadPoolExecutor(24) as pool:

        def ask(number: int) -> int:
            with client(tcp if number % 2 else unix) as http:
                return sum(http.get(path).status for path in ("/healthz", "/v1/status", "/nope"))

        passes = [pool.submit(raw, unix, _wish()) for _ in range(4)]
        for _ in passes:
            assert world.entered.acquire(timeout=PATIENCE)
        assert set(pool.map(ask, range(100))) == {200 + 200 + 404}
        world.gate.set()
        assert {found.result(PATIENCE)[0] for found in passes} == {200}


def test_passes_that_wait_are_limited(short_path: Path) -> None:
    """The seventeenth at the same time is told to come back, and health is answered all the while."""
    world = World()
    world.gate = threading.Event()
    with on_unix(world, short_path / "d.sock") as address, ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(raw, address, _wish()) for _ in range(16)]
        for _ in waiting:
            assert world.entered.acquire(timeout=PATIENCE)
        status, _, body = raw(address, _wish())
        assert (status, code(body)) == (503, "http-busy")
        with client(address) as http:
            assert http.get("/healthz").status == 200
        world.gate.set()
        assert {found.result(PATIENCE)[0] for found in waiting} == {200}
        assert raw(address, _wish())[0] == 200


def test_a_client_that_went_away_is_known_to_be_gone(short_path: Path) -> None:
    """Whoever runs the passes can leave out one that nobody waits for: Ctrl-C means no."""
    world = World()
    world.gate = threading.Event()
    with on_unix(world, short_path / "d.sock") as address:
        with connect(address) as plain:
            plain.sendall(_wish())
            assert world.entered.acquire(timeout=PATIENCE)
            assert world.wanted()
        until(lambda: not world.wanted())


def test_a_stop_lets_a_running_request_end(short_path: Path) -> None:
    """Stopping drains: who waits for a pass gets its result, nobody new gets in, and the socket is gone."""
    world = World()
    world.gate = threading.Event()
    path = short_path / "d.sock"
    with ThreadPoolExecutor(2) as pool:
        with serving(world, listen_unix(path), passes=True) as server:
            waiting = pool.submit(raw, server.address, _wish())
            assert world.entered.acquire(timeout=PATIENCE)
            idle = connect(server.address)
            stopping = pool.submit(server.stop)
            with idle:
                assert said(idle) == (0, {}, b""), "a connection at rest is closed at once"
            assert not path.exists()
            assert not waiting.done()
            world.gate.set()
            status, _, body = waiting.result(PATIENCE)
            assert (status, json.loads(body)["stdout"]) == (200, "done\n")
            stopping.result(PATIENCE)
        server.stop()
    with pytest.raises(FileNotFoundError):
        connect(f"unix://{path}")


def test_a_stop_waits_for_nobody_for_ever() -> None:
    """A request that never becomes complete is cut off when the time to drain is over."""
    with serving(World(), listen_tcp("127.0.0.1:0"), drain=1) as server, connect(server.address) as plain:
        plain.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf")
        with client(server.address) as http:
            assert http.get("/healthz").status == 200
        server.stop()
        status, _, _ = said(plain)
        assert status in {0, 500}


def test_a_server_that_stands_still_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A daemon that ends says what does not end with it, instead of waiting for ever."""
    entered, going_on = threading.Event(), threading.Event()

    async def stuck(_scope: Any, _receive: Any, _send: Any) -> None:
        entered.set()
        going_on.wait(60)

    server = WebServer(stuck, listen_tcp("127.0.0.1:0"), logger=LOGGER, drain=0)
    server.start()
    with connect(server.address) as plain:
        plain.sendall(GET)
        assert entered.wait(PATIENCE)
        monkeypatch.setattr(server, "_patience", 0.1)
        try:
            with pytest.raises(BugError, match=r"did not stop within 0\.1 s"):
                server.stop()
        finally:
            going_on.set()
    monkeypatch.undo()
    server.stop()


def test_a_server_that_was_never_started_can_be_stopped(short_path: Path) -> None:
    """Whatever fails between binding and starting, the socket goes."""
    path = short_path / "d.sock"
    WebServer(application(Offer(knowledge=World()), logger=LOGGER), listen_unix(path), logger=LOGGER).stop()
    assert not path.exists()


def test_connects_and_disconnects_leave_nothing_behind() -> None:
    """Five hundred clients that come and go, some in the middle of a word, cost no thread and no connection."""
    with serving(World(), listen_tcp("127.0.0.1:0")) as server:
        threads = threading.active_count()
        for number in range(500):
            with connect(server.address) as plain:
                plain.sendall((b"", b"GET /he", GET)[number % 3])
        until(lambda: raw(server.address, GET[:-2] + b"connection: close\r\n\r\n")[0] == 200)
        until(lambda: not server._server.server_state.connections)
        assert threading.active_count() <= threads + 40, "the pool of the framework, and no thread a client"


def _wish() -> bytes:
    body = b'{"ref": "main"}'
    return b"POST /v1/passes HTTP/1.1\r\nhost: x\r\nconnection: close\r\n" + TYPE + b"content-length: 15\r\n\r\n" + body
