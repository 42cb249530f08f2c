"""`reconcile bootstrap` for a gRPC application."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from reconciler.cli import run
from tests.compile.applications import application
from tests.e2e.rig import clean_environment, git
from tests.proxyless.lab import lab, reviews

_SCRIPT = """
import grpc
with grpc.insecure_channel("xds:///reviews.default.svc.cluster.local:9080") as channel:
    print(channel.unary_unary("/test.Who/Am")(b"", timeout=20).decode())
"""


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose work tree has the application `app`."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "repository"
    (folder / "policies").mkdir(parents=True)
    (folder / "policies" / "app.yaml").write_text(f"apiVersion: reconciler/v1alpha1{application()}")
    git("init", "-q", "-b", "main", str(folder))
    return folder


def _bootstrap(repository: Path, *more: str) -> int:
    return run(["bootstrap", "--repo", str(repository), "--work-tree", "--proxy", "app", *more])


@pytest.mark.parametrize("form", ["text", "json"])
def test_it_prints_what_grpc_reads(form: str, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One JSON document in either form, and an application that is given nothing else begins with it."""
    with lab() as here:
        assert _bootstrap(repository, "--ads", here.address, "--output", form) == 0
        printed = capsys.readouterr().out
        assert json.loads(printed)["node"]["id"] == "default/app"
        file = repository / "bootstrap.json"
        file.write_text(printed)
        here.publish(reviews(v1=here.server("v1")))
        environ = {**os.environ, **clean_environment(), "GRPC_XDS_BOOTSTRAP": str(file)}
        said = subprocess.run([sys.executable, "-c", _SCRIPT], check=True, capture_output=True, text=True, env=environ)
        assert said.stdout == "v1\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "nobody says where the daemon is"),
        (("--ads", "10.0.0.1:15010"), "in the clear"),
        (("--ads", "127.0.0.1:15010", "--ads-name", "other.example"), "no other name"),
        (("--ads", "127.0.0.1:15010", "--ads-variant", "delta"), "--ads-variant is about an Envoy"),
        (("--ads", "127.0.0.1:15010", "--folder", "/var/lib/app"), "--folder is about an Envoy"),
        (("--ads", "127.0.0.1:15010", "--host-root", "image"), "--host-root is about an Envoy"),
    ],
)
def test_what_grpc_cant_do_is_refused(
    options: tuple[str, ...], words: str, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With a clear error, and nothing on stdout that somebody could start with."""
    assert _bootstrap(repository, *options) == 1
    said = capsys.readouterr()
    assert words in said.err
    assert not said.out
