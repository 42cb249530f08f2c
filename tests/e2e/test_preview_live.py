"""A preview of a pull request that asks a running daemon, which sees what is live."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.rig import MESH, Ran, Rig
from tests.e2e.test_daemon import daemon


def preview(rig: Rig, head: str, socket: Path) -> Ran:
    return rig.command(
        "ci", "preview", "--base", "main", "--head", head, "--no-envoy", "--daemon", str(socket), "-o", "json"
    )


@pytest.mark.long
def test_a_preview_asks_the_daemon_about_the_merge_on_the_live_fleet(rig: Rig) -> None:
    """Main has moved since; the daemon plans the merge of both, and its guards count. Nothing is touched."""
    socket = rig.folder / "d.sock"
    with daemon(rig, "--daemon", str(socket), "--interval", "1h", "--drift-interval", "1h"):
        rig.commit(rig.routes(70, 30), "v2 at 30%", branch="topic")
        rig.commit(rig.routes(40, 60), "v2 at 60%, at once", branch="steep")
        rig.commit({"NOTES": "main has moved"}, "Notes")
        before, live = rig.refs(), rig.config("edge")
        ran = preview(rig, "topic", socket)
        assert (ran.code, ran.json()["live"]) == (0, "0 to create, 1 to update, 0 to delete"), ran.out + ran.err
        refused = preview(rig, "steep", socket)
        assert refused.code == 3
        assert {item["diagnostic"]["code"] for item in refused.json()["refused"]} == {"guard-weight-increase"}
        assert (rig.refs(), rig.config("edge")) == (before, live)

    unasked = preview(rig, "topic", socket)
    (said,) = [item["diagnostic"] for item in unasked.json()["remarks"]]
    assert (unasked.code, said["code"], said["severity"]) == (0, "daemon-not-found", "warning")
    assert "the live fleet is not in this preview" in said["message"]


def test_what_is_not_merged_sends_the_daemon_nowhere(rig: Rig) -> None:
    """Whoever may propose could otherwise name an address of theirs, a file with a secret to show there, and be asked."""
    socket, secret = rig.folder / "d.sock", rig.folder / "secret"
    secret.write_text("hidden\n", encoding="ascii")
    heard: list[str] = []

    class Theirs(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(f"{self.path} {self.headers.get('authorization')}")
            self.send_error(404)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Theirs) as theirs:
        threading.Thread(target=theirs.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{theirs.server_port}"
        registry = f"{{name: theirs, httpSd: {{url: '{address}/sd', tokenFile: {secret}}}}}"
        mesh = MESH.replace("5s}", f"5s, discovery: [{registry}]}}")
        with daemon(rig, "--daemon", str(socket), "--interval", "1h", "--drift-interval", "1h"):
            rig.commit({"policies/mesh.yaml": mesh}, "Ask me", branch="registry")
            moved = rig.gateway("edge").replace(f"unix://{rig.admin('edge')}", address)
            assert address in moved
            rig.commit({"policies/edge.yaml": moved}, "Look here", branch="moved")
            assert preview(rig, "registry", socket).json()["live"] == "0 to create, 0 to update, 0 to delete"
            live = preview(rig, "moved", socket).json()["live"]
            assert live.endswith("1 proxy could not be asked: default/edge")
        theirs.shutdown()
    assert heard == []
