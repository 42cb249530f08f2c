"""A VirtualService's `tls` and `tcp` rules as filter chains."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.compile.chains import distinct
from reconciler.compile.connections import (
    Connected,
    joined,
    tcp_chains,
    tls_chains,
    to_service,
)
from reconciler.compile.index import Index
from reconciler.compile.listeners import Chain
from reconciler.compile.names import ClusterRef
from reconciler.compile.tcpproxies import proxy_to
from reconciler.compile.viewer import Place, Viewer
from reconciler.errors import Severity
from reconciler.model.protos import to_dict
from reconciler.model.services import declared
from tests.compile.meshes import documents, mesh_of, service

_VIEWER = Viewer(namespace="default", labels=(("app", "x"),))
_BASE = documents(
    service("db", "5432/TCP"), service("old", "5432/TCP"), service("two", "1/TCP", "2/TCP"), service("web", "443/TLS")
)


def _index(*texts: str) -> Index:
    mesh = mesh_of(documents(_BASE, *texts))
    return Index.of(mesh, declared(mesh))


def _place(port: int = 5432, gateways: frozenset[str] | None = None) -> Place:
    place = Place(viewer=_VIEWER, port=port)
    return place if gateways is None else Place(viewer=_VIEWER, port=port, gateways=gateways)


def _policy(spec: str, name: str = "p", namespace: str = "default") -> str:
    return f"kind: VirtualService\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}"


def _built(kind: str, *texts: str, place: Place | None = None, **options: Any) -> Connected:
    """The chains of all VirtualServices of these documents, by key."""
    mesh = mesh_of(documents(_BASE, *texts))
    index = Index.of(mesh, declared(mesh))
    build = {"tls": tls_chains, "tcp": tcp_chains}[kind]
    result: Connected = build(index, mesh.virtual_services, place or _place(), **options)
    return result


def _tcp(chain: Chain) -> dict[str, Any]:
    return to_dict(chain.tcp)


_DB = "outbound|5432||db.default.svc.cluster.local"
_OLD = "outbound|5432||old.default.svc.cluster.local"


def test_one_destination_is_its_cluster() -> None:
    """Whatever its weight; counted under the cluster's name, as in Istio."""
    (chain,) = _built("tcp", _policy("{hosts: [db], tcp: [{route: [{destination: {host: old}, weight: 0}]}]}")).chains
    assert _tcp(chain) == {"stat_prefix": _OLD, "cluster": _OLD}


def test_several_destinations_are_a_split() -> None:
    """Counted under the VirtualService's name; a share of 0 is no part of it, which Envoy would refuse."""
    text = _policy(
        "{hosts: [db], tcp: [{route: [{destination: {host: db}, weight: 90}, {destination: {host: old}, weight: 10},"
        "{destination: {host: two, port: {number: 2}}, weight: 0}]}]}"
    )
    built = _built("tcp", text)
    (chain,) = built.chains
    assert _tcp(chain) == {
        "stat_prefix": "p.default",
        "weighted_clusters": {"clusters": [{"name": _DB, "weight": 90}, {"name": _OLD, "weight": 10}]},
    }
    assert ClusterRef("two.default.svc.cluster.local", 2) in built.clusters
    assert len(built.clusters) == 3


def test_a_share_of_nothing_stays_in_the_view() -> None:
    """Its cluster is there and warm before the first connection goes to it."""
    text = _policy(
        "{hosts: [db], tcp: [{route: [{destination: {host: db}, weight: 100}, {destination: {host: old}, weight: 0}]}]}"
    )
    built = _built("tcp", text)
    assert {ref.name for ref in built.clusters} == {_DB, _OLD}
    assert _tcp(built.chains[0])["weighted_clusters"] == {"clusters": [{"name": _DB, "weight": 100}]}


def test_a_destination_without_a_port_that_could_be_meant() -> None:
    """Several ports, none the listener's: the finding of HTTP routes."""
    (finding,) = _built("tcp", _policy("{hosts: [db], tcp: [{route: [{destination: {host: two}}]}]}")).findings
    assert finding.code == "destination-port"
    assert finding.path == ("spec", "tcp", 0, "route", 0, "destination")


@pytest.mark.parametrize(
    ("match", "taken"),
    [
        ("{port: 5432}", True),
        ("{port: 5433}", False),
        ("{sourceLabels: {app: x}}", True),
        ("{sourceLabels: {app: y}}", False),
        ("{sourceNamespace: default}", True),
        ("{sourceNamespace: shop}", False),
        ("{gateways: [mesh]}", True),
        ("{gateways: [g]}", False),
        ("{gateways: [mesh], sourceLabels: {app: y}}", False),
        ("{port: 5432, sourceLabels: {app: x}, sourceNamespace: default}", True),
        ("{port: 5432, sourceLabels: {app: x}, sourceNamespace: shop}", False),
    ],
)
def test_all_conditions_of_a_match_must_hold(match: str, taken: bool) -> None:  # noqa: FBT001 -- a parameter
    """Unlike for requests, `gateways` does not turn off the caller's labels and namespace."""
    text = f"{{hosts: [db], tcp: [{{match: [{match}], route: [{{destination: {{host: old}}}}]}}]}}"
    assert bool(_built("tcp", _policy(text)).chains) is taken


def test_gateways_are_resolved_in_the_namespace_of_the_document() -> None:
    """`g` in a VirtualService of `shop` is `shop/g`."""
    text = _policy(
        "{hosts: [db], tcp: [{match: [{gateways: [g]}], route: [{destination: {host: db.default.svc.cluster.local}}]}]}",
        namespace="shop",
    )
    assert _built("tcp", text, place=_place(gateways=frozenset({"shop/g"}))).chains
    assert not _built("tcp", text, place=_place(gateways=frozenset({"default/g"}))).chains


def test_tcp_rules_end_at_the_first_that_asks_for_no_subnet() -> None:
    """Envoy prefers the longer prefix, so a later rule with a subnet would go before an earlier one without."""
    text = _policy(
        "{hosts: [db], tcp: [{match: [{destinationSubnets: [10.1.2.3, 10.2.0.0/16]}], route: [{destination: {host: old}}]},"
        "{route: [{destination: {host: db}}]},"
        "{match: [{destinationSubnets: [10.3.0.0/16]}], route: [{destination: {host: two}}]}]}"
    )
    chains = _built("tcp", text, prefixes=("10.0.0.0/8",)).chains
    assert [(chain.prefixes, _tcp(chain)["cluster"]) for chain in chains] == [
        (("10.1.2.3/32", "10.2.0.0/16"), _OLD),
        (("10.0.0.0/8",), _DB),
    ]


def test_tls_rules_go_by_server_name() -> None:
    """With the subnets of the match, or else the service's; every match is a chain, and names have one case."""
    text = _policy(
        "{hosts: [web], tls: [{match: [{sniHosts: [A.example.com, '*.example.org']},"
        "{sniHosts: [b.example.com], destinationSubnets: [10.0.0.0/8]}], route: [{destination: {host: web}}]}]}"
    )
    chains = _built("tls", text, place=_place(443), prefixes=("192.0.2.0/24",)).chains
    assert [(chain.server_names, chain.prefixes) for chain in chains] == [
        (("a.example.com", "*.example.org"), ("192.0.2.0/24",)),
        (("b.example.com",), ("10.0.0.0/8",)),
    ]
    assert len({chain.name for chain in chains}) == 2
    assert all(chain.inspects_tls for chain in chains)


def test_server_names_are_those_that_may_come() -> None:
    """A gateway's server with fewer hosts than the rule, and the other way round; `*` is any TLS, even without a name."""
    text = _policy(
        "{hosts: ['*.example.com'], gateways: [g], tls: [{match: [{sniHosts: ['*.example.com']}],"
        "route: [{destination: {host: web}}]}]}"
    )
    (chain,) = _built("tls", text, hosts=["a.example.com", "b.example.com", "c.example.org"]).chains
    assert chain.server_names == ("a.example.com", "b.example.com")
    (chain,) = _built("tls", text, hosts=["*"]).chains
    assert chain.server_names == ("*.example.com",)
    assert _built("tls", text, hosts=["example.org"]).chains == ()
    anything = text.replace("sniHosts: ['*.example.com']", "sniHosts: ['*']")
    (chain,) = _built("tls", anything).chains
    assert (chain.server_names, chain.transport) == ((), "tls")


def test_what_is_matched_twice_is_the_first_ones() -> None:
    """Envoy would refuse the listener; the second match keeps what is left to it, and is named."""
    text = _policy(
        "{hosts: ['*.example.com'], tls: ["
        "{match: [{sniHosts: [a.example.com, b.example.com]}], route: [{destination: {host: web}}]},"
        "{match: [{sniHosts: [b.example.com, c.example.com]}], route: [{destination: {host: db}}]}]}"
    )
    built = _built("tls", text)
    assert [chain.server_names for chain in built.chains] == [("a.example.com", "b.example.com"), ("c.example.com",)]
    (finding,) = built.findings
    assert (finding.code, finding.severity) == ("duplicate-match", Severity.WARNING)
    assert finding.path == ("spec", "tls", 1, "match", 0)


def test_a_rule_for_some_callers_before_one_for_all_is_no_duplicate() -> None:
    """The second is what other callers get."""
    text = _policy(
        "{hosts: ['a.example.com'], tls: ["
        "{match: [{sniHosts: [a.example.com], sourceLabels: {app: x}}], route: [{destination: {host: web}}]},"
        "{match: [{sniHosts: [a.example.com]}], route: [{destination: {host: db}}]}]}"
    )
    built = _built("tls", text)
    assert len(built.chains) == 1
    assert built.findings == ()


def test_a_subnet_that_is_none_is_named() -> None:
    """Validation refuses it; the compiler does not fall over it."""
    text = _policy(
        "{hosts: [db], tcp: [{match: [{destinationSubnets: [nowhere]}], route: [{destination: {host: old}}]}]}"
    )
    (finding,) = _built("tcp", text).findings
    assert (finding.code, finding.path) == ("address", ("spec", "tcp", 0, "match", 0, "destinationSubnets"))


def test_chains_of_several_services_on_one_listener() -> None:
    """A wildcard VirtualService is asked once for each service that it is for: the same chain is one chain."""
    wild = _policy(
        "{hosts: ['*.example.com'], tls: [{match: [{sniHosts: ['*.example.com']}], route: [{destination: {host: web}}]}]}"
    )
    built = _built("tls", wild)
    assert joined([built, built]) == built


def test_chains_that_overlap_keep_what_is_left() -> None:
    """By server name and prefix together."""
    one = Chain(name="one", server_names=("a", "b"), prefixes=("10.0.0.0/8", "11.0.0.0/8"))
    other = Chain(name="other", server_names=("a", "c"), prefixes=("10.0.0.0/8", "12.0.0.0/8"))
    assert distinct([one, other]) == (
        one,
        Chain(name="other", server_names=("a",), prefixes=("12.0.0.0/8",)),
        Chain(name="other.1", server_names=("c",), prefixes=("10.0.0.0/8", "12.0.0.0/8")),
    )
    assert distinct([one, one]) == (one,)
    assert distinct([Chain(name="x", transport="tls"), Chain(name="y")]) == (
        Chain(name="x", transport="tls"),
        Chain(name="y"),
    )


def test_a_service_without_rules_is_one_chain() -> None:
    """By its own name, or for every connection."""
    index = _index()
    built = to_service(
        index, index.services["web.default.svc.cluster.local"], 443, _VIEWER, server_names=["web.example.com"]
    )
    (chain,) = built.chains
    assert chain.server_names == ("web.example.com",)
    assert not built.everything
    assert to_service(index, index.services["web.default.svc.cluster.local"], 443, _VIEWER).everything


def _rule(policy: str) -> str:
    return f"kind: DestinationRule\nmetadata: {{name: db}}\nspec: {{host: db, {policy}}}"


def _to_db(rule: str, subset: str = "") -> dict[str, Any]:
    ref = ClusterRef("db.default.svc.cluster.local", 5432, subset)
    return to_dict(proxy_to(_index(_rule(rule)), [(ref, 1)], _VIEWER))


def test_timeouts_hashing_and_tunnels_come_from_the_traffic_policy() -> None:
    """Of the subset where it says anything."""
    found = _to_db(
        "trafficPolicy: {connectionPool: {tcp: {idleTimeout: 30s, maxConnectionDuration: 1h}},"
        "loadBalancer: {consistentHash: {useSourceIp: true}}, tunnel: {targetHost: '2001:db8::1', targetPort: 443}}"
    )
    assert found["idle_timeout"] == "30s"
    assert found["max_downstream_connection_duration"] == "3600s"
    assert found["hash_policy"] == [{"source_ip": {}}]
    assert found["tunneling_config"]["hostname"] == "[2001:db8::1]:443"
    found = _to_db(
        "trafficPolicy: {tunnel: {protocol: POST, targetHost: a.example, targetPort: 1}},"
        "subsets: [{name: v1, trafficPolicy: {connectionPool: {tcp: {idleTimeout: 5s}}}}]",
        subset="v1",
    )
    assert found["idle_timeout"] == "5s"
    assert found["tunneling_config"] == {"hostname": "a.example:1", "use_post": True}
    assert "hash_policy" not in found


def test_a_split_has_the_tunnel_of_its_first_destination_and_not_of_a_subset() -> None:
    """A proxy has one tunnel for all its clusters."""
    index = _index(
        _rule(
            "trafficPolicy: {tunnel: {targetHost: a.example, targetPort: 1}},"
            "subsets: [{name: v1, trafficPolicy: {tunnel: {targetHost: b.example, targetPort: 2}}}]"
        )
    )
    refs = [
        (ClusterRef("db.default.svc.cluster.local", 5432, "v1"), 1),
        (ClusterRef("old.default.svc.cluster.local", 5432), 1),
    ]
    found = to_dict(proxy_to(index, refs, _VIEWER))
    assert found["tunneling_config"]["hostname"] == "a.example:1"
