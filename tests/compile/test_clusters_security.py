"""How connections to endpoints are secured: names, identities, the PROXY protocol, and what differs between proxies."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile.clusters import Built
from reconciler.compile.names import ClusterRef
from reconciler.compile.sources import FilesSource
from reconciler.compile.tls import Site
from reconciler.model.proxy import Certificates
from tests.compile.onecluster import CALLER, HTTP_OPTIONS, SITE, alone, clusters_of, content, rule

_OWN = Certificates(
    directory="/etc/credentials",
    certificate_chain="/etc/certs/chain.pem",
    private_key="/etc/certs/key.pem",
    root_certificate="/etc/certs/root.pem",
)
_NAMED = Site(FilesSource("/e"), _OWN)
_HOST = "a.default.svc.cluster.local"


def _entry(*, host: str = _HOST, names: str = "[]", protocol: str = "HTTP") -> str:
    return f"""
kind: ServiceEntry
metadata: {{name: a}}
spec:
  hosts: ["{host}"]
  resolution: STATIC
  subjectAltNames: {names}
  ports: [{{number: 443, name: p, protocol: {protocol}}}]
  endpoints: [{{address: 10.0.0.1, serviceAccount: one}}, {{address: 10.0.0.2, serviceAccount: two}}, {{address: 10.0.0.3}}]
"""


def _built(tls: str, *, host: str = _HOST, names: str = "[]", protocol: str = "HTTP", site: Site = _NAMED) -> Built:
    text = _entry(host=host, names=names, protocol=protocol)
    return alone(ClusterRef(host, 443), text, rule(f"{{tls: {tls}}}", host=host), site=site)


def _context(built: Built) -> dict[str, Any]:
    found: dict[str, Any] = content(built.cluster)["transport_socket"]["typed_config"]
    return found


def _expected(context: dict[str, Any]) -> list[str]:
    common = context["common_tls_context"]
    validation = common.get("combined_validation_context", {}).get("default_validation_context")
    validation = validation or common.get("validation_context", {})
    return [item["matcher"]["exact"] for item in validation.get("match_typed_subject_alt_names", [])]


def _upstream(built: Built) -> dict[str, Any]:
    options: dict[str, Any] = content(built.cluster).get("typed_extension_protocol_options", {}).get(HTTP_OPTIONS, {})
    found: dict[str, Any] = options.get("upstream_http_protocol_options", {})
    return found


@pytest.mark.parametrize(
    ("tls", "names", "found"),
    [
        ("{mode: SIMPLE}", "[]", {"auto_sni": True, "auto_san_validation": True}),
        ("{mode: SIMPLE, subjectAltNames: [b]}", "[]", {"auto_sni": True}),
        ("{mode: SIMPLE}", "[b]", {"auto_sni": True}),
        ("{mode: SIMPLE, insecureSkipVerify: true}", "[]", {"auto_sni": True}),
        ("{mode: SIMPLE, sni: b}", "[]", {}),
        ("{mode: ISTIO_MUTUAL}", "[]", {}),
        ("{mode: DISABLE}", "[]", {}),
    ],
)
def test_without_a_server_name_the_requests_host_is_asked_for_and_checked(
    tls: str, names: str, found: dict[str, bool]
) -> None:
    """As in Istio; a policy's own names, or a ServiceEntry's, go before it."""
    assert _upstream(_built(tls, names=names)) == found


def test_a_server_names_come_from_the_rule_or_else_from_the_service() -> None:
    """`subjectAltNames` of a ServiceEntry hold where its DestinationRule says nothing of them."""
    assert _expected(_context(_built("{mode: SIMPLE, subjectAltNames: [b]}", names="[c]"))) == ["b"]
    assert _expected(_context(_built("{mode: SIMPLE}", names="[c]"))) == ["c"]
    assert _expected(_context(_built("{mode: SIMPLE}"))) == []


@pytest.mark.parametrize(
    ("tls", "host", "sni", "expected"),
    [
        ("{mode: SIMPLE}", _HOST, _HOST, [_HOST]),
        ("{mode: SIMPLE, sni: b}", _HOST, "b", ["b"]),
        ("{mode: SIMPLE, caCertificates: /ca.pem}", _HOST, _HOST, []),
        ("{mode: SIMPLE, insecureSkipVerify: true}", _HOST, _HOST, []),
        ("{mode: SIMPLE}", "*.example.com", None, []),
    ],
)
def test_tcp_has_no_host_in_it_so_the_service_is_asked_for(
    tls: str, host: str, sni: str | None, expected: list[str]
) -> None:
    """And checked where every public CA is trusted: otherwise any certificate of anybody would do."""
    built = _built(tls, host=host, protocol="TCP")
    assert _context(built).get("sni") == sni
    assert _expected(_context(built)) == expected
    assert _upstream(built) == {}


def test_mutual_tls_of_the_mesh_knows_its_endpoints_by_their_accounts() -> None:
    """The server name says which cluster is meant; identities are of the mesh's domain; names of a rule replace them."""
    built = _built("{mode: ISTIO_MUTUAL}")
    context = _context(built)
    assert context["sni"] == f"outbound_.443_._.{_HOST}"
    assert _expected(context) == [f"spiffe://cluster.local/ns/default/sa/{name}" for name in ("one", "two")]
    assert context["common_tls_context"]["alpn_protocols"] == ["istio"]
    assert {item.name for item in built.secrets} == {
        "file-cert:/etc/certs/chain.pem~/etc/certs/key.pem",
        "file-root:/etc/certs/root.pem",
    }
    assert _expected(_context(_built("{mode: ISTIO_MUTUAL, subjectAltNames: [b]}"))) == ["b"]
    http2 = _context(_built("{mode: ISTIO_MUTUAL, sni: c}", protocol="GRPC"))
    assert (http2["sni"], http2["common_tls_context"]["alpn_protocols"]) == ("c", ["istio", "h2"])


def test_a_proxy_without_a_certificate_speaks_plain_and_that_is_said() -> None:
    """A warning at the rule's `tls`, and none for proxies that have one."""
    built = _built("{mode: ISTIO_MUTUAL}", site=SITE)
    assert "transport_socket" not in content(built.cluster)
    (finding,) = built.findings
    assert (finding.code, finding.severity.value) == ("no-certificate", "warning")
    assert finding.path == ("spec", "trafficPolicy", "tls")
    assert _built("{mode: ISTIO_MUTUAL}").findings == ()


def test_only_certificates_differ_between_proxies() -> None:
    """Two proxies have one cluster but for where their endpoints and certificates are; their endpoints are the same object."""
    clusters = clusters_of(_entry(), rule("{tls: {mode: ISTIO_MUTUAL}}"))
    ref = ClusterRef(_HOST, 443)
    one = clusters.resources(ref, _NAMED, viewer=CALLER)
    other = clusters.resources(ref, Site(FilesSource("/f"), _OWN), viewer=CALLER)
    assert one.endpoints is other.endpoints
    assert one.secrets == other.secrets
    assert one is clusters.resources(ref, _NAMED, viewer=CALLER)
    assert one.cluster.version != other.cluster.version


@pytest.mark.parametrize(
    ("policy", "version", "inner"),
    [
        ("{proxyProtocol: {}}", {}, "envoy.transport_sockets.raw_buffer"),
        ("{proxyProtocol: {version: V2}}", {"version": "V2"}, "envoy.transport_sockets.raw_buffer"),
        ("{proxyProtocol: {version: V1}, tls: {mode: SIMPLE}}", {}, "envoy.transport_sockets.tls"),
        ("{proxyProtocol: {version: V1}, tls: {mode: DISABLE}}", {}, "envoy.transport_sockets.raw_buffer"),
    ],
)
def test_the_proxy_protocol_goes_before_everything_else(policy: str, version: dict[str, str], inner: str) -> None:
    """Around TLS where there is any."""
    built = alone(ClusterRef(_HOST, 443), _entry(), rule(policy))
    socket = content(built.cluster)["transport_socket"]
    assert socket["name"] == "envoy.transport_sockets.upstream_proxy_protocol"
    assert socket["typed_config"]["config"] == version
    assert socket["typed_config"]["transport_socket"]["name"] == inner


def test_a_dynamic_host_is_checked_by_its_own_name_unless_the_rule_names_another() -> None:
    """Envoy refuses a cluster of dynamic hosts with TLS and without these checks, unless told."""
    text = """
kind: ServiceEntry
metadata: {name: w}
spec: {hosts: ["*.example.com"], resolution: DYNAMIC_DNS, ports: [{number: 443, name: p, protocol: HTTP}]}
"""
    ref = ClusterRef("*.example.com", 443)
    for tls, allowed in (("{mode: SIMPLE}", False), ("{mode: SIMPLE, sni: b.example.com}", True)):
        message = content(alone(ref, text, rule(f"{{tls: {tls}}}", host="*.example.com")).cluster)
        config = message["cluster_type"]["typed_config"]
        assert config.get("allow_insecure_cluster_options", False) is allowed
