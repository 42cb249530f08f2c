"""A plane that is served, gRPC applications as processes that take from it, and meshes that say what they are to have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reconciler.compile import AdsLink, Start, grpc_bootstrap
from reconciler.errors import Severity
from reconciler.model.key import Key
from reconciler.model.mesh import Policy
from reconciler.model.proxy import Proxy
from reconciler.settings import AdsSettings
from reconciler.xds import NodeState, Plane
from reconciler.xds.server import AdsServer
from tests.compile.applications import SUBSETS, TARGET, application
from tests.compile.meshes import compiled, documents, mesh_of

APP = Key("default", "app")
_HERE = Path(__file__).parent


class Process:
    """A script of this folder, which ends when its input does."""

    def __init__(self, script: str, *arguments: str, bootstrap: Mapping[str, Any] | None = None) -> None:
        environ = {**os.environ, "GRPC_VERBOSITY": "NONE"}
        if bootstrap is not None:
            environ["GRPC_XDS_BOOTSTRAP_CONFIG"] = json.dumps(bootstrap)
        self._process = subprocess.Popen(
            [sys.executable, str(_HERE / script), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environ,
        )

    def line(self) -> str:
        """The next line that it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline()

    def say(self, text: str) -> None:
        """A line for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Let it end by itself; one that doesn't is killed, and the test fails."""
        try:
            self._process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            raise


@dataclass
class Client:
    """A gRPC client."""

    process: Process

    def call(self, calls: int = 1, *, target: str = TARGET, **order: Any) -> Counter[str]:
        """Who answered so many calls, or how they failed."""
        self.process.say(json.dumps({"target": target, "calls": calls, **order}))
        return Counter(json.loads(self.process.line()))


@dataclass
class Lab:
    """One plane, and what runs around it."""

    plane: Plane
    address: str
    plaintext: bool = True
    stack: ExitStack = field(default_factory=ExitStack)

    def client(self, proxy: str = "") -> Client:
        """A client that is the application of this document; `app` by default."""
        return Client(self._process("client.py", bootstrap=self.bootstrap(proxy)))

    def server(self, name: str, *, address: str = "127.0.0.1:0", proxy: str = "") -> int:
        """A server that answers with a name, and its port; an xDS server if it is an application of this document."""
        more = ("xds",) if proxy else ()
        process = self._process("server.py", address, name, *more, bootstrap=self.bootstrap(proxy) if proxy else None)
        return int(process.line())

    def bootstrap(self, proxy: str = "") -> dict[str, Any]:
        """What the product starts an application with."""
        found: Policy[Proxy]
        (found,) = mesh_of(proxy or application()).proxies
        return grpc_bootstrap(found, Start(ads=AdsLink.parse(self.address, plaintext=self.plaintext)))

    def publish(self, *texts: str, proxies: str = "") -> None:
        """What these documents compile to, for every application in them; `app` by default."""
        result = compiled(documents(*texts, proxies or application()))
        assert not [finding for finding in result.findings if finding.severity is Severity.ERROR]
        for key, view in result.views.items():
            self.plane.publish(key, view.resources.values())

    def settled(self, key: Key = APP) -> NodeState:
        """What an application says once it has answered everything: that nothing was refused."""
        state = self.plane.wait(key, timeout=20.0)
        assert state.settled
        assert not state.held, {str(id_): hold.words for id_, hold in state.held.items()}
        return state

    def _process(self, script: str, *arguments: str, bootstrap: Mapping[str, Any] | None) -> Process:
        process = Process(script, *arguments, bootstrap=bootstrap)
        self.stack.callback(process.end)
        return process


@contextmanager
def lab(settings: AdsSettings | None = None) -> Iterator[Lab]:
    """A served plane; the processes around it end before it does."""
    plane = Plane()
    server = AdsServer(plane, settings or AdsSettings())
    address = server.start()
    try:
        with ExitStack() as stack:
            yield Lab(plane, address, plaintext=settings is None, stack=stack)
    finally:
        server.stop()


def reviews(**ports: int) -> str:
    """The service with an instance at each port, by version; `v1_b` is another one of `v1`."""
    listed = "".join(
        f"  - {{address: 127.0.0.1, ports: {{grpc: {port}}}, labels: {{version: {name.partition('_')[0]}}}}}\n"
        for name, port in ports.items()
    )
    return f"""
kind: ServiceEntry
metadata: {{name: reviews}}
spec:
  hosts: [reviews.default.svc.cluster.local]
  location: MESH_INTERNAL
  resolution: STATIC
  ports: [{{number: 9080, name: grpc, protocol: GRPC}}]
  endpoints:
{listed}
---
{SUBSETS}
"""


def split(v1: int, v2: int, *first: str) -> str:
    """Rules for the service: a split, behind other rules if there are any."""
    before = "".join(f"  - {item}\n" for item in first)
    return f"""
kind: VirtualService
metadata: {{name: reviews}}
spec:
  hosts: [reviews]
  http:
{before}  - name: primary
    route:
    - {{destination: {{host: reviews, subset: v1}}, weight: {v1}}}
    - {{destination: {{host: reviews, subset: v2}}, weight: {v2}}}
"""
