"""Certificates for https admin addresses, from the command line or the environment to the call."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from reconciler.cli import run
from tests.certificates import Authority
from tests.http.servers import always, answer, serving

PROXY = """\
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: p}
spec:
  labels: {role: edge}
  admin: %s
  push: {files: {directory: %s}}
  certificates: {certificateChain: /c, privateKey: /k, rootCertificate: /r}
"""


@pytest.mark.parametrize("verb", [["status"], ["--dry-run"]])
@pytest.mark.parametrize("way", ["options", "environment"])
def test_the_certificates_that_are_named_are_used(
    verb: list[str], way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With them the endpoint is reached, which here is no Envoy; without them, its certificate is nobody's that is trusted."""
    ca = Authority(tmp_path / "ca")
    own = ca.issue("daemon")
    with serving(always(answer(200, b"x")), tls=ca.server_context(ca.issue("127.0.0.1"), mutual=True)) as server:
        repo = _repo(tmp_path, PROXY % (server.address, tmp_path))
        command = [*verb, "--repo", str(repo), "--output", "json"]
        run(command)
        assert "not of an authority that is trusted" in json.dumps(json.loads(capsys.readouterr().out))
        given = {"cert": own.chain, "key": own.key, "ca": ca.root}
        if way == "environment":
            for name, path in given.items():
                monkeypatch.setenv(f"RECONCILE_ADMIN_{name.upper()}", str(path))
        else:
            command += [part for name, path in given.items() for part in (f"--admin-{name}", str(path))]
        run(command)
        assert "is not an Envoy's" in json.dumps(json.loads(capsys.readouterr().out))
        assert set(server.shown) == {own.serial}


def _repo(folder: Path, text: str) -> Path:
    root = folder / "repo"
    (root / "policies").mkdir(parents=True)
    (root / "policies" / "p.yaml").write_text(text)
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*author, "commit", "-q", "-m", "x")):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root
