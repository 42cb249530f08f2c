"""A gateway that runs, before one backend, with RateLimits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

from reconciler.compile import Prototypes, compile_mesh
from reconciler.model.mesh import Mesh, Policy
from reconciler.model.proxy import Proxy
from reconciler.model.resource import View
from reconciler.model.services import declared
from tests.compile.envoys import application, envoy, free_port
from tests.compile.meshes import documents, house_templates, mesh_of

HOST = "a.example.com"


class Client:
    """Requests to one port, each on a connection of its own.

    Attributes:
        running: The proxy that is asked, and what it was given, if that is known.
    """

    def __init__(self, address: str, port: int, *, running: tuple[Policy[Proxy], View] | None = None) -> None:
        self._place = (address, port)
        self.running = running

    def get(self, path: str = "/", host: str = HOST, method: str = "GET", **headers: str) -> HTTPResponse:
        """One answer, read to its end."""
        with closing(HTTPConnection(*self._place, timeout=10)) as connection:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers={"host": host, **named})
            answer = connection.getresponse()
            answer.read()
            return answer

    def statuses(self, times: int, path: str = "/", host: str = HOST, method: str = "GET", **headers: str) -> list[int]:
        """The statuses of several requests, one after the other."""
        return [self.get(path, host, method, **headers).status for _ in range(times)]


def _mesh(port: int, backend: int, *more: str) -> Mesh:
    service = f"""
kind: ServiceEntry
metadata: {{name: a}}
spec:
  hosts: [{HOST}]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: HTTP}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {backend}}}}}]
"""
    gateway = (
        "kind: Gateway\nmetadata: {name: edge}\nspec: {selector: {istio: edge}, servers: "
        f"[{{port: {{number: {port}, name: http, protocol: HTTP}}, bind: 127.0.0.1, hosts: ['*']}}]}}"
    )
    rules = f"""
kind: VirtualService
metadata: {{name: rules}}
spec:
  hosts: [{HOST}, b.example.com]
  gateways: [edge]
  http:
  - {{name: one, match: [{{uri: {{prefix: /one}}}}], route: [{{destination: {{host: {HOST}}}}}]}}
  - {{name: gone, match: [{{uri: {{prefix: /gone}}}}], directResponse: {{status: 410}}}}
  - {{name: rest, route: [{{destination: {{host: {HOST}}}}}]}}
"""
    return mesh_of(documents(service, gateway, rules, *more))


def limit(spec: str, name: str = "limit") -> str:
    """A RateLimit of these fields."""
    return f"kind: RateLimit\nmetadata: {{name: {name}}}\nspec: {{{spec}}}"


EDGE = "target: {gateway: edge}"
ONE = "target: {virtualService: {name: rules, routes: [one]}}"
HOURLY = "per: 1h"


@contextmanager
def gateway(folder: Path, *more: str, templates: Mapping[str, str] | None = None) -> Iterator[Client]:
    """A gateway before one backend, with these documents."""
    with ExitStack() as stack:
        port = free_port()
        mesh = _mesh(port, stack.enter_context(application("a")), *more)
        directory = folder / "xds"
        directory.mkdir()
        proxy_text = (
            "kind: Proxy\nmetadata: {name: edge}\nspec: {labels: {istio: edge}, "
            f'admin: "http://127.0.0.1:{free_port()}", push: {{files: {{directory: {directory}}}}}}}'
        )
        mesh = replace(mesh, proxies=mesh_of(proxy_text).proxies)
        prototypes = Prototypes.parse(house_templates() | dict(templates or {}))
        (view,) = compile_mesh(mesh, declared(mesh), prototypes).views.values()
        stack.enter_context(envoy(mesh.proxies[0], view, prototypes, folder))
        yield Client("127.0.0.1", port, running=(mesh.proxies[0], view))
