"""Hand-made resources, and real Envoys that read a files directory and are pushed to as a pass does."""

from __future__ import annotations

import http.client
import json
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.clock import Clock, SystemClock
from reconciler.envoy import Admin
from reconciler.envoy.binary import EnvoyProcess
from reconciler.model import protos
from reconciler.model.files import path_of
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation
from reconciler.model.origin import Origin
from reconciler.model.plan import Action, Cause, Change
from reconciler.model.proxy import FilesPush, Proxy, Push
from reconciler.model.receipt import Outcome
from reconciler.model.resource import Resource, ResourceId, ResourceType, View
from reconciler.push import Pushed, Target, Way, prepare_directory, push
from reconciler.push.fleet import Ways as WaysOfAll
from reconciler.push.layout import contents
from reconciler.settings import AdminSettings

Ways = Callable[[Target, Admin, Clock], Way]
"""Chooses how a proxy with an admin endpoint is pushed to."""

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def made(type_: ResourceType, **value: Any) -> Resource:
    """A resource from its fields."""
    return protos.resource(type_, protos.from_dict(type_, value))


@dataclass(frozen=True)
class Shelf:
    """Makes resources whose files lie in one directory."""

    directory: str

    def source(self, type_: ResourceType, name: str) -> dict[str, Any]:
        path = path_of(self.directory, ResourceId(type_, name))
        return {"resource_api_version": "V3", "path_config_source": {"path": path}}

    def cluster(self, name: str, **more: Any) -> Resource:
        eds = {"eds_config": self.source(ResourceType.ENDPOINTS, name)}
        defaults = {"type": "EDS", "connect_timeout": "1s", "eds_cluster_config": eds}
        return made(ResourceType.CLUSTER, name=name, **defaults | more)

    def endpoints(self, name: str, *ports: int) -> Resource:
        found = [{"endpoint": {"address": address(port)}} for port in ports]
        return made(ResourceType.ENDPOINTS, cluster_name=name, endpoints=[{"lb_endpoints": found}])

    def listener(
        self, name: str, port: int, route: str | Mapping[str, Any], source: Mapping[str, Any] | None = None
    ) -> Resource:
        manager: dict[str, Any] = {
            "@type": HCM,
            "stat_prefix": name,
            "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": ROUTER}}],
        }
        if isinstance(route, str):
            source = source or self.source(ResourceType.ROUTE, route)
            manager["rds"] = {"route_config_name": route, "config_source": source}
        else:
            manager["route_config"] = route
        filters = [{"name": "http", "typed_config": manager}]
        return made(ResourceType.LISTENER, name=name, address=address(port), filter_chains=[{"filters": filters}])

    def route(self, name: str, **weights: int) -> Resource:
        return made(ResourceType.ROUTE, **split(name, "", **weights))


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def split(name: str, prefix: str = "", **weights: int) -> dict[str, Any]:
    """A route configuration that splits everything between clusters."""
    shares = [{"name": cluster, "weight": weight} for cluster, weight in weights.items()]
    action = {"weighted_clusters": {"clusters": shares} | ({"runtime_key_prefix": prefix} if prefix else {})}
    routes = [{"name": "primary", "match": {"prefix": "/"}, "route": action}]
    return {"name": name, "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": routes}]}


def bootstrap(directory: Path, **more: Any) -> dict[str, Any]:
    """A bootstrap that reads everything from a files directory, and has a static cluster that never answers."""

    def source(name: str) -> dict[str, Any]:
        return {"resource_api_version": "V3", "path_config_source": {"path": str(directory / name)}}

    silent = {"name": "silent", "type": "STATIC", "connect_timeout": "1s"}
    return {
        "node": {"id": "lab", "cluster": "lab"},
        "static_resources": {"clusters": [silent]},
        "admin": {"address": {"pipe": {"path": str(directory / "admin.sock"), "mode": 0o600}}},
        "layered_runtime": {"layers": [{"name": "admin", "admin_layer": {}}]},
        "dynamic_resources": {"cds_config": source("cds.pb"), "lds_config": source("lds.pb")},
    } | more


@dataclass
class Lab:
    """One Envoy, its directory, and what is pushed to it."""

    directory: Path
    name: str
    process: EnvoyProcess
    admin: Admin
    clock: SystemClock = field(default_factory=SystemClock)

    @property
    def shelf(self) -> Shelf:
        return Shelf(str(self.directory))

    @property
    def proxy(self) -> Policy[Proxy]:
        spec = Proxy(admin=self.admin.address, push=Push(files=FilesPush(directory=str(self.directory))))
        return Policy("Proxy", Key("default", self.name), spec, Origin("proxies.yaml", 0))

    def view(self, resources: Iterable[Resource]) -> View:
        return View.of(self.proxy.key, resources)

    def observe(self) -> Observation:
        return self.admin.observe(self.proxy, at=self.clock.now)

    def target(self, resources: Iterable[Resource], observation: Observation | None = None) -> Target:
        seen, view = observation or self.observe(), self.view(resources)
        return Target(proxy=self.proxy, view=view, observation=seen, changes=changes(seen, view))

    def counters(self) -> Counter[str]:
        """Every update counter that moved, by type."""
        found: Counter[str] = Counter()
        with self.admin_client() as client:
            client.request("GET", "/stats?type=Counters&filter=update_(success%7Crejected%7Cfailure)$")
            for line in client.getresponse().read().decode().splitlines():
                name, _, value = line.partition(": ")
                found[name] += int(value)
        return +found

    @contextmanager
    def admin_client(self) -> Iterator[http.client.HTTPConnection]:
        connection = http.client.HTTPConnection("localhost", timeout=5)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(self.directory / "admin.sock"))
        try:
            yield connection
        finally:
            connection.close()

    def bytes_on_disk(self) -> dict[str, bytes]:
        """Every file that a push could have written."""
        return {str(path): path.read_bytes() for path in self.directory.rglob("*.pb")}

    def rendered(self, resources: Iterable[Resource]) -> dict[str, bytes]:
        """Every file that a view should have."""
        files = contents(str(self.directory), self.view(resources).resources)
        return {path: content.render() for path, content in files.items()}


@contextmanager
def running(directory: Path, name: str, **more: Any) -> Iterator[Lab]:
    """A real Envoy with empty files."""
    prepare_directory(str(directory))
    file = directory / "bootstrap.json"
    file.write_text(json.dumps(bootstrap(directory) | more))
    admin = f"unix://{directory / 'admin.sock'}"
    process = EnvoyProcess(bootstrap=file, admin=admin, log=directory / "log")
    with process, Admin(admin, AdminSettings()) as client:
        yield Lab(directory, name, process, client)


def changes(observation: Observation, view: View) -> tuple[Change, ...]:
    """What a plan would name, without its fields."""
    live, wanted = observation.resources, view.resources
    found = []
    for id_ in sorted(live.keys() | wanted.keys()):
        old, new = live.get(id_), wanted.get(id_)
        if old != new:
            action = Action.CREATE if old is None else Action.DELETE if new is None else Action.UPDATE
            found.append(Change(id=id_, action=action, cause=Cause.CHANGE, old=old, new=new))
    return tuple(found)


def wait_for_push(
    targets: Sequence[Target], admins: Mapping[Key, Admin], *, seconds: float = 10, ways: Ways | None = None
) -> Pushed:
    """Push as a pass does."""
    return push(
        targets,
        admins=admins,
        clock=SystemClock(),
        deadline=timedelta(seconds=seconds),
        workers=16,
        progress=lambda _: None,
        ways=_of_all(ways) if ways else None,
    )


def _of_all(ways: Ways) -> WaysOfAll:
    def choose(target: Target, admin: Admin | None, clock: Clock) -> Way:
        assert admin is not None
        return ways(target, admin, clock)

    return choose


def pushed(targets: Sequence[Target], labs: Sequence[Lab], *, seconds: float = 10, ways: Ways | None = None) -> Pushed:
    """Push to labs."""
    return wait_for_push(targets, {lab.proxy.key: lab.admin for lab in labs}, seconds=seconds, ways=ways)


def inodes(directory: Path) -> dict[str, int]:
    """Which file each path is: a replaced file is another inode."""
    return {str(path): path.stat().st_ino for path in directory.rglob("*.pb")}


def apply(lab: Lab, resources: Iterable[Resource], *, seconds: float = 10) -> Outcome:
    """Push these resources to one Envoy, from a fresh observation."""
    return pushed([lab.target(resources)], [lab], seconds=seconds).outcomes[lab.proxy.key]


def service(lab: Lab, name: str, port: int, *backends: int) -> list[Resource]:
    """A whole service: a listener with its own route configuration, cluster and endpoints."""
    return [
        lab.shelf.cluster(name),
        lab.shelf.endpoints(name, *backends),
        lab.shelf.listener(name, port, name),
        lab.shelf.route(name, **{name: 100}),
    ]


def canary(lab: Lab, port: int, v1: int, v2: int, weight: int) -> list[Resource]:
    """One listener that splits between two clusters."""
    clusters = [lab.shelf.cluster(name) for name in ("v1", "v2")]
    ends = [lab.shelf.endpoints("v1", v1), lab.shelf.endpoints("v2", v2)]
    return [*clusters, *ends, lab.shelf.listener("in", port, "web"), lab.shelf.route("web", v1=100 - weight, v2=weight)]


SplitLab = tuple[Lab, Callable[[int], list[Resource]], int]
"""An Envoy that serves a canary at 0%, how to make its resources at another weight, and its port."""
