"""One VirtualService for the service `a`, compiled for a sidecar: what its rules become."""

from __future__ import annotations

from typing import Any

from reconciler.compile import Compiled
from reconciler.model.origin import Finding
from tests.compile.meshes import compiled, documents, only, routes, service, sidecar_proxy, workload

HOST = "a.default.svc.cluster.local"
NAME = f"{HOST}:9080"
SERVICES = documents(service("a"), service("b"), workload("w", app="w", address="10.0.0.1"), sidecar_proxy("w"))
TO_A = "route: [{destination: {host: a}}]"


def policy(http: str, *, name: str = "a", hosts: str = "[a]", namespace: str = "default", extra: str = "") -> str:
    """A VirtualService; `http` is a YAML list, or the whole of one rule beside `route`."""
    rules = http if http.lstrip().startswith("-") else f"  - {{{http}, {TO_A}}}\n"
    head = f"kind: VirtualService\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec:\n"
    return f"{head}  hosts: {hosts}\n{extra}  http:\n{rules}"


def result(http: str, *more: str) -> Compiled:
    """What the mesh with this VirtualService compiles to."""
    return compiled(documents(SERVICES, policy(http), *more))


def routed(http: str, *more: str) -> list[dict[str, Any]]:
    """The routes of its virtual host."""
    return routes(only(result(http, *more)), "9080")[NAME]


def one(http: str, *more: str) -> dict[str, Any]:
    """The only one of them."""
    (route,) = routed(http, *more)
    return route


def found(compiled_mesh: Compiled) -> list[Finding]:
    """What is wrong, but for ports, which small meshes on one address can't help."""
    return [item for item in compiled_mesh.findings if item.code != "port-clash"]
