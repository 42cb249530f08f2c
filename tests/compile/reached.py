"""A real Envoy whose listener sends each request to the cluster that it names: clusters by themselves, without routes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from types import MappingProxyType

from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.compile import Prototypes
from reconciler.compile.listeners import Chain, Direction, build
from reconciler.compile.names import ClusterRef
from reconciler.compile.sources import FilesSource
from reconciler.compile.tls import Site
from reconciler.compile.viewer import Viewer
from reconciler.envoy import Admin
from reconciler.http import HttpClient
from reconciler.model.files import path_of
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.observation import Observation
from reconciler.model.proxy import Certificates, Proxy
from reconciler.model.resource import Resource, View
from reconciler.model.secrets import secret_resource
from reconciler.model.services import Endpoint
from reconciler.settings import AdminSettings
from tests.compile.envoys import envoy, free_port
from tests.compile.meshes import house_templates, mesh_of
from tests.compile.onecluster import CALLER, clusters_of

_PROXY = """
kind: Proxy
metadata: {{name: p}}
spec: {{workload: p, admin: "unix://{folder}/a.sock", push: {{files: {{directory: "{folder}/e"}}}}}}
"""


@dataclass(frozen=True)
class Reached:
    """A running Envoy.

    Attributes:
        view: What it was given.
    """

    port: int
    proxy: Policy[Proxy]
    view: View

    def ask(self, ref: ClusterRef, *, host: str = "x", headers: dict[str, str] | None = None) -> tuple[int, str]:
        """Status and body of one request to a cluster, on a connection of its own."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=10)) as client:
            client.request("GET", "/", headers={"host": host, "x-cluster": ref.name, **(headers or {})})
            answer = client.getresponse()
            return answer.status, answer.read().decode()

    def answers(self, ref: ClusterRef, count: int, *, host: str = "x") -> Counter[str]:
        """Bodies of good answers and statuses of others."""
        found = (self.ask(ref, host=host) for _ in range(count))
        return Counter(body if status == 200 else str(status) for status, body in found)

    def stats(self, pattern: str) -> dict[str, int]:
        """Counters and gauges whose name contains an expression, by name."""
        with HttpClient(self.proxy.spec.admin, AdminSettings()) as client:
            lines = client.get(f"/stats?filter={pattern}").text.splitlines()
        pairs = (line.rpartition(": ") for line in lines)
        return {name: int(value) for name, _, value in pairs if value.isdigit()}

    def replace(self, item: Resource) -> None:
        """Give it another version of a resource that has a file of its own."""
        assert self.proxy.spec.push.files is not None
        path = Path(path_of(self.proxy.spec.push.files.directory, item.id))
        response = DiscoveryResponse(version_info=item.version)
        response.resources.add(type_url=item.id.type.type_url, value=item.body)
        waiting = path.with_suffix(".new")
        waiting.write_bytes(response.SerializeToString())
        waiting.replace(path)

    def observed(self) -> Observation:
        """What its admin endpoint shows."""
        with Admin(self.proxy.spec.admin, AdminSettings()) as admin:
            return admin.observe(self.proxy, at=lambda: datetime.now(UTC))


@contextmanager
def reached(
    folder: Path,
    refs: Sequence[ClusterRef],
    *texts: str,
    viewer: Viewer = CALLER,
    certificates: Certificates | None = None,
    found: Mapping[str, Sequence[Endpoint]] = MappingProxyType({}),
) -> Iterator[Reached]:
    """An Envoy that has these clusters of these documents, and a listener that leads to them.

    `found` are instances that registries list, by host.
    """
    prototypes = Prototypes.parse(house_templates())
    (proxy,) = mesh_of(_PROXY.format(folder=folder)).proxies
    clusters = clusters_of(*texts, found=found)
    site = Site(FilesSource(f"{folder}/e"), certificates or Certificates())
    built = [clusters.resources(ref, site, viewer=viewer) for ref in refs]
    routes = RouteConfiguration(name="all")
    route = routes.virtual_hosts.add(name="all", domains=["*"]).routes.add()
    route.match.prefix = "/"
    route.route.cluster_header = "x-cluster"
    port = free_port()
    listener = build(
        direction=Direction.OUTBOUND,
        address="127.0.0.1",
        port=port,
        chains=[Chain(routes=routes)],
        prototypes=prototypes,
        http_filters=clusters.http_filters(refs, viewer=viewer),
    )
    secrets = {secret for item in built for secret in item.secrets}
    view = View.of(
        Key("default", "p"),
        [
            listener,
            *map(secret_resource, secrets),
            *(item.cluster for item in built),
            *(item.endpoints for item in built if item.endpoints),
        ],
    )
    with envoy(proxy, view, prototypes, folder):
        yield Reached(port, proxy, view)
