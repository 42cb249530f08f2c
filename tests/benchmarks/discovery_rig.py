"""A mesh whose instances are listed by a registry: callers with sidecars on ADS, instances, and a daemon with stamps.

Every instance has an address of its own on the loopback network, and all are served by one process, which answers with the
address that it was asked at. So an instance comes and goes by being listed, as it does once it is up.
"""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from reconciler.cli.demo.commands import Daemon
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.settings import AdminSettings
from tests.benchmarks.ads_server import process
from tests.benchmarks.discovery_daemon import read
from tests.benchmarks.discovery_traffic import serve
from tests.e2e.sidecars import Sidecars

_MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec:
  verifyDeadline: 20s
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  guards: {maxDeletePercent: 100}
  discovery:
  - {name: registry, protection: {flaps: 1000000}, SOURCE}
"""
_CALLER = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: NAME}
spec: {address: BIND, labels: {app: NAME}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: NAME}
spec:
  workloadSelector: {labels: {app: NAME}}
  egress: [{port: {number: PORT, protocol: HTTP, name: http}, bind: BIND, hosts: ["*/*"]}]
"""
_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: NAME}
spec:
  hosts: [HOST]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: PORT, name: http, protocol: HTTP}]
"""
_RETRY = 0.02


class _Stamped(Daemon):
    """The daemon with stamps, in `stamps`."""

    def __init__(self, stamps: Path, *arguments: str, environ: dict[str, str], log: Path) -> None:
        super().__init__(*arguments, environ=environ, log=log)
        self._command = [
            sys.executable, "-m", "tests.benchmarks.discovery_daemon", str(stamps), "daemon", *arguments,
        ]  # fmt: skip


class DiscoveryRig(Sidecars):
    """Callers, each with an Envoy, and a daemon; cleared away at the end of its context.

    Args:
        folder: A new folder with a short path (Unix sockets).
        registry: One field of an entry of `Mesh.discovery`, as YAML in flow style; EGRESS becomes the services' port, INSTANCES that of instances.
        callers: How many, each with all services.
        hosts: Services that Git declares, without instances.
        patience: Seconds for whatever is waited for.

    Attributes:
        listening: Port of all instances.
    """

    def __init__(
        self, folder: Path, *, registry: str, callers: int = 1, hosts: tuple[str, ...] = (), patience: float = 60.0
    ) -> None:
        self.names = [f"a-{number}" for number in range(1, callers + 1)]
        self.stamps = folder / "stamps"
        self.stamps.touch()
        self._registry, self._hosts, self._patience = registry, hosts, patience
        self._bootstrap = ""
        super().__init__(folder, instances=())
        self.listening = self.ports.reserve()
        self._admins: dict[str, HttpClient] = {}

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.stack.enter_context(process(serve, self.listening)).recv()
        except BaseException:
            self.close()
            raise
        return self

    def close(self) -> None:
        for client in self._admins.values():
            client.close()
        super().close()

    def files(self, v1: int = 100, v2: int = 0) -> dict[str, str]:  # noqa: ARG002 -- there is no split
        """The mesh, its callers, and the services that Git declares."""
        registry = self._registry.replace("EGRESS", str(self.egress)).replace("INSTANCES", str(self.listening))
        named = {f"policies/{host}.yaml": _SERVICE.replace("NAME", host.partition(".")[0]).replace("HOST", host) for host in self._hosts}  # fmt: skip
        callers = {
            f"policies/{name}.yaml": _CALLER.replace("NAME", name).replace("BIND", self.bind(name)) + self._proxy(name)
            for name in self.names
        }
        found = {"policies/mesh.yaml": _MESH.replace("SOURCE", registry), **named, **callers}
        return {path: text.replace("PORT", str(self.egress)) for path, text in found.items()}

    def bind(self, name: str) -> str:
        """The address of a caller."""
        return f"127.0.1.{self.names.index(name) + 1}"

    def render(self, name: str) -> Path:
        """An Envoy's bootstrap: the product renders the first one's, and the others' differ in their name."""
        if not self._bootstrap:
            ran = self.command("bootstrap", "--proxy", name, "--ads", f"127.0.0.1:{self.ads}")
            if ran.code != 0:
                raise SystemExit(ran.err)
            self._bootstrap = ran.out
        text = self._bootstrap
        for place in ("%s.s", "default/%s", ": %s"):
            text = re.sub(re.escape(place % self.names[0]) + r"\b", place % name, text)
        file = self.folder / f"{name}.yaml"
        file.write_text(text)
        return file

    def start(self, name: str) -> EnvoyProcess:
        """Start an Envoy."""
        file = self.render(name)
        envoy = EnvoyProcess(bootstrap=file, admin=f"unix://{self.admin(name)}", log=self.folder / f"{name}.log")
        envoy.start()
        self.envoys[name] = envoy
        return envoy

    def start_all(self, *, daemon: bool = True) -> None:
        """The daemon, the Envoys, and all of them where Git wants them."""
        if daemon:
            self.daemon.start()
        for name in self.names:
            self.start(name)
        self.wait(lambda: self.receipts()[:1] == [(self.head(), "applied")], "everything to be applied")

    def wait(self, condition: Callable[[], bool], what: str) -> None:
        """Until a condition holds."""
        deadline = time.monotonic() + self._patience
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"not within {self._patience:g} s: {what}\n{self.daemon.tail(40)}")
            time.sleep(_RETRY)

    # What is measured

    def shown(self, name: str, target: str = "/clusters?format=json") -> bytes:
        """What an Envoy says, by a connection that stays open."""
        client = self._admins.get(name)
        if client is None:
            client = self._admins[name] = HttpClient(f"unix://{self.admin(name)}", AdminSettings(read_timeout=60))
        return client.get(target).body

    def endpoints(self, name: str) -> dict[str, frozenset[str]]:
        """Addresses by host, as an Envoy has them."""
        found: dict[str, frozenset[str]] = {}
        for cluster in json.loads(self.shown(name))["cluster_statuses"]:
            if cluster["name"].startswith("outbound|"):
                addresses = (item["address"]["socket_address"]["address"] for item in cluster.get("host_statuses", ()))
                found[cluster["name"].rpartition("|")[2]] = frozenset(addresses)
        return found

    def stamped(self, *names: str, since: float = 0.0) -> list[tuple[str, float, dict[str, Any]]]:
        """Stamps of these names from some time on."""
        return [stamp for stamp in read(self.stamps) if stamp[0] in names and stamp[1] >= since]

    def _daemon(self) -> Daemon:
        return _Stamped(
            self.stamps, "--repo", str(self.repo), "--ads", f"127.0.0.1:{self.ads}",
            environ=self.environ, log=self.folder / "daemon.log",
        )  # fmt: skip
