"""People are told of a canary's states, over real HTTP, once each, whatever happens to the daemon in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.canary import Canary
from tests.e2e.rig import MESH, git

STEPS = ("setWeight: 20", "pause: {}", "setWeight: 100")


@contextmanager
def receiver() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Something that is told; yields its address, and what it was told."""
    told: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            told.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/hook", told
        finally:
            server.shutdown()
            thread.join(10)


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Canary]:
    with Canary(tmp_path_factory.mktemp("n")) as canary:
        yield canary


def _states(told: list[dict[str, Any]]) -> list[tuple[str, int]]:
    return [(item["phase"], item["step"]) for item in told]


@pytest.mark.long
def test_each_state_is_told_once_over_two_lives_of_the_daemon(canary: Canary, tmp_path: Path) -> None:
    """What the first daemon has told and recorded, the second does not tell again; each state has an id of its own."""
    with receiver() as (address, told):
        (tmp_path / "url").write_text(address)
        mesh = MESH.replace("{verifyDeadline", f"{{notifications: [{{urlFile: {tmp_path / 'url'}}}], verifyDeadline")
        canary.commit({**canary.rollout(*STEPS), "policies/mesh.yaml": mesh}, "Roll v2 out")
        with canary.daemon():
            canary.wait(lambda: ("Progressing", 1) in _states(told), "people know that it waits for them")
            waits = told[-1]
            assert "promotes" in waits["reason"]
            canary.wait(lambda: waits["id"] in canary.evidence(), "that is recorded")
        first = len(told)
        with canary.daemon(log="second.log"):
            canary.edit("policies/rollout.yaml", "  canary: v2\n", "  canary: v2\n  step: 2\n", "Go on")
            canary.wait(lambda: ("Succeeded", 3) in _states(told), "people know that it is over")
            canary.wait(lambda: told[-1]["id"] in canary.evidence(), "that is recorded")
        with canary.daemon(log="third.log"):
            commit = canary.edit("policies/routes.yaml", "    route:\n", "    timeout: 3s\n    route:\n", "A timeout")
            canary.wait(lambda: commit in canary.record(), "a pass")
    assert first < len(told)  # the third daemon had nothing to tell
    assert len(_states(told)) == len(set(_states(told))) == len({item["id"] for item in told}), told
    assert {item["rollout"] for item in told} == {"details"}
    assert (told[-1]["weight"], told[-1]["commit"]) == (100, git("-C", str(canary.repo), "rev-parse", "main~1").strip())
