"""`reconcile status` beside daemons that can't be asked, and proxies that only a daemon knows."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from reconciler.cli.control import identity
from reconciler.gitrepo import open_repository
from reconciler.settings import GitSettings, control_sockets
from tests.e2e.rig import git
from tests.http.servers import Behaviour, answer, routed, serving

TIME = "2026-01-01T00:00:00+00:00"


@pytest.fixture
def repo(tmp_path: Path, short_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A mesh without proxies, and a runtime directory of its own."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(short_path))
    folder = tmp_path / "repo"
    git("init", "-q", "-b", "main", str(folder))
    (folder / "policies").mkdir()
    mesh = "apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\nspec: {}\n"
    (folder / "policies" / "mesh.yaml").write_text(mesh)
    git("-C", str(folder), "add", "-A")
    git("-C", str(folder), "commit", "-q", "-m", "Start")
    monkeypatch.chdir(folder)
    return folder


@contextmanager
def daemon(repo: Path, behaviour: Behaviour) -> Iterator[Path]:
    """Something that listens where this repository's daemon would."""
    with open_repository(str(repo), GitSettings()) as opened:
        path = control_sockets(identity(opened), "main")[0]
    path.parent.mkdir(mode=0o700, exist_ok=True)
    with serving(behaviour, path):
        yield path
    path.unlink()


def says(repo: Path, **fields: Any) -> Behaviour:
    entry = {
        "proxy": "default/newcomer", "outcome": "rejected", "proof": "none", "detail": "no such cluster", "revision": None,
        "verified_at": None, "connection": {"connected": True, "held": []},
    }  # fmt: skip
    document = {
        "schema_version": 1, "ref": "main", "repository": str(repo / ".git"), "now": TIME, "pid": 1, "reason": "",
        "pass": None, "proxies": [entry],
    }  # fmt: skip
    return routed([("/v1/status", answer(200, json.dumps(document | fields).encode()))], answer(404, b"{}"))


def asked(capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any, str]:
    code = run(["status", "-o", "json", *options])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_a_proxy_that_only_the_daemon_knows_is_a_row(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A proxy that announced itself is in no document of Git's, and a member of the fleet all the same."""
    with daemon(repo, says(repo)):
        code, document, err = asked(capsys)
    (proxy,) = document["proxies"]
    assert (code, err) == (0, "")
    assert (proxy["proxy"], proxy["state"], proxy["reason"]) == ("default/newcomer", "rejected", "no such cluster")
    assert proxy["daemon"]["connection"]["connected"] is True
    assert document["daemon"]["pid"] == 1


def test_a_proxy_that_only_the_daemon_knows_is_asked_for_the_health_of_instances(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The daemon says where its admin endpoint is; one without any, or a daemon that does not say, is left out."""
    ejected = {"address": {"pipe": {"path": "/a"}}, "health_status": {"failed_outlier_check": True}}
    body = json.dumps({"cluster_statuses": [{"name": "c", "host_statuses": [ejected]}]}).encode()
    with serving(routed([("/clusters", answer(200, body))], answer(404, b""))) as envoy:
        entry = {
            "outcome": "applied",
            "proof": "exact",
            "detail": "",
            "revision": None,
            "verified_at": None,
            "connection": None,
        }
        proxies = [
            entry | {"proxy": "default/a", "admin": envoy.address},
            entry | {"proxy": "default/b", "admin": None},
            entry | {"proxy": "default/c"},
        ]
        with daemon(repo, says(repo, proxies=proxies)):
            code, document, _ = asked(capsys)
            assert run(["status"]) == 0
    assert (code, document["health"]["answered"]) == (0, 1)
    assert [item["cluster"] for item in document["health"]["services"]] == ["c"]
    assert "c: 1 of 1 ejected (outlier) as seen by 1 proxy" in capsys.readouterr().out.splitlines()


def test_a_daemon_that_cannot_be_asked_is_a_warning(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Status is what people look at when something is wrong: it shows the rest, and says what is missing."""
    for behaviour in (routed([], answer(200, b"hello")), says(repo, schema_version=2), says(repo, registries=[{}])):
        with daemon(repo, behaviour):
            code, document, err = asked(capsys)
        assert (code, document["daemon"], document["proxies"]) == (0, None, [])
        assert err.startswith("warning[daemon-reply]: ")


def test_without_a_daemon_nothing_is_said_of_one(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No socket, and the socket of a dead daemon."""
    code, document, err = asked(capsys)
    assert (code, document["daemon"], err) == (0, None, "")
    with daemon(repo, says(repo)) as path:
        live = path
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(live))
    code, document, err = asked(capsys)
    assert (code, document["daemon"], err) == (0, None, "")


def test_a_daemon_that_is_named_has_to_answer_for_this_repository(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was asked for on purpose and can't be had is an error, and another fleet's state is not shown as this one's."""
    code, document, _ = asked(capsys, "--daemon", str(repo / "none.sock"))
    assert (code, document["errors"][0]["code"]) == (1, "daemon-not-found")
    with daemon(repo, says(repo)) as path:
        assert asked(capsys, "--daemon", str(path))[0] == 0
    for other in ({"ref": "release"}, {"repository": "/srv/other.git"}):
        with daemon(repo, says(repo, **other)) as path:
            code, document, _ = asked(capsys, "--daemon", str(path))
        assert (code, document["errors"][0]["code"]) == (1, "usage")


def test_what_is_the_daemons_to_say_is_not_ignored(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Options that a daemon was started with can't be given with the pass."""
    for option in (
        ["--author", "A <a@b>"],
        ["--signing-key", "k"],
        ["--admin-timeout", "1s"],
        ["--dry-run", "--work-tree"],
    ):
        assert run(["--daemon", str(repo / "d.sock"), *option]) == 1
        assert "error[usage]" in capsys.readouterr().err


def test_a_pass_is_shown_as_the_daemon_rendered_it(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both streams and the exit code are passed on to the byte."""
    result = {"schema_version": 1, "stdout": "plan\x1b[1m bold\n", "stderr": "error[x]: y\n", "exit_code": 4}
    table = [("/healthz", answer(200, b"{}")), ("/v1/passes", answer(200, json.dumps(result).encode()))]
    with daemon(repo, routed(table, answer(404, b"{}"))) as path:
        assert run(["--daemon", str(path)]) == 4
    captured = capsys.readouterr()
    assert (captured.out, captured.err) == ("plan\x1b[1m bold\n", "error[x]: y\n")
