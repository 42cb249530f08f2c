"""Sidecars in real Envoys with interception: redirected connections go on to where they were going, by way of the policies.

What iptables and the kernel would say of the original destination comes in a PROXY protocol header instead: Envoy restores the
local address from either in the same way, and everything after it is the same. The filter that asks the kernel is left out
for that, and the two listeners bind free ports instead of 15001 and 15006.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from envoy.extensions.filters.listener.original_dst.v3.original_dst_pb2 import OriginalDst
from envoy.extensions.filters.listener.proxy_protocol.v3.proxy_protocol_pb2 import ProxyProtocol

from reconciler.compile import Prototypes, compile_mesh, names
from reconciler.model.protos import decode, resource
from reconciler.model.resource import ResourceType, View
from reconciler.model.services import declared
from tests.certificates import Authority
from tests.compile.backends import greeter, greeting
from tests.compile.envoys import application, envoy, free_port
from tests.compile.meshes import documents, house_templates, mesh_of
from tests.compile.test_sidecars_envoy import service

_MESH = """
kind: Mesh
metadata: {{name: mesh}}
spec: {{interception: REDIRECT, outboundTrafficPolicy: {{mode: {mode}}}}}
---
kind: Proxy
metadata: {{name: caller}}
spec: {{workload: caller, admin: "unix://{folder}/admin.sock", push: {{files: {{directory: "{folder}/xds"}}}}}}
---
kind: WorkloadEntry
metadata: {{name: caller}}
spec: {{address: 127.0.0.9, labels: {{app: caller}}}}
"""


@dataclass(frozen=True)
class _Ports:
    """Where the two listeners really are."""

    outbound: int
    inbound: int

    def to(self, address: str, port: int, **options: Any) -> str:
        """Who answers the application when it connects somewhere."""
        return greeting("127.0.0.1", self.outbound, destination=(address, port), **options)

    def at(self, address: str, port: int, **options: Any) -> str:
        """Who answers others when they connect to the workload."""
        return greeting("127.0.0.1", self.inbound, destination=(address, port), **options)


def _moved(view: View, ports: _Ports) -> View:
    """The view with its two listeners at other ports, told of original destinations by PROXY headers."""
    places = {names.VIRTUAL_OUTBOUND: ports.outbound, names.VIRTUAL_INBOUND: ports.inbound}
    found = []
    for item in view.resources.values():
        changed = item
        if item.id.type is ResourceType.LISTENER and item.id.name in places:
            message: Any = decode(item)
            message.address.socket_address.address = "127.0.0.1"
            message.address.socket_address.port_value = places[item.id.name]
            (asking,) = (entry for entry in message.listener_filters if entry.typed_config.Is(OriginalDst.DESCRIPTOR))
            asking.typed_config.Pack(ProxyProtocol())
            changed = resource(ResourceType.LISTENER, message)
        found.append(changed)
    return View.of(view.proxy, found)


@contextmanager
def _running(folder: Path, *texts: str, mode: str = "ALLOW_ANY") -> Iterator[_Ports]:
    mesh = mesh_of(documents(_MESH.format(folder=folder, mode=mode), *texts))
    prototypes = Prototypes.parse(house_templates())
    result = compile_mesh(mesh, declared(mesh), prototypes)
    assert result.findings == ()
    (proxy,) = mesh.proxies
    ports = _Ports(free_port(), free_port())
    with envoy(proxy, _moved(result.views[proxy.key], ports), prototypes, folder):
        yield ports
    assert "deprecated" not in (folder / "envoy.log").read_text().lower()


def _request(host: str) -> bytes:
    return f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode()


def test_outbound_connections_are_handed_to_the_listener_of_their_destination(tmp_path: Path) -> None:
    """TCP by address and by block, TLS by server name, HTTP by Host; unknown ones where they were going."""
    authority = Authority(tmp_path / "ca")
    context = authority.client_context()
    with ExitStack() as stack:
        server = authority.server_context(authority.issue("a.example.com", "elsewhere.example.com"))
        tls = stack.enter_context(greeter("tls", context=server))
        foreign = stack.enter_context(greeter("foreign", context=server))
        single, block, rest = (stack.enter_context(greeter(name)) for name in ("single", "block", "rest"))
        outside = stack.enter_context(greeter("outside"))
        web = stack.enter_context(application("web"))
        ports = stack.enter_context(
            _running(
                tmp_path,
                service("a.example.com", foreign, "TLS", tls),
                service("single.example.com", 5432, "TCP", single, addresses="240.0.0.1"),
                service("block.example.com", 5432, "TCP", block, addresses="240.1.0.0/16"),
                service("rest.example.com", 5433, "TCP", rest),
                service("web.example.com", 8080, "HTTP", web),
            )
        )
        assert ports.to("240.0.0.1", 5432) == "single"
        assert ports.to("240.1.2.3", 5432) == "block"
        assert ports.to("192.0.2.1", 5433) == "rest"
        assert ports.to("192.0.2.1", foreign, context=context, server_name="a.example.com") == "tls"
        assert ports.to("127.0.0.1", foreign, context=context, server_name="elsewhere.example.com") == "foreign"
        assert ports.to("192.0.2.1", 8080, first=_request("web.example.com")).startswith("HTTP/1.1 200")
        assert ports.to("127.0.0.1", outside) == "outside"
        assert ports.to("127.0.0.1", 15001) == ""


def test_unknown_hosts_of_http_go_where_the_request_was_going(tmp_path: Path) -> None:
    """By the virtual host `allow_any`, on a port that some service has."""
    with ExitStack() as stack:
        web, outside = stack.enter_context(application("web")), stack.enter_context(application("outside"))
        ports = stack.enter_context(_running(tmp_path, service("web.example.com", outside, "HTTP", web)))
        assert ports.to("127.0.0.1", outside, first=_request("elsewhere.example.com")).startswith("HTTP/1.1 200")


def test_registry_only_lets_nothing_unknown_out(tmp_path: Path) -> None:
    """Requests get a 502, everything else is closed."""
    with ExitStack() as stack:
        web, outside = stack.enter_context(application("web")), stack.enter_context(greeter("outside"))
        ports = stack.enter_context(
            _running(tmp_path, service("web.example.com", 8080, "HTTP", web), mode="REGISTRY_ONLY")
        )
        assert ports.to("192.0.2.1", 8080, first=_request("web.example.com")).startswith("HTTP/1.1 200")
        assert ports.to("192.0.2.1", 8080, first=_request("elsewhere.example.com")).startswith("HTTP/1.1 502")
        assert ports.to("127.0.0.1", outside) == ""


_OWN = """
kind: ServiceEntry
metadata: {{name: own}}
spec:
  hosts: [own.example.com]
  addresses: [240.0.0.9]
  resolution: STATIC
  ports:
  - {{number: 1, name: db, protocol: TCP, targetPort: {db}}}
  - {{number: 2, name: web, protocol: HTTP, targetPort: {web}}}
  workloadSelector: {{labels: {{app: caller}}}}
"""


def test_inbound_connections_reach_the_application_by_port(tmp_path: Path) -> None:
    """Ports of services with their protocols; others at the workload's address, from an address that iptables lets alone."""
    with ExitStack() as stack:
        db, web = stack.enter_context(greeter("db")), stack.enter_context(application("web"))
        other = stack.enter_context(greeter("other from PEER", address="127.0.0.9"))
        ports = stack.enter_context(_running(tmp_path, _OWN.format(db=db, web=web)))
        assert ports.at("127.0.0.9", db) == "db"
        assert ports.at("127.0.0.9", web, first=_request("x")).startswith("HTTP/1.1 200")
        assert ports.at("127.0.0.9", other) == "other from 127.0.0.6"
        assert ports.at("127.0.0.9", 15006) == ""


@pytest.mark.parametrize(("capture", "redirected"), [("IPTABLES", True), ("DEFAULT", True), ("NONE", False)])
def test_listeners_of_a_sidecar_bind_or_wait_for_iptables(tmp_path: Path, capture: str, *, redirected: bool) -> None:
    """`captureMode: NONE` opens the port itself, in both directions."""
    with ExitStack() as stack:
        db, own = stack.enter_context(greeter("db")), stack.enter_context(greeter("own"))
        port, ingress = free_port(), free_port()
        sidecar = f"""
kind: Sidecar
metadata: {{name: s}}
spec:
  workloadSelector: {{labels: {{app: caller}}}}
  egress: [{{port: {{number: {port}, protocol: TCP}}, bind: 127.0.0.44, captureMode: {capture}, hosts: ["*/*"]}}]
  ingress:
  - {{port: {{number: {ingress}, protocol: TCP}}, captureMode: {capture}, defaultEndpoint: "127.0.0.1:{own}"}}
"""
        ports = stack.enter_context(_running(tmp_path, service("db.example.com", port, "TCP", db), sidecar))
        if redirected:
            assert ports.to("127.0.0.44", port) == "db"
            assert ports.at("127.0.0.9", ingress) == "own"
            with pytest.raises(ConnectionRefusedError):
                greeting("127.0.0.44", port)
        else:
            assert greeting("127.0.0.44", port) == "db"
            assert greeting("127.0.0.9", ingress) == "own"
