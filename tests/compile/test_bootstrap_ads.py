"""What an Envoy is started with that a daemon pushes to, or that is observed from elsewhere."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import (
    AdminAddressError,
    AdsAddressError,
    AdsLink,
    AdsMismatchError,
    AdsPlaintextError,
    GrpcBootstrapError,
    ObserverCertificateError,
    Prototypes,
    Start,
    Started,
    TemplateError,
    started,
)
from reconciler.model.mesh import Policy
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Certificates, Proxy
from reconciler.model.variant import Variant
from tests.compile.meshes import house_templates, mesh_of

MESH = Certificates(certificate_chain="/c/chain.pem", private_key="/c/key.pem", root_certificate="/c/root.pem")
_TLS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"


def proxy_of(spec: str) -> Policy[Proxy]:
    """A gateway."""
    (proxy,) = mesh_of(
        f"kind: Proxy\nmetadata: {{name: p, namespace: shop}}\nspec: {{labels: {{a: b}}, {spec}}}"
    ).proxies
    return proxy


def start(proxy: Policy[Proxy], **more: Any) -> Started:
    """With the house's templates."""
    return started(proxy, Prototypes.parse(house_templates()), Start(**more))


def link(address: str = "10.0.0.5:15010", **more: Any) -> AdsLink:
    """A daemon's address."""
    return AdsLink.parse(address, **more)


def named(items: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The cluster or listener of this name, which must be there once."""
    (found,) = (item for item in items if item["name"] == name)
    return found


@pytest.mark.parametrize(("variant", "api"), [(Variant.DELTA, "DELTA_GRPC"), (Variant.SOTW, "GRPC")])
def test_everything_comes_by_one_stream(variant: Variant, api: str) -> None:
    """Clusters and listeners by ADS, without a time limit; a broken stream is begun again within seconds."""
    built = start(proxy_of("push: {ads: {}}"), ads=link("127.0.0.1:15010", variant=variant))
    sources = to_dict(built.message)["dynamic_resources"]
    ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    assert (sources["cds_config"], sources["lds_config"]) == (ads, ads)
    stream = sources["ads_config"]
    assert (stream["api_type"], stream["transport_api_version"]) == (api, "V3")
    assert stream["set_node_on_first_message_only"] is True
    (service,) = stream["grpc_services"]
    assert service["envoy_grpc"]["cluster_name"] == "reconciler-ads"
    assert service["envoy_grpc"]["retry_policy"]["retry_back_off"] == {"base_interval": "0.250s", "max_interval": "5s"}
    assert (built.files, built.socket, built.exposed, built.plaintext) == ({}, "", False, False)


def test_a_proxy_without_an_admin_address_has_no_admin_endpoint() -> None:
    """An address that nobody said would be one that nobody guards."""
    built = start(proxy_of("push: {ads: {}}"), ads=link("127.0.0.1:15010"))
    assert "admin" not in to_dict(built.message)


@pytest.mark.parametrize(
    ("address", "host", "type_"),
    [
        ("127.0.0.1:15010", "127.0.0.1", "STATIC"),
        ("localhost:15010", "127.0.0.1", "STATIC"),
        ("[::1]:15010", "::1", "STATIC"),
        ("daemon.example.com:15010", "daemon.example.com", "STRICT_DNS"),
    ],
)
def test_a_daemon_is_found_by_address_or_by_name(address: str, host: str, type_: str) -> None:
    """Envoy resolves a name where it is, again and again."""
    built = start(proxy_of("push: {ads: {}}"), ads=link(address, plaintext=True))
    cluster = named(to_dict(built.message)["static_resources"]["clusters"], "reconciler-ads")
    (group,) = cluster["load_assignment"]["endpoints"]
    (endpoint,) = group["lb_endpoints"]
    assert endpoint["endpoint"]["address"]["socket_address"] == {"address": host, "port_value": 15010}
    assert cluster.get("type", "STATIC") == type_


@pytest.mark.parametrize(
    "address", ["", "x", "x:", ":1", "x:0", "x:65536", "1.2.3:1", "http://x:1", "::1:15010", "[x]:1", "a b:1"]
)
def test_what_is_no_address_of_a_daemon_is_an_error(address: str) -> None:
    """Envoy would say so at its start, which may be on another host and later."""
    with pytest.raises(AdsAddressError, match="can be"):
        AdsLink.parse(address)


def test_a_stream_over_a_network_is_secured_by_the_proxys_certificates() -> None:
    """Mutual TLS; the daemon's certificate must be for its name, or for the one that is given instead."""
    built = start(proxy_of("push: {ads: {}}, certificates: {privateKey: /own/key.pem}"), ads=link(), certificates=MESH)
    context = _context(built, "clusters", "reconciler-ads")
    assert "sni" not in context  # it can't be an address
    assert _names(context) == [("IP_ADDRESS", "10.0.0.5")]
    assert context["common_tls_context"]["alpn_protocols"] == ["h2"]
    (own,) = context["common_tls_context"]["tls_certificate_sds_secret_configs"]
    folder = "/var/lib/envoy/shop.p"
    assert own["sds_config"]["path_config_source"]["path"] == f"{folder}/bootstrap-certificate.json"
    assert set(built.files) == {f"{folder}/bootstrap-certificate.json", f"{folder}/bootstrap-authority.json"}
    (secret,) = built.files[f"{folder}/bootstrap-certificate.json"]["resources"]
    assert secret["tls_certificate"]["certificate_chain"] == {"filename": "/c/chain.pem"}
    assert secret["tls_certificate"]["private_key"] == {"filename": "/own/key.pem"}
    context = _context(
        start(proxy_of("push: {ads: {}}"), ads=link(name="daemon.example"), certificates=MESH),
        "clusters",
        "reconciler-ads",
    )
    assert (context["sni"], _names(context)) == ("daemon.example", [("DNS", "daemon.example")])


def test_a_stream_in_the_clear_over_a_network_is_asked_for() -> None:
    """Without certificates it is an error that says which are missing; on one host it needs nothing."""
    half = Certificates(certificate_chain="/c/chain.pem")
    with pytest.raises(AdsPlaintextError) as caught:
        start(proxy_of("push: {ads: {}}"), ads=link(), certificates=half)
    assert caught.value.code == "ads-plaintext"
    assert "shop/p" in caught.value.message
    assert "privateKey and rootCertificate" in caught.value.message
    built = start(proxy_of("push: {ads: {}}"), ads=link(plaintext=True), certificates=MESH)
    assert built.plaintext
    assert "transport_socket" not in named(to_dict(built.message)["static_resources"]["clusters"], "reconciler-ads")
    assert not start(proxy_of("push: {ads: {}}"), ads=link("[::1]:1")).plaintext
    secured = start(proxy_of("push: {ads: {}}"), ads=link("localhost:1"), certificates=MESH)
    assert _names(_context(secured, "clusters", "reconciler-ads")) == [("DNS", "localhost")]


def test_an_address_and_a_way_to_push_that_do_not_go_together() -> None:
    """Neither is left out, or taken, in silence."""
    with pytest.raises(AdsMismatchError) as caught:
        start(proxy_of("push: {ads: {}}"))
    assert caught.value.code == "ads-missing"
    with pytest.raises(AdsMismatchError) as caught:
        start(proxy_of('admin: "unix:///a.sock", push: {files: {directory: /d}}'), ads=link())
    assert caught.value.code == "ads-unused"
    with pytest.raises(GrpcBootstrapError) as gone:
        start(proxy_of("push: {ads: {client: grpc}}"), ads=link())
    assert gone.value.code == "grpc-bootstrap"


def test_the_node_says_where_a_gateway_is() -> None:
    """As its document does."""
    built = start(proxy_of("push: {ads: {}}, locality: eu/a"), ads=link("127.0.0.1:1"))
    assert to_dict(built.message)["node"]["locality"] == {"region": "eu", "zone": "a"}


def test_an_admin_endpoint_that_is_observed_from_elsewhere_stays_on_a_socket() -> None:
    """What faces the network is a listener that asks for a certificate."""
    proxy = proxy_of('admin: "https://10.0.0.1:9443", push: {files: {directory: /d}}')
    built = start(proxy, certificates=MESH, observers=("daemon.example", "spiffe://x/y"))
    message = to_dict(built.message)
    path = "/var/lib/envoy/shop.p/admin.sock"
    assert message["admin"]["address"] == {"pipe": {"path": path, "mode": 0o600}}
    assert (built.socket, built.exposed) == (path, False)
    listener = named(message["static_resources"]["listeners"], "reconciler-observer")
    assert listener["address"]["socket_address"] == {"address": "10.0.0.1", "port_value": 9443}
    context = _context(built, "listeners", "reconciler-observer")
    assert context["require_client_certificate"] is True
    assert _names(context) == [("DNS", "daemon.example"), ("URI", "spiffe://x/y")]
    assert message["node"]["metadata"]["admin"] == "https://10.0.0.1:9443"
    assert len(built.files) == 2


def test_where_the_listener_binds_and_the_socket_is_can_be_said() -> None:
    """A certificate is for a name, and Envoy binds an address."""
    proxy = proxy_of('admin: "https://edge.example:9443", push: {files: {directory: /d}}')
    with pytest.raises(AdminAddressError, match="edge") as caught:
        start(proxy, certificates=MESH)
    assert "--admin-bind" in caught.value.diagnostics[0].hint
    built = start(proxy, certificates=MESH, admin_bind="0.0.0.0", folder="/run/e/")  # noqa: S104 -- only compared
    (listener,) = to_dict(built.message)["static_resources"]["listeners"]
    assert listener["address"]["socket_address"]["address"] == "0.0.0.0"  # noqa: S104 -- only compared
    assert built.socket == "/run/e/admin.sock"
    with pytest.raises(AdminAddressError, match="107"):
        start(proxy, certificates=MESH, admin_bind="0.0.0.0", folder=f"/{'x' * 100}")  # noqa: S104 -- never bound


def test_an_observed_proxy_needs_certificates() -> None:
    """Otherwise anybody could read what it is configured with."""
    with pytest.raises(ObserverCertificateError, match="rootCertificate") as caught:
        start(proxy_of('admin: "https://10.0.0.1:9443", push: {files: {directory: /d}}'))
    assert caught.value.code == "admin-certificates"


@pytest.mark.parametrize(
    ("admin", "exposed"),
    [("http://127.0.0.1:1", False), ("http://[::1]:1", False), ("http://127.8.9.1:1", False), ("http://10.0.0.1:1", True), ("http://0.0.0.0:1", True), ("unix:///a", False)],
)  # fmt: skip
def test_an_exposed_admin_endpoint_is_told_apart(admin: str, exposed: bool) -> None:  # noqa: FBT001
    """Envoy's own endpoint asks nobody who they are."""
    assert start(proxy_of(f'admin: "{admin}", push: {{files: {{directory: /d}}}}')).exposed is exposed


@pytest.mark.parametrize(
    ("name", "text", "field"),
    [
        ("cluster-ads.yaml", "transport_socket: {name: x}\n", "transport_socket"),
        ("listener-observer.yaml", "filter_chains:\n- name: a\n- transport_socket: {name: x}\n", "filter_chains.transport_socket"),
        ("listener-observer.yaml", "default_filter_chain: {name: x}\n", "default_filter_chain"),
        ("bootstrap.yaml", "dynamic_resources: {ads_config: {api_type: GRPC}}\n", "dynamic_resources.ads_config"),
    ],
)  # fmt: skip
def test_what_secures_a_bootstrap_is_not_a_templates_to_set(name: str, text: str, field: str) -> None:
    """A value that is overwritten in silence would be taken for one that holds."""
    with pytest.raises(TemplateError, match=field) as caught:
        Prototypes.parse(house_templates() | {name: text})
    assert caught.value.diagnostics[0].code == "template-decided"


def test_operators_add_to_the_templates() -> None:
    """Their fields, and their own clusters, are kept beside ours."""
    templates = house_templates() | {
        "cluster-ads.yaml": "connect_timeout: 9s\n",
        "bootstrap.yaml": "static_resources: {clusters: [{name: mine}]}\n",
    }
    built = started(proxy_of("push: {ads: {}}"), Prototypes.parse(templates), Start(ads=link("127.0.0.1:1")))
    clusters = to_dict(built.message)["static_resources"]["clusters"]
    assert [item["name"] for item in clusters] == ["mine", "reconciler-ads"]
    assert clusters[1]["connect_timeout"] == "9s"


def _context(built: Started, what: str, name: str) -> dict[str, Any]:
    item = named(to_dict(built.message)["static_resources"][what], name)
    holder = item["filter_chains"][0] if what == "listeners" else item
    config: dict[str, Any] = holder["transport_socket"]["typed_config"]
    assert config["@type"].startswith(_TLS)
    return config


def _names(context: dict[str, Any]) -> list[tuple[str, str]]:
    default = context["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    return [(item["san_type"], item["matcher"]["exact"]) for item in default.get("match_typed_subject_alt_names", ())]
