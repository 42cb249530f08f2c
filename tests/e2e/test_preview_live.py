"""A preview of a pull request that asks a running daemon, which sees what is live."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.rig import Ran, Rig
from tests.e2e.test_daemon import daemon


def preview(rig: Rig, head: str, socket: Path) -> Ran:
    return rig.command(
        "ci", "preview", "--base", "main", "--head", head, "--no-envoy", "--daemon", str(socket), "-o", "json"
    )


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
