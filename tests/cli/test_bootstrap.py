"""`reconcile bootstrap`: which options go together, what is said aloud, and what is made on the proxy's host."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run

PROXIES = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec: {certificates: {certificateChain: /c/chain.pem, privateKey: /c/key.pem, rootCertificate: /c/root.pem}}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: streamed}
spec: {labels: {role: edge}, push: {ads: {}}}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: filed}
spec: {labels: {role: edge}, admin: "http://0.0.0.0:9901", push: {files: {directory: %s/filed}}}
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: observed}
spec: {labels: {role: edge}, admin: "https://edge.example:9443", push: {ads: {}}}
"""
NEW = ("--name", "edge", "--labels", "role=edge", "--ads", "127.0.0.1:15010")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A policy repository with a proxy of each kind."""
    root = tmp_path / "repo"
    (root / "policies").mkdir(parents=True)
    (root / "policies" / "proxies.yaml").write_text(PROXIES % tmp_path)
    (root / "envoy-templates").mkdir()
    (root / "envoy-templates" / "cluster-ads.yaml").write_text("connect_timeout: 9s\n")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (("init", "-q", "-b", "main"), ("add", "."), (*author, "commit", "-q", "-m", "x")):
        subprocess.run(["git", *arguments], cwd=root, check=True)
    return root


def printed(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The bootstrap, and what was said beside it; the command must work."""
    code = run(["bootstrap", *arguments, "--output", "json"])
    out, err = capsys.readouterr()
    assert code == 0, out
    message: dict[str, Any] = json.loads(out)
    return message, err


def refused(arguments: Sequence[str], capsys: pytest.CaptureFixture[str]) -> str:
    """What a command that fails says."""
    assert run(["bootstrap", *arguments]) == 1, arguments
    return capsys.readouterr().err


def cluster(message: dict[str, Any]) -> dict[str, Any]:
    """The daemon's."""
    found: dict[str, Any] = next(
        item for item in message["static_resources"]["clusters"] if item["name"] == "reconciler-ads"
    )
    return found


def test_a_proxy_on_ads_is_told_where_the_daemon_is(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the mesh's certificates and the repository's templates; its files are made to be taken to its host."""
    arguments = [
        "--repo",
        str(repo),
        "--proxy",
        "streamed",
        "--ads",
        "daemon.example:15010",
        "--host-root",
        str(tmp_path / "host"),
    ]
    message, err = printed(arguments, capsys)
    assert cluster(message)["connect_timeout"] == "9s"
    assert cluster(message)["transport_socket"]["typed_config"]["sni"] == "daemon.example"
    folder = tmp_path / "host" / "var/lib/envoy/default.streamed"
    names = ["bootstrap-authority.json", "bootstrap-certificate.json"]
    assert sorted(path.name for path in folder.iterdir()) == names
    assert [line for line in err.splitlines() if line.startswith("created")] == [
        f"created {folder}", f"created {folder}/{names[1]}", f"created {folder}/{names[0]}"
    ]  # fmt: skip
    assert printed(arguments, capsys)[1] == ""  # there already
    (folder / names[0]).write_text("{}")
    assert printed(arguments, capsys)[1] == f"created {folder}/{names[0]}\n"


def test_the_stream_can_be_chosen(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """State of the world, and no TLS where somebody says so: that is said aloud."""
    arguments = [
        "--repo",
        str(repo),
        "--proxy",
        "streamed",
        "--ads",
        "daemon.example:15010",
        "--ads-variant",
        "sotw",
        "--ads-plaintext",
    ]
    message, err = printed(arguments, capsys)
    assert message["dynamic_resources"]["ads_config"]["api_type"] == "GRPC"
    assert "transport_socket" not in cluster(message)
    assert "warning: default/streamed and the daemon will speak without TLS" in err


def test_an_exposed_admin_endpoint_is_said_aloud(
    repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It works as it did, and nobody can say that they were not told."""
    message, err = printed(["--repo", str(repo), "--proxy", "filed"], capsys)
    assert message["admin"]["address"]["socket_address"]["address"] == "0.0.0.0"  # noqa: S104 -- only compared
    assert "warning: http://0.0.0.0:9901 is Envoy's own admin endpoint" in err
    assert (tmp_path / "filed" / "cds.pb").is_file()


def test_an_observed_proxy_has_a_listener(repo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Where it binds, who may observe and where its socket is are options."""
    arguments = [
        "--repo", str(repo), "--proxy", "observed", "--ads", "127.0.0.1:15010", "--admin-bind", "10.0.0.1",
        "--observer", "daemon.example", "--folder", "/run/edge", "--host-root", str(tmp_path / "host"),
    ]  # fmt: skip
    message, _ = printed(arguments, capsys)
    (listener,) = message["static_resources"]["listeners"]
    assert listener["address"]["socket_address"]["address"] == "10.0.0.1"
    assert message["admin"]["address"]["pipe"]["path"] == "/run/edge/admin.sock"
    assert (tmp_path / "host" / "run" / "edge").is_dir()


def test_a_proxy_that_git_does_not_know(
    repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It says itself what a document would; with a repository's templates, or the house's where there is none."""
    socket = tmp_path / "run" / "admin.sock"
    arguments = [
        "--name", "edge", "--namespace", "shop", "--labels", "role=edge,tier=front", "--locality", "eu/a",
        "--admin", f"unix://{socket}", "--ads", "127.0.0.1:15010", "--folder", str(tmp_path / "f"),
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    message, err = printed(arguments, capsys)
    node = message["node"]
    assert (node["id"], node["cluster"]) == ("shop/edge", "edge.shop")
    assert node["locality"] == {"region": "eu", "zone": "a"}
    assert node["metadata"] == {
        "name": "edge",
        "namespace": "shop",
        "workload": "",
        "labels": {"role": "edge", "tier": "front"},
        "admin": f"unix://{socket}",
    }
    assert cluster(message)["connect_timeout"] == "2s"
    assert "transport_socket" not in cluster(message)
    assert err == f"created {socket.parent}\n"
    message, _ = printed([*arguments, "--repo", str(repo)], capsys)
    assert cluster(message)["connect_timeout"] == "9s"
    assert "transport_socket" in cluster(message)
    sidecar, _ = printed(["--name", "a", "--workload", "a-v1", "--ads", "127.0.0.1:15010"], capsys)
    assert (sidecar["node"]["id"], sidecar["node"]["metadata"]["workload"]) == ("default/a", "a-v1")
    assert "admin" not in sidecar


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "one of --proxy and --name"),
        (("--proxy", "a", "--name", "b"), "one of --proxy and --name"),
        (("--proxy", "a", "--labels", "a=b", "--admin", "x"), "--labels, --admin can't be used with --proxy"),
        (("--proxy", "a", "--namespace", "b"), "--namespace can't be used with --proxy"),
        (("--proxy", "a", "--ads-name", "x"), "--ads-name needs --ads"),
        (("--proxy", "a", "--ads-variant", "delta"), "--ads-variant needs --ads"),
        (("--proxy", "a", "--ads", "x:1", "--ads-name", "x", "--ads-plaintext"), "does without"),
        (("--name", "a", "--labels", "a=b"), "where the daemon is"),
        (("--name", "A_b", "--labels", "a=b", "--ads", "x:1"), "not a valid namespace and name"),
        (("--name", "a", "--namespace", "a.b", "--labels", "a=b", "--ads", "x:1"), "not a valid namespace and name"),
        (("--name", "a", "--ads", "x:1"), "neither workload nor labels"),
        (("--name", "a", "--labels", "a=b", "--workload", "w", "--ads", "x:1"), "both workload and labels"),
        (("--name", "a", "--labels", "ab", "--ads", "x:1"), "not a list of labels"),
        (("--name", "a", "--labels", "a=b,a=c", "--ads", "x:1"), "not a list of labels"),
        (("--name", "a", "--labels", "a=b", "--locality", "a//b", "--ads", "x:1"), "not of the form region/zone/subzone"),
        (("--name", "a", "--labels", "a=b", "--admin", "ftp://x", "--ads", "x:1"), "not an admin address"),
        ((*NEW, "--admin-bind", "10.0.0.1"), "--admin-bind is about the listener"),
        ((*NEW, "--observer", "x"), "--observer is about the listener"),
        ((*NEW, "--admin", "https://x:1", "--admin-bind", "x"), "not an IP address"),
        ((*NEW, "--admin", "https://10.0.0.1:1"), "error[admin-certificates]"),
        ((*NEW, "--folder", "run"), "not an absolute path"),
        ((*NEW, "--folder", "/run/../x"), "not an absolute path"),
        ((*NEW, "--ads-name", "a b"), "neither a DNS name"),
        (("--name", "a", "--labels", "a=b", "--ads", "x"), "error[ads-address]"),
        (("--name", "a", "--labels", "a=b", "--ads", "x:1"), "error[ads-plaintext]"),
        ((*NEW, "--repo", "nowhere"), "error[git-not-a-repository]"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_together(
    arguments: tuple[str, ...],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Nothing is taken and then ignored; every refusal says which option it is about."""
    monkeypatch.chdir(tmp_path)
    assert says in refused(arguments, capsys)


def test_what_a_documents_way_to_push_asks_for(repo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A daemon's address for ADS, and none for files."""
    at = ("--repo", str(repo))
    assert "error[ads-missing]" in refused((*at, "--proxy", "streamed"), capsys)
    assert "error[ads-unused]" in refused((*at, "--proxy", "filed", "--ads", "127.0.0.1:1"), capsys)
    assert "--admin-bind" in refused((*at, "--proxy", "observed", "--ads", "127.0.0.1:1"), capsys)


def test_a_folder_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says how to make it elsewhere."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    text = refused((*NEW, "--admin", f"unix://{tmp_path}/file/a.sock"), capsys)
    assert "error[push-write]" in text
    assert "--host-root" in text


def test_a_bootstrap_is_no_markdown(capsys: pytest.CaptureFixture[str]) -> None:
    """Envoy reads YAML and JSON."""
    assert run(["bootstrap", "--proxy", "a", "--output", "markdown"]) == 1
    assert "prints YAML" in "".join(capsys.readouterr())
