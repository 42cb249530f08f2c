"""The policy API of a real daemon over TLS: a change that is sent is a commit, and then live on a real Envoy."""

from __future__ import annotations

import http.client
import json
import re
import ssl

import pytest

from reconciler.cli import run
from reconciler.web import read_tokens
from tests.certificates import Authority
from tests.e2e.rig import Rig, git
from tests.e2e.test_daemon import daemon


def test_a_change_over_https_is_a_commit_and_then_live(rig: Rig, capsys: pytest.CaptureFixture[str]) -> None:
    """From the token to the traffic; strangers read nothing, and the log never has the token."""
    authority = Authority(rig.folder / "ca")
    pair = authority.issue("127.0.0.1", file="http")
    file = str(rig.folder / "tokens")
    roles = [word for role in ("read", "write", "operate") for word in ("--role", role)]
    assert run(["token", "create", "Ada <ada@x.test>", *roles, "--tokens", file]) == 0
    token = capsys.readouterr().out.strip()
    assert [item.email for item in read_tokens(rig.folder / "tokens")] == ["ada@x.test"]
    options = ["--http", "127.0.0.1:0", "--http-cert", str(pair.chain), "--http-key", str(pair.key)]
    with daemon(rig, *options, "--http-tokens", file) as running:
        found = re.search(r"HTTP on https://(\S+)\n", running.text())
        assert found is not None, running.text()
        host, _, port = found[1].rpartition(":")
        trusted = ssl.create_default_context(cafile=str(authority.root))

        def ask(
            method: str, path: str, body: str | None = None, **headers: str
        ) -> tuple[http.client.HTTPResponse, bytes]:
            plain = http.client.HTTPSConnection(host, int(port), timeout=60, context=trusted)
            try:
                plain.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
                answer = plain.getresponse()
                return answer, answer.read()
            finally:
                plain.close()

        assert ask("GET", "/v1/policies")[0].status == 401
        bearer = {"Authorization": f"Bearer {token}"}
        rows = json.loads(ask("GET", "/v1/policies?kind=VirtualService", **bearer)[1])["policies"]
        path = f"/v1/policies/VirtualService/{rows[0]['namespace']}/{rows[0]['name']}"
        answer, text = ask("GET", path, Accept="application/yaml", **bearer)
        old = re.findall(r"weight: (\d+)", text.decode())
        new = (
            text.decode()
            .replace(f"weight: {old[0]}", "weight: @")
            .replace(f"weight: {old[1]}", f"weight: {int(old[1]) + 5}")
        )
        sent = {"Content_Type": "application/yaml", "If_Match": str(answer.headers["etag"])} | bearer
        answer, body = ask("PUT", path, new.replace("@", str(int(old[0]) - 5)), **sent)
        assert answer.status == 200, body
        commit = json.loads(body)["commit"]
        rig.wait(lambda: f"Policy-Commit: {commit}" in rig.record(), "the commit is live, and recorded")
        assert git("-C", str(rig.repo), "log", "-1", "--format=%an %ae", commit).strip() == "Ada ada@x.test"
        assert ask("PUT", path, new.replace("@", "1"), **sent)[0].status == 412
        answer, body = ask("POST", "/v1/passes", '{"ref": "main"}', Content_Type="application/json", **bearer)
        assert (answer.status, json.loads(body)["exit_code"]) == (200, 0)
        assert run(["token", "revoke", token.split("_")[1], "--tokens", file]) == 0
        assert ask("GET", path, **bearer)[0].status == 401
        assert token not in running.text()
        assert token.split("_")[2] not in running.text()
