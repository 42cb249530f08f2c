"""`reconcile services` without Envoys: what can't be known, and daemons that can't be asked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from tests.cli.services.inventories import member, service
from tests.cli.test_status_daemon import daemon, repo
from tests.e2e.rig import git
from tests.http.servers import answer, routed

__all__ = ["repo"]

_MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {discovery: [{name: files, httpSd: {url: %s, host: b, ports: [{number: 80, name: http, protocol: HTTP}]}}]}
"""


def commit(repo: Path, **files: str) -> None:
    for name, text in files.items():
        (repo / f"policies/{name}.yaml").write_text(text)
    git("-C", str(repo), "add", "-A")
    git("-C", str(repo), "commit", "-q", "-m", "Change")


def asked(capsys: pytest.CaptureFixture[str], repo: Path, *options: str) -> tuple[int, Any, str]:
    code = run(["services", "-o", "json", "--cache", str(repo.parent / "cache"), *options])
    captured = capsys.readouterr()
    return code, json.loads(captured.out), captured.err


def test_without_services_there_is_nothing_to_show(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And that is no error."""
    code, document, err = asked(capsys, repo)
    assert (code, document["services"], document["registries"], err) == (0, [], [], "")
    assert run(["services"]) == 0
    assert capsys.readouterr().out.endswith("There are no services to show.\n")


def test_a_registry_of_which_nothing_is_known_is_an_error(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rest is shown; the exit code says that it is not all. Who asks about another registry is not concerned."""
    commit(repo, mesh=_MESH % "http://127.0.0.1:1/", b=service("b", 80))
    code, document, _ = asked(capsys, repo)
    assert (code, [item["code"] for item in document["errors"]]) == (1, ["discovery-silent"])
    assert [item["state"] for item in document["registries"]] == ["silent"]
    assert len(document["services"]) == 1
    assert run(["services", "--cache", str(repo.parent / "cache")]) == 1
    shown = capsys.readouterr()
    assert (
        "error[discovery-silent]: registry files does not answer, and nothing is known of what it lists: " in shown.err
    )
    assert "silent for " in shown.out


def test_a_proxy_that_does_not_say_how_it_sees_instances(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 4, as for every proxy in scope that can't be read; those that call nothing of what is shown are not in scope."""
    commit(repo, a=member("a-1", "10.0.0.1", "a").replace("unix:///run/", f"unix://{repo}/"), b=service("b", 80))
    code, document, _ = asked(capsys, repo)
    assert (code, [item["code"] for item in document["health"]["silent"]]) == (4, ["admin-unreachable"])
    assert document["services"][0]["callers"] == {"proxies": ["default/a-1"], "of": 1, "answered": 0}
    commit(repo, b=service("b", 80, "'~'"))
    assert asked(capsys, repo)[0] == 0


@pytest.mark.parametrize(("options", "code"), [(("c",), "service-unknown"), (("--registry", "c"), "usage")])
def test_what_is_not_there_is_an_error_in_json_too(
    repo: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], code: str
) -> None:
    """One document, whatever happens."""
    commit(repo, b=service("b", 80))
    status, document, _ = asked(capsys, repo, *options)
    assert (status, [item["code"] for item in document["errors"]]) == (1, [code])


def test_a_head_that_cannot_be_used_without_anything_applied_before(
    repo: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to show instead."""
    commit(repo, bad="kind: VirtualService\n")
    code, document, _ = asked(capsys, repo)
    assert (code, document["errors"][0]["file"], "services" in document) == (1, "policies/bad.yaml", False)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, b'{"schema_version": 1}', "daemon-reply"),
        (200, b"[]", "daemon-reply"),
        (503, b'{"errors": [{"code": "not-ready", "severity": "error", "message": "m", "hint": ""}]}', "not-ready"),
    ],
)
def test_a_daemon_that_cannot_be_asked_is_a_warning_and_one_that_was_named_an_error(
    repo: Path, capsys: pytest.CaptureFixture[str], status: int, body: bytes, code: str
) -> None:
    """This process can still ask the registries itself; where the daemon's word was wanted, nobody else's is given."""
    commit(repo, b=service("b", 80))
    with daemon(repo, routed([("/v1/services", answer(status, body))], answer(404, b"{}"))) as path:
        left, document, _ = asked(capsys, repo)
        assert (left, document["daemon"], [item["code"] for item in document["warnings"]]) == (0, None, [code])
        assert len(document["services"]) == 1
        left, document, _ = asked(capsys, repo, "--daemon", str(path))
        assert (left, [item["code"] for item in document["errors"]]) == (1, [code])


def test_proxies_that_may_have_announced_themselves_are_missed(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Only a daemon knows them, and none was asked: who may call a service is then said with a warning."""
    ads = member("a-1", "10.0.0.1", "a").replace("{files: {directory: /x/a-1}}", "{ads: {}}")
    commit(repo, a=ads, b=service("b", 80))
    _, document, _ = asked(capsys, repo)
    assert [item["code"] for item in document["warnings"]] == ["ads-preview"]
    assert document["services"][0]["callers"]["proxies"] == ["default/a-1"]
