from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from reconciler.cli.standing import by_word
from tests.cli.test_status_daemon import TIME, daemon, repo, says
from tests.e2e.rig import git

__all__ = ["repo"]

_APP = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: app}
spec: {labels: {app: app}, push: {ads: {client: grpc}}}
"""


@pytest.fixture
def head(repo: Path) -> str:
    """A mesh of one gRPC application; its commit."""
    (repo / "policies" / "app.yaml").write_text(_APP)
    git("-C", str(repo), "add", "-A")
    git("-C", str(repo), "commit", "-q", "-m", "An application")
    return git("-C", str(repo), "rev-parse", "HEAD").strip()


def told(**fields: Any) -> dict[str, Any]:
    entry = {
        "proxy": "default/app", "outcome": "applied", "proof": "acked", "pending": 0, "detail": "", "revision": "c1",
        "verified_at": TIME, "connection": {"connected": True, "held": []},
    }  # fmt: skip
    return entry | fields


def status(capsys: pytest.CaptureFixture[str]) -> tuple[int, Any, str]:
    code = run(["status", "-o", "json"])
    (proxy,) = json.loads(capsys.readouterr().out)["proxies"]
    assert run(["status"]) == code
    return code, proxy, capsys.readouterr().out.splitlines()[-1]


def test_a_proxy_without_an_admin_endpoint_stands_as_the_daemon_says(
    repo: Path, head: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is connected and has said that it has what it should: that is no unreachable proxy, and no error."""
    with daemon(repo, says(repo, proxies=[told(revision=head)])):
        code, proxy, row = status(capsys)
    assert (code, proxy["state"], proxy["by_word"], proxy["reason"]) == (0, "in-sync", True, "")
    assert "acked: its own word" in row


def test_a_proxy_without_a_stream_is_unreachable(repo: Path, head: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The daemon it should be connected to says that it is not."""
    gone = told(revision=head, connection={"connected": False, "held": []})
    with daemon(repo, says(repo, proxies=[gone])):
        code, proxy, row = status(capsys)
    assert (code, proxy["state"], proxy["by_word"]) == (1, "unreachable", False)
    assert row.endswith("its ADS stream is not connected")


@pytest.mark.usefixtures("head")
def test_without_a_daemon_nothing_is_known_of_it(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody could be asked, which is no finding about the proxy; what nobody could say is not success either."""
    code, proxy, row = status(capsys)
    assert (code, proxy["state"]) == (1, "unknown")
    assert "no daemon says what it has" in row
    with daemon(repo, says(repo, proxies=[])):
        assert status(capsys)[1]["state"] == "unknown"


@pytest.mark.parametrize(
    ("fields", "state", "pending", "words"),
    [
        ({}, "in-sync", 0, ""),
        ({"revision": "c0"}, "behind", 0, "was for c0"),
        ({"outcome": "rejected", "pending": 2, "detail": "no such field"}, "rejected", 2, "no such field"),
        ({"outcome": "unreachable", "pending": 3}, "behind", 3, "no pass has brought it anywhere yet"),
        ({"outcome": None, "revision": None, "verified_at": None}, "behind", 0, "no pass has brought it anywhere yet"),
    ],
)
def test_what_the_last_pass_found_is_how_it_stands(
    fields: dict[str, Any], state: str, pending: int, words: str
) -> None:
    """State, number of changes and reason are the daemon's, for the commit that is asked for."""
    found = by_word(told(**fields), applied="c1")
    assert (found.state, found.pending, found.by_word) == (state, pending, True)
    assert words in found.reason
