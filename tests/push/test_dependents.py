"""Who would refer to what is not there: left as it serves, or not made."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.resource import Resource, ResourceId, ResourceType
from reconciler.push.dependents import references, spare
from tests.push.adslab import cluster, endpoints, listener, made, route
from tests.push.test_secrets import TLS
from tests.xds.lab import ADS

CLUSTER, ENDPOINTS, LISTENER = ResourceType.CLUSTER, ResourceType.ENDPOINTS, ResourceType.LISTENER
ROUTE, SECRET = ResourceType.ROUTE, ResourceType.SECRET
TCP = "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy"


def state(resources: Iterable[Resource]) -> Mapping[ResourceId, Resource]:
    return {item.id: item for item in resources}


def rules(*actions: Mapping[str, Any], **more: Any) -> Resource:
    """A route configuration with one route for each action."""
    routes = [{"match": {"prefix": "/"}, **action} for action in actions]
    return made(ROUTE, name="r", virtual_hosts=[{"name": "h", "domains": ["*"], "routes": routes, **more}])


def test_every_way_to_name_a_cluster_counts() -> None:
    """Plain, weighted, mirrored by a route or by a whole host; a TCP proxy too."""
    mirror = [{"cluster": "d"}]
    item = rules(
        {"route": {"cluster": "a"}},
        {"route": {"weighted_clusters": {"clusters": [{"name": "b", "weight": 1}, {"name": "c", "weight": 0}]}}},
        {"route": {"cluster": "a", "request_mirror_policies": mirror}},
        {"redirect": {}},
        request_mirror_policies=[{"cluster": "e"}],
    )
    assert references(item) == {ResourceId(CLUSTER, name) for name in "abcde"}
    shares = {"clusters": [{"name": "f", "weight": 1}]}
    chains = [
        {"filters": [{"name": "tcp", "typed_config": {"@type": TCP, "stat_prefix": "t", **target}}]}
        for target in ({"cluster": "g"}, {"weighted_clusters": shares})
    ]
    assert references(made(LISTENER, name="t", filter_chains=chains)) == {ResourceId(CLUSTER, name) for name in "fg"}


def test_listeners_name_routes_and_clusters_their_endpoints_and_secrets() -> None:
    """What they wait for before they serve."""
    assert references(listener("l", 1, "web")) == {ResourceId(ROUTE, "web")}
    assert references(cluster("a")) == {ResourceId(ENDPOINTS, "a")}
    assert references(cluster("a", eds_cluster_config={"eds_config": ADS, "service_name": "s"})) == {
        ResourceId(ENDPOINTS, "s")
    }
    config = {
        "@type": f"{TLS}UpstreamTlsContext",
        "common_tls_context": {"tls_certificate_sds_secret_configs": [{"name": "k", "sds_config": ADS}]},
    }
    secured = cluster("a", type="STATIC", transport_socket={"name": "tls", "typed_config": config})
    assert references(secured) >= {ResourceId(SECRET, "k")}
    assert references(endpoints("a", 1)) == frozenset()


def test_what_hangs_on_what_is_left_out_is_left_out_too() -> None:
    """A new route to a refused cluster is not made, so neither is the listener that would wait for it."""
    live = state([cluster("a"), route("old", a=1), listener("in", 1, "old")])
    new = [
        cluster("bad"),
        route("old", a=1, bad=1),
        route("new", bad=1),
        listener("in", 1, "new"),
        listener("x", 2, "old"),
    ]
    found = spare({**live, **state(new)}, live=live, absent=frozenset({ResourceId(CLUSTER, "bad")}))
    assert set(found.state.values()) == {*live.values(), new[0], new[4]}
    assert found.because == {
        ResourceId(ROUTE, "old"): ResourceId(CLUSTER, "bad"),
        ResourceId(ROUTE, "new"): ResourceId(CLUSTER, "bad"),
        ResourceId(LISTENER, "in"): ResourceId(ROUTE, "new"),
    }


def test_what_serves_already_is_left_alone() -> None:
    """It may refer to what it likes: nothing gets worse by it."""
    live = state([route("r", bad=1)])
    found = spare({**live, **state([cluster("bad")])}, live=live, absent=frozenset({ResourceId(CLUSTER, "bad")}))
    assert found.because == {}
    assert live.items() <= found.state.items()


_NAMES = st.sampled_from("abcd")
_STATES = st.dictionaries(_NAMES, st.sets(_NAMES, min_size=1), max_size=4).map(
    lambda edges: state(route(name, **dict.fromkeys(sorted(targets), 1)) for name, targets in edges.items())
)


@given(
    live=_STATES,
    wanted=_STATES,
    absent=st.sets(_NAMES).map(lambda ids: frozenset(ResourceId(CLUSTER, id_) for id_ in ids)),
)
def test_nothing_new_refers_to_what_is_absent(
    live: Mapping[ResourceId, Resource], wanted: Mapping[ResourceId, Resource], absent: frozenset[ResourceId]
) -> None:
    """And only what would have done so differs from what was wanted: it is as it serves."""
    found = spare(wanted, live=live, absent=absent)
    for id_, item in found.state.items():
        assert item == live.get(id_) or not references(item) & absent
    for id_, item in wanted.items():
        if id_ in found.because:
            assert references(item) & absent
            assert found.state.get(id_) == live.get(id_)
        else:
            assert found.state[id_] == item
