"""Resources by hand, servers that serve a plane, and real Envoys that are connected to one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.envoy import Admin
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.model import protos
from reconciler.model.key import Key
from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.settings import AdminSettings, AdsSettings
from reconciler.xds import NodeState, Plane
from reconciler.xds.server import AdsServer

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
HTTP2 = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
UPSTREAM_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"

DELTA, SOTW = "delta", "sotw"
VARIANTS = (DELTA, SOTW)
_API = {DELTA: "DELTA_GRPC", SOTW: "GRPC"}

ADS: Mapping[str, Any] = {"resource_api_version": "V3", "ads": {}}
"""The config source of everything that comes on the aggregated stream."""

SECRET, CLUSTER, ENDPOINTS, LISTENER, ROUTE = (
    ResourceType.SECRET, ResourceType.CLUSTER, ResourceType.ENDPOINTS, ResourceType.LISTENER, ResourceType.ROUTE,
)  # fmt: skip


def own_stream(variant: str) -> dict[str, Any]:
    """The config source of a type that has a stream of its own."""
    return {"resource_api_version": "V3", "api_config_source": _grpc(variant)}


def made(type_: ResourceType, **value: Any) -> Resource:
    """A resource from its fields."""
    return protos.resource(type_, protos.from_dict(type_, value))


def address(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def cluster(name: str, *, source: Mapping[str, Any] = ADS, **more: Any) -> Resource:
    """A cluster whose endpoints are discovered under its name."""
    value = {"name": name, "type": "EDS", "connect_timeout": "1s", "eds_cluster_config": {"eds_config": source}}
    return made(CLUSTER, **value | more)


def static_cluster(name: str, *ports: int, **more: Any) -> Resource:
    """A cluster that needs nothing else."""
    return made(CLUSTER, **{"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": _load(name, *ports)} | more)  # fmt: skip


def endpoints(name: str, *ports: int) -> Resource:
    return made(ENDPOINTS, **_load(name, *ports))


def listener(name: str, port: int, route: str, *, source: Mapping[str, Any] = ADS, **more: Any) -> Resource:
    """A listener whose route configuration is discovered."""
    manager = {
        "@type": HCM,
        "stat_prefix": name,
        "rds": {"route_config_name": route, "config_source": source},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return made(LISTENER, **{"name": name, "address": address(port), "filter_chains": [chain]} | more)


def route(name: str, target: str, **more: Any) -> Resource:
    """A route configuration that sends everything to one cluster."""
    routes = [{"match": {"prefix": "/"}, "route": {"cluster": target}}]
    hosts = [{"name": "all", "domains": ["*"], "routes": routes}]
    return made(ROUTE, **{"name": name, "virtual_hosts": hosts} | more)


def secret(name: str, *, text: str = "x") -> Resource:
    """A secret that no TLS context uses as a certificate."""
    return made(SECRET, name=name, generic_secret={"secret": {"inline_string": text}})


def service(name: str, port: int, *backends: int) -> list[Resource]:
    """A whole service: a listener with its own route configuration, cluster and endpoints."""
    return [cluster(name), endpoints(name, *backends), listener(name, port, name), route(name, name)]


def ids(resources: Iterable[Resource]) -> set[ResourceId]:
    return {item.id for item in resources}


@dataclass(frozen=True)
class Serving:
    """A plane, and the address at which it is served."""

    plane: Plane
    address: str

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


@contextmanager
def serving(plane: Plane | None = None, settings: AdsSettings | None = None) -> Iterator[Serving]:
    """A real server for a plane, on a port of its own; stops with the context."""
    plane = plane or Plane()
    server = AdsServer(plane, settings or AdsSettings())
    try:
        yield Serving(plane, server.start())
    finally:
        server.stop()


def eventually(condition: Callable[[], Any], *, seconds: float = 15.0) -> Any:
    """What a condition returns as soon as that is true; fails with the condition's last answer if it never is."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not so after {seconds} s: {found!r}"
        time.sleep(0.005)
    return found


@dataclass
class Lab:
    """One real Envoy that is connected, or soon will be."""

    key: Key
    plane: Plane
    process: EnvoyProcess
    admin: Admin
    folder: Path
    published: list[Resource] = field(default_factory=list)

    def publish(self, resources: Iterable[Resource], *, seconds: float = 10.0, **more: Any) -> NodeState:
        """Publish, and wait until the proxy has answered everything."""
        self.plane.publish(self.key, list(resources), **more)
        return self.settled(seconds=seconds)

    def settled(self, *, seconds: float = 10.0) -> NodeState:
        """Wait until the proxy has answered everything, and is not about to ask for more."""
        state = self.plane.wait(self.key, timeout=seconds)
        assert state.settled, state
        return state

    def stats(self, pattern: str) -> dict[str, str]:
        """Counters, gauges and texts whose names match."""
        body = self._get(f"/stats?filter={pattern}")
        return dict(line.split(": ", 1) for line in body.splitlines() if ": " in line)

    def stat(self, name: str) -> str:
        """One of them, without the quotes that texts have."""
        return self.stats(f"^{name.replace('.', '%5C.')}$").get(name, "").strip('"')

    def version(self, manager: str) -> str:
        """The version text of `cluster_manager.cds` or `listener_manager.lds`."""
        return self.stat(f"{manager}.version_text")

    def clusters(self) -> set[str]:
        """Names of the clusters that came by ADS and serve."""
        return {item["cluster"]["name"] for item in self._dump("dynamic_active_clusters")}

    def listeners(self) -> set[str]:
        """Names of the listeners that serve."""
        return {item["name"] for item in self._dump("dynamic_listeners") if "active_state" in item}

    def in_effect(self, name: str) -> dict[str, Any]:
        """One cluster as it serves now; empty if it does not."""
        found = [item["cluster"] for item in self._dump("dynamic_active_clusters") if item["cluster"]["name"] == name]
        return found[0] if found else {}

    def hosts(self, name: str) -> set[str]:
        """Endpoints of a cluster as they serve now."""
        lines = self._get("/clusters").splitlines()
        return {line.split("::")[1] for line in lines if line.startswith(f"{name}::127.")}

    def _dump(self, resource: str) -> list[dict[str, Any]]:
        return list(json.loads(self._get(f"/config_dump?resource={resource}")).get("configs", ()))

    def _get(self, path: str) -> str:
        with HttpClient(self.admin.address, AdminSettings()) as client:
            return client.get(path).body.decode()


@contextmanager
def running(
    folder: Path, serving: Serving, *, name: str = "lab", variant: str = DELTA, **more: Any
) -> Iterator[Lab]:  # fmt: skip
    """A real Envoy with a bootstrap of `bootstrap`, started when it is ready: a plane without anything for it delays that."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "bootstrap.json"
    file.write_text(json.dumps(bootstrap(folder, serving.address, name=name, variant=variant, **more)))
    admin = f"unix://{folder / 'admin.sock'}"
    process = EnvoyProcess(bootstrap=file, admin=admin, log=folder / "log")
    with process, Admin(admin, AdminSettings()) as client:
        yield Lab(Key("default", name), serving.plane, process, client, folder)


def bootstrap(
    folder: Path, served: str, *, name: str = "lab", variant: str = DELTA, tls: Mapping[str, Any] | None = None,
    source: Mapping[str, Any] = ADS, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """A bootstrap of an Envoy that has everything from the server at `served`.

    `tls` is an UpstreamTlsContext without its type, plaintext by default; `source` says where clusters and listeners come
    from: `ADS`, or `own_stream`.
    """
    dynamic = {"cds_config": dict(source), "lds_config": dict(source)}
    if source == ADS:
        dynamic["ads_config"] = _grpc(variant)
    return {
        "node": {"id": f"default/{name}", "cluster": "lab"},
        "admin": {"address": {"pipe": {"path": str(folder / "admin.sock"), "mode": 0o600}}},
        "static_resources": {"clusters": [_server(served, tls)]},
        "dynamic_resources": dynamic,
    } | more


def _server(served: str, tls: Mapping[str, Any] | None) -> dict[str, Any]:
    host, _, port = served.rpartition(":")
    protocol = {
        "@type": f"type.googleapis.com/{HTTP2}",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    found = {
        "name": "xds",
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": {HTTP2: protocol},
        "load_assignment": _load("xds", int(port), host=host),
    }
    if tls is not None:
        found["transport_socket"] = {"name": "tls", "typed_config": {"@type": UPSTREAM_TLS} | dict(tls)}
    return found


def _load(name: str, *ports: int, host: str = "127.0.0.1") -> dict[str, Any]:
    found = [{"endpoint": {"address": address(port, host)}} for port in ports]
    return {"cluster_name": name, "endpoints": [{"lb_endpoints": found}]}


def _grpc(variant: str) -> dict[str, Any]:
    services = [{"envoy_grpc": {"cluster_name": "xds"}}]
    return {"api_type": _API[variant], "transport_api_version": "V3", "grpc_services": services}
