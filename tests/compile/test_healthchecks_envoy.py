"""HealthChecks, outlier detection and what EDS says of hosts, in a real Envoy: who gets requests, and what its admin endpoint shows."""

from __future__ import annotations

import ssl
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from envoy.config.core.v3.health_check_pb2 import HealthStatus

from reconciler.compile.names import ClusterRef
from reconciler.envoy import Admin
from reconciler.model.protos import decode, resource
from reconciler.model.resource import ResourceId, ResourceType
from reconciler.model.seen import HostSeen, Told, Trouble
from reconciler.settings import AdminSettings
from tests.certificates import Authority, Pair
from tests.compile.envoys import free_port
from tests.compile.onecluster import rule
from tests.compile.reached import Reached, reached
from tests.envoy.live import until

_QUICK = "interval: 50ms, timeout: 2s, unhealthyThreshold: 2, healthyThreshold: 2"
_CHECKED, _ASIDE, _CALLED, _EJECTING, _TOLD = (
    ClusterRef(f"{name}.example.com", 80) for name in ("checked", "aside", "called", "ejecting", "told")
)


@dataclass
class App:
    """An instance: answers with its name, on `/healthz` with its health; remembers the hosts it was asked for there."""

    name: str
    port: int = field(default_factory=free_port)
    status: int = 200
    health: int = 200
    hosts: Counter[str] = field(default_factory=Counter)
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        app = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self) -> None:
                healthz = self.path == "/healthz"
                if healthz:
                    app.hosts[self.headers["host"]] += 1
                body = app.name.encode()
                self.send_response(app.health if healthz else app.status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


@dataclass
class Health:
    """A server that knows nothing but gRPC's health protocol."""

    answer: bytes = b"\x08\x01"
    asked: set[bytes] = field(default_factory=set)

    def check(self, request: bytes, _: grpc.ServicerContext) -> bytes:
        self.asked.add(request)
        return self.answer


@dataclass(frozen=True)
class Rig:
    live: Reached
    admin: Admin
    one: App
    other: App
    aside: App
    health: Health

    def host(self, ref: ClusterRef, app: App) -> HostSeen:
        """How the Envoy sees an instance."""
        (found,) = (item for item in self.admin.endpoints()[ref.name] if item.port == app.port)
        return found

    def chosen(self) -> set[str]:
        """Who answers now; no request may fail. Envoy hands changes of health on to its workers once a second."""
        answers = self.live.answers(_CHECKED, 20)
        assert set(answers) <= {"one", "other"}, answers
        return set(answers)

    def is_out(self, ref: ClusterRef, app: App) -> bool:
        return Trouble.FAILED_CHECK in self.host(ref, app).troubles


def _entry(ref: ClusterRef, *ports: int, protocol: str = "HTTP") -> str:
    endpoints = ", ".join(f"{{address: 127.0.0.1, ports: {{p: {port}}}, locality: r/z}}" for port in ports)
    return f"""
kind: ServiceEntry
metadata: {{name: {ref.host}}}
spec:
  hosts: [{ref.host}]
  resolution: STATIC
  ports: [{{number: 80, name: p, protocol: {protocol}}}]
  endpoints: [{endpoints}]
"""


def _check(ref: ClusterRef, fields: str) -> str:
    return f"kind: HealthCheck\nmetadata: {{name: {ref.host}}}\nspec: {{host: {ref.host}, {_QUICK}, {fields}}}"


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """One Envoy with a service for each kind of check."""
    one, other, aside = App("one"), App("other"), App("aside")
    health = Health()
    with ExitStack() as stack:
        for app in (one, other, aside):
            app.start()
            stack.callback(app.stop)
        server = grpc.server(futures.ThreadPoolExecutor(2))
        handlers = {"Check": grpc.unary_unary_rpc_method_handler(health.check)}
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", handlers)])
        called = server.add_insecure_port("127.0.0.1:0")
        server.start()
        stack.callback(lambda: server.stop(None).wait())
        texts = (
            _entry(_CHECKED, one.port, other.port),
            _check(_CHECKED, "http: {path: /healthz}"),
            _entry(_ASIDE, one.port),
            _check(_ASIDE, f"http: {{path: /healthz, host: of.the.check}}, port: {aside.port}"),
            _entry(_CALLED, called, protocol="GRPC"),
            _check(_CALLED, "grpc: {serviceName: s}"),
            _entry(_EJECTING, one.port, other.port),
            rule(
                "{outlierDetection: {consecutive5xxErrors: 1, interval: 1h, maxEjectionPercent: 50}}",
                host=_EJECTING.host,
            ),
            _entry(_TOLD, one.port, other.port, aside.port),
        )
        refs = [_CHECKED, _ASIDE, _CALLED, _EJECTING, _TOLD]
        live = stack.enter_context(reached(tmp_path_factory.mktemp("e"), refs, *texts))
        admin = stack.enter_context(Admin(live.proxy.spec.admin, AdminSettings()))
        yield Rig(live, admin, one, other, aside, health)


def test_an_instance_goes_while_its_check_fails_and_comes_back(rig: Rig) -> None:
    """No request fails on the way: it is out before it stops, and back only once it answers checks again."""
    until(lambda: rig.chosen() == {"one", "other"})
    assert rig.one.hosts[_CHECKED.host] > 0
    rig.other.health = 503
    until(lambda: rig.is_out(_CHECKED, rig.other) and rig.chosen() == {"one"})
    rig.other.stop()
    assert rig.live.answers(_CHECKED, 20) == {"one": 20}
    rig.other.start()
    assert rig.live.answers(_CHECKED, 5) == {"one": 5}
    rig.other.health = 200
    until(lambda: rig.chosen() == {"one", "other"})
    assert rig.host(_CHECKED, rig.other).troubles == ()


def test_all_get_requests_when_none_is_well(rig: Rig) -> None:
    """A check that fails everywhere, as after a mistaken release, does not take the service down."""
    rig.one.health = rig.other.health = 500
    try:
        until(lambda: rig.is_out(_CHECKED, rig.one) and rig.is_out(_CHECKED, rig.other))
        until(lambda: rig.chosen() == {"one", "other"})
    finally:
        rig.one.health = rig.other.health = 200
    until(lambda: not rig.is_out(_CHECKED, rig.one) and not rig.is_out(_CHECKED, rig.other))


def test_another_port_is_asked_for_another_host(rig: Rig) -> None:
    """The instance at `port` decides over the one that is called."""
    until(lambda: rig.aside.hosts["of.the.check"] > 0)
    assert rig.one.hosts["of.the.check"] == 0
    rig.aside.health = 503
    until(lambda: rig.is_out(_ASIDE, rig.one))
    rig.aside.health = 200
    until(lambda: not rig.is_out(_ASIDE, rig.one))


def test_grpcs_own_protocol_is_spoken(rig: Rig) -> None:
    """An instance that says NOT_SERVING is out, and one that says SERVING is back."""
    (host,) = rig.admin.endpoints()[_CALLED.name]
    assert (host.troubles, rig.health.asked) == ((), {b"\n\x01s"})
    rig.health.answer = b"\x08\x02"
    until(lambda: rig.admin.endpoints()[_CALLED.name][0].troubles == (Trouble.FAILED_CHECK,))
    rig.health.answer = b"\x08\x01"
    until(lambda: rig.admin.endpoints()[_CALLED.name][0].troubles == ())


def test_an_ejected_instance_is_seen(rig: Rig) -> None:
    """Outlier detection takes it out by the answers to requests, which no check has to do with."""
    rig.other.status = 500
    try:
        until(lambda: rig.live.ask(_EJECTING)[0] == 500)
        until(lambda: rig.host(_EJECTING, rig.other).troubles == (Trouble.EJECTED,))
    finally:
        rig.other.status = 200
    assert rig.host(_EJECTING, rig.one).troubles == ()
    assert Trouble.EJECTED not in rig.host(_CHECKED, rig.other).troubles


def test_what_eds_says_of_hosts_is_seen(rig: Rig) -> None:
    """UNHEALTHY and DRAINING from a platform, with the weight, locality and address of each."""
    (given,) = (
        item for item in rig.live.view.resources.values() if item.id == ResourceId(ResourceType.ENDPOINTS, _TOLD.name)
    )
    message: Any = decode(given)
    for member in message.endpoints[0].lb_endpoints:
        port = member.endpoint.address.socket_address.port_value
        if port == rig.one.port:
            member.health_status = HealthStatus.UNHEALTHY
        elif port == rig.other.port:
            member.health_status = HealthStatus.DRAINING
            member.load_balancing_weight.value = 3
    rig.live.replace(resource(ResourceType.ENDPOINTS, message))
    until(lambda: rig.host(_TOLD, rig.one).told is Told.UNHEALTHY)
    assert rig.host(_TOLD, rig.one).troubles == (Trouble.UNHEALTHY,)
    assert rig.host(_TOLD, rig.other) == HostSeen(
        address="127.0.0.1", port=rig.other.port, told=Told.DRAINING, weight=3, locality="r/z"
    )
    assert rig.host(_TOLD, rig.aside).troubles == ()


def _secured(pair: Pair, agreed: list[str | None]) -> tuple[ThreadingHTTPServer, int]:
    """An HTTPS server that would rather speak HTTP/2, which it can't; notes what each connection agreed on."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pair.chain, pair.key)
    context.set_alpn_protocols(["h2", "http/1.1"])

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            connection: Any = self.connection
            agreed.append(connection.selected_alpn_protocol())
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- the base class's name
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    return server, server.server_address[1]


def test_checks_go_through_tls_and_agree_on_what_they_speak(tmp_path: Path) -> None:
    """By the DestinationRule's own certificates; where requests are as their client speaks, checks offer HTTP/1.1 alone."""
    authority = Authority(tmp_path / "ca")
    agreed: list[str | None] = []
    server, port = _secured(authority.issue(_CHECKED.host), agreed)
    tls = f"{{mode: SIMPLE, caCertificates: {authority.root}, sni: {_CHECKED.host}}}"
    policy = f"{{tls: {tls}, connectionPool: {{http: {{useClientProtocol: true}}}}}}"
    texts = (_entry(_CHECKED, port), _check(_CHECKED, "http: {path: /}"), rule(policy, host=_CHECKED.host))
    try:
        with reached(tmp_path, [_CHECKED], *texts) as live, Admin(live.proxy.spec.admin, AdminSettings()) as admin:
            until(lambda: [host.troubles for host in admin.endpoints()[_CHECKED.name]] == [()])
    finally:
        server.shutdown()
        server.server_close()
    assert set(agreed) == {"http/1.1"}
