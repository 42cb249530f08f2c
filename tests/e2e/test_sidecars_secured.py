"""The mesh of sidecars with mutual TLS everywhere: streams by certificates, and an admin endpoint seen from elsewhere."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.demo.commands import Daemon
from reconciler.envoy.binary import EnvoyProcess
from tests.certificates import Authority, Pair
from tests.e2e.sidecars import Sidecars

_PROXY = """\
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: %(name)s}
spec:
  workload: %(name)s
  admin: "%(admin)s"
  push: {ads: {}}
  certificates: {certificateChain: %(chain)s, privateKey: %(key)s, rootCertificate: %(root)s}
"""


class Secured(Sidecars):
    """Every Envoy has a certificate that names it; a-1 is observed by its read-only listener."""

    def __init__(self, folder: Path) -> None:
        self.authority = Authority(folder / "ca")
        self.server = self.authority.issue("127.0.0.1", file="daemon")
        self.pairs = {name: self.identify(name) for name in ("a-1", "b-1", "b-2")}
        super().__init__(folder)
        self.observer = self.ports.reserve()

    def identify(self, name: str, *, file: str = "") -> Pair:
        """A certificate that speaks for this proxy."""
        return self.authority.identify(
            f"spiffe://cluster.local/ns/default/proxy/{name}", "127.0.0.1", file=file or name
        )

    def start(self, name: str) -> EnvoyProcess:
        """Start an Envoy with the bootstrap that the product renders for it, with the files that this refers to."""
        ran = self.command(
            "bootstrap", "--proxy", name, "--ads", f"127.0.0.1:{self.ads}", "--folder", str(self.folder / name)
        )
        assert ran.code == 0, ran.err
        file = self.folder / f"{name}.yaml"
        file.write_text(ran.out)
        admin = self.folder / name / "admin.sock" if name == "a-1" else self.admin(name)
        envoy = EnvoyProcess(bootstrap=file, admin=f"unix://{admin}", log=self.folder / f"{name}.log")
        envoy.start()
        self.envoys[name] = envoy
        return envoy

    def _proxy(self, name: str) -> str:
        admin = f"https://127.0.0.1:{self.observer}" if name == "a-1" else f"unix://{self.admin(name)}"
        pair = self.pairs.get(name) or self.identify(name)
        return _PROXY % {
            "name": name, "admin": admin, "chain": pair.chain, "key": pair.key, "root": self.authority.root,
        }  # fmt: skip

    def _daemon(self) -> Daemon:
        own = [
            "--ads-cert",
            str(self.server.chain),
            "--ads-key",
            str(self.server.key),
            "--ads-ca",
            str(self.authority.root),
        ]
        seen = [
            "--admin-cert", str(self.server.chain), "--admin-key", str(self.server.key), "--admin-ca", str(self.authority.root),
        ]  # fmt: skip
        return Daemon(
            "--repo", str(self.repo), "--ads", f"127.0.0.1:{self.ads}", "--interval", "200ms", *own, *seen,
            environ=self.environ, log=self.folder / "daemon.log",
        )  # fmt: skip


@pytest.fixture
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with Secured(tmp_path_factory.mktemp("t")) as mesh:
        mesh.start_all()
        yield mesh


def _row(mesh: Secured, name: str) -> Any:
    found = json.loads(mesh.command("status", "--output", "json").out)
    return {item["proxy"]: item for item in found["proxies"]}[f"default/{name}"]


def test_a_mesh_with_certificates_everywhere_is_pushed_to_and_proven(mesh: Secured) -> None:
    """Streams are by mutual TLS, and what a-1 runs is read through its listener: all of it counts as exact."""
    mesh.applied(mesh.split(40))
    assert sum(mesh.served(50).values()) == 50
    said = _row(mesh, "a-1")["daemon"]
    assert (said["proof"], said["connection"]["connected"]) == ("exact", True)
    assert "mutual TLS" in mesh.daemon.read()


@pytest.mark.long
def test_renewed_certificates_are_used_without_a_restart(mesh: Secured) -> None:
    """Files that are replaced are read again, by the daemon for new streams and by Envoys for theirs."""
    mesh.identify("a-1")
    mesh.authority.issue("127.0.0.1", file="daemon")
    mesh.restart_daemon()
    mesh.applied(mesh.split(60))
    assert _row(mesh, "a-1")["daemon"]["proof"] == "exact"


@pytest.mark.long
def test_a_certificate_of_another_proxy_does_not_speak_for_this_one(mesh: Secured) -> None:
    """b-2's Envoy comes back as b-2 with the certificate of b-1: it is refused, keeps what it has, and is shown."""
    mesh.identify("b-1", file="b-2")  # replaces the files that b-2's bootstrap names
    mesh.restart_daemon()
    mesh.wait(lambda: "does not speak for the proxy default/b-2" in mesh.daemon.read(), "b-2 to be refused")
    assert not _row(mesh, "b-2")["daemon"]["connection"]["connected"]
    assert _row(mesh, "b-1")["daemon"]["connection"]["connected"]
    mesh.identify("b-2")
    mesh.wait(lambda: bool(_row(mesh, "b-2")["daemon"]["connection"]["connected"]), "b-2 to come as itself")
