"""The policy API of a real daemon over TLS: a change that is sent is a commit, and then live on a real Envoy."""

from __future__ import annotations

import http.client
import json
import re
import ssl
from typing import Any

import pytest
import schemathesis

from reconciler.cli import run
from reconciler.web import read_tokens
from tests.api.fuzzing import tried
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


def test_whatever_is_read_of_a_real_daemon_is_as_its_document_says(
    rig: Rig, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    """Every reading operation, with parameters that fit and that don't: no fault, and no answer that is not described.

    The stream of events is left out: it has no end that a client of the document would wait for.
    """
    full = request.config.getoption("--full")
    file = str(rig.folder / "tokens")
    assert run(["token", "create", "Ada <ada@x.test>", "--role", "read", "--tokens", file]) == 0
    token = capsys.readouterr().out.strip()
    with daemon(rig, "--http", "127.0.0.1:0", "--http-tokens", file) as running:
        found = re.search(r"HTTP on (http://\S+)\n", running.text())
        assert found is not None, running.text()
        connection = http.client.HTTPConnection(found[1].removeprefix("http://"), timeout=30)
        connection.request("GET", "/v1/openapi.json", headers={"Authorization": f"Bearer {token}"})
        document = json.loads(connection.getresponse().read())
        connection.close()
        assert {"/v1/status", "/v1/services", "/v1/traffic", "/v1/timeline", "/v1/plan", "/v1/targets"} <= set(
            document["paths"]
        )
        document["paths"] = {
            path: {"get": methods["get"]}
            for path, methods in document["paths"].items()
            if "get" in methods and path != "/v1/events"
        }
        schema: Any = schemathesis.openapi.from_dict(document)
        schema.config.base_url = found[1]
        for operation in schema.get_all_operations():
            tried(operation.ok(), token, examples=200 if full else 8, derandomize=not full)
        assert "error[bug]" not in running.text()
