"""Where a proxy serves its metrics, as its bootstrap says it, and what stands in whose way."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile import MetricsCertificateError, Prototypes, Start, bootstrap, started
from reconciler.model.mesh import Policy
from reconciler.model.protos import to_dict
from reconciler.model.proxy import Certificates, Proxy
from reconciler.model.telemetry import Metrics
from tests.compile.meshes import compiled, documents, gateway_proxy, house_templates, mesh_of, service

_CERTIFICATES = Certificates(certificate_chain="/c", private_key="/k", root_certificate="/r")


def proxy(spec: str) -> Policy[Proxy]:
    """A proxy of this spec."""
    (found,) = mesh_of(f"kind: Proxy\nmetadata: {{name: p}}\nspec: {{labels: {{a: b}}, {spec}}}").proxies
    return found


def static(spec: str, start: Start | None = None) -> dict[str, Any]:
    """What its bootstrap defines itself."""
    message = to_dict(bootstrap(proxy(spec), Prototypes.parse(house_templates()), start or Start()))
    return dict(message.get("static_resources", {})) | {"admin": message.get("admin")}


_FILES = "push: {files: {directory: /x}}"


def test_a_proxy_serves_no_metrics_unless_somebody_says_where() -> None:
    """Neither listener nor cluster."""
    found = static(f"admin: 'unix:///a.sock', {_FILES}")
    assert "listeners" not in found
    assert "clusters" not in found


@pytest.mark.parametrize(
    ("admin", "address"),
    [
        ("unix:///a.sock", {"pipe": {"path": "/a.sock"}}),
        ("http://127.0.0.1:9901", {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}),
        ("http://0.0.0.0:9901", {"socket_address": {"address": "127.0.0.1", "port_value": 9901}}),
        ("http://[::]:9901", {"socket_address": {"address": "::1", "port_value": 9901}}),
    ],
)
def test_metrics_are_read_from_the_admin_endpoint(admin: str, address: dict[str, Any]) -> None:
    """Wherever that is; the Proxy's own word comes before the Mesh's."""
    start = Start(metrics=Metrics(port=1))
    found = static(f"admin: '{admin}', {_FILES}, metrics: {{port: 15090, address: '::'}}", start)
    (listener,) = found["listeners"]
    assert listener["address"]["socket_address"] == {"address": "::", "port_value": 15090}
    assert "transport_socket" not in listener["filter_chains"][0]
    (cluster,) = found["clusters"]
    assert cluster["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]["address"] == address
    (mesh_wide,) = static(f"admin: '{admin}', {_FILES}", start)["listeners"]
    assert mesh_wide["address"]["socket_address"] == {"address": "127.0.0.1", "port_value": 1}


def test_a_proxy_without_an_admin_address_gets_a_private_one() -> None:
    """A socket that only its owner may open: nobody but the listener reads it."""
    found = static(_FILES, Start(metrics=Metrics(port=1), folder="/run/p"))
    assert found["admin"]["address"]["pipe"] == {"path": "/run/p/admin.sock", "mode": 0o600}


def test_an_observed_proxy_has_one_cluster_for_both_listeners() -> None:
    """Envoy takes no two of one name."""
    start = Start(metrics=Metrics(port=15090), certificates=_CERTIFICATES)
    found = static("admin: 'https://10.0.0.1:9901', push: {files: {directory: /x}}", start)
    assert [item["name"] for item in found["clusters"]] == ["reconciler-admin"]
    assert {item["name"] for item in found["listeners"]} == {"reconciler-observer", "reconciler-metrics"}


def test_mutual_tls_takes_certificates() -> None:
    """Those of the Proxy or the Mesh, in files beside the bootstrap; without them there is no bootstrap."""
    spec = f"admin: 'unix:///a.sock', {_FILES}, metrics: {{port: 15090, mutualTls: true}}"
    built = started(proxy(spec), Prototypes.parse(house_templates()), Start(certificates=_CERTIFICATES, folder="/f"))
    (listener,) = to_dict(built.message)["static_resources"]["listeners"]
    context = listener["filter_chains"][0]["transport_socket"]["typed_config"]
    assert context["require_client_certificate"] is True
    assert set(built.files) == {"/f/bootstrap-certificate.json", "/f/bootstrap-authority.json"}
    with pytest.raises(MetricsCertificateError) as caught:
        bootstrap(proxy(spec), Prototypes.parse(house_templates()))
    assert caught.value.code == "metrics-certificates"


def test_operators_tags_come_first() -> None:
    """A tag of the template is not given twice, which Envoy would refuse."""
    text = "stats_config: {stats_tags: [{tag_name: namespace, fixed_value: mine}]}\n"
    templates = Prototypes.parse(house_templates() | {"bootstrap.yaml": text})
    tags = to_dict(bootstrap(proxy(f"admin: 'unix:///a.sock', {_FILES}"), templates))["stats_config"]["stats_tags"]
    assert [tag["fixed_value"] for tag in tags if tag["tag_name"] == "namespace"] == ["mine"]
    assert {tag["tag_name"] for tag in tags} == {"namespace", "proxy", "workload"}


_GATEWAY = """
kind: Gateway
metadata: {name: g}
spec: {selector: {istio: edge}, servers: [{port: {number: 15090, name: http, protocol: HTTP}, hosts: ["*"]}]}
"""


@pytest.mark.parametrize(
    ("address", "clash"), [("127.0.0.1", True), ("0.0.0.0", True), ("::1", False)]  # noqa: S104 -- what is tried
)  # fmt: skip
def test_a_listener_in_the_way_of_metrics_is_an_error(address: str, clash: bool) -> None:  # noqa: FBT001 -- a case
    """One of the proxy's own, at the same port of an address that it binds too."""
    mesh = f"kind: Mesh\nmetadata: {{name: m}}\nspec: {{telemetry: {{metrics: {{port: 15090, address: '{address}'}}}}}}"
    found = compiled(documents(service("a"), gateway_proxy(), _GATEWAY, mesh)).findings
    assert [item.code for item in found] == (["port-clash"] if clash else [])
