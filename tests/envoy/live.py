"""Real Envoys with files of their own, written the way Envoy sees them: whole, then renamed into place."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.envoy import Admin
from reconciler.envoy.binary import EnvoyProcess
from reconciler.model import protos
from reconciler.model.files import path_of
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation
from reconciler.model.origin import Origin
from reconciler.model.proxy import FilesPush, Proxy, Push, RuntimePush
from reconciler.model.resource import Resource, ResourceId, ResourceType, View, set_version
from reconciler.settings import AdminSettings

CLUSTER, ENDPOINTS = ResourceType.CLUSTER, ResourceType.ENDPOINTS
LISTENER, ROUTE, RUNTIME = ResourceType.LISTENER, ResourceType.ROUTE, ResourceType.RUNTIME
SECRET = ResourceType.SECRET

_TYPES = "type.googleapis.com/envoy.extensions."
HCM = f"{_TYPES}filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = {"name": "envoy.filters.http.router", "typed_config": {"@type": f"{_TYPES}filters.http.router.v3.Router"}}
HTTP_OPTIONS = f"{_TYPES}upstreams.http.v3.HttpProtocolOptions"
PREVIOUS_HOSTS = f"{_TYPES}retry.host.previous_hosts.v3.PreviousHostsPredicate"
FILE_LOG = f"{_TYPES}access_loggers.file.v3.FileAccessLog"


def made(type_: ResourceType, value: Mapping[str, Any]) -> Resource:
    """A resource as it would be compiled from these fields."""
    return protos.resource(type_, protos.from_dict(type_, value))


def at(port: int, address: str = "127.0.0.1") -> dict[str, Any]:
    """An address."""
    return {"socket_address": {"address": address, "port_value": port}}


def split(name: str, weights: Mapping[str, int], *, prefix: str = "", **route: Any) -> dict[str, Any]:
    """A route configuration that splits everything."""
    shares = [{"name": cluster, "weight": weight} for cluster, weight in weights.items()]
    weighted = {"clusters": shares} | ({"runtime_key_prefix": prefix} if prefix else {})
    action = {"weighted_clusters": weighted} | route
    routes = [{"name": "primary", "match": {"prefix": "/"}, "route": action}]
    return {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}


def chain(prefix: str, **manager: Any) -> dict[str, Any]:
    """A filter chain with one HTTP connection manager."""
    config = {"@type": HCM, "stat_prefix": prefix, "http_filters": [ROUTER], **manager}
    return {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": config}]}


@dataclass(frozen=True)
class Files:
    """Makes resources that find each other in one directory, and puts them there."""

    directory: Path

    def source(self, type_: ResourceType, name: str) -> dict[str, Any]:
        """Where Envoy finds a resource."""
        path = path_of(str(self.directory), ResourceId(type_, name))
        return {"resource_api_version": "V3", "path_config_source": {"path": path}}

    def cluster(self, name: str, **more: Any) -> Resource:
        """An EDS cluster with the usual extras."""
        options = {"@type": HTTP_OPTIONS, "explicit_http_config": {"http_protocol_options": {}}}
        value = {
            "name": name,
            "type": "EDS",
            "connect_timeout": "10s",
            "eds_cluster_config": {"eds_config": self.source(ENDPOINTS, name)},
            "lb_policy": "LEAST_REQUEST",
            "circuit_breakers": {"thresholds": [{"max_connections": 4294967295, "track_remaining": True}]},
            "metadata": {"filter_metadata": {"istio": {"services": [{"host": name}], "default_original_port": 9080}}},
            "typed_extension_protocol_options": {HTTP_OPTIONS.removeprefix("type.googleapis.com/"): options},
        }
        return made(CLUSTER, value | more)

    def endpoints(self, name: str, *ports: int, **more: Any) -> Resource:
        """One endpoint per port."""
        hosts = [{"endpoint": {"address": at(port)}} for port in ports]
        return made(ENDPOINTS, {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]} | more)

    def listener(self, name: str, route: str, **more: Any) -> Resource:
        """A listener on a free port that subscribes to a route configuration."""
        rds = {"route_config_name": route, "config_source": self.source(ROUTE, route)}
        log = {"name": "file", "typed_config": {"@type": FILE_LOG, "path": "/dev/null"}}
        value = {"name": name, "address": at(0), "filter_chains": [chain(name, rds=rds, access_log=[log])]}
        return made(LISTENER, value | more)

    def route(self, name: str, weights: Mapping[str, int], **more: Any) -> Resource:
        """A split with the usual extras."""
        predicate = {"name": "envoy.retry_host_predicates.previous_hosts", "typed_config": {"@type": PREVIOUS_HOSTS}}
        retry = {
            "retry_on": "connect-failure",
            "num_retries": 2,
            "retry_back_off": {"base_interval": "0.025s"},
            "retry_host_predicate": [predicate],
        }
        return made(ROUTE, split(name, weights, timeout="0s", retry_policy=retry) | {"validate_clusters": False} | more)

    def write(self, resources: Iterable[Resource], *, version: str | None = None) -> None:
        """Write everything, referred to before referring, with the versions that a push uses, or one for all."""
        given = list(resources)
        for item in given:
            if item.id.type in {ENDPOINTS, ROUTE, SECRET}:
                self.put(item.id, [item], version or item.version)
        for type_ in (CLUSTER, LISTENER):
            members = [item for item in given if item.id.type is type_]
            self.put(ResourceId(type_, ""), members, version or set_version(members))

    def put(self, id_: ResourceId, resources: Iterable[Resource], version: str) -> None:
        """Replace one file."""
        response = DiscoveryResponse(version_info=version)
        for item in resources:
            response.resources.add(type_url=item.id.type.type_url, value=item.body)
        path = Path(path_of(str(self.directory), id_))
        path.parent.mkdir(exist_ok=True)
        beside = path.with_name(".new")
        beside.write_bytes(response.SerializeToString())
        beside.replace(path)


@dataclass(frozen=True)
class Live(Files):
    """A running Envoy on such files."""

    process: EnvoyProcess
    admin: Admin

    def proxy(self, runtime: RuntimePush | None = None) -> Policy[Proxy]:
        """The document that describes it."""
        push = Push(runtime=runtime) if runtime else Push(files=FilesPush(directory=str(self.directory)))
        return Policy("Proxy", Key("default", "lab"), Proxy(admin=self.admin.address, push=push), Origin("p.yaml", 0))

    def observe(self, *types: ResourceType, runtime: RuntimePush | None = None) -> Observation:
        """What it shows now, which must be readable."""
        seen = self.admin.observe(self.proxy(runtime), at=lambda: datetime.now(UTC), types=types or tuple(ResourceType))
        assert seen.error is None, seen.error
        return seen


def view(resources: Iterable[Resource]) -> View:
    """What a proxy should have."""
    return View.of(Key("default", "lab"), resources)


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Wait for a condition, and fail if it never comes."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the condition never came"
        time.sleep(0.005)


@contextmanager
def running(
    directory: Path, resources: Callable[[Files], Iterable[Resource]] = lambda _: (), **more: Any
) -> Iterator[Live]:
    """A real Envoy in a directory with these files; `more` goes into its bootstrap."""
    Files(directory).write(resources(Files(directory)))

    def source(name: str) -> dict[str, Any]:
        return {"resource_api_version": "V3", "path_config_source": {"path": str(directory / name)}}

    bootstrap = {
        "node": {"id": "lab", "cluster": "lab"},
        "admin": {"address": {"pipe": {"path": str(directory / "admin.sock"), "mode": 0o600}}},
        "layered_runtime": {"layers": [{"name": "a", "static_layer": {}}, {"name": "by hand", "admin_layer": {}}]},
        "dynamic_resources": {"cds_config": source("cds.pb"), "lds_config": source("lds.pb")},
        "stats_flush_interval": "1s",
    }
    file = directory / "bootstrap.json"
    file.write_text(json.dumps(bootstrap | more))
    address = f"unix://{directory / 'admin.sock'}"
    process = EnvoyProcess(bootstrap=file, admin=address, log=directory / "log")
    with process, Admin(address, AdminSettings()) as admin:
        yield Live(directory, process, admin)
