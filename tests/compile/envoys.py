"""Real Envoys that serve a compiled view, without the push room: files written once, before the start."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from envoy.service.discovery.v3.discovery_pb2 import DiscoveryResponse

from reconciler.compile import Prototypes, bootstrap
from reconciler.envoy.binary import EnvoyProcess
from reconciler.model.files import CLUSTERS, LISTENERS, path_of
from reconciler.model.mesh import Policy
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Proxy
from reconciler.model.resource import Resource, ResourceId, ResourceType, View


def write_view(view: View, directory: Path) -> None:
    """The files layout of a view: sets in one file, routes and endpoints in one each."""
    files: dict[str, list[Resource]] = {
        path_of(str(directory), ResourceId(type_, "")): [] for type_ in (ResourceType.CLUSTER, ResourceType.LISTENER)
    }
    for item in view.resources.values():
        files.setdefault(path_of(str(directory), item.id), []).append(item)
    for path, items in files.items():
        response = DiscoveryResponse(version_info="1")
        for item in items:
            response.resources.add(type_url=item.id.type.type_url, value=item.body)
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(response.SerializeToString())
    assert {Path(CLUSTERS).name, Path(LISTENERS).name} <= {path.name for path in directory.iterdir()}


def write_bootstrap(proxy: Policy[Proxy], prototypes: Prototypes, path: Path) -> Path:
    """The bootstrap as JSON, which Envoy reads too."""
    path.write_text(json.dumps(to_dict(bootstrap(proxy, prototypes))))
    return path


@contextmanager
def envoy(proxy: Policy[Proxy], view: View, prototypes: Prototypes, folder: Path) -> Iterator[EnvoyProcess]:
    """A running Envoy that has a view."""
    assert proxy.spec.push.files is not None
    write_view(view, Path(proxy.spec.push.files.directory))
    path = write_bootstrap(proxy, prototypes, folder / "bootstrap.json")
    with EnvoyProcess(bootstrap=path, admin=proxy.spec.admin, log=folder / "envoy.log") as process:
        yield process


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1  # headers and body in one packet
    name = ""

    def do_GET(self) -> None:
        body = self.name.encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_PUT = do_GET  # noqa: N815 -- the base class's names

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
        """Nothing: tests read answers, not logs."""


@contextmanager
def application(name: str) -> Iterator[int]:
    """An HTTP server on 127.0.0.1 that answers every request with its name; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"name": name}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
