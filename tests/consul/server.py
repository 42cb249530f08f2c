"""An agent of Consul as its HTTP API is described, with a catalog in memory and troubles on request.

Written after https://developer.hashicorp.com/consul/api-docs: blocking queries by index with jitter, an index for each question, checks of
nodes and of services, maintenance, tags, errors in Consul's own words and statuses.
"""

from __future__ import annotations

import json
import random
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

Json = dict[str, Any]


class Catalog:
    """Nodes, services and checks, with the index at which each question's answer changed last."""

    def __init__(self, *, index: int = 10) -> None:
        self.changed = threading.Condition()
        self.index = index
        self.services: dict[tuple[str, str], Json] = {}
        self.checks: dict[tuple[str, str], Json] = {}
        self.nodes: dict[str, Json] = {}
        self.indexes = {"services": index, "checks": index}

    def _bump(self, *tables: str) -> int:
        """In a transaction; the new index."""
        self.index += 1
        self.indexes |= dict.fromkeys(tables, self.index)
        self.changed.notify_all()
        return self.index

    def node(self, name: str, address: str = "127.0.0.1", **more: Any) -> None:
        """Register a node with its own check."""
        with self.changed:
            self.nodes[name] = {"Node": name, "Address": address, "Datacenter": "dc1", "Meta": {}} | more
        self.check(name, "serfHealth", "passing")

    def register(
        self,
        name: str,
        ident: str,
        *,
        address: str = "",
        port: int = 8080,
        node: str = "n1",
        check: str | None = "passing",
        **more: Any,
    ) -> None:
        """Register an instance, and a check of it unless that is None; registering what is there already changes nothing."""
        with self.changed:
            if node not in self.nodes:
                self.nodes[node] = {"Node": node, "Address": "127.0.0.1", "Datacenter": "dc1", "Meta": {}}
            new = {"ID": ident, "Service": name, "Address": address, "Port": port, "Tags": [], "Meta": {}} | more
            new.setdefault("Weights", {"Passing": 1, "Warning": 1})
            old = self.services.get((node, ident))
            if old is None or any(old[key] != value for key, value in new.items()):
                now = self._bump("services", f"service {name}")
                created = now if old is None else old["CreateIndex"]
                self.services[node, ident] = new | {"CreateIndex": created, "ModifyIndex": now}
            if check is not None:
                self.check(node, f"service:{ident}", check, ident)

    def check(self, node: str, ident: str, status: str, service: str = "") -> None:
        """Set a check of a node, or of a service on it."""
        with self.changed:
            old = self.checks.get((node, ident))
            if old is not None and old["Status"] == status:
                return
            name = self.services[node, service]["Service"] if service else ""
            touched = [f"service {name}"] if name else [f"service {each}" for each in self._on(node)]
            now = self._bump("checks", *touched)
            self.checks[node, ident] = {
                "Node": node, "CheckID": ident, "Name": ident, "Status": status, "Output": "", "ServiceID": service,
                "ServiceName": name, "CreateIndex": old["CreateIndex"] if old else now, "ModifyIndex": now,
            }  # fmt: skip

    def uncheck(self, node: str, ident: str) -> None:
        """Remove a check, such as that of maintenance."""
        with self.changed:
            old = self.checks.pop((node, ident))
            names = [old["ServiceName"]] if old["ServiceName"] else self._on(node)
            self._bump("checks", *(f"service {name}" for name in names))

    def deregister(self, ident: str, *, node: str = "n1") -> None:
        """Remove an instance with its checks."""
        with self.changed:
            name = self.services.pop((node, ident))["Service"]
            for key in [key for key, check in self.checks.items() if key[0] == node and check["ServiceID"] == ident]:
                del self.checks[key]
            self._bump("services", "checks", f"service {name}")

    def _on(self, node: str) -> list[str]:
        return [each["Service"] for key, each in self.services.items() if key[0] == node]

    def names(self) -> Json:
        """`/v1/catalog/services`."""
        out: dict[str, set[str]] = {}
        for service in self.services.values():
            out.setdefault(service["Service"], set()).update(service["Tags"])
        return {name: sorted(tags) for name, tags in out.items()}

    def instances(self, name: str, tag: str) -> list[Json]:
        """`/v1/health/service/<name>`."""
        out = []
        for (node, ident), service in self.services.items():
            if service["Service"] == name and (not tag or tag in service["Tags"]):
                checks = [c for k, c in self.checks.items() if k[0] == node and c["ServiceID"] in {"", ident}]
                out.append({"Node": self.nodes[node], "Service": service, "Checks": checks})
        return out


class Agent:
    """An agent that listens on a port of its own, which it keeps when it is restarted.

    Attributes:
        catalog: What it answers from.
        token: The one that it accepts; "" for anybody.
        fault: What it does instead of answering; None while it is well.
        delay: Seconds before each answer.
        filtered: Whether it says that a token may not see everything.
        asked: Targets of all requests.
        tokens: That came with them.
    """

    def __init__(self, catalog: Catalog | None = None, *, token: str = "") -> None:
        self.catalog = catalog or Catalog()
        self.token = token
        self.fault: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.delay = 0.0
        self.filtered = False
        self.asked: list[str] = []
        self.tokens: list[str] = []
        self.port = 0
        self._server: _Server | None = None
        self.start()

    @property
    def address(self) -> str:
        """Of its HTTP API."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen."""
        if self._server is None:
            self._server = _Server(("127.0.0.1", self.port), self)
            self.port = self._server.server_address[1]

    def stop(self) -> None:
        """Stop listening, and close all connections."""
        server, self._server = self._server, None
        if server is not None:
            server.end()

    def be(self, fault: Callable[[BaseHTTPRequestHandler], None] | None) -> None:
        """Have this fault, or none; connections that hang are closed, and a blocking question ends."""
        self.fault = fault
        if self._server is not None:
            self._server.drop()
        with self.catalog.changed:
            self.catalog.changed.notify_all()

    def hang(self) -> None:
        """Take everything and answer nothing, on old connections and new ones."""
        self.fault = lambda handler: handler.server.over.wait()  # type: ignore[attr-defined]
        with self.catalog.changed:
            self.catalog.changed.notify_all()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], agent: Agent) -> None:
        super().__init__(address, _Handler)
        self.agent = agent
        self.over = threading.Event()
        self._open: set[socket.socket] = set()
        self._loop = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._loop.start()

    def process_request(self, request: Any, client_address: Any) -> None:
        """Remember the connection."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        """Forget it."""
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients leave whenever they like."""

    def drop(self) -> None:
        """Close all connections."""
        over, self.over = self.over, threading.Event()
        over.set()
        for connection in list(self._open):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def end(self) -> None:
        """Listen no more."""
        self.shutdown()
        self.socket.close()
        self.agent.catalog.changed.acquire()
        self.agent.catalog.changed.notify_all()
        self.agent.catalog.changed.release()
        self.drop()
        self.server_close()
        self._loop.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """Answer one question."""
        agent, over = self.server.agent, self.server.over
        agent.asked.append(self.path)
        agent.tokens.append(self.headers.get("X-Consul-Token", ""))
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if fault := self._fault():
            fault(self)
            return
        if agent.token and self.headers.get("X-Consul-Token") != agent.token:
            self.reply(403, b"Permission denied: token with AccessorID '00000000' lacks permission 'service:read'")
            return
        over.wait(agent.delay)
        catalog = agent.catalog
        with catalog.changed:
            table, answer = self._route(url.path, query)
            asked = int(query.get("index", "0"))
            if asked:
                limit = float(query.get("wait", "300s").removesuffix("s"))
                limit += random.uniform(0, limit / 16)  # noqa: S311 -- as in Consul
                catalog.changed.wait_for(
                    lambda: self._index(table) > asked or agent.fault is not None or over.is_set(), limit
                )
            fault = self._fault()
            document, index = answer(), self._index(table)
        if fault is not None:
            fault(self)
        elif not over.is_set():
            more = {"X-Consul-Results-Filtered-By-ACLs": "true"} if agent.filtered else {}
            head = {"X-Consul-Index": str(index), "X-Consul-Knownleader": "true"} | more
            self.reply(200, json.dumps(document).encode(), head)

    def _fault(self) -> Callable[[BaseHTTPRequestHandler], None] | None:
        return self.server.agent.fault

    def _index(self, table: str) -> int:
        indexes = self.server.agent.catalog.indexes
        return indexes.get(table, indexes["services"])

    def _route(self, path: str, query: Mapping[str, str]) -> tuple[str, Callable[[], Any]]:
        catalog = self.server.agent.catalog
        if path == "/v1/catalog/services":
            return "services", catalog.names
        if path == "/v1/health/state/any":
            return "checks", lambda: list(catalog.checks.values())
        name = unquote(path.removeprefix("/v1/health/service/"))
        return f"service {name}", lambda: catalog.instances(name, query.get("tag", ""))

    def reply(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send an answer."""
        with suppress(OSError):
            self.send_response(status)
            lines: Iterable[tuple[str, str]] = (headers or {}).items()
            for name, value in lines:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)


def no_leader(handler: BaseHTTPRequestHandler) -> None:
    """What a cluster without a quorum answers."""
    assert isinstance(handler, _Handler)
    handler.reply(500, b"No cluster leader")


def garbage(handler: BaseHTTPRequestHandler) -> None:
    """Something else listens there."""
    assert isinstance(handler, _Handler)
    handler.reply(200, b"<html>welcome</html>", {"X-Consul-Index": "7"})


def cut(handler: BaseHTTPRequestHandler) -> None:
    """An answer that ends in its midst."""
    handler.wfile.write(b'HTTP/1.1 200 OK\r\nX-Consul-Index: 99\r\nContent-Length: 1000\r\n\r\n{"half":')
    handler.close_connection = True
