"""A real Envoy as a caller, whose clusters and routes a test names, and upstreams that do to each path what the path says."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.http import HttpClient, HttpError
from reconciler.model.resource import Resource
from reconciler.settings import AdminSettings
from tests.envoy.live import CLUSTER, LISTENER, Live, at, chain, made, running
from tests.http.servers import answer, read_request

RETRY = {"retry_on": "5xx,reset,connect-failure", "num_retries": 2, "retry_back_off": {"base_interval": "0.001s"}}
LATE = 0.5
"""Seconds after which `/hang` and the first `/late` answer."""

_GRPC = answer(200, b"", b"content-type: application/grpc", b"grpc-status: 14")


class Application:
    """Does what a path says; counts what it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self._turn: dict[str, int] = {}
        self._lock = threading.Lock()

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        while request := read_request(connection):
            path = request.split(b" ")[1].decode()
            with self._lock:
                self.asked += 1
                turn = self._turn[path] = self._turn.get(path, 0) + 1
            what = path.split("/")[1]
            if what == "hang" or (what == "late" and turn % 2):
                over.wait(LATE)
            if what == "sleep":
                over.wait(float(path.split("/")[2]) / 1000)
            if what == "reset":
                return
            if what == "torn":
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
                return
            if what == "noise":
                connection.sendall(b"220 mail ESMTP\r\n\r\n")
                return
            connection.sendall(_said(what, turn))


def _said(what: str, turn: int) -> bytes:
    if what == "grpc":
        return _GRPC
    if what == "flaky":
        return answer(503 if turn % 2 else 200, b"x")
    return answer(int(what) if what.isdecimal() else 200, b"x")


def upstream(name: str, *ports: int, **more: Any) -> Resource:
    """A cluster with these endpoints on this machine."""
    hosts = [{"endpoint": {"address": at(port)}} for port in ports]
    load = {"cluster_name": name, "endpoints": [{"lb_endpoints": hosts}]}
    return made(CLUSTER, {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": load} | more)


def entrance(routes: Mapping[str, Mapping[str, Any]], where: int | Path = 0) -> Resource:
    """A listener that sends `/<key>/...` as its route says, without the first part of the path; on a port or a Unix socket."""
    entries = [
        {"match": {"prefix": f"/{key}/"}, "route": {"prefix_rewrite": "/"} | dict(routes[key])} for key in routes
    ]
    address = at(where) if isinstance(where, int) else {"pipe": {"path": str(where)}}
    config = {"name": "all", "virtual_hosts": [{"name": "all", "domains": ["*"], "routes": entries}]}
    return made(LISTENER, {"name": "in", "address": address, "filter_chains": [chain("in", route_config=config)]})


@dataclass(frozen=True)
class Caller:
    """A running Envoy, and a client of it."""

    live: Live
    client: HttpClient

    def get(self, path: str) -> int:
        """Status of the answer; 0 if it was not complete."""
        with suppress(HttpError):
            return self.client.get(path).status
        return 0


@contextmanager
def calling(
    directory: Path, clusters: Mapping[str, Resource], routes: Mapping[str, Mapping[str, Any]]
) -> Iterator[Caller]:
    """An Envoy with these clusters and routes."""
    resources = [*clusters.values(), entrance(routes)]
    with (
        running(directory, lambda _: resources) as live,
        HttpClient(f"http://127.0.0.1:{port_of(live)}", AdminSettings()) as client,
    ):
        yield Caller(live, client)


def port_of(live: Live) -> int:
    """Where its listener listens."""
    with HttpClient(live.admin.address, AdminSettings()) as admin:
        status = json.loads(admin.get("/listeners?format=json").body)["listener_statuses"][0]
    return int(status["local_address"]["socket_address"]["port_value"])
