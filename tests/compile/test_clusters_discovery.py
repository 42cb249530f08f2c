"""Where the endpoints of a cluster come from: every resolution, with interception and without."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile.names import ClusterRef
from reconciler.compile.viewer import Viewer
from reconciler.model.protos import to_dict
from reconciler.model.services import declared
from tests.compile.meshes import mesh_of
from tests.compile.onecluster import CALLER, EDGE, SITE, alone, clusters_of, content, rule

_HOST = "x.example.com"
_WILD = "*.example.com"
_REDIRECT = "kind: Mesh\nmetadata: {name: mesh}\nspec: {interception: REDIRECT}"
_PASSTHROUGH = "{loadBalancer: {simple: PASSTHROUGH}}"


def _entry(spec: str, *, host: str = _HOST, protocol: str = "HTTP") -> str:
    return f"""
kind: ServiceEntry
metadata: {{name: x}}
spec:
  hosts: ["{host}"]
  ports: [{{number: 80, name: p, protocol: {protocol}, targetPort: 8080}}]
  {spec}
"""


def _cluster(*texts: str, host: str = _HOST, subset: str = "", viewer: Viewer = CALLER) -> dict[str, Any]:
    return content(alone(ClusterRef(host, 80, subset), *texts, viewer=viewer).cluster)


def _addresses(message: dict[str, Any]) -> list[tuple[Any, ...]]:
    return [
        tuple(host["endpoint"]["address"]["socket_address"].values())
        for group in message["load_assignment"].get("endpoints", [])
        for host in group["lb_endpoints"]
    ]


def _names(message: dict[str, Any]) -> dict[str, Any]:
    assert message["cluster_type"]["name"] == "envoy.cluster.dns"
    assert "eds_cluster_config" not in message
    found: dict[str, Any] = message["cluster_type"]["typed_config"]
    return found


def _codes(*texts: str, host: str = _HOST, viewer: Viewer = CALLER) -> list[tuple[str, str]]:
    found = alone(ClusterRef(host, 80), *texts, viewer=viewer).findings
    return [(finding.code, finding.severity.value) for finding in found]


def test_names_are_looked_up_as_the_template_says() -> None:
    """All addresses of each name, by the time to live of the answers; endpoints are in the cluster, and nowhere else."""
    endpoints = "endpoints: [{address: b.example, weight: 3}, {address: a.example, ports: {p: 81}}]"
    built = alone(ClusterRef(_HOST, 80), _entry(f"resolution: DNS\n  {endpoints}"))
    message = content(built.cluster)
    assert _addresses(message) == [("a.example", 81), ("b.example", 8080)]
    found = _names(message)
    assert (found["dns_refresh_rate"], found["respect_dns_ttl"]) == ("60s", True)
    assert found["dns_lookup_family"] == "V4_PREFERRED"
    assert built.endpoints is None


def test_a_service_without_endpoints_is_looked_up_by_its_own_name() -> None:
    """At its target port."""
    assert _addresses(_cluster(_entry("resolution: DNS"))) == [(_HOST, 8080)]


def test_one_address_of_a_name_at_a_time() -> None:
    """DNS_ROUND_ROBIN: Envoy's logical DNS."""
    message = _cluster(_entry("resolution: DNS_ROUND_ROBIN"))
    assert _names(message)["all_addresses_in_single_endpoint"] is True
    assert _addresses(message) == [(_HOST, 8080)]


@pytest.mark.parametrize("resolution", ["DNS", "DNS_ROUND_ROBIN"])
def test_a_subset_that_no_name_belongs_to_is_there_and_has_no_endpoints(resolution: str) -> None:
    """Routes that name it get a 503, rather than a cluster that is missing."""
    subsets = "[{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]"
    endpoints = "endpoints: [{address: a.example, labels: {version: v1}}]"
    entry = _entry(f"resolution: {resolution}\n  {endpoints}")
    rules = rule("{}", subsets=subsets, host=_HOST)
    assert _addresses(_cluster(entry, rules, subset="v1")) == [("a.example", 8080)]
    empty = _cluster(entry, rules, subset="v2")
    assert empty["load_assignment"] == {"cluster_name": f"outbound|80|v2|{_HOST}"}
    assert "cluster_type" not in empty
    of_itself = _cluster(_entry(f"resolution: {resolution}"), rules, subset="v1")
    assert _addresses(of_itself) == []


def test_a_unix_socket_is_an_address() -> None:
    """`unix:///path` in a service of resolution STATIC."""
    built = alone(ClusterRef(_HOST, 80), _entry("resolution: STATIC\n  endpoints: [{address: unix:///run/x.sock}]"))
    (group,) = content(built.endpoints)["endpoints"]
    assert group["lb_endpoints"][0]["endpoint"]["address"] == {"pipe": {"path": "/run/x.sock"}}


@pytest.mark.parametrize(
    ("resolution", "wrong"), [("STATIC", "a.example"), ("DNS", "unix:///run/x.sock"), ("STATIC", "")]
)
def test_an_address_that_envoy_would_refuse_takes_no_other_with_it(resolution: str, wrong: str) -> None:
    """It is left out; validation has refused it."""
    text = _entry(f'resolution: {resolution}\n  endpoints: [{{address: "{wrong}"}}, {{address: 10.0.0.1}}]')
    built = alone(ClusterRef(_HOST, 80), text)
    found = content(built.endpoints) if built.endpoints else content(built.cluster)["load_assignment"]
    assert _addresses({"load_assignment": found}) == [("10.0.0.1", 8080)]


def test_where_connections_are_redirected_none_is_where_the_caller_was_going() -> None:
    """Envoy asks the kernel; nothing is balanced."""
    message = _cluster(_REDIRECT, _entry("resolution: NONE"), rule("{loadBalancer: {simple: RANDOM}}", host=_HOST))
    assert (message["type"], message["lb_policy"]) == ("ORIGINAL_DST", "CLUSTER_PROVIDED")
    assert "load_assignment" not in message


@pytest.mark.parametrize(("mesh", "viewer"), [("", CALLER), (_REDIRECT, EDGE)])
def test_where_nothing_is_redirected_none_is_what_the_host_resolves_to(mesh: str, viewer: Viewer) -> None:
    """What the caller would have done by itself, and what a gateway does in every mesh."""
    texts = [text for text in (mesh, _entry("resolution: NONE")) if text]
    assert _addresses(_cluster(*texts, viewer=viewer)) == [(_HOST, 80)]
    assert _codes(*texts, viewer=viewer) == []


@pytest.mark.parametrize("resolution", ["NONE", "DYNAMIC_DNS"])
@pytest.mark.parametrize("protocol", ["HTTP", "GRPC", "TLS", "HTTPS"])
def test_a_wildcard_host_is_looked_up_for_each_request(resolution: str, protocol: str) -> None:
    """By `Host` or by TLS server name, with the filter that this needs in the listener."""
    text = _entry(f"resolution: {resolution}", host=_WILD, protocol=protocol)
    ref = ClusterRef(_WILD, 80)
    message = _cluster(text, host=_WILD)
    assert message["lb_policy"] == "CLUSTER_PROVIDED"
    cache = message["cluster_type"]["typed_config"]["dns_cache_config"]
    clusters = clusters_of(text)
    (http,) = clusters.http_filters([ref, ClusterRef("other.example", 80)], viewer=CALLER)
    (network,) = clusters.network_filters(ref, viewer=CALLER)
    assert _unpacked(http)["dns_cache_config"] == _unpacked(network)["dns_cache_config"] == cache
    assert _unpacked(network)["port_value"] == 80
    assert _codes(text, host=_WILD) == []


def _unpacked(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = to_dict(message)["typed_config"]
    return found


def test_other_clusters_need_no_filters() -> None:
    """A listener without such clusters is as it was."""
    clusters = clusters_of(_entry("resolution: DNS"))
    assert clusters.http_filters([ClusterRef(_HOST, 80)], viewer=CALLER) == ()
    assert clusters.network_filters(ClusterRef(_HOST, 80), viewer=CALLER) == ()


def test_plain_tcp_to_a_wildcard_host_has_nowhere_to_go() -> None:
    """Nothing in it says which host is meant; that is said at the document, and connections are refused."""
    text = _entry("resolution: NONE", host=_WILD, protocol="TCP")
    assert _addresses(_cluster(text, host=_WILD)) == []
    assert _codes(text, host=_WILD) == [("needs-interception", "warning")]
    assert _codes(text, _REDIRECT, host=_WILD) == []


def test_passthrough_needs_interception() -> None:
    """Without it the endpoints are chosen from after all, and an error says so; at a gateway, a warning."""
    texts = (_entry("resolution: STATIC"), rule(_PASSTHROUGH, host=_HOST))
    assert _codes(*texts) == [("needs-interception", "error")]
    assert _codes(*texts, _REDIRECT) == []
    assert _codes(*texts, _REDIRECT, viewer=EDGE) == [("needs-interception", "warning")]
    assert _cluster(*texts)["type"] == "EDS"
    message = _cluster(*texts, _REDIRECT)
    assert (message["type"], message["lb_policy"]) == ("ORIGINAL_DST", "CLUSTER_PROVIDED")
    assert "eds_cluster_config" not in message


def test_nothing_of_the_templates_balancing_is_left_where_nothing_is_balanced() -> None:
    """Envoy refuses settings of another policy beside CLUSTER_PROVIDED."""
    warm = "{loadBalancer: {simple: ROUND_ROBIN, warmup: {duration: 1s}}, outlierDetection: {}}"
    message = _cluster(_REDIRECT, _entry("resolution: NONE"), rule(warm, host=_HOST))
    assert "round_robin_lb_config" not in message
    assert "outlier_detection" in message


def test_a_service_that_is_not_exported_is_unknown() -> None:
    """It has no clusters of its own, and one that a route names all the same has no endpoints."""
    text = _entry("resolution: STATIC\n  exportTo: [shop]\n  endpoints: [{address: 10.0.0.1}]")
    clusters = clusters_of(text)
    (service,) = declared(mesh_of(text))
    there, here = Viewer(namespace="shop"), CALLER
    assert clusters.of_service(service, 80, viewer=there) == [ClusterRef(_HOST, 80)]
    assert clusters.of_service(service, 80, viewer=here) == []
    ref = ClusterRef(_HOST, 80)
    assert "endpoints" in content(alone(ref, text, viewer=there).endpoints)
    assert "endpoints" not in content(alone(ref, text, viewer=here).endpoints)


def test_proxies_that_see_a_service_alike_share_its_cluster() -> None:
    """Labels and localities tell viewers apart only where a rule could depend on them."""
    plain = clusters_of(_entry("resolution: DNS"))
    ref = ClusterRef(_HOST, 80)
    near, far = Viewer(namespace="a", locality="eu"), Viewer(namespace="b", locality="us", labels=(("x", "y"),))
    assert plain.resources(ref, SITE, viewer=near) is plain.resources(ref, SITE, viewer=far)
    text = _entry(
        "resolution: STATIC\n  endpoints: [{address: 10.0.0.1, locality: eu}, {address: 10.0.0.2, locality: us}]"
    )
    local = clusters_of(text, rule("{outlierDetection: {}}", host=_HOST, name="r"))
    here = Viewer(namespace="default", locality="eu")
    there = Viewer(namespace="default", locality="us")
    one, other = (local.resources(ref, SITE, viewer=viewer) for viewer in (here, there))
    assert one.cluster.version == other.cluster.version
    assert one.endpoints != other.endpoints
