"""Envoys that somebody else configures, as their admin endpoints show them: one split each, whose weights runtime moves.

What they answer has the form of the real one's answers, as far as a proxy that is pushed to by runtime is asked.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

PREFIX = "routing.details"
CLUSTERS = {"v1": "details_v1", "v2": "details_v2"}
V2 = f"{PREFIX}.{CLUSTERS['v2']}"
_ROUTE = {
    "name": "theirs",
    "virtual_hosts": [
        {
            "name": "all",
            "routes": [
                {
                    "route": {
                        "weighted_clusters": {
                            "runtime_key_prefix": PREFIX,
                            "clusters": [
                                {"name": CLUSTERS["v1"], "weight": 100},
                                {"name": CLUSTERS["v2"], "weight": 0},
                            ],
                        }
                    }
                }
            ],
        }
    ],
}


class Mapped:
    """One of them.

    Args:
        given: Told the weight for v2 that it is given, before it has it.

    Attributes:
        port: Of its admin endpoint.
        down: It answers nobody.
        healthy: Endpoints of v2.
    """

    def __init__(self, given: Callable[[int], None]) -> None:
        self._given = given
        self.down = False
        self.healthy = 1
        self.requests = dict.fromkeys(CLUSTERS, 0)
        self.errors = dict.fromkeys(CLUSTERS, 0)
        self._set: dict[str, str] = {}
        self._hidden: dict[str, str] | None = None
        self.port = 0

    @property
    def weight(self) -> int:
        """Percent that v2 gets."""
        return int(self._final().get(V2, "0"))

    def serve(self, requests: int, *, fails: bool) -> None:
        """Count requests, by weight; those of v2 fail or don't."""
        canary = requests * self.weight // 100
        for version, number in (("v2", canary), ("v1", requests - canary)):
            self.requests[version] += number
            self.errors[version] += number if fails and version == "v2" else 0

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Its admin endpoint."""
        server = _Server(("127.0.0.1", 0), _handler(self))
        self.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.server_close()
            thread.join(10)

    def modify(self, values: Mapping[str, str]) -> None:
        """Set values of the admin layer."""
        if V2 in values:
            self._given(int(values[V2]))
        self._set.update(values)

    @property
    def deaf(self) -> bool:
        """Whether a layer above hides whatever is set, from when it turned deaf."""
        return self._hidden is not None

    @deaf.setter
    def deaf(self, value: bool) -> None:
        self._hidden = self._final() if value else None

    def answer(self, target: str) -> object:
        """To a GET: what is written as JSON, or text."""
        path, query = urlsplit(target).path, parse_qs(urlsplit(target).query)
        if path == "/runtime":
            return self._runtime()
        if path == "/config_dump":
            return {"configs": list(_dump(query))}
        assert path == "/stats", target
        if "format" in query:
            return {"stats": [{"name": name, "value": value} for name, value in self._stats().items()]}
        return "server.live: 1\nserver.state: 0\nserver.uptime: 1\n"

    def _final(self) -> dict[str, str]:
        return self._set | (self._hidden or {})

    def _runtime(self) -> object:
        entries = {
            key: {"final_value": value, "layer_values": [self._set.get(key, ""), (self._hidden or {}).get(key, "")]}
            for key, value in self._final().items()
        }
        return {"layers": ["admin", "above"], "entries": entries}

    def _stats(self) -> dict[str, int]:
        found = {"server.live": 1, "server.uptime": 1}
        for version, name in CLUSTERS.items():
            found[f"cluster.{name}.membership_healthy"] = self.healthy if version == "v2" else 1
            found[f"cluster.{name}.upstream_rq_completed"] = self.requests[version]
            found[f"cluster.{name}.upstream_rq_5xx"] = self.errors[version]
        return found


def _dump(query: Mapping[str, list[str]]) -> Iterator[object]:
    if query.get("mask") == ["last_updated"]:
        yield {"last_updated": "2026-03-01T12:00:00.000Z"}
    elif query.get("resource") == ["static_route_configs"]:
        yield {"route_config": _ROUTE}


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that has gone is nobody's fault."""


def _handler(envoy: Mapped) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # headers and body in one packet: apart, each answer takes 40 ms

        def do_GET(self) -> None:
            if self._there():
                said = envoy.answer(self.path)
                self._say((said if isinstance(said, str) else json.dumps(said)).encode())

        def do_POST(self) -> None:
            form = self.rfile.read(int(self.headers["content-length"] or 0)).decode()
            if self._there():
                envoy.modify({key: value for key, (value,) in parse_qs(form, keep_blank_values=True).items()})
                self._say(b"OK\n")

        def _there(self) -> bool:
            if envoy.down:
                self.close_connection = True
            return not envoy.down

        def _say(self, body: bytes) -> None:
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler
