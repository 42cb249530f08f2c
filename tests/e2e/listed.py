"""A mesh whose services have no instances in Git: a caller with a sidecar on ADS, a gateway on files, and registries that list instances."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from reconciler.cli.demo.commands import Daemon
from reconciler.cli.demo.traffic import Traffic
from reconciler.discovery.conformance import Member
from reconciler.envoy.binary import EnvoyProcess
from reconciler.model.services import Health
from tests.e2e.instances import Instance, until
from tests.e2e.rig import git
from tests.e2e.sidecars import _LOG, Sidecars

PORT = 9080
WITHIN = 15.0

_MESH = """\
apiVersion: reconciler/v1alpha1
kind: Mesh
metadata: {name: mesh}
spec:
  verifyDeadline: 5s
  outboundTrafficPolicy: {mode: REGISTRY_ONLY}
  guards: {maxWeightIncrease: 100, maxDeletePercent: 100}
"""
_CALLER = """\
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a-1}
spec: {address: 127.0.0.20, labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: a}
spec:
  workloadSelector: {labels: {app: a}}
  egress: [{port: {number: %(egress)d, protocol: HTTP_PROXY, name: http}, bind: 127.0.0.1, hosts: ["./*"]}]
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: a-1}
spec: {workload: a-1, admin: "unix://%(admin)s", push: {ads: {}}}
"""
_GATEWAY = """\
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge}
spec:
  selector: {gateway: edge}
  servers:
  - port: {number: %(port)d, name: http, protocol: HTTP}
    bind: 127.0.0.1
    hosts: ["*"]
---
apiVersion: reconciler/v1alpha1
kind: Proxy
metadata: {name: edge}
spec:
  labels: {gateway: edge}
  admin: unix://%(admin)s
  push: {files: {directory: %(directory)s}}
"""
_RULES = """\
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: %(name)s}
spec:
  host: %(host)s
  subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: %(name)s}
spec:
  hosts: [%(host)s]
  gateways: [mesh, edge]
  http:
  - match: [{uri: {prefix: /v2}}]
    route: [{destination: {host: %(host)s, subset: v2}}]
  - route: [{destination: {host: %(host)s}}]
"""
_SERVICE = """\
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: %(name)s}
spec:
  hosts: [%(host)s]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{number: %(port)d, name: http, protocol: HTTP}]
"""


def service(name: str, host: str, **spec: Any) -> str:
    """A ServiceEntry without instances."""
    more = "".join(f"  {key}: {json.dumps(value)}\n" for key, value in spec.items())
    return _SERVICE % {"name": name, "host": host, "port": PORT} + more


def rules(name: str, host: str) -> str:
    """Subsets by version, and routes: `/v2` to that subset, everything else to all instances."""
    return _RULES % {"name": name, "host": host}


def member(instance: Instance, version: str = "v1", health: Health = Health.HEALTHY) -> Member:
    """An instance as a registry is to list it."""
    return Member(address=instance.address, port=instance.port, labels={"version": version}, health=health)


class Listed(Sidecars):
    """The mesh, its proxies `a-1` and `edge`, and its daemon. Nothing is started before `start_all`.

    Args:
        folder: A new folder with a short path.
        registries: `Mesh.discovery`.
        documents: Files below `policies/`, beside the proxies' own.
        verbose: Whether the daemon logs every pass.
    """

    def __init__(
        self,
        folder: Path,
        *,
        registries: Sequence[Mapping[str, Any]] = (),
        documents: Mapping[str, str] | None = None,
        verbose: bool = False,
    ) -> None:
        self.registries = [*registries]
        self.documents = dict(documents or {})
        self.verbose = verbose
        self._numbers: Iterator[int] = iter(range(40, 250))
        super().__init__(folder, instances=("edge",))
        self.edge = self.ports.reserve()

    # What is in Git

    def files(self, v1: int = 100, v2: int = 0) -> dict[str, str]:  # noqa: ARG002 -- there is no split
        caller = _CALLER % {"egress": self.egress, "admin": self.admin("a-1")}
        where = {"port": self.edge, "admin": self.admin("edge"), "directory": self.folder / "xds"}
        return {
            "envoy-templates/access-log.yaml": _LOG,
            "policies/mesh.yaml": self.mesh(),
            "policies/a-1.yaml": caller,
            "policies/edge.yaml": _GATEWAY % where,
            **{f"policies/{name}": text for name, text in self.documents.items()},
        }

    def mesh(self, *registries: Mapping[str, Any]) -> str:
        """The Mesh with these registries, or its own."""
        return _MESH + f"  discovery: {json.dumps([*(registries or self.registries)])}\n"

    def refs(self) -> str:
        """All branches, and where they are."""
        return git("-C", str(self.repo), "for-each-ref", "--format=%(refname) %(objectname)")

    # What runs

    def start(self, name: str) -> EnvoyProcess:
        if name == "a-1":
            return super().start(name)
        ran = self.command("bootstrap", "--proxy", name)
        assert ran.code == 0, ran.err
        file = self.folder / f"{name}.yaml"
        file.write_text(ran.out)
        envoy = EnvoyProcess(bootstrap=file, admin=f"unix://{self.admin(name)}", log=self.folder / f"{name}.log")
        envoy.start()
        self.envoys[name] = envoy
        return envoy

    def start_all(self) -> None:
        """The Envoys and the daemon, and everything where Git wants it."""
        self.start("edge")
        self.daemon.start()
        self.start("a-1")
        self.until(lambda: self.receipts()[:1] == [(self.head(), "applied")], "everything to be applied")

    def serve(self, name: str, port: int = 0) -> Instance:
        """Start one more, at an address of its own."""
        instance = Instance(name, f"127.0.1.{next(self._numbers)}", port)
        self.stack.callback(instance.close)
        return instance

    def calls(self, host: str, target: str = "/", *, proxy: str = "a-1", **options: Any) -> Traffic:
        """Requests for a service of a's application; or of the world, by way of the gateway `edge`."""
        port = self.egress if proxy == "a-1" else self.edge
        authority = f"{host}:{PORT}" if proxy == "a-1" else host
        return Traffic(port=port, authority=authority, target=target, watch="b", **({"rate": 100} | options))

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until a condition holds."""
        until(condition, what, within=WITHIN, told=lambda: self.daemon.tail(30))

    def hosts(self, host: str, subset: str = "", *, proxy: str = "a-1") -> dict[str, str]:
        """The instances of a service that a proxy has, by `address:port`, with what the platform says of their health."""
        name = f"outbound|{PORT}|{subset}|{host}"
        found = json.loads(self.observe(proxy, "/clusters?format=json"))["cluster_statuses"]
        mine: Mapping[str, Any] = next((item for item in found if item["name"] == name), {})
        return {
            f"{item['address']['socket_address']['address']}:{item['address']['socket_address']['port_value']}": item[
                "health_status"
            ].get("eds_health_status", "")
            for item in mine.get("host_statuses", ())
        }

    def has(self, host: str, *instances: Instance, subset: str = "", proxies: Sequence[str] = ("a-1", "edge")) -> None:
        """Wait until the proxies have exactly these instances of a service."""
        wanted = {f"{item.address}:{item.port}" for item in instances}
        for proxy in proxies:
            self.until(
                lambda proxy=proxy: self.hosts(host, subset, proxy=proxy).keys() == wanted,  # type: ignore[misc]
                f"{proxy} to have {sorted(item.name for item in instances)} of {host}",
            )

    def passes(self, since: int = 0) -> list[str]:
        """Why passes were made, since a place in the log of a verbose daemon."""
        return re.findall(r"pass for \S+ \((.*?)\):", self.daemon.read()[since:])

    def said(self, since: int = 0) -> list[str]:
        """Lines of the log that are no news of a pass as such."""
        lines = self.daemon.read()[since:].splitlines()
        return [line for line in lines if " DEBUG " not in line]

    def status(self) -> Any:
        """What `reconcile status` says."""
        ran = self.command("status", "--output", "json")
        assert ran.out, ran.err
        return json.loads(ran.out)

    def _daemon(self) -> Daemon:
        return Daemon(
            "--repo", str(self.repo), "--ads", f"127.0.0.1:{self.ads}", "--interval", "200ms", "--drift-interval", "2s",
            *(["--verbose"] if self.verbose else []),
            environ=self.environ,
            log=self.folder / "daemon.log",
        )  # fmt: skip


def first(instances: Sequence[Instance], at: float, path: str, told: Callable[[], str]) -> float:
    """Seconds from an instant until one of these was asked for a path."""
    until(lambda: any(item.since(at, path) for item in instances), f"a request for {path}", within=WITHIN, told=told)
    return min(min(found) for item in instances if (found := item.since(at, path))) - at


def last(
    instance: Instance, at: float, others: Sequence[Instance], told: Callable[[], str], *, quiet: int = 25
) -> float:
    """Seconds from an instant until an instance had its last request: the others have had so many since, without it."""

    def over() -> bool:
        mine = max(instance.since(at), default=at)
        return sum(len(item.since(mine)) for item in others) >= quiet

    until(over, f"{instance.name} to be left alone", within=WITHIN, told=told)
    return max(instance.since(at), default=at) - at


__all__ = ["PORT", "WITHIN", "Listed", "first", "last", "member", "rules", "service"]
