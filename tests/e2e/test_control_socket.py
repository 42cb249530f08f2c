from __future__ import annotations

import json
import re
import signal
import stat
from pathlib import Path
from typing import Any

import pytest

from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.e2e.rig import Rig
from tests.e2e.test_daemon import daemon


def socket_of(rig: Rig) -> Path:
    return rig.folder / "d.sock"


def get(address: str, path: str) -> tuple[int, dict[str, Any]]:
    with HttpClient(address, AdminSettings()) as http:
        reply = http.get(path)
        return reply.status, json.loads(reply.body)


@pytest.mark.long
def test_a_daemon_does_the_pass_that_a_command_asks_for(rig: Rig) -> None:
    """Text, JSON, markdown, complaints and exit codes are those of a pass of one's own; the daemon's log has the receipt."""
    path = socket_of(rig)
    with daemon(rig, "--daemon", str(path), "--interval", "1h", "--drift-interval", "1h") as running:
        assert stat.S_IMODE(path.lstat().st_mode) == 0o600
        rig.commit(rig.routes(70, 30), "v2 at 30%")
        preview = rig.command("--dry-run", "-o", "json").json()
        wrong = rig.command("--daemon", str(path), "--plan-digest", "abc")
        assert (wrong.code, "error[plan-digest]" in wrong.out + wrong.err) == (3, True), (wrong.out, wrong.err)

        done = rig.command("--daemon", str(path), "--plan-digest", preview["digest"])
        assert done.code == 0, done.err
        assert "details.example.com" in done.out or "primary" in done.out
        assert "Recorded as " in done.out
        assert "\x1b" not in done.out
        rig.share_is(30)
        assert rig.receipts()[0] in running.text()

        for form in ("json", "markdown", "text"):
            there = rig.command("--daemon", str(path), "-o", form, "--exit-code")
            here = rig.command("-o", form, "--exit-code")
            assert (there.code, there.err) == (here.code, here.err) == (0, "")
            timeless = [re.sub(r'"seconds": \{[^}]*\}', "", ran.out) for ran in (there, here)]
            assert timeless[0] == timeless[1], form

        rig.commit({"policies/routes.yaml": "kind: [\n"}, "Break it")
        for form in ("json", "text"):
            there = rig.command("--daemon", str(path), "-o", form)
            here = rig.command("-o", form)
            assert there.code == here.code == 1
            assert there.err == here.err
            assert "yaml-syntax" in there.err + there.out
        running.process.send_signal(signal.SIGTERM)
        assert running.process.wait(20) == 0
        assert "Traceback" not in running.text()
    assert not path.exists()
    gone = rig.command("--daemon", str(path))
    assert (gone.code, "error[daemon-not-found]" in gone.err) == (1, True)


def test_a_daemon_says_how_it_is(rig: Rig) -> None:
    """Health, readiness and status over TCP, the status of the socket too; the bound address is in the log."""
    path = socket_of(rig)
    with daemon(rig, "--daemon", str(path), "--http", "127.0.0.1:0") as running:
        found = re.search(r" HTTP on (http://127\.0\.0\.1:\d+)\n", running.text())
        assert found is not None
        assert "WARNING" not in running.text(), "loopback needs no warning"
        for address in (found[1], f"unix://{path}"):
            assert get(address, "/healthz") == (200, {"schema_version": 1, "healthy": True})
            assert get(address, "/readyz") == (200, {"schema_version": 1, "ready": True})
            status, document = get(address, "/v1/status")
            assert (status, document["ref"], document["repository"]) == (200, "main", str(rig.repo.resolve()))
            (proxy,) = document["proxies"]
            assert (proxy["proxy"], proxy["outcome"], proxy["connection"]) == ("default/edge", "applied", None)
            assert proxy["verified_at"] is not None
        with HttpClient(found[1], AdminSettings()) as http:
            assert http.post_json("/v1/passes", {"ref": "main"}).status == 403
        with HttpClient(f"unix://{path}", AdminSettings()) as http:
            reply = http.post_json("/v1/passes", {"dry_run": True})  # of the only branch there is
            assert (reply.status, json.loads(reply.body)["exit_code"]) == (200, 0)

        second = rig.command("daemon", "--daemon", str(rig.folder / "other.sock"))
        assert (second.code, "error[git-locked]" in second.err) == (1, True)
        other = rig.command("--daemon", str(path), "--ref", "release")
        assert (other.code, "error[daemon-ref]" in other.err) == (1, True)


@pytest.mark.long
def test_a_killed_daemons_socket_is_taken_over(rig: Rig) -> None:
    """What SIGKILL leaves is no daemon to a command, and no obstacle to the next daemon."""
    path = socket_of(rig)
    with daemon(rig, "--daemon", str(path)) as running:
        running.process.kill()
        running.process.wait(20)
    assert path.is_socket()
    gone = rig.command("--daemon", str(path), "-o", "json")
    assert [item["code"] for item in gone.json()["errors"]] == ["daemon-not-found"]
    with daemon(rig, "--daemon", str(path)):
        assert rig.command("--daemon", str(path)).code == 0
