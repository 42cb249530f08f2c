"""Whatever answers at a Prometheus' address, or does not; tokens; TLS. Each failure is one that is named, and shows no secret."""

from __future__ import annotations

import json
import socket
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.errors import ReconcilerError, UsageError
from reconciler.http import Reply
from reconciler.prometheus import (
    DeniedError,
    DistrustedError,
    FailedError,
    GarbageError,
    NoDataError,
    PartialError,
    PrometheusError,
    QueryError,
    SlowError,
    TokenError,
    UnreachableError,
    ask,
)
from reconciler.prometheus.answers import number
from tests.certificates import Authority
from tests.http.servers import Behaviour, always, answer, dripping, nobody, once, read_request, serving, silent

SECRET = "s3cr3t-t0ken"  # noqa: S105 -- what no message may show
PATIENCE, SHORT = timedelta(seconds=10), timedelta(seconds=0.4)


def success(data: object, **more: object) -> bytes:
    """An answer as a Prometheus gives it."""
    return answer(200, json.dumps({"status": "success", "data": data} | more).encode())


def scalar(value: object) -> dict[str, object]:
    """A scalar."""
    return {"resultType": "scalar", "result": [1700000000.1, value]}


def failure(status: int, kind: str) -> bytes:
    """An error as a Prometheus gives it."""
    return answer(status, json.dumps({"status": "error", "errorType": kind, "error": "its words"}).encode())


HISTOGRAM = {"resultType": "vector", "result": [{"metric": {}, "histogram": [1, {"count": "1", "sum": "1"}]}]}
CASES: dict[str, tuple[Behaviour, type[ReconcilerError], str]] = {
    "hangs": (silent, SlowError, "0."),
    "drips": (dripping(b"x" * 999, b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"), SlowError, "0."),
    "closes": (once(), UnreachableError, "closed"),
    "speaks something else": (once(b"220 mail ESMTP\r\n"), GarbageError, "HTTP"),
    "is a web page": (always(answer(200, b"<html>It works!</html>")), GarbageError, "It works!"),
    "is not found": (always(answer(404, b"404 page not found")), GarbageError, "404 page"),
    "is a lot": (always(answer(200, b"x" * (5 << 20))), GarbageError, "larger"),
    "redirects": (always(answer(302, b"", b"Location: http://elsewhere/")), GarbageError, "redirects (302)"),
    "wants a token": (always(answer(401, b"Unauthorized")), DeniedError, "401"),
    "forbids": (always(failure(403, "forbidden")), DeniedError, "403"),
    "is busy": (always(answer(429, b"slow down")), FailedError, "429: slow down"),
    "is starting": (always(answer(503, b"Service Unavailable")), FailedError, "503: Service Unavailable"),
    "breaks": (always(answer(500, b"<html>oops</html>")), FailedError, "oops"),
    "fails": (always(failure(422, "execution")), FailedError, "execution: its words"),
    "fails inside": (always(failure(500, "internal")), FailedError, "internal: its words"),
    "gives up": (always(failure(503, "timeout")), SlowError, "its words"),
    "is cancelled": (always(failure(503, "canceled")), FailedError, "canceled: its words"),
    "knows no such query": (always(failure(400, "bad_data")), QueryError, "its words"),
    "warns": (always(success(scalar("1"), warnings=["a store is away"])), PartialError, "a store is away"),
    "has a histogram": (always(success(HISTOGRAM)), QueryError, "histogram"),
    "has no data": (always(success({"resultType": "vector", "result": []})), NoDataError, "no series"),
    "has no result": (always(success({"resultType": "vector"})), GarbageError, "not a Prometheus'"),
    "has another result": (always(success({"resultType": "vector", "result": {"a": 1}})), GarbageError, "not a Prom"),
    "has another type": (always(success({"resultType": "tensor", "result": []})), GarbageError, "tensor"),
    "has a number as a number": (always(success(scalar(1))), GarbageError, "not a Prometheus'"),
    "has words for numbers": (always(success(scalar("many"))), GarbageError, "many"),
    "is nothing": (always(success(None)), GarbageError, "null"),
    "succeeds with an error's status": (
        always(answer(400, json.dumps({"status": "success", "data": scalar("1")}).encode())),
        GarbageError,
        "400",
    ),
}


def asked(address: str, token: Path, timeout: timedelta = PATIENCE, *, insecure: bool = False) -> float:
    """The answer to some question, with a token."""
    return ask("up", address=address, timeout=timeout, token_file=str(token), insecure=insecure)


@pytest.fixture
def token(tmp_path: Path) -> Path:
    """A file with a token, as editors leave it."""
    path = tmp_path / "token"
    path.write_text(f"{SECRET}\n")
    return path


@pytest.mark.parametrize("name", CASES)
def test_what_answers_is_named(name: str, token: Path) -> None:
    """Every way in which there is no number has its own error, with the address, a hint, and without the token."""
    behaviour, kind, words = CASES[name]
    with serving(behaviour) as server:
        with pytest.raises(kind) as caught:
            asked(server.address, token, SHORT if kind is SlowError else PATIENCE)
        assert type(caught.value) is kind
        assert server.address in caught.value.message
    assert words in caught.value.message
    assert caught.value.diagnostics[0].hint
    assert SECRET not in str(caught.value)
    assert len(caught.value.message) < 400


def test_nobody_answers(token: Path) -> None:
    """As when it is down."""
    with nobody() as address, pytest.raises(UnreachableError) as caught:
        asked(address, token)
    assert address in caught.value.message


def test_what_is_no_address_is_the_user_s(token: Path) -> None:
    """Asking again would not help."""
    with pytest.raises(UsageError):
        asked("prometheus:9090", token)


class Listening:
    """Answers 1, and keeps what it was asked."""

    def __init__(self) -> None:
        self.requests: list[str] = []

    def __call__(self, connection: socket.socket, _over: threading.Event) -> None:
        while request := read_request(connection):
            self.requests.append(request.decode())
            connection.sendall(success(scalar("1")))


def test_the_token_is_read_at_each_call(token: Path) -> None:
    """Replacing the file renews it; without a file there is none; a path before the API's own is kept."""
    listening = Listening()
    with serving(listening) as server:
        assert asked(f"{server.address}/behind/a/path/", token) == 1
        token.write_text("another")
        assert asked(server.address, token) == 1
        assert ask("up", address=server.address, timeout=PATIENCE) == 1
    first, second, third = listening.requests
    assert first.startswith("GET /behind/a/path/api/v1/query?query=up&timeout=6750ms HTTP/1.1\r\n")
    assert f"\r\nAuthorization: Bearer {SECRET}\r\n" in first
    assert "\r\nAuthorization: Bearer another\r\n" in second
    assert "Authorization" not in third


@pytest.mark.parametrize(
    "body", [b"", b" \n", b"two words", b"two\nlines", b"\xff\xfe", b"x" * 70_000, "tökén".encode()]
)
def test_a_file_without_a_token_is_named(token: Path, body: bytes) -> None:
    """Nothing is asked; the message names the file and nothing of what is in it."""
    token.write_bytes(body)
    with serving(silent) as server:
        with pytest.raises(TokenError) as caught:
            asked(server.address, token)
        assert server.connections == 0
    assert caught.value.message == f"{token} holds no token"


@pytest.mark.parametrize("path", ["missing", ".", "a\0b"])
def test_a_file_that_can_not_be_read_is_named(tmp_path: Path, path: str) -> None:
    """It may come later, so asking again may help."""
    with pytest.raises(TokenError, match="cannot read"):
        asked("http://127.0.0.1:9", tmp_path / path)


def test_certificates_are_checked_unless_told_otherwise(tmp_path: Path, token: Path) -> None:
    """A certificate of an authority that this machine doesn't know is an error, and `insecure` takes it."""
    authority = Authority(tmp_path / "theirs")
    context = authority.server_context(authority.issue("localhost"))
    with serving(always(success(scalar("1"))), tls=context) as server:
        with pytest.raises(DistrustedError) as caught:
            asked(server.address, token)
        assert "insecure: true" in caught.value.diagnostics[0].hint
        assert asked(server.address, token, insecure=True) == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from([200, 204, 302, 400, 404, 422, 503]),
    st.one_of(
        st.binary(max_size=50),
        json_values.map(lambda value: json.dumps(value).encode()),
        st.fixed_dictionaries(
            {"status": st.sampled_from(["success", "error"])},
            optional={
                "data": st.fixed_dictionaries(
                    {"resultType": st.sampled_from(["scalar", "vector", "matrix", "string"]), "result": json_values}
                ),
                "errorType": json_values,
                "error": json_values,
                "warnings": json_values,
            },
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
def test_any_answer_is_a_number_or_a_named_failure(status: int, body: bytes) -> None:
    """Never an exception of another kind."""
    try:
        value = number(Reply(status, body), "http://p")
    except (PrometheusError, NoDataError, QueryError) as error:
        assert error.message.startswith("http://p")  # noqa: PT017 -- both outcomes are right
    else:
        assert abs(value) < float("inf")
        assert status == 200
