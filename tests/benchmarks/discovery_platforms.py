"""The platforms that the benchmarks of discovery change, one class each: how an instance comes to be listed there.

DNS and etcd are the real ones; Consul and Kubernetes are the tests' servers, whose own time is in what is measured.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, Self

from tests.consul.server import Agent
from tests.discovery.knot import ZONE, Knot
from tests.discovery.target_server import TargetServer
from tests.etcd.server import Cluster
from tests.kubernetes.objects import endpoint, endpoint_slice, service
from tests.kubernetes.platform import TOKEN, kubeconfig
from tests.kubernetes.server import ApiServer
from tests.kubernetes.store import Store

_DOMAIN = "default.svc.cluster.local"
_PORTS = "ports: [{number: EGRESS, name: http, protocol: HTTP}]"


class Platform(Protocol):
    """What a benchmark does to a platform.

    Attributes:
        registry: The kind of registry and its settings: a field of an entry of `Mesh.discovery`, as YAML in flow style.
        interval: Seconds at most until the daemon asks again; 0 where it is told.
    """

    registry: str
    interval: float

    def host(self, name: str) -> str:
        """What the adapter calls a service."""

    def put(self, name: str, addresses: Collection[str], port: int) -> None:
        """List exactly these instances of a service from now on."""


class FileSd(ExitStack):
    """A file for each service, replaced as a whole."""

    interval = 0.0

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder / "targets"
        self._folder.mkdir()
        self.registry = f'fileSd: {{files: ["{self._folder}/*.json"], {_PORTS}}}'

    def host(self, name: str) -> str:
        return f"{name}.{_DOMAIN}"

    def put(self, name: str, addresses: Collection[str], port: int) -> None:
        file = self._folder / f"{name}.json"
        new = file.with_suffix(".new")
        new.write_text(_group(name, addresses, port))
        new.replace(file)


class HttpSd(ExitStack):
    """One list for all services."""

    interval = 0.2

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._server = TargetServer(folder)
        self.callback(self._server.close)
        asked = (
            f'url: "{self._server.url}", tokenFile: "{self._server.token_file}", interval: {self.interval * 1000:g}ms'
        )
        self.registry = f"httpSd: {{{asked}, {_PORTS}}}"
        self._said: dict[str, object] = {}

    def host(self, name: str) -> str:
        return f"{name}.{_DOMAIN}"

    def put(self, name: str, addresses: Collection[str], port: int) -> None:
        self._said[name] = json.loads(_group(name, addresses, port))[0]
        self._server.say([*self._said.values()])


class Dns(ExitStack):
    """Addresses of one name, by a real Knot."""

    interval = 0.3

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._knot = Knot(folder)
        self.callback(self._knot.stop)
        names = f"services: [{{host: b, names: [b.{ZONE}], port: INSTANCES, {_PORTS}}}]"
        asked = f'servers: ["{self._knot.address}"], minTtl: 100ms, maxTtl: {self.interval * 1000:g}ms'
        self.registry = f"dns: {{{names}, {asked}}}"

    def host(self, name: str) -> str:
        return f"{name}.{_DOMAIN}"

    def put(self, name: str, addresses: Collection[str], port: int) -> None:  # noqa: ARG002 -- A records have none
        self._knot.zone("\n".join(f"{name} 1 A {address}" for address in addresses))


class Kubernetes(ExitStack):
    """A Service and its EndpointSlices of a hundred, as a cluster's own controller cuts them.

    Attributes:
        egress: Port of its Services.
    """

    interval = 0.0
    egress = 9080

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._store = Store()
        self._server = ApiServer(self._store)
        self._server.tokens = {TOKEN}
        self.callback(self._server.stop)
        self.registry = f'kubernetes: {{kubeconfig: "{kubeconfig(folder, self._server.url)}"}}'
        self._slices: dict[str, list[list[str]]] = {}

    def host(self, name: str) -> str:
        return f"{name}.{_DOMAIN}"

    def put(self, name: str, addresses: Collection[str], port: int) -> None:
        every, ports = [*addresses], [{"name": "http", "port": port, "protocol": "TCP"}]
        cut = [every[first : first + 100] for first in range(0, len(every), 100)] or [[]]
        before = self._slices.get(name, [])
        if not before:
            own = {"name": "http", "port": self.egress, "targetPort": port, "protocol": "TCP"}
            self._store.put(service(name, ports=[own]))
        for number, part in enumerate(cut):
            if before[number : number + 1] != [part]:
                self._store.put(endpoint_slice(f"{name}-{number}", [*map(endpoint, part)], service=name, ports=ports))
        for number in range(len(cut), len(before)):
            self._store.delete("EndpointSlice", "default", f"{name}-{number}")
        self._slices[name] = cut


class Consul(ExitStack):
    """Instances on one node, registered and deregistered."""

    interval = 0.0

    def __init__(self, _folder: Path) -> None:
        super().__init__()
        self._agent = Agent()
        self.callback(self._agent.stop)
        self._agent.catalog.node("n1")
        self.registry = f'consul: {{address: "{self._agent.address}", port: EGRESS}}'
        self._there: dict[str, set[str]] = {}

    def host(self, name: str) -> str:
        return f"{name}.service.consul"

    def put(self, name: str, addresses: Collection[str], port: int) -> None:
        before, now = self._there.get(name, set()), set(addresses)
        for address in sorted(now - before):
            self._agent.catalog.register(name, f"{name}-{address}", address=address, port=port)
        for address in sorted(before - now):
            self._agent.catalog.deregister(f"{name}-{address}")
        self._there[name] = now


class Etcd(ExitStack):
    """A key for each instance, in a real etcd."""

    interval = 0.0

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._cluster = Cluster(folder)
        self.callback(self._cluster.close)
        (address,) = self._cluster.addresses
        self.registry = f'etcd: {{addresses: ["{address}"], prefix: services/, {_PORTS}}}'
        self._there: dict[str, set[str]] = {}

    def host(self, name: str) -> str:
        return f"{name}.{_DOMAIN}"

    def put(self, name: str, addresses: Collection[str], port: int) -> None:
        before, now = self._there.get(name, set()), set(addresses)
        for address in sorted(now - before):
            self._cluster.put(f"services/{name}/{address}", f"{address}:{port}")
        for address in sorted(before - now):
            self._cluster.delete(f"services/{name}/{address}")
        self._there[name] = now


class Managed(Platform, AbstractContextManager[object], Protocol):
    """A platform whose server ends with its context."""

    def __enter__(self) -> Self: ...


KINDS: Mapping[str, Callable[[Path], Managed]] = MappingProxyType(
    {"fileSd": FileSd, "kubernetes": Kubernetes, "consul": Consul, "etcd": Etcd, "httpSd": HttpSd, "dns": Dns}
)


def _group(name: str, addresses: Collection[str], port: int) -> str:
    return json.dumps([{"targets": [f"{address}:{port}" for address in addresses], "labels": {"job": name}}])


def timed(change: Callable[[], None]) -> float:
    """Make a change; the monotonic time just before it."""
    at = time.monotonic()
    change()
    return at
