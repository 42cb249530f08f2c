"""What a gateway opens for TLS and TCP, and in a real Envoy, who gets through."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from reconciler.compile import Prototypes, compile_mesh
from reconciler.model.key import Key
from reconciler.model.resource import ResourceType, View
from reconciler.model.services import declared
from tests.certificates import Authority, Pair
from tests.compile.envoys import application, envoy, free_port
from tests.compile.meshes import (
    compiled,
    documents,
    gateway_proxy,
    house_templates,
    mesh_of,
    messages,
    only,
    routes,
    service,
)

_BASE = documents(service("a"), service("b"), gateway_proxy())
_TLS = "tls: {mode: SIMPLE, serverCertificate: /c.pem, privateKey: /k.pem}"


def _gateway(*servers: str, name: str = "g") -> str:
    listed = ", ".join(servers)
    return f"kind: Gateway\nmetadata: {{name: {name}}}\nspec: {{selector: {{istio: edge}}, servers: [{listed}]}}"


def _server(protocol: str, hosts: str, rest: str = "", *, port: int = 443, name: str = "s") -> str:
    extra = f", {rest}" if rest else ""
    return f"{{port: {{number: {port}, name: {name}, protocol: {protocol}}}, hosts: {hosts}{extra}}}"


def _rules(name: str, hosts: str, spec: str) -> str:
    meta = f"{{name: {name}}}"
    return f"kind: VirtualService\nmetadata: {meta}\nspec: {{hosts: {hosts}, gateways: [g], {spec}}}"


def _http(name: str, hosts: str, to: str) -> str:
    return _rules(name, hosts, f"http: [{{name: {name}, route: [{{destination: {{host: {to}}}}}]}}]")


def _view(*texts: str) -> View:
    return only(compiled(documents(_BASE, *texts)))


def test_clients_do_not_hold_a_gateway_up_with_a_handshake() -> None:
    """Where TLS ends, it has to be agreed on in time, or a client keeps a connection for nothing; as in Istio."""
    (chain,) = _chains(_view(_gateway(_server("HTTPS", "[a.example]", _TLS))))
    assert chain["transport_socket_connect_timeout"] == "15s"


@pytest.mark.parametrize(("first", "second"), [("HTTP", "TCP"), ("TCP", "HTTP")])
def test_of_http_and_tcp_on_one_port_the_first_stays(first: str, second: str) -> None:
    """As written, in both directions: the port speaks one of them, and nothing of the other is left in the view."""
    servers = [_server(protocol, '["*"]', name=protocol.lower(), port=80) for protocol in (first, second)]
    tcp = _rules("t", '["*"]', "tcp: [{route: [{destination: {host: b}}]}]")
    result = compiled(documents(_BASE, _gateway(*servers), _http("h", '["x.example.com"]', "a"), tcp))
    (finding,) = result.findings
    assert (finding.code, finding.path) == ("gateway-conflict", ("spec", "servers", 1))
    view = only(result)
    (chain,) = _chains(view, "0.0.0.0_80")
    assert chain["filters"][0]["name"].endswith("tcp_proxy") is (first == "TCP")
    assert set(messages(view, ResourceType.ROUTE)) == ({"http.80"} if first == "HTTP" else set())


def _chains(view: View, listener: str = "0.0.0.0_443") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = messages(view, ResourceType.LISTENER)[listener]["filter_chains"]
    return found


def _server_names(chain: dict[str, Any]) -> list[str]:
    names: list[str] = chain.get("filter_chain_match", {}).get("server_names", [])
    return names


def test_each_server_that_ends_tls_has_a_chain_and_routes_of_its_own() -> None:
    """Chosen by server name; the route configuration is named after port, server, Gateway and namespace, as in Istio."""
    view = _view(
        _gateway(
            _server("HTTPS", "[a.example]", _TLS, name="one"), _server("HTTPS", '["*.b.example"]', _TLS, name="two")
        ),
        _http("a", "[a.example]", "a"),
        _http("b", "[x.b.example]", "b"),
    )
    one, two = _chains(view)
    assert (_server_names(one), _server_names(two)) == (["a.example"], ["*.b.example"])
    assert set(messages(view, ResourceType.ROUTE)) == {"https.443.one.g.default", "https.443.two.g.default"}
    assert list(routes(view, "https.443.one.g.default")) == ["a.example:443"]
    assert list(routes(view, "https.443.two.g.default")) == ["x.b.example:443"]
    assert [item.id.name for item in view.of_type(ResourceType.SECRET)] == ["file-cert:/c.pem~/k.pem"]


def test_a_redirecting_server_answers_for_hosts_that_nobody_routes() -> None:
    """`httpsRedirect` is `require_tls` on every virtual host of the server, and makes those that are missing."""
    view = _view(
        _gateway(_server("HTTP", "[a.example, lost.example]", "tls: {httpsRedirect: true}", port=80)),
        _http("a", "[a.example]", "a"),
    )
    hosts = messages(view, ResourceType.ROUTE)["http.80"]["virtual_hosts"]
    assert {(item["name"], item["require_tls"]) for item in hosts} == {
        ("a.example:80", "ALL"),
        ("lost.example:80", "ALL"),
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (_server("HTTPS", "[a.example]", _TLS, name="one"), _server("HTTPS", "[a.example]", _TLS, name="two")),
        (_server("HTTP", '["*"]', name="one"), _server("TCP", '["*"]', name="two")),
    ],
)
def test_two_servers_that_want_the_same_connections_are_an_error(first: str, second: str) -> None:
    """The listener keeps the first; the error names the other's place and the Gateway that is in its way."""
    result = compiled(
        documents(
            _BASE,
            _gateway(first),
            _gateway(second, name="h"),
            _rules("t", '["*"]', "tcp: [{route: [{destination: {host: b}}]}]").replace("[g]", "[g, h]"),
        )
    )
    (finding,) = [item for item in result.findings if item.code == "gateway-conflict"]
    assert "Gateway default/" in finding.message
    assert finding.path == ("spec", "servers", 0)
    assert len(_chains(only(result))) == 1


def test_plain_http_and_tls_can_share_a_port() -> None:
    """Envoy looks at how a connection begins: a chain for TLS by server name, one for everything else."""
    view = _view(
        _gateway(_server("HTTP", '["*"]', name="plain"), _server("HTTPS", "[a.example]", _TLS, name="tls")),
        _http("a", "[a.example]", "a"),
    )
    secured, plain = _chains(view)
    assert _server_names(secured) == ["a.example"]
    assert plain["filter_chain_match"] == {"transport_protocol": "raw_buffer"}


def test_mutual_tls_of_the_mesh_needs_a_certificate() -> None:
    """ISTIO_MUTUAL on a proxy without certificates opens nothing, and says so."""
    result = compiled(documents(_BASE, _gateway(_server("HTTPS", "[a.example]", "tls: {mode: ISTIO_MUTUAL}"))))
    assert [item.code for item in result.findings] == ["no-certificate"]
    assert not messages(only(result), ResourceType.LISTENER)


def _ask(context: ssl.SSLContext, port: int, name: str, host: str) -> str:
    """The last line of the answer to one request, or the kind of refusal."""
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=name) as tls,
        ):
            tls.sendall(f"GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
            return b"".join(iter(lambda: tls.recv(65536), b"")).decode().rpartition("\r\n")[2]
    except (ssl.SSLError, ConnectionError) as error:
        return type(error).__name__


def _edge(folder: Path, port: int, admin: int, apps: dict[str, int], own: Pair, root: Path) -> str:
    parts = [
        f"""
kind: ServiceEntry
metadata: {{name: {name}}}
spec:
  hosts: [{name}.default.svc.cluster.local]
  resolution: STATIC
  ports: [{{number: 80, name: http, protocol: {"TLS" if name == "own" else "HTTP"}}}]
  endpoints: [{{address: 127.0.0.1, ports: {{http: {number}}}}}]
"""
        for name, number in apps.items()
    ]
    mutual = f"tls: {{mode: MUTUAL, serverCertificate: {own.chain}, privateKey: {own.key}, caCertificates: {root}}}"
    servers = (
        _server("HTTPS", '["*.simple.example"]', f"tls: {{mode: SIMPLE, serverCertificate: {own.chain}, privateKey: {own.key}}}", port=port, name="simple"),
        _server("HTTPS", "[mutual.example]", mutual, port=port, name="mutual"),
    )  # fmt: skip
    return documents(
        *parts,
        _gateway(*(item.replace("{port:", "{bind: 127.0.0.1, port:") for item in servers)),
        _http("a", "[a.simple.example]", "a"),
        _http("b", "[mutual.example]", "b"),
        f"""
kind: Proxy
metadata: {{name: edge}}
spec:
  labels: {{istio: edge}}
  admin: "http://127.0.0.1:{admin}"
  push: {{files: {{directory: {folder}/xds}}}}
""",
    )


def test_a_real_gateway_ends_tls_and_asks_for_client_certificates(tmp_path: Path) -> None:
    """By server name: one server takes anybody, one only who shows a certificate; a host of another server is a 404."""
    authority = Authority(tmp_path / "ca")
    own = authority.issue("*.simple.example", "mutual.example", file="own")
    known = authority.client_context(authority.issue("client.example"))
    port, admin = free_port(), free_port()
    with application("a") as a, application("b") as b:
        mesh = mesh_of(_edge(tmp_path, port, admin, {"a": a, "b": b}, own, authority.root))
        prototypes = Prototypes.parse(house_templates())
        view = compile_mesh(mesh, declared(mesh), prototypes).views[Key("default", "edge")]
        with envoy(mesh.proxies[0], view, prototypes, tmp_path):
            anybody = authority.client_context()
            assert _ask(anybody, port, "a.simple.example", "a.simple.example") == "a"
            assert _ask(anybody, port, "a.simple.example", "mutual.example") == ""
            assert _ask(known, port, "mutual.example", "mutual.example") == "b"
            assert _ask(anybody, port, "mutual.example", "mutual.example") in {
                "SSLError",
                "SSLEOFError",
                "ConnectionResetError",
            }
            assert _ask(anybody, port, "other.example", "other.example") != "a"
