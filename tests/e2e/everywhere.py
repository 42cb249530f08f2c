"""One mesh with a registry of every kind, each with a service of its own: real servers where there are any, faithful ones elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from reconciler.discovery.conformance import Member
from tests.discovery.knot import ZONE, DnsPlatform, Knot
from tests.discovery.target_server import TargetServer
from tests.discovery.test_consul import Consuls
from tests.discovery.test_etcd import Etcds
from tests.discovery.test_file_sd import Files
from tests.e2e.instances import Instance
from tests.e2e.listed import PORT, Listed, member, rules, service
from tests.kubernetes.platform import Platform as Kubernetes
from tests.kubernetes.platform import kubeconfig

_PORTS = [{"number": PORT, "name": "http", "protocol": "HTTP"}]


class _Publisher(Protocol):
    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        """List exactly these services and instances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One registry with its service.

    Attributes:
        kind: As in `Mesh.discovery`; the service's short name, in lower case, too.
        registries: Its entries there.
        host: Of the service.
        publish: Has the registry list instances of the service.
        drains: Whether it can say that an instance drains.
        declared: What Git says of the service beside rules.
    """

    kind: str
    registries: Sequence[Mapping[str, Any]]
    host: str
    publish: Callable[[Sequence[Member]], None]
    drains: bool = True
    declared: str = ""


def _place(kind: str, platform: _Publisher, spec: Mapping[str, Any], host: str, **more: Any) -> Place:
    name = kind.lower()

    def publish(members: Sequence[Member]) -> None:
        platform.publish({name: members})

    return Place(kind=kind, host=host, **{"registries": [{"name": name, kind: spec}], "publish": publish, **more})


def _own(kind: str) -> str:
    return f"{kind.lower()}.default.svc.cluster.local"


def file_sd(folder: Path, _: ExitStack) -> Place:
    host = _own("fileSd")
    return _place("fileSd", Files(folder), {"files": [f"{folder}/*.json"]}, host, declared=service("filesd", host))


def http_sd(folder: Path, stack: ExitStack) -> Place:
    server = TargetServer(folder)
    stack.callback(server.close)
    spec = {"url": server.url, "interval": "100ms", "tokenFile": str(server.token_file), "ports": _PORTS}
    return _place("httpSd", server, spec, _own("httpSd"))


def dns(folder: Path, stack: ExitStack) -> Place:
    """A subset is a name of its own, in a registry of its own: two registries list instances of one service."""
    knot = Knot(folder)
    stack.callback(knot.stop)
    platform = DnsPlatform(knot)
    stack.callback(platform.close)

    def publish(members: Sequence[Member]) -> None:
        versions = ("v1", "v2")
        platform.publish({name: [item for item in members if item.labels["version"] == name] for name in versions})

    asking = {"servers": [platform.relay.address], "minTtl": "100ms", "maxTtl": "200ms"}
    registries = []
    for name in ("v1", "v2"):
        found = {"host": "dns", "names": [f"_http._tcp.{name}.{ZONE}"], "labels": {"version": name}, "ports": _PORTS}
        registries.append({"name": f"dns-{name}", "dns": {"services": [found], **asking}})
    return _place("dns", platform, {}, _own("dns"), registries=registries, publish=publish, drains=False)


def etcd(folder: Path, stack: ExitStack) -> Place:
    platform = Etcds(folder)
    stack.callback(platform.close)
    spec = {
        "addresses": [platform.relay.address], "prefix": "svc/", "usernameFile": str(folder / "user"), "ports": _PORTS,
    }  # fmt: skip
    return _place("etcd", platform, spec, _own("etcd"))


def consul(folder: Path, stack: ExitStack) -> Place:
    platform = Consuls(folder)
    stack.callback(platform.close)
    host = platform.host("consul")
    spec = {"address": platform.agent.address, "tokenFile": str(folder / "token"), "port": PORT}
    return _place("consul", platform, spec, host, declared=service("consul", host))


def kubernetes(folder: Path, stack: ExitStack) -> Place:
    platform = Kubernetes(folder)
    stack.callback(platform.server.stop)
    return _place(
        "kubernetes", platform, {"kubeconfig": str(kubeconfig(folder, platform.server.url))}, _own("kubernetes")
    )


KINDS = (file_sd, http_sd, dns, etcd, consul, kubernetes)


class Everywhere(Listed):
    """The mesh with all of them; each service has one instance of v1 and one of v2 from the start.

    Attributes:
        places: By kind.
        instances_of: By kind, in this order.
    """

    def __init__(self, folder: Path) -> None:
        self.servers = ExitStack()
        self.places: dict[str, Place] = {}
        for make in KINDS:
            own = folder / make.__name__
            own.mkdir()
            place = make(own, self.servers)
            self.places[place.kind] = place
        documents = {
            f"{kind.lower()}.yaml": "---\n".join(filter(None, (place.declared, rules(kind.lower(), place.host))))
            for kind, place in self.places.items()
        }
        registries = [registry for place in self.places.values() for registry in place.registries]
        super().__init__(folder, registries=registries, documents=documents, verbose=True)
        self.stack.push(self.servers)
        self.instances_of: dict[str, tuple[Instance, Instance]] = {}
        for kind, place in self.places.items():
            one, two = self.instances_of[kind] = (self.serve(f"{kind}-1"), self.serve(f"{kind}-2"))
            place.publish([member(one, "v1"), member(two, "v2")])


__all__ = ["Everywhere", "Place"]
