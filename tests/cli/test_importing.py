"""`reconcile import kubernetes`: files of Istio's rules in a cluster, all or none."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli import run
from reconciler.cli.newfiles import ExistingFileError, UnwritableError, write
from reconciler.yamldoc import load
from tests.kubernetes.platform import TOKEN, kubeconfig
from tests.kubernetes.server import ApiServer
from tests.kubernetes.store import CORE, SECURITY, Object, Store, istio

ENTRY = {
    "hosts": ["reviews.default.svc.cluster.local"],
    "ports": [{"number": 9080, "name": "http", "protocol": "HTTP"}],
    "resolution": "STATIC",
    "endpoints": [{"address": "10.0.0.1", "labels": {"version": "v1"}}],
}
ROUTE = {
    "hosts": ["reviews"],
    "http": [{"route": [{"weight": 100, "destination": {"host": "reviews.default.svc.cluster.local"}}]}],
}


def made(kind: str, name: str, spec: Object, namespace: str = "default", **metadata: Any) -> Object:
    last = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
    base = {"name": name, "namespace": namespace, "annotations": last, "labels": {"b": "2", "a": "1"}, "generation": 3}
    return {"kind": kind, "metadata": base | metadata, "spec": spec, "status": {"observedGeneration": 3}}


class World:
    """A cluster with Istio, and an empty policy repository to stand in."""

    def __init__(self, folder: Path, *, version: str = "v1") -> None:
        self.store = Store(*CORE, *istio(version), SECURITY)
        self.store.put(made("ServiceEntry", "reviews", ENTRY), made("VirtualService", "reviews", ROUTE))
        self.server = ApiServer(self.store)
        self.server.tokens = {TOKEN}
        self.config = kubeconfig(folder, self.server.url)

    def run(self, *arguments: str) -> int:
        return run(["import", "kubernetes", "--kubeconfig", str(self.config), *arguments])


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "repository"
    (folder / "policies").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def world(tmp_path: Path, repository: Path) -> Iterator[World]:
    del repository
    made_world = World(tmp_path)
    yield made_world
    made_world.server.stop()


def tree(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_files(world: World, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One file for each object, with nothing of what an API server adds, in a fixed order; valid ones end with 0."""
    assert world.run() == 0
    assert list(tree(repository)) == [
        "policies/imported/default/serviceentry-reviews.yaml",
        "policies/imported/default/virtualservice-reviews.yaml",
    ]
    assert tree(repository)["policies/imported/default/virtualservice-reviews.yaml"] == (
        "apiVersion: networking.istio.io/v1\n"
        "kind: VirtualService\n"
        "metadata:\n"
        "  name: reviews\n"
        "  namespace: default\n"
        "  labels:\n"
        "    a: '1'\n"
        "    b: '2'\n"
        "spec:\n"
        "  hosts:\n"
        "  - reviews\n"
        "  http:\n"
        "  - route:\n"
        "    - destination:\n"
        "        host: reviews.default.svc.cluster.local\n"
        "      weight: 100\n"
    ).replace("'1'", '"1"').replace("'2'", '"2"')
    out = capsys.readouterr().out
    assert "Read 2 objects: 1 ServiceEntry, 1 VirtualService." in out
    assert "Wrote policies/imported/default/virtualservice-reviews.yaml" in out
    assert "Next:" in out


def test_again(world: World, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Done again, nothing changes; a file with other content is never replaced unasked, and then nothing else is written."""
    assert world.run() == 0
    before = tree(repository)
    assert world.run() == 0
    assert tree(repository) == before
    assert "2 files were there already" in capsys.readouterr().out
    mine = repository / "policies/imported/default/serviceentry-reviews.yaml"
    mine.write_text("mine\n")
    (repository / "policies/imported/default/virtualservice-reviews.yaml").unlink()
    assert world.run("--output", "json") == 1
    (error,) = json.loads(capsys.readouterr().out)["errors"]
    assert (error["code"], "serviceentry-reviews.yaml" in error["message"]) == ("import-exists", True)
    assert list(tree(repository).values()) == ["mine\n"]
    assert world.run("--force") == 0
    assert tree(repository) == before


def test_refused_fields(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """What is not carried out here is listed by file and line, as `validate` does, and the exit code is 1; the files are there."""
    world.store.put(
        made("DestinationRule", "reviews", {"host": "reviews", "trafficPolicy": {"tunnel": {"targetPort": 1}}})
    )
    assert world.run("--output", "json") == 1
    document = json.loads(capsys.readouterr().out)
    assert len(document["written"]) == 3
    assert {error["file"] for error in document["errors"]} == {"policies/imported/default/destinationrule-reviews.yaml"}
    assert all(error["line"] for error in document["errors"])
    assert world.run() == 1
    assert "policies/imported/default/destinationrule-reviews.yaml:" in capsys.readouterr().out
    assert world.run("--output", "markdown") == 1
    assert "destinationrule" in capsys.readouterr().out


def test_what_is_left(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Kinds that we don't have, and workloads that registered themselves, are named and counted; those that may not be read too."""
    registered = {"istio.io/autoRegistrationGroup": "vms"}
    world.store.put(
        made("EnvoyFilter", "f", {}),
        made("EnvoyFilter", "g", {}, namespace="other"),
        made("PeerAuthentication", "p", {}),
        made("WorkloadEntry", "w", {"address": "10.0.0.9"}, annotations=registered),
    )
    world.server.forbidden = {"peerauthentications"}
    assert world.run("--output", "json") == 0
    left = json.loads(capsys.readouterr().out)["not_imported"]
    assert [(item["kind"], item["count"]) for item in left] == [
        ("EnvoyFilter", 2),
        ("WorkloadEntry", 1),
        ("PeerAuthentication", None),
    ]
    assert world.run() == 0
    out = capsys.readouterr().out
    assert "Not imported: 2 EnvoyFilter (networking.istio.io): " in out
    assert "PeerAuthentication (security.istio.io)" in out


def test_namespaces(world: World, repository: Path) -> None:
    """Only the namespaces that are named are read."""
    for name in ("one", "two", "three"):
        world.store.put(made("ServiceEntry", "e", ENTRY | {"hosts": [f"{name}.example.com"]}, namespace=name))
    assert world.run("--namespace", "one", "-n", "two") == 0
    assert {path.split("/")[2] for path in tree(repository)} == {"one", "two"}


def test_stdout(world: World, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With `-` nothing is written: documents are printed."""
    assert world.run("--output-dir", "-") == 0
    texts = capsys.readouterr().out.split("---\n")
    assert [load(text.encode())[0]["kind"] for text in texts] == ["ServiceEntry", "VirtualService"]
    assert world.run("--output-dir", "-", "--output", "json") == 0
    assert len(json.loads(capsys.readouterr().out)["documents"]) == 2
    assert tree(repository) == {}


def test_older_version(tmp_path: Path, repository: Path) -> None:
    """A cluster whose Istio has no v1 is read as v1beta1."""
    world = World(tmp_path, version="v1beta1")
    try:
        assert world.run() == 0
    finally:
        world.server.stop()
    assert all(text.startswith("apiVersion: networking.istio.io/v1beta1\n") for text in tree(repository).values())


def test_without_istio(world: World, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A cluster without Istio is an error, and so are one that does not let us read, and one that is not there."""
    world.store.kinds = CORE
    assert world.run() == 1
    assert "import-no-istio" in capsys.readouterr().err
    world.server.tokens = set()
    assert world.run() == 1
    assert "discovery-denied" in capsys.readouterr().err
    world.server.stop()
    assert world.run("--output", "json") == 1
    assert json.loads(capsys.readouterr().out)["errors"][0]["code"] == "discovery-registry"
    assert tree(repository) == {}


@pytest.mark.parametrize("name", ["../../escape", "a/b", "UPPER", ".hidden"])
def test_names_are_no_paths(world: World, repository: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A server can't choose where files go."""
    world.store.put(made("ServiceEntry", name, ENTRY))
    assert world.run() == 1
    assert "import-name" in capsys.readouterr().err
    assert tree(repository) == {}


def test_folder_outside(world: World, tmp_path: Path) -> None:
    """A folder in no policy repository is checked by itself."""
    assert world.run("--output-dir", str(tmp_path / "elsewhere")) == 0
    assert len(tree(tmp_path / "elsewhere")) == 2


def test_nothing_to_import(world: World, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No objects, no files, no error."""
    assert world.run("-n", "empty") == 0
    assert "Read 0 objects." in capsys.readouterr().out
    assert tree(repository) == {}


def test_all_or_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the disk fails at any file, those before it are as they were, and so are folders."""
    old, new = tmp_path / "a" / "old", tmp_path / "b" / "new"
    old.parent.mkdir()
    old.write_bytes(b"before")
    plain, calls = Path.replace, [0]

    def failing(self: Path, target: Path) -> Path:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(28, "No space left on device", str(target))
        return plain(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(UnwritableError, match="No space left"):
        write({old: b"after", new: b"new"}, force=True)
    assert old.read_bytes() == b"before"
    assert sorted(tmp_path.rglob("*")) == [old.parent, old]
    monkeypatch.undo()
    with pytest.raises(ExistingFileError):
        write({new: b"new", old: b"after"}, force=False)
    assert not new.exists()
    with pytest.raises(UnwritableError):
        write({old / "below": b""}, force=True)
    assert write({new: b"new", old: b"before"}, force=False).changed == (new,)
