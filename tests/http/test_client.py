"""The client's rules: any status is an answer; everything else is one of three failures that name the address."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from reconciler.errors import TransientError, UsageError
from reconciler.http import BadReplyError, HttpClient, HttpError, TimedOutError, UnreachableError
from reconciler.settings import AdminSettings
from tests.http.servers import always, answer, dripping, nobody, once, read_request, routed, serving, silent

HASTY = AdminSettings(connect_timeout=0.3, read_timeout=0.3)
CALM = AdminSettings(connect_timeout=5, read_timeout=5)


@contextmanager
def refused(address: str, kind: type[HttpError], settings: AdminSettings = CALM) -> Iterator[list[str]]:
    """Calls fail as this kind and say where; yields the texts."""
    texts: list[str] = []
    with HttpClient(address, settings) as client, pytest.raises(kind) as caught:
        client.get("/stats?filter=secret")
    assert address in caught.value.message
    assert "secret" not in caught.value.message
    texts.append(caught.value.message)
    yield texts


@pytest.mark.parametrize("status", [200, 204, 302, 400, 403, 404, 500, 503])
def test_any_status_is_an_answer(status: int) -> None:
    """A status is for the caller to judge; a redirect is not followed."""
    reply = answer(status, b"" if status == 204 else b"body", b"Location: http://127.0.0.1:1/")
    with serving(always(reply)) as server, HttpClient(server.address, CALM) as client:
        got = client.get("/")
    assert (got.status, got.body) == (status, b"" if status == 204 else b"body")


def test_a_unix_socket_is_spoken_to_like_a_port(short_path: Path) -> None:
    """Target, query and answer are the same over both."""
    with (
        serving(routed([("/a?x=1%7C2", answer(200, b"yes"))], answer(404, b"no")), short_path / "s") as server,
        HttpClient(server.address, CALM) as client,
    ):
        assert client.get("/a?x=1%7C2").body == b"yes"
        assert client.get("/b").status == 404


@pytest.mark.parametrize("unix", [False, True])
def test_one_connection_serves_many_calls(short_path: Path, unix: bool) -> None:  # noqa: FBT001
    """Polling does not open a connection per call or per target."""
    with (
        serving(always(answer(200, b"x")), short_path / "s" if unix else None) as server,
        HttpClient(server.address, CALM) as client,
    ):
        for number in range(20):
            client.get(f"/{number}")
        client.post("/", {"a": "b"})
        assert (server.connections, client.connections) == (1, 1)


@pytest.mark.parametrize("unix", [False, True])
def test_a_server_that_came_back_is_spoken_to_again(short_path: Path, unix: bool) -> None:  # noqa: FBT001
    """A connection that the server has closed in between is replaced without an error."""
    path = short_path / "s" if unix else None
    with serving(once(answer(200, b"x")), path) as server, HttpClient(server.address, CALM) as client:
        for _ in range(3):
            assert client.get("/").status == 200
            assert server.ended.acquire(timeout=10)
        assert (server.connections, client.connections) == (3, 3)


def test_a_form_is_posted_as_one_body() -> None:
    """The form's values survive whatever characters they have."""
    seen: list[bytes] = []

    def behave(connection: socket.socket, _over: object) -> None:
        seen.append(read_request(connection))
        connection.sendall(answer(200, b"OK"))

    with serving(behave) as server, HttpClient(server.address, CALM) as client:
        client.post("/runtime_modify", {"a.b|c": "1 &=é"})
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /runtime_modify HTTP/1.1\r\n")
    assert b"Content-Type: application/x-www-form-urlencoded" in head
    assert body == b"a.b%7Cc=1%20%26%3D%C3%A9"


def test_a_json_object_is_sent_as_one() -> None:
    """A server that reads JSON gets UTF-8 JSON that says so."""
    seen: list[bytes] = []

    def behave(connection: socket.socket, _over: object) -> None:
        seen.append(read_request(connection))
        connection.sendall(answer(200, b"OK"))

    with serving(behave) as server, HttpClient(server.address, CALM) as client:
        assert client.post_json("/v1/passes", {"ref": "é", "select": []}).status == 200
    head, _, body = seen[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/passes HTTP/1.1\r\n")
    assert b"Content-Type: application/json" in head
    assert json.loads(body) == {"ref": "é", "select": []}


def test_the_environments_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing stands between us and an Envoy on this host."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with serving(always(answer(200, b"direct"))) as server, HttpClient(server.address, CALM) as client:
        assert client.get("/").body == b"direct"


def test_nothing_listens() -> None:
    """A refused connection is `unreachable`, in the system's words."""
    with nobody() as address, refused(address, UnreachableError) as (text,):
        assert "refused" in text


def test_no_such_socket(short_path: Path) -> None:
    """A socket that is not there is `unreachable`."""
    with refused(f"unix://{short_path}/none", UnreachableError) as (text,):
        assert "No such file" in text


def test_a_file_that_is_no_socket(short_path: Path) -> None:
    """A plain file at the path is `unreachable`."""
    (short_path / "file").write_text("x")
    with refused(f"unix://{short_path}/file", UnreachableError) as (text,):
        assert "refused" in text


def test_a_socket_nobody_listens_on_any_more(short_path: Path) -> None:
    """What a killed process leaves behind is `unreachable`."""
    with serving(silent, short_path / "s"):
        pass
    with refused(f"unix://{short_path}/s", UnreachableError) as (text,):
        assert "refused" in text


def test_a_socket_that_belongs_to_someone_else(short_path: Path) -> None:
    """A socket without permission is `unreachable`, and says why."""
    with serving(always(answer(200, b"x")), short_path / "s") as server:
        (short_path / "s").chmod(0)
        short_path.chmod(0o755)
        with _unprivileged(), refused(server.address, UnreachableError) as (text,):
            assert "Permission denied" in text


def test_a_path_too_long_for_a_socket() -> None:
    """The limit is named; the system's own error does not do that."""
    with refused("unix:///" + "x" * 107, UnreachableError) as (text,):
        assert "at most 107 bytes" in text


def test_a_host_that_does_not_exist() -> None:
    """A name that resolves to nothing is `unreachable`."""
    with refused("http://no-such-host.invalid:1", UnreachableError):
        pass


def test_a_listener_that_never_accepts(short_path: Path) -> None:
    """A full queue of connections is a failure, not a wait without end."""
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(str(short_path / "s"))
        listener.listen(0)
        first.connect(str(short_path / "s"))
        with refused(f"unix://{short_path}/s", UnreachableError, HASTY) as (text,):
            assert "queue of waiting connections" in text


@pytest.mark.parametrize("unix", [False, True])
def test_silence_is_a_timeout(short_path: Path, unix: bool) -> None:  # noqa: FBT001
    """A server that accepts and says nothing is given up, and the message says after how long: the silence, not the call."""
    with (
        serving(silent, short_path / "s" if unix else None) as server,
        refused(server.address, TimedOutError, HASTY) as (text,),
    ):
        assert text.endswith(f"silent for {HASTY.read_timeout:g} s")


HEAD = b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize(
    ("before", "data"),
    [
        (b"", HEAD + b"x-a: b\r\n" * 1000),
        (HEAD, b"x-a: b\r\n" * 1000),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x" * 1000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 1000),
        (HEAD + b"\r\n", b"x" * 1000),
    ],
    ids=["status", "headers", "body", "chunks", "until-close"],
)
@pytest.mark.parametrize("unix", [False, True])
def test_dripping_is_a_timeout(short_path: Path, before: bytes, data: bytes, unix: bool) -> None:  # noqa: FBT001
    """A server that sends a byte now and then does not hold its caller longer than one call may take."""
    with (
        serving(dripping(data, before), short_path / "s" if unix else None) as server,
        refused(server.address, TimedOutError, HASTY) as (text,),
    ):
        assert text.endswith(f"no complete answer within {HASTY.connect_timeout + HASTY.read_timeout:g} s")


def test_a_host_that_takes_no_connection() -> None:
    """A full queue over TCP is a wait for the connection, and the message says how long."""
    with socket.socket() as listener, ExitStack() as stack:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(8):  # the kernel takes one or two more than it was asked for
            waiting = stack.enter_context(socket.socket())
            waiting.settimeout(0)
            waiting.connect_ex(listener.getsockname())
        address = "http://{}:{}".format(*listener.getsockname())
        with refused(address, TimedOutError, HASTY) as (text,):
            assert text.endswith(f"no connection within {HASTY.connect_timeout:g} s")


@pytest.mark.parametrize("greeting", [b"220 mail ESMTP\r\n", b"\x15\x03\x01\x00\x02\x02\x50", b"SSH-2.0-x\r\n"])
def test_another_protocol(greeting: bytes) -> None:
    """What does not speak HTTP is a bad reply."""
    with serving(once(greeting)) as server, refused(server.address, BadReplyError) as (text,):
        assert "does not speak HTTP" in text


@pytest.mark.parametrize(
    "reply",
    [
        HEAD + b"Content-Length: 10\r\n\r\nshort",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
        HEAD + b"x-a: " + b"y" * 70000 + b"\r\n\r\n",
        HEAD + b"x-a: b\r\n" * 200 + b"\r\n",
    ],
    ids=["cut", "bad-chunk", "cut-chunk", "long-header", "many-headers"],
)
def test_a_broken_answer(reply: bytes) -> None:
    """An answer that begins well and breaks is a bad reply, never a short body."""
    with serving(once(reply)) as server, refused(server.address, BadReplyError):
        pass


def test_closing_without_an_answer() -> None:
    """A process that dies while it is asked is `unreachable`."""
    with serving(once()) as server, refused(server.address, UnreachableError) as (text,):
        assert "closed without an answer" in text


@pytest.mark.parametrize("declared", [True, False])
def test_more_than_is_allowed(declared: bool) -> None:  # noqa: FBT001
    """A body beyond the limit is refused while it arrives, however it is framed."""
    body = b"x" * 300_000
    reply = answer(200, body) if declared else HEAD + b"\r\n" + body
    with (
        serving(once(reply)) as server,
        refused(server.address, BadReplyError, AdminSettings(max_body=200_000)) as (text,),
    ):
        assert "larger than 200000 bytes" in text


@pytest.mark.parametrize("size", [0, 1, 65536, 65537, 200_000])
def test_a_body_up_to_the_limit_is_whole(size: int) -> None:
    """The limit itself is still allowed."""
    with (
        serving(once(answer(200, b"x" * size))) as server,
        HttpClient(server.address, AdminSettings(max_body=200_000)) as client,
    ):
        assert client.get("/").body == b"x" * size


@pytest.mark.parametrize(
    "address",
    [
        "",
        "localhost:1",
        "unix://relative",
        "unix:relative",
        "tcp://h:1",
        "http://",
        "http://[::1",
        "http://h:x",
        "HTTP://h",
    ],
)
def test_what_is_no_address(address: str) -> None:
    """An address in another form is the user's mistake, and says which forms there are."""
    with pytest.raises(UsageError) as caught:
        HttpClient(address, CALM)
    assert caught.value.code == "address"
    assert repr(address) in caught.value.message
    assert "unix:///path" in caught.value.diagnostics[0].hint


def test_text_that_is_not_utf8() -> None:
    """Bytes that are not UTF-8 are shown, and raise nothing."""
    with serving(once(answer(200, b"\xff\xfeabc"))) as server, HttpClient(server.address, CALM) as client:
        assert client.get("/").text == "\\xff\\xfeabc"


def test_failures_may_be_tried_again() -> None:
    """The daemon backs off and tries again after each of them."""
    assert all(issubclass(kind, TransientError) for kind in (UnreachableError, TimedOutError, BadReplyError))


@contextmanager
def _unprivileged() -> Iterator[None]:
    """Be nobody for a moment: root may open any socket."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_call_carries_headers_and_a_document_and_brings_headers_back() -> None:
    """What the caller says goes out beside the client's own headers; the answer's headers are found in lower case."""
    seen: list[bytes] = []

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        while request := read_request(connection):
            seen.append(request)
            connection.sendall(answer(201, b"made", b'ETag: "a1"'))

    with serving(behave) as server, HttpClient(server.address, CALM) as client:
        reply = client.send("PATCH", "/x?y=1", headers={"Authorization": "Bearer t"}, document={"a": "é"})
        client.send("GET", "/x", headers={"Authorization": "Bearer t"})
    assert (reply.status, reply.body, reply.headers["etag"]) == (201, b"made", '"a1"')
    head, _, body = seen[0].partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"PATCH /x?y=1 HTTP/1.1"
    assert {b"Authorization: Bearer t", b"Content-Type: application/json", b"User-Agent: envoy-reconciler"} <= set(
        lines
    )
    assert json.loads(body) == {"a": "é"}
    assert b"Content-Type" not in seen[1]


def test_no_message_shows_a_header() -> None:
    """A token in a header is in no error, whatever fails."""
    with nobody() as address, HttpClient(address, CALM) as client, pytest.raises(UnreachableError) as caught:
        client.send("GET", "/x", headers={"Authorization": "Bearer topsecret"})
    assert "topsecret" not in str(caught.value)
