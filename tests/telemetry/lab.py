"""A mesh that serves: a gateway and two sidecars in real Envoys, as they are compiled and rendered, in front of small applications.

`web` calls reviews; v1 of it has a sidecar, v2 has none. Some services have names that are easily taken for something else. The
gateway leads to the same services.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

from reconciler.compile import Prototypes, Start, compile_mesh, started
from reconciler.envoy.binary import EnvoyProcess
from reconciler.http import HttpClient
from reconciler.model.mesh import Mesh
from reconciler.model.protos import to_dict
from reconciler.model.services import declared
from reconciler.settings import AdminSettings
from tests.compile.backends import greeter
from tests.compile.envoys import application, free_port, write_view
from tests.compile.meshes import documents, house_templates, mesh_of

REVIEWS = "reviews.default.svc.cluster.local"
ODD = ("upstream-rq.version.http2.example.com", "metadata.google.internal", "default.zone.external.example.com")
"""Hosts that read like the names of Envoy's stats."""

_SERVICE = """
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{host}]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: {port}, name: p, protocol: {protocol}}}]
  endpoints: [{endpoints}]
"""
_MESH = """
kind: DestinationRule
metadata: {{name: reviews}}
spec:
  host: reviews
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  gateways: [mesh, edge]
  http:
  - match: [{{headers: {{version: {{exact: v2}}}}}}]
    route: [{{destination: {{host: reviews, subset: v2}}}}]
  - match: [{{headers: {{version: {{exact: none}}}}}}]
    route: [{{destination: {{host: reviews}}}}]
  - route: [{{destination: {{host: reviews, subset: v1}}}}]
---
kind: Gateway
metadata: {{name: edge}}
spec:
  selector: {{istio: edge}}
  servers: [{{port: {{number: {gateway}, name: http, protocol: HTTP}}, hosts: ["*"], bind: 127.0.0.1}}]
---
kind: WorkloadEntry
metadata: {{name: web-1}}
spec: {{address: 127.0.0.61, labels: {{app: web}}}}
---
kind: WorkloadEntry
metadata: {{name: reviews-v1}}
spec: {{address: 127.0.0.62, labels: {{app: reviews, version: v1}}, ports: {{p: {inbound}}}}}
---
kind: Sidecar
metadata: {{name: web}}
spec:
  workloadSelector: {{labels: {{app: web}}}}
  egress:
  - {{port: {{number: {tcp}, protocol: TCP}}, bind: 127.0.0.1, hosts: ["./mysql.example.com"]}}
  - {{port: {{number: {egress}, protocol: HTTP_PROXY, name: http}}, bind: 127.0.0.1, hosts: ["*/*"]}}
---
kind: Sidecar
metadata: {{name: reviews}}
spec:
  workloadSelector: {{labels: {{app: reviews}}}}
  ingress: [{{port: {{number: {inbound}, protocol: HTTP, name: p}}, defaultEndpoint: "127.0.0.1:{app}"}}]
  egress: [{{hosts: ["~/*"]}}]
"""
_PROXY = """
kind: Proxy
metadata: {{name: {name}}}
spec:
  {role}
  admin: "unix://{folder}/{name}.s"
  push: {{files: {{directory: "{folder}/{name}"}}}}
  metrics: {{port: {metrics}}}
"""
PROXIES = {"edge": "labels: {istio: edge}", "web-1": "workload: web-1", "reviews-v1": "workload: reviews-v1"}


@dataclass(frozen=True)
class Lab:
    """What runs, and where.

    Attributes:
        ports: By what they are for: `gateway`, `egress`, `tcp`, `inbound`.
        metrics: By proxy.
    """

    folder: Path
    mesh: Mesh
    ports: Mapping[str, int]
    metrics: Mapping[str, int] = field(default_factory=dict)

    def ask(self, port: str = "egress", host: str = "reviews", **headers: str) -> int:
        """Send one request, and say with what status it was answered."""
        with closing(HTTPConnection("127.0.0.1", self.ports[port], timeout=10)) as client:
            authority = f"{host}:{self.ports['service']}" if port == "egress" else host
            client.request("GET", "/some/path?token=s3cr3t", headers={"host": authority} | headers)
            answer = client.getresponse()
            answer.read()
            return answer.status

    def admin(self, proxy: str, target: str) -> str:
        """What an admin endpoint answers."""
        with HttpClient(f"unix://{self.folder}/{proxy}.s", AdminSettings()) as client:
            return client.get(target).text

    def log(self, proxy: str) -> list[dict[str, object]]:
        """The lines of JSON that a proxy has logged."""
        lines = (self.folder / f"{proxy}.log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


@contextmanager
def serving(folder: Path, *more: str, templates: Mapping[str, str] | None = None) -> Iterator[Lab]:
    """The mesh with these further documents, running.

    Args:
        folder: With a short path.
        more: YAML.
        templates: In place of house templates, by file name.
    """
    with ExitStack() as stack:
        v1, v2 = stack.enter_context(application("v1")), stack.enter_context(application("v2"))
        greets = stack.enter_context(greeter("mysql"))
        names = ("gateway", "egress", "tcp", "inbound", "service")
        ports = {name: free_port() for name in names}
        metrics = {name: free_port() for name in PROXIES}
        listed = f"{{address: 127.0.0.62, ports: {{p: {ports['inbound']}}}, labels: {{version: v1}}}}"
        listed += f", {{address: 127.0.0.1, ports: {{p: {v2}}}, labels: {{version: v2}}}}"
        services = [_service("reviews", REVIEWS, ports["service"], listed)]
        for number, host in enumerate(ODD):
            services.append(_service(f"odd-{number}", host, ports["service"], _endpoint(v2)))
        services.append(_service("broken", "broken.example.com", ports["service"], _endpoint(free_port())))
        services.append(_service("mysql", "mysql.example.com", ports["tcp"], _endpoint(greets), protocol="TCP"))
        proxies = [
            _PROXY.format(name=name, role=role, folder=folder, metrics=metrics[name]) for name, role in PROXIES.items()
        ]
        mesh = mesh_of(documents(_MESH.format(app=v1, **ports), *services, *proxies, *more))
        prototypes = Prototypes.parse(house_templates() | dict(templates or {}))
        result = compile_mesh(mesh, declared(mesh), prototypes)
        assert result.findings == ()
        for proxy in mesh.proxies:
            name = proxy.key.name
            assert proxy.spec.push.files is not None
            directory = Path(proxy.spec.push.files.directory)
            directory.mkdir()
            write_view(result.views[proxy.key], directory)
            built = started(proxy, prototypes, Start(metrics=mesh.settings.telemetry.metrics, folder=str(folder)))
            path = folder / f"{name}.json"
            path.write_text(json.dumps(to_dict(built.message)))
            log = folder / f"{name}.log"
            stack.enter_context(
                EnvoyProcess(
                    bootstrap=path,
                    admin=proxy.spec.admin,
                    log=log,
                    options=("--file-flush-interval-msec", "50"),
                )
            )
        for name in PROXIES:
            assert "rejected" not in (folder / f"{name}.log").read_text()
        yield Lab(folder, mesh, ports, metrics)


def _service(name: str, host: str, port: int, endpoints: str, *, protocol: str = "HTTP") -> str:
    return _SERVICE.format(name=name, host=host, port=port, endpoints=endpoints, protocol=protocol)


def _endpoint(port: int) -> str:
    return f"{{address: 127.0.0.1, ports: {{p: {port}}}}}"
