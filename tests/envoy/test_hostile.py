"""Whatever answers at an admin address, or does not: an error with the address in it, and never an exception of another kind."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.envoy import Admin, AdminError, RuntimeNotModifiableError
from reconciler.envoy.binary import find_envoy
from reconciler.envoy.readings import STATS
from reconciler.errors import TransientError
from reconciler.http import Reply
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.origin import Origin
from reconciler.model.proxy import FilesPush, Proxy, Push, RuntimePush, RuntimeRoute
from reconciler.settings import AdminSettings
from tests.envoy.live import running, until
from tests.http.servers import Behaviour, always, answer, dripping, nobody, once, read_request, routed, serving, silent

HASTY = AdminSettings(connect_timeout=0.2, read_timeout=0.2)
SMALL = AdminSettings(max_body=100_000)
CALM = AdminSettings()

HTML = b"<!doctype html><html><body><h1>It works!</h1>" + b"<p>filler</p>" * 50 + b"</body></html>"
GOOD_STATS = b'cluster_manager.cds.version_text: "c"\nserver.live: 1\nserver.state: 0\n'
GOOD_EPOCH = json.dumps({"configs": [{"@type": "x", "last_updated": "2026-01-01T00:00:00.000Z"}]}).encode()

SILENCE = (HASTY, "admin-timeout")
NOISE = (CALM, "admin-garbage")
CASES: dict[str, tuple[Behaviour, AdminSettings, str]] = {
    "hangs": (silent, *SILENCE),
    "drips": (dripping(b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 99), *SILENCE),
    "drips its body": (dripping(b"x" * 999, b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n"), *SILENCE),
    "closes": (once(), CALM, "admin-unreachable"),
    "speaks something else": (once(b"220 mail ESMTP\r\n"), *NOISE),
    "is a web page": (always(answer(200, HTML)), *NOISE),
    "says nothing": (always(answer(200, b"")), *NOISE),
    "says no content": (always(answer(204, b"")), *NOISE),
    "is not found": (always(answer(404, HTML)), *NOISE),
    "redirects": (always(answer(302, b"", b"Location: /elsewhere")), *NOISE),
    "fails": (always(answer(500, b"Traceback")), *NOISE),
    "is busy": (always(answer(503, b"try later")), *NOISE),
    "is bytes": (always(answer(200, bytes(range(256)))), *NOISE),
    "is JSON": (always(answer(200, b"[{}]")), *NOISE),
    "is a lot": (always(answer(200, GOOD_STATS * 9999)), SMALL, "admin-garbage"),
    "is cut off": (once(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\nserver.live: 1"), *NOISE),
    "forbids": (always(answer(403, b"Forbidden")), CALM, "admin-forbidden"),
    "counts in words": (always(answer(200, GOOD_STATS + b"cluster.a.update_rejected: many\n")), *NOISE),
    "has another server": (always(answer(200, b"server.live: yes\n")), *NOISE),
}


def document(address: str, push: Push | None = None) -> Policy[Proxy]:
    """The Proxy at an address."""
    way = push or Push(files=FilesPush(directory="/nowhere"))
    return Policy("Proxy", Key("default", "p"), Proxy(admin=address, push=way), Origin("p.yaml", 0))


def check(address: str, limits: AdminSettings, code: str, push: Push | None = None) -> str:
    """Every reading call fails with this code and says where; returns the text."""
    texts = set()
    with Admin(address, limits) as admin:
        for call in (admin.versions, admin.runtime_routes):
            with pytest.raises(AdminError) as caught:
                call()
            assert isinstance(caught.value, TransientError)
            assert caught.value.code == code
            texts.add(caught.value.message)
        seen = admin.observe(document(address, push), at=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert seen.error is not None
    assert (seen.error.code, seen.reachable, seen.versions, dict(seen.resources)) == (code, False, None, {})
    assert seen.error.hint
    for text in (*texts, seen.error.message):
        assert address in text
        assert len(text) < 400
    return seen.error.message


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("unix", [False, True])
def test_what_is_no_envoy(short_path: Path, name: str, unix: bool) -> None:  # noqa: FBT001
    """Over TCP and over a Unix socket alike: a code, the address, and what to do."""
    behaviour, limits, code = CASES[name]
    with serving(behaviour, short_path / "s" if unix else None) as server:
        check(server.address, limits, code)


def test_nothing_there(short_path: Path) -> None:
    """A port that refuses, a socket that is not there, a path that is too long."""
    with nobody() as address:
        check(address, CALM, "admin-unreachable")
    check(f"unix://{short_path}/none", CALM, "admin-unreachable")
    assert "at most 107 bytes" in check(f"unix:///{'x' * 120}", CALM, "admin-unreachable")


def test_setting_values_fails_the_same_way(short_path: Path) -> None:
    """A POST has the same failures, and a page that says 200 is no OK."""
    for behaviour, limits, code in CASES.values():
        with serving(behaviour) as server, Admin(server.address, limits) as admin:
            with pytest.raises((AdminError, RuntimeNotModifiableError)) as caught:
                admin.set_runtime({"a.b": "1"})
            assert server.address in caught.value.message
            assert caught.value.code in {code, "runtime-forbidden"}
    with Admin(f"unix://{short_path}/none", CALM) as admin, pytest.raises(AdminError):
        admin.set_runtime({"a.b": "1"})


@contextmanager
def pretending(section: bytes) -> Iterator[str]:
    """A server with an Envoy's stats, and something of its own in every other place."""
    table = [
        ("/stats", answer(200, GOOD_STATS)),
        ("/config_dump?mask=last_updated", answer(200, GOOD_EPOCH)),
    ]
    with serving(routed(table, answer(200, section))) as server:
        yield server.address


def epoch_of(number: int, *headers: bytes) -> bytes:
    """An answer that names an epoch."""
    return answer(200, json.dumps({"configs": [{"last_updated": f"process {number}"}]}).encode(), *headers)


def test_a_connection_per_answer_is_no_loop() -> None:
    """Where every answer closes its connection, the process is asked for each time, and not for ever."""
    close = b"Connection: close"
    table = [("/stats", answer(200, GOOD_STATS, close)), ("/config_dump", epoch_of(1, close))]
    with serving(routed(table, b"")) as server, Admin(server.address, CALM) as admin:
        assert admin.versions().epoch == "process 1"
        assert server.connections <= 6


def test_a_restart_behind_something_that_keeps_our_connection() -> None:
    """A fallen uptime shows another process where the connection does not."""
    asked: list[str] = []
    ups = iter([100, 101, 3, 4])

    def behave(connection: socket.socket, _over: threading.Event) -> None:
        while request := read_request(connection):
            asked.append(request.split(b" ")[1].decode().partition("?")[0])
            if asked[-1] == "/stats":
                connection.sendall(answer(200, GOOD_STATS + b"server.uptime: %d\n" % next(ups)))
            else:
                connection.sendall(epoch_of(asked.count("/config_dump")))

    with serving(behave) as server, Admin(server.address, CALM) as admin:
        epochs = [admin.versions().epoch for _ in range(4)]
    assert epochs == ["process 1", "process 1", "process 2", "process 2"]


WRONG = {
    "a page": HTML,
    "cut JSON": b'{"configs": [{"dynamic_active_clusters": [',
    "a list": b"[]",
    "a number": b"1",
    "null": b"null",
    "no list": b'{"configs": {"a": 1}}',
    "numbers for parts": b'{"configs": [1, 2]}',
    "a number for clusters": b'{"configs": [{"dynamic_active_clusters": 5}]}',
    "no cluster": b'{"configs": [{"dynamic_active_clusters": [{"version_info": "1"}]}]}',
    "a text for a cluster": b'{"configs": [{"dynamic_active_clusters": [{"cluster": "c"}]}]}',
    "no name": b'{"configs": [{"static_clusters": [{"cluster": {}}]}]}',
    "too deep": b'{"configs": ' + b"[" * 100_000,
    "not UTF-8": b'{"configs": ["\xff"]}',
    "nothing": b"",
}


@pytest.mark.parametrize("name", WRONG)
def test_a_dump_that_is_none(name: str) -> None:
    """Stats like an Envoy's and then something else: garbage, by address."""
    with pretending(WRONG[name]) as address, Admin(address, CALM) as admin:
        seen = admin.observe(document(address), at=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert seen.error is not None
    assert seen.error.code == "admin-garbage"
    assert f"{address}/config_dump" in seen.error.message


RUNTIME = Push(
    runtime=RuntimePush(routes=(RuntimeRoute(virtual_service="v", prefix="p", clusters={"v1": "a"}),)),
)


@pytest.mark.parametrize(
    "body", [HTML, b"[]", b"{}", b'{"layers": [], "entries": []}', b'{"layers": 1, "entries": {"a": 1}}']
)
def test_runtime_values_that_are_none(body: bytes) -> None:
    """The same for the values of runtime."""
    with pretending(body) as address, Admin(address, CALM) as admin:
        seen = admin.observe(document(address, RUNTIME), at=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert seen.error is not None
    assert seen.error.code == "admin-garbage"
    assert f"{address}/runtime" in seen.error.message


_json = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            [
                "configs", "cluster", "listener", "name", "route_config", "endpoint_config", "dynamic_active_clusters",
                "static_clusters", "dynamic_listeners", "static_listeners", "active_state", "error_state", "rds", "@type",
                "endpoints", "lb_endpoints", "cluster_name", "virtual_hosts", "filter_chains", "type", "details",
            ]
        ),
        inner,
        max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(value=_json, wrapped=st.booleans())
def test_any_json_is_an_observation(value: Any, wrapped: bool) -> None:  # noqa: FBT001
    """Whatever JSON comes instead of a dump, the result is an observation: content, or an error."""
    body = json.dumps({"configs": [value]} if wrapped else value).encode()
    with ExitStack() as stack:
        admin = stack.enter_context(Admin("http://127.0.0.1:1", CALM))
        replies = {STATS: GOOD_STATS}
        admin._client = _Scripted(replies, body)  # type: ignore[assignment]
        seen = admin.observe(document("http://127.0.0.1:1"), at=lambda: datetime(2026, 1, 1, tzinfo=UTC))
    assert seen.error is None or seen.error.code == "admin-garbage"


class _Scripted:
    """Answers without a socket: thousands of examples need no thousands of connections."""

    connections = 1

    def __init__(self, replies: dict[str, bytes], otherwise: bytes) -> None:
        self._replies = replies
        self._otherwise = otherwise

    def get(self, target: str) -> Any:
        if "last_updated" in target:
            return Reply(200, GOOD_EPOCH)
        return Reply(200, self._replies.get(target, self._otherwise))

    def close(self) -> None:
        """Nothing to close."""


def test_an_envoy_that_does_not_allow_the_paths(envoy: str, short_path: Path) -> None:
    """A real `allow_paths` that leaves ours out: the error names the path to add."""
    assert envoy
    address = {"pipe": {"path": str(short_path / "admin.sock"), "mode": 0o600}}
    admin = {"address": address, "allow_paths": [{"exact": "/ready"}, {"prefix": "/stats"}]}
    with running(short_path, admin=admin) as lab:
        seen = lab.admin.observe(lab.proxy(), at=lambda: datetime.now(UTC))
        assert seen.error is not None
        assert seen.error.code == "admin-forbidden"
        assert lab.admin.address in seen.error.message
        assert "/config_dump" in seen.error.hint


def test_an_envoy_over_tcp(envoy: str, short_path: Path) -> None:
    """The same Envoy answers the same on a port; and is unreachable once it is gone."""
    assert envoy
    ports = short_path / "port"
    admin = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": 0}}}
    with ExitStack() as stack:
        address = stack.enter_context(_over_tcp(short_path, ports, admin))
        with Admin(address, CALM) as client:
            assert client.versions().live
            seen = client.observe(document(address), at=lambda: datetime.now(UTC))
            assert seen.error is None
            stack.close()
            gone = client.observe(document(address), at=lambda: datetime.now(UTC))
            assert gone.error is not None
            assert gone.error.code == "admin-unreachable"


@contextmanager
def _over_tcp(directory: Path, ports: Path, admin: dict[str, Any]) -> Iterator[str]:
    """An Envoy whose admin endpoint binds port 0 and writes down which one it got."""
    file = directory / "tcp.json"
    file.write_text(json.dumps({"admin": admin}))
    command = [
        find_envoy(),
        "-c",
        str(file),
        "--use-dynamic-base-id",
        "--concurrency",
        "1",
        "--admin-address-path",
        str(ports),
    ]
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ)
    ) as process:
        try:
            until(lambda: ports.exists() and ":" in ports.read_text())
            address = f"http://{ports.read_text().strip()}"
            with Admin(address, CALM) as waiting:
                until(lambda: waiting.observe(document(address), at=lambda: datetime.now(UTC), types=()).reachable)
                until(lambda: waiting.versions().live)
            yield address
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()
