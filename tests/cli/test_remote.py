from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.remote import (
    DaemonLostError,
    DaemonNotFoundError,
    DaemonReplyError,
    first_answering,
    run_there,
    status_there,
)
from reconciler.errors import ReconcilerError
from tests.http.servers import Behaviour, answer, read_request, serving

WISH = {"ref": "main"}
TIME = "2026-01-01T00:00:00+00:00"
STATUS: dict[str, Any] = {
    "schema_version": 1, "ref": "main", "repository": "/r", "now": TIME, "pass": None, "proxies": [],
}  # fmt: skip


def daemon(then: Callable[[socket.socket], None]) -> Behaviour:
    """What greets as a daemon does, and answers everything else as it is told."""

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        while request := read_request(connection):
            if request.startswith(b"GET /healthz "):
                connection.sendall(answer(503, b"{}"))
            else:
                then(connection)
                return

    return behave


def says(status: int, body: bytes) -> Behaviour:
    return daemon(lambda connection: connection.sendall(answer(status, body)))


def run(path: Path, patience: float = 20.0) -> tuple[str, str, int]:
    return run_there(path, WISH, patience=patience)


def test_what_the_daemon_says_is_what_comes_back(short_path: Path) -> None:
    """Even of a daemon that does not feel well: its health is not the question."""
    path = short_path / "d.sock"
    body = json.dumps({"schema_version": 1, "stdout": "ä\n", "stderr": "x", "exit_code": 4}).encode()
    with serving(says(200, body), path):
        assert run(path) == ("ä\n", "x", 4)


def test_its_errors_are_passed_on_as_they_are(short_path: Path) -> None:
    """Code, hint and all: the user reads what they would have read there."""
    path = short_path / "d.sock"
    error = {"code": "daemon-ref", "severity": "error", "message": "other", "hint": "do", "file": "a.yaml", "line": 3}
    body = json.dumps({"schema_version": 1, "errors": [error]}).encode()
    with serving(says(400, body), path), pytest.raises(ReconcilerError) as said:
        run(path)
    assert [item.as_json() for item in said.value.diagnostics] == [error]


@pytest.mark.parametrize(
    "body",
    [b"", b"hello", b"[]", b"{}", b'{"errors": []}', b'{"errors": [{"code": "x"}]}', b'{"errors": [1]}', b"\xff", b"[" * 9999,
     b'{"stdout": 1, "stderr": "", "exit_code": 0}', b'{"stdout": "", "stderr": "", "exit_code": "0"}',
     b'{"errors": [{"code": "x", "severity": "bad", "message": "m"}]}'],
    ids=range(12),
)  # fmt: skip
def test_an_answer_that_makes_no_sense_is_an_error(short_path: Path, body: bytes) -> None:
    """Whatever else listens there, its words are not taken for a result."""
    path = short_path / "d.sock"
    for status in (200, 500):
        with serving(says(status, body), path), pytest.raises(DaemonReplyError):
            run(path)
        path.unlink()


def test_nobody_there_is_told_from_somebody_who_went(short_path: Path) -> None:
    """Only the second may have done the pass."""
    path = short_path / "d.sock"
    for _ in range(2):
        with pytest.raises(DaemonNotFoundError):
            run(path)
        with pytest.raises(DaemonNotFoundError):
            status_there(path)
        with socket.socket(socket.AF_UNIX) as dead:
            if not path.exists():
                dead.bind(str(path))
    path.unlink()
    with serving(daemon(lambda _: None), path), pytest.raises(DaemonLostError) as lost:
        run(path)
    assert "may have been done" in lost.value.diagnostics[0].hint


def test_a_path_that_no_socket_can_have_is_nobody(short_path: Path) -> None:
    """Too long a path is an error of the contract."""
    with pytest.raises(DaemonNotFoundError):
        run(short_path / ("x" * 200))


def test_the_first_that_answers_is_taken(short_path: Path) -> None:
    """Sockets that dead daemons left are passed over."""
    stale, live = short_path / "a.sock", short_path / "b.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(stale))
    assert first_answering([]) is None
    assert first_answering([stale]) is None
    with serving(says(200, b"{}"), live):
        assert first_answering([stale, live]) == live


def test_a_status_of_another_form_is_not_shown(short_path: Path) -> None:
    """A daemon of another version may say other things; they are refused here rather than found missing later."""
    entry = {"proxy": "default/a", "revision": "c", "verified_at": TIME, "connection": {"connected": True, "held": []}}
    good = STATUS | {"proxies": [entry, entry | {"revision": None, "verified_at": None, "connection": None}]}
    path = short_path / "d.sock"

    def asked(document: object) -> dict[str, Any]:
        try:
            with serving(says(200, json.dumps(document).encode()), path):
                return status_there(path)
        finally:
            path.unlink()

    assert asked(good) == good
    bad: list[object] = [
        STATUS | {"schema_version": 2}, STATUS | {"now": "today"}, STATUS | {"now": "2026-01-01T00:00:00"}, STATUS | {"ref": None},
        STATUS | {"pass": {}}, STATUS | {"pass": []}, STATUS | {"proxies": {}}, STATUS | {"proxies": [{}]}, [],
        STATUS | {"proxies": [entry | {"verified_at": None}]}, STATUS | {"proxies": [entry | {"connection": {}}]},
        STATUS | {"proxies": [entry | {"connection": {"connected": True, "held": [{"type": "route"}]}}]},
    ]  # fmt: skip
    for document in bad:
        with pytest.raises(DaemonReplyError):
            asked(document)
