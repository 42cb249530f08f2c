from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from reconciler.errors import BugError, RefusedError, TransientError
from tests.web.world import World, client, code, on_tcp, on_unix, raw


def post(address: str, body: bytes, *, target: str = "/v1/passes") -> tuple[int, dict[str, str], bytes]:
    head = f"POST {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n"
    return raw(address, head.encode() + f"content-length: {len(body)}\r\n\r\n".encode() + body)


def test_health_and_readiness_say_yes_or_why_not() -> None:
    """200 or 503 with the reason in our own error form: what a supervisor and a person both read."""
    world = World()
    with on_tcp(world) as address, client(address) as http:
        for path, good in (("/healthz", "healthy"), ("/readyz", "ready")):
            reply = http.get(path)
            assert (reply.status, json.loads(reply.body)) == (200, {"schema_version": 1, good: True})
        world.unwell, world.unready = "a pass hangs", "the first pass has not ended"
        for path, reason, name in (("/healthz", world.unwell, "unhealthy"), ("/readyz", world.unready, "not-ready")):
            reply = http.get(path)
            assert (reply.status, code(reply.body)) == (503, name)
            assert json.loads(reply.body)["errors"][0]["message"] == reason


def test_the_status_is_shown_as_it_is_told(short_path: Path) -> None:
    """The same document on both doors, with headers that let nobody keep or guess it."""
    world = World()
    world.document = {"schema_version": 1, "proxies": [{"proxy": "default/ä"}], "x": None}
    with on_tcp(world) as tcp, on_unix(world, short_path / "d.sock") as unix:
        for address in (tcp, unix):
            status, headers, body = raw(address, b"GET /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
            assert status == 200
            assert json.loads(body) == world.document
            assert headers["content-type"] == "application/json"
            assert headers["cache-control"] == "no-store"
            assert headers["x-content-type-options"] == "nosniff"
            assert not {name for name in headers if name.startswith("access-control")} | {"server"} & set(headers)


def test_the_services_are_shown_as_they_are_told(short_path: Path) -> None:
    """On both doors; and while they are not known, why."""
    world = World()
    world.inventory = {"schema_version": 1, "services": [{"host": "ä"}]}
    with on_tcp(world) as tcp, on_unix(world, short_path / "d.sock") as unix:
        for address in (tcp, unix):
            with client(address) as http:
                reply = http.get("/v1/services")
                assert (reply.status, json.loads(reply.body)) == (200, world.inventory)
        world.error = TransientError("not yet", code="not-ready")
        with client(tcp) as http:
            reply = http.get("/v1/services")
        assert (reply.status, code(reply.body)) == (503, "not-ready")


def test_head_is_answered_without_a_body() -> None:
    """Load balancers ask by HEAD."""
    with on_tcp(World()) as address:
        status, _, body = raw(address, b"HEAD /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (status, body) == (200, b"")


@pytest.mark.parametrize(
    "path", ["/", "/docs", "/redoc", "/openapi.json", "/v1/status/", "/v1//status", "/%2e%2e/etc", "*"]
)
def test_there_is_nothing_else(path: str) -> None:
    """Unknown paths, the framework's own pages included, are errors in our form."""
    with on_tcp(World()) as address:
        status, _, body = raw(address, f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert (status, code(body)) == (404, "http-path")


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "WHATEVER"])
def test_nothing_but_reading_is_offered(method: str) -> None:
    """Other methods are errors in our form; there is no CORS that would answer OPTIONS."""
    with on_tcp(World()) as address:
        status, _, body = raw(address, f"{method} /v1/status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode())
        assert (status, code(body)) == (405, "http-method")


def test_over_tcp_no_pass_can_be_asked_for() -> None:
    """TCP is read-only: the path of passes is not even there."""
    world = World()
    with on_tcp(world) as address:
        status, _, body = post(address, b'{"ref": "main"}')
        assert (status, code(body)) == (404, "http-path")
    assert world.requests == []


def test_a_pass_is_run_as_it_was_asked_for(short_path: Path) -> None:
    """Every wish arrives, and what comes of it goes back."""
    world = World()
    wish: dict[str, Any] = {
        "repository": "/srv/policies.git", "ref": "main", "select": ["default/a"], "allow": ["guard-x"],
        "dry_run": True, "merge": "ab" * 20, "plan_digest": "abc", "output": "text", "color": True, "exit_code": True, "timeout": 30,
    }  # fmt: skip
    with on_unix(world, short_path / "d.sock") as address:
        status, _, body = post(address, json.dumps(wish).encode())
        assert status == 200
        assert json.loads(body) == {"schema_version": 1, "stdout": "done\n", "stderr": "", "exit_code": 2}
        assert post(address, b"{}")[0] == 200
    request, least = world.requests
    assert (least.ref, least.dry_run) == ("", False), "of the branch that is served"
    assert request.model_dump() == wish | {"select": ("default/a",), "allow": ("guard-x",)}


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"[" * 60000, b'{"ref": 1}', b'{"ref": "main", "bogus": 1}',
        b'{"ref": "main", "color": "yes"}', b'{"ref": "main", "dry_run": "no"}', b'{"ref": "main", "timeout": NaN}', b'{"ref": "main", "timeout": 1e9}',
        b'{"ref": "main", "timeout": 0}', b'{"ref": "main", "output": "xml"}', b'{"ref": "main", "select": "all"}',
        b'{"ref": "main", "select": [1]}', b'{"ref": "main", "allow": {"a": 1}}',
    ],
    ids=range(18),
)  # fmt: skip
def test_a_wish_that_cannot_be_read_is_an_error_in_our_form(short_path: Path, body: bytes) -> None:
    """Nothing is guessed, left out or run; the framework's own form of errors never gets out."""
    world = World()
    with on_unix(world, short_path / "d.sock") as address:
        status, _, answer = post(address, body)
        assert (status, code(answer)) == (400, "http-request")
        assert b"detail" not in answer
        assert b"/v1/openapi.json" in answer, "where to read what is taken"
    assert world.requests == []


def test_each_kind_of_failure_has_its_status(short_path: Path) -> None:
    """Clients that know only HTTP can tell what to try again from what to mend."""
    world = World()
    with on_unix(world, short_path / "d.sock") as address:
        for error, status in (
            (TransientError("later", code="daemon-stopping"), 503),
            (RefusedError("no", code="guard-x"), 409),
            (BugError("x"), 500),
        ):
            world.error = error
            got, _, body = post(address, b'{"ref": "main"}')
            assert (got, code(body)) == (status, error.code)


def test_a_fault_of_our_own_is_told_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    """A client learns that it is a bug; what it was about is for the log."""
    world = World()
    world.error = ZeroDivisionError("secret")
    with caplog.at_level(logging.ERROR), on_tcp(world) as address, client(address) as http:
        reply = http.get("/v1/status")
        assert (reply.status, code(reply.body)) == (500, "bug")
        assert b"secret" not in reply.body
        world.error = None
        assert http.get("/v1/status").status == 200
    assert "ZeroDivisionError: 'secret'" in caplog.text
