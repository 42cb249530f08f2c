"""Answers without an end, long polls, and ending both from another thread."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from reconciler.http import AbortedError, BadReplyError, HttpClient, HttpError, TimedOutError, UnreachableError
from reconciler.settings import AdminSettings
from tests.certificates import Authority
from tests.http.servers import Behaviour, always, answer, dripping, nobody, once, read_request, serving, silent

HASTY = AdminSettings(connect_timeout=0.3, read_timeout=0.3)
CALM = AdminSettings(connect_timeout=20, read_timeout=20)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
UNTIL_CLOSED = b"HTTP/1.1 200 OK\r\n\r\n"


def chunks(*parts: bytes) -> bytes:
    """Each part as a chunk."""
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts)


def hanging(data: bytes) -> Behaviour:
    """Send this and then nothing, until the test is over."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        read_request(connection)
        connection.sendall(data)
        over.wait()

    return behave


def lines_of(client: HttpClient, silence: float = 20) -> list[bytes]:
    """All lines of a stream."""
    with client.stream("GET", "/watch", silence=silence) as stream:
        return list(stream.lines())


@pytest.mark.parametrize(
    ("reply", "framing"),
    [
        (CHUNKED + chunks(b'{"a"', b':1}\n{"b":2}\r\n\n', b"{", b"}", b"") + b"\r\n", "chunked"),
        (UNTIL_CLOSED + b'{"a":1}\n{"b":2}\r\n\n{}', "until closed"),
        (b'HTTP/1.1 200 OK\r\nContent-Length: 19\r\n\r\n{"a":1}\n{"b":2}\n\n{}', "by length"),
    ],
)
def test_lines_are_whole_however_they_arrive(reply: bytes, framing: str) -> None:
    """Chunks and lines have nothing to do with each other; empty lines (keep-alives) say nothing."""
    with serving(once(reply)) as server, HttpClient(server.address, CALM) as client:
        assert lines_of(client) == [b'{"a":1}', b'{"b":2}', b"{}"], framing


@pytest.mark.parametrize("head", [CHUNKED, UNTIL_CLOSED], ids=["chunked", "until-closed"])
def test_a_line_is_there_as_soon_as_it_was_sent(head: bytes) -> None:
    """Whatever the server sends next, or never: a line does not wait for a buffer to be full."""
    line = b"now\n"
    data = head + (chunks(line) if head is CHUNKED else line)
    with (
        serving(hanging(data)) as server,
        HttpClient(server.address, CALM) as client,
        client.stream("POST", "/watch", document={}, silence=20) as stream,
    ):
        assert next(stream.lines()) == b"now"


def test_a_stream_goes_on_for_longer_than_a_call_may_take() -> None:
    """Only silence ends it: neither the time of a whole call nor what a call may be silent for."""
    with (
        serving(dripping(chunks(b"x" * 4 + b"\n") * 4 + b"0\r\n\r\n", CHUNKED)) as server,
        HttpClient(server.address, AdminSettings(connect_timeout=0.1, read_timeout=0.5)) as client,
    ):
        assert lines_of(client, silence=10) == [b"xxxx"] * 4


def test_silence_of_a_stream_has_its_own_limit() -> None:
    """It is named, and it is not that of other calls."""
    with (
        serving(hanging(CHUNKED + chunks(b"a\n"))) as server,
        HttpClient(server.address, CALM) as client,
        client.stream("GET", "/watch", silence=0.2) as stream,
    ):
        lines = stream.lines()
        assert next(lines) == b"a"
        with pytest.raises(TimedOutError) as caught:
            next(lines)
    assert caught.value.message == f"GET {server.address}/watch: silent for 0.2 s"


def test_a_stream_has_to_begin_like_any_other_call() -> None:
    """A server that never says whether it watches is not waited for as long as one that watches."""
    with serving(silent) as server, HttpClient(server.address, HASTY) as client, pytest.raises(TimedOutError):
        lines_of(client)


@pytest.mark.parametrize(
    "cut",
    [
        CHUNKED + chunks(b"a\n") + b"10\r\nhalf a ",
        CHUNKED + chunks(b"a\n") + b"1",
        CHUNKED + chunks(b"a\n"),
        CHUNKED + chunks(b"a\n") + b"zz\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\na\n",
    ],
    ids=["in-a-chunk", "in-a-size", "between-chunks", "no-size", "by-length"],
)
def test_a_cut_is_an_error_and_no_end(cut: bytes) -> None:
    """What came before is used; half a line is never taken for a line."""
    with (
        serving(once(cut)) as server,
        HttpClient(server.address, CALM) as client,
        client.stream("GET", "/watch", silence=20) as stream,
    ):
        lines = stream.lines()
        assert next(lines) == b"a"
        with pytest.raises((BadReplyError, UnreachableError)):
            next(lines)


@pytest.mark.parametrize("ended", [False, True])
def test_a_line_has_a_limit(ended: bool) -> None:  # noqa: FBT001
    """One that never ends does not fill the memory; the limit itself is still allowed."""
    settings = AdminSettings(max_body=100_000)
    piece = b"x" * 10_000
    data = CHUNKED + chunks(*[piece] * 10, b"\n") + (b"0\r\n\r\n" if ended else chunks(*[piece] * 11))
    with serving(once(data)) as server, HttpClient(server.address, settings) as client:
        if ended:
            assert lines_of(client) == [piece * 10]
            return
        with pytest.raises(BadReplyError) as caught:
            lines_of(client)
    assert "longer than 100000 bytes" in caught.value.message


def test_an_error_instead_of_a_stream_is_read_as_a_whole() -> None:
    """Its words are for the caller to judge, within the client's limits."""
    with (
        serving(once(answer(410, b"too old", b"X-Why: gone"))) as server,
        HttpClient(server.address, CALM) as client,
        client.stream("GET", "/watch", silence=20) as stream,
    ):
        assert (stream.status, stream.headers["x-why"], stream.whole().text) == (410, "gone", "too old")
    with (
        serving(once(answer(500, b"x" * 101))) as server,
        HttpClient(server.address, AdminSettings(max_body=100)) as client,
        client.stream("GET", "/watch", silence=20) as stream,
        pytest.raises(BadReplyError),
    ):
        stream.whole()


def test_a_client_makes_other_calls_after_a_stream() -> None:
    """One that was left in the middle costs its connection; limits are those of a call again."""
    replies = iter([CHUNKED + chunks(b"a\n"), answer(200, b"x"), b""])

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        while read_request(connection):
            connection.sendall(next(replies))

    with serving(behave) as server, HttpClient(server.address, HASTY) as client:
        with client.stream("GET", "/watch", silence=20) as stream:
            assert next(stream.lines()) == b"a"
        assert client.get("/").body == b"x"
        with pytest.raises(TimedOutError):
            client.get("/")
        assert client.connections == 2


def test_what_the_reader_of_a_stream_raises_is_its_own() -> None:
    """An error in the code that uses a line is not taken for one of the connection."""
    with (
        serving(hanging(CHUNKED + chunks(b"a\n"))) as server,
        HttpClient(server.address, CALM) as client,
        pytest.raises(OSError, match="mine"),
        client.stream("GET", "/watch", silence=20),
    ):
        raise OSError("mine")


def slow(seconds: float) -> Behaviour:
    """Answer after so long."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        while read_request(connection) and not over.wait(seconds):
            connection.sendall(answer(200, b"late"))

    return behave


def test_a_long_poll_may_wait() -> None:
    """As much longer as was asked for, and no longer; the next call is as impatient as ever."""
    settings = AdminSettings(connect_timeout=0.1, read_timeout=0.1)
    with serving(slow(0.5)) as server, HttpClient(server.address, settings) as client:
        assert client.send("GET", "/x?wait=5s", wait=10).text == "late"
        with pytest.raises(TimedOutError) as caught:
            client.send("GET", "/x")
        assert caught.value.message.endswith("silent for 0.1 s")
        with pytest.raises(TimedOutError) as caught:
            client.send("GET", "/x?wait=5s", wait=0.15)
        assert caught.value.message.endswith("silent for 0.25 s")


@contextmanager
def calling(client: HttpClient, call: Callable[[HttpClient], object]) -> Iterator[list[HttpError]]:
    """A thread that makes the call while the context is open; then it has ended, with these errors."""
    errors: list[HttpError] = []

    def run() -> None:
        try:
            call(client)
        except HttpError as error:
            errors.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    yield errors
    thread.join(10)
    assert not thread.is_alive()


def mute(_connection: socket.socket, over: threading.Event) -> None:
    """Do not even read."""
    over.wait()


def reached(then: Behaviour) -> tuple[Behaviour, threading.Event]:
    """The behaviour, and an event that says that a connection has come to it."""
    here = threading.Event()

    def behave(connection: socket.socket, over: threading.Event) -> None:
        here.set()
        then(connection, over)

    return behave, here


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"HTTP/1.1 200 OK\r\nx-a",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab",
        CHUNKED + b"5\r\nab",
        UNTIL_CLOSED + b"a",
    ],
    ids=["answer", "headers", "body", "chunk", "until-closed"],
)
@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_call_is_ended_from_another_thread(short_path: Path, data: bytes, unix: bool, streamed: bool) -> None:  # noqa: FBT001
    """Wherever it waits; half an answer is never taken for a whole one."""
    behave, here = reached(hanging(data))
    call = lines_of if streamed else lambda client: client.get("/")
    with (
        serving(behave, short_path / "s" if unix else None) as server,
        HttpClient(server.address, CALM) as client,
        calling(client, call) as errors,
    ):
        assert here.wait(10)
        client.abort()
    assert [type(error) for error in errors] == [AbortedError]
    assert errors[0].code == "http-aborted"


@pytest.mark.parametrize("shaken", [False, True])
def test_a_call_over_tls_is_ended_too(tmp_path: Path, shaken: bool) -> None:  # noqa: FBT001
    """While it shakes hands, and while it reads."""
    ours = Authority(tmp_path / "ours")
    behave, here = reached(hanging(CHUNKED + b"5\r\nab") if shaken else mute)
    context = ours.server_context(ours.issue("127.0.0.1")) if shaken else None
    settings = AdminSettings(connect_timeout=20, read_timeout=20, ca=str(ours.root))
    with (
        serving(behave, tls=context) as server,
        HttpClient(server.address.replace("http:", "https:"), settings) as client,
        calling(client, lines_of) as errors,
    ):
        assert here.wait(10)
        client.abort()
    assert [type(error) for error in errors] == [AbortedError]


def _connecting(port: int) -> int:
    """How many sockets wait for a connection to this port."""
    rows = (line.split() for line in Path("/proc/self/net/tcp").read_text(encoding="ascii").splitlines()[1:])
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "02" for row in rows)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="nothing here says what a socket waits for")
def test_connecting_is_ended_too() -> None:
    """A host that takes no connection holds nobody who has to go."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):  # the kernel takes one or two more than it was asked for
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        client = stack.enter_context(HttpClient("http://{}:{}".format(*listener.getsockname()), CALM))
        before = _connecting(listener.getsockname()[1])
        with calling(client, lambda client: client.get("/")) as errors:
            stack.callback(client.abort)
            while _connecting(listener.getsockname()[1]) == before:
                os.sched_yield()
            client.abort()
    assert [type(error) for error in errors] == [AbortedError]


def test_an_aborted_client_makes_no_call() -> None:
    """Whether it was in use or not, with a connection or without."""
    with serving(always(answer(200, b"x"))) as server, HttpClient(server.address, CALM) as client:
        client.get("/")
        client.abort()
        for call in (lambda: client.get("/"), lambda: lines_of(client), lambda: client.post("/")):
            with pytest.raises(AbortedError):
                call()
        assert client.connections == 1
    with nobody() as address, HttpClient(address, CALM) as client:
        client.abort()
        client.abort()
        with pytest.raises(AbortedError):
            client.get("/")
