from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from reconciler.model.receipt import OutcomeKind
from tests.e2e.rig import Rig


def test_an_envoy_that_was_killed_and_started_again_is_brought_back(rig: Rig) -> None:
    """A restarted Envoy ends up where Git says, with traffic."""
    rig.run()
    rig.envoys["edge"].kill()
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    rig.start("edge")
    rig.apply()
    rig.share_is(30)


@pytest.mark.long
def test_an_envoy_that_is_down_delays_nobody_and_is_named(fleet: Rig) -> None:
    """The others are served, the pass exits 4, the receipt names the laggard, and names it once."""
    fleet.run()
    fleet.envoys["edge-2"].kill()
    fleet.commit(fleet.routes(70, 30), "v2 at 30%")
    ran = fleet.command("--output", "json")
    assert ran.code == 4
    assert {item["proxy"]: item["outcome"] for item in ran.json()["outcomes"]} == {
        "default/edge": "applied", "default/edge-2": "unreachable", "default/edge-3": "applied",
    }  # fmt: skip
    fleet.share_is(30)
    fleet.share_is(30, name="edge-3")
    assert "Proxies: 2/3" in fleet.record()
    assert "outcome: unreachable" in fleet.recorded("edge-2")
    count = len(fleet.receipts())
    assert fleet.run().exit_code() == 4
    assert len(fleet.receipts()) == count
    fleet.start("edge-2")
    fleet.apply()
    fleet.share_is(30, name="edge-2")
    assert len(fleet.receipts()) == count + 1
    assert "outcome: applied" in fleet.recorded("edge-2")


@contextmanager
def impostor(rig: Rig, reply: bytes | None) -> Iterator[None]:
    """Something that listens where an Envoy's admin endpoint should be: answers this, or nothing ever."""
    rig.envoys["edge"].stop()
    path = rig.admin("edge")
    path.unlink(missing_ok=True)
    open_connections: list[socket.socket] = []

    def serve(listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_connections.append(connection)
            connection.recv(4096)
            if reply is not None:
                connection.sendall(reply)
                connection.shutdown(socket.SHUT_WR)

    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(path))
        listener.listen()
        thread = threading.Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in open_connections:
                connection.close()


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (b"\x16\x03\x01 not http at all \xff\n", "admin-garbage"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 20\r\n\r\n<h1>It works!</h1>\r\n", "admin-garbage"),
        (None, "admin-timeout"),
    ],
    ids=["not-http", "another-server", "hangs"],
)  # fmt: skip
def test_an_admin_port_that_is_no_envoy_is_said_to_be_none(rig: Rig, reply: bytes | None, code: str) -> None:
    """Garbage, another server, silence: a clear error that names the address; exit 4 and a receipt."""
    with impostor(rig, reply):
        report = rig.run()
    assert report.exit_code() == 4
    assert report.plan is not None
    error = report.plan.proxies[0].error
    assert error is not None
    assert error.code == code
    assert str(rig.admin("edge")) in error.message
    assert [outcome.kind for outcome in report.outcomes.values()] == [OutcomeKind.UNREACHABLE]


def test_a_dry_run_that_can_ask_nobody_is_an_error(rig: Rig) -> None:
    """A plan about nobody would look like one that is empty."""
    rig.envoys["edge"].stop()
    assert rig.command("--dry-run").code == 1


def test_a_directory_that_cannot_be_written_is_named(rig: Rig) -> None:
    """What is ours to write and can't be written is the proxy's outcome, with the path; nothing else is disturbed."""
    rig.run()
    routes = rig.directory("edge") / "routes"
    routes.rename(routes.with_name("routes.away"))
    routes.write_text("a file where a directory should be")
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    report = rig.run()
    assert report.exit_code() == 4
    (outcome,) = report.outcomes.values()
    assert outcome.kind is OutcomeKind.FAILED
    assert str(routes) in outcome.detail
    rig.share_is(0, requests=100)


@pytest.mark.long
def test_a_record_branch_that_may_not_be_pushed_is_an_error_and_traffic_moves_all_the_same(rig: Rig) -> None:
    """The refusal is said in Git's words with exit 1; the next pass writes the receipt that is missing."""
    rig.run()
    hook = rig.repo / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'records are frozen' >&2\nexit 1\n")
    hook.chmod(0o755)
    cache = ["--cache", str(rig.folder / "cache"), "--repo", rig.repo.as_uri()]
    hook.chmod(0o644)
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    hook.chmod(0o755)
    ran = rig.command(*cache)
    assert ran.code == 1
    assert "records are frozen" in ran.err
    rig.share_is(30)
    count = len(rig.receipts())
    hook.unlink()
    assert rig.command(*cache).code == 0
    assert len(rig.receipts()) == count + 1


def test_what_a_commit_acknowledges_holds_until_it_has_been_applied(rig: Rig) -> None:
    """The proxy was away when the acknowledged commit came: a receipt that it was not applied must not use the word up."""
    rig.apply()
    rig.envoys["edge"].stop()
    rig.commit(rig.routes(20, 80), "v2 at 80%\n\nReconcile-Allow: guard-weight-increase")
    assert rig.run().exit_code() != 0
    rig.start("edge")
    rig.apply()
    rig.share_is(80)
