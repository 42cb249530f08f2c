"""A preview asks a daemon on another machine, as somebody who may ask for nothing else; and stays a preview where it can't."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from reconciler.cli import run
from reconciler.cli.ci.daemons import TOKEN, daemon_at
from reconciler.cli.remote import Elsewhere, Place
from reconciler.errors import UsageError
from tests.certificates import Authority
from tests.ci.conftest import Preview
from tests.ci.forges import Upstream, github, pull_event
from tests.e2e.rig import Rig
from tests.e2e.test_daemon import daemon


@pytest.fixture
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One gateway, nothing pushed yet."""
    with Rig(tmp_path_factory.mktemp("r")) as rig:
        yield rig


def token(rig: Rig, role: str, capsys: pytest.CaptureFixture[str]) -> Path:
    """A new token in a file."""
    assert run(["token", "create", f"{role} <ci@x.test>", "--role", role, "--tokens", str(rig.folder / "tokens")]) == 0
    path = rig.folder / f"token-{role}"
    path.write_text(capsys.readouterr().out, encoding="ascii")
    return path


def test_the_live_fleet_is_asked_over_https_with_no_other_right(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """With `propose` alone the merge is planned on what is live; a reader, a stranger's certificate and a silent port are notes."""
    authority = Authority(rig.folder / "ca")
    pair = authority.issue("127.0.0.1", file="http")
    propose, read = token(rig, "propose", capsys), token(rig, "read", capsys)
    options = ["--http", "127.0.0.1:0", "--http-cert", str(pair.chain), "--http-key", str(pair.key)]
    rig.commit(rig.routes(70, 30), "v2 at 30%", branch="topic")

    def preview(address: str, given: Path, *more: str) -> tuple[str, list[str]]:
        asked = ("--daemon", address, "--daemon-token-file", str(given), *more)
        ran = rig.command("ci", "preview", "--base", "main", "--head", "topic", "--no-envoy", "-o", "json", *asked)
        document = ran.json()
        assert (ran.code, document["verdict"]) == (0, "changes"), ran.out + ran.err
        return document["live"], [item["diagnostic"]["code"] for item in document["remarks"]]

    with daemon(rig, *options, "--http-tokens", str(rig.folder / "tokens"), "--interval", "1h") as running:
        found = re.search(r"HTTP on (https://\S+)\n", running.text())
        assert found is not None, running.text()
        before = rig.refs()
        trusted = ("--daemon-ca", str(authority.root))
        assert preview(found[1], propose, *trusted) == ("0 to create, 1 to update, 0 to delete", [])
        assert preview(found[1], read, *trusted) == ("", ["http-forbidden"])
        assert preview(found[1], propose) == ("", ["daemon-distrusted"])
        assert rig.refs() == before
    assert preview(found[1], propose, *trusted) == ("", ["daemon-not-found"])


def test_a_fork_is_not_asked_for_and_neither_is_who_has_no_token(
    upstream: Upstream, preview: Preview, tmp_path: Path
) -> None:
    """Whoever may open a pull request from anywhere could otherwise have passes done; the comment says that nobody was asked."""
    upstream.topic("topic")
    head = upstream.edit(("weight: 100 ", "weight: 95 "), ("weight: 0 ", "weight: 5 "))
    upstream.opened(7, head)
    clone = upstream.clone("refs/pull/7/merge")
    at = {"RECONCILE_DAEMON": "https://127.0.0.1:1"}
    for fork, given in ((True, "s3cret"), (False, "")):
        environ = {**github(tmp_path, "pull_request", pull_event(7, head, fork=fork)), **at, TOKEN: given}
        ran = preview(clone, environ=environ)
        assert (ran.code, [code for code, *_ in ran.messages]) == (0, ["ci-live-not-asked"])
        assert "the live fleet is not in this preview" in ran.comment


def test_a_token_is_sent_only_where_it_stays_one(tmp_path: Path) -> None:
    """Addresses of another form are refused, and so is plain text that leaves the machine; the token is in no message."""
    file = tmp_path / "token"
    file.write_text("s3cret\n")

    def found(given: str) -> tuple[Place | None, str]:
        return daemon_at(given, token_file=file, ca=None, environ={})

    for given in (
        "http://mesh.example:8080",
        "ftp://mesh.example",
        "https://",
        "https://a:b@mesh.example",
        "https://x:y",
    ):
        with pytest.raises(UsageError) as refused:
            found(given)
        assert "s3cret" not in str(refused.value)
    for given in ("https://mesh.example:8443", "http://127.0.0.1:8080", "http://localhost:1", "http://[::1]:1"):
        at, why = found(given)
        assert (str(at), why) == (given, "")
        assert isinstance(at, Elsewhere)
        assert at.token == file.read_text().strip()
        assert "s3cret" not in repr(at)
    assert found("/run/d.sock") == (Path("/run/d.sock"), "")
    assert found("") == (None, "")
    file.write_text("two tokens\n")
    for environ, path in (({}, file), ({TOKEN: "ä"}, None), ({}, tmp_path / "none")):
        with pytest.raises(UsageError, match="no token"):
            daemon_at("https://mesh.example", token_file=path, ca=None, environ=environ)
