"""Finding culprits by asking about less: all of them, none by mistake, in few runs, also those that are only bad together."""

from __future__ import annotations

from typing import Any

import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import Route, VirtualHost
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)

from reconciler.compile.offline import Offline
from reconciler.compile.pieces import Kind, batches
from reconciler.cycle.backstop.search import Culprit, OutOfRunsError, Runs, Search
from reconciler.envoy.validation import Validator
from reconciler.model.key import Key


def _cluster(name: str, address: str) -> Any:
    cluster = Cluster(name=name, type=Cluster.STATIC)
    cluster.load_assignment.cluster_name = name
    place = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    place.address, place.port_value = address, 80
    return cluster


def _host(name: str, domain: str, *patterns: str) -> VirtualHost:
    host = VirtualHost(name=name, domains=[domain])
    for pattern in patterns:
        route: Any = Route(name=pattern)
        route.match.safe_regex.regex = pattern
        route.route.cluster = "c"
        host.routes.append(route)
    return host


def _listener(name: str, port: int, *hosts: VirtualHost) -> Any:
    listener = Listener(name=name)
    listener.address.socket_address.address, listener.address.socket_address.port_value = "127.0.0.1", port
    manager = HttpConnectionManager(stat_prefix=name)
    manager.http_filters.add(name="envoy.filters.http.router").typed_config.Pack(Router())
    manager.route_config.name = name
    manager.route_config.validate_clusters.value = False
    manager.route_config.virtual_hosts.extend(hosts)
    listener.filter_chains.add().filters.add(name="hcm").typed_config.Pack(manager)
    return listener


def _search(clusters: list[Any], listeners: list[Any], *, limit: int = 200) -> tuple[Search, Runs]:
    runs = Runs(Validator(), limit)
    (batch,) = batches({Key("default", "p"): Offline(tuple(clusters), tuple(listeners))}, {})
    return Search(Bootstrap(), batch.pieces(), runs), runs


def _names(search: Search, found: list[Culprit]) -> list[tuple[Kind, str]]:
    pieces = [search.pieces[item.position] for item in found if item.position is not None]
    return sorted((piece.kind, piece.name) for piece in pieces)


def test_every_culprit_is_found_and_nothing_else() -> None:
    """Of many pieces, those that Envoy refuses, each by itself, whatever stands between them."""
    clusters = [_cluster(f"c{number}", "bad" if number in {3, 17} else "10.0.0.1") for number in range(30)]
    hosts = [_host(f"h{number}", f"h{number}", "ok.*", "a(b" if number == 4 else "ok") for number in range(6)]
    search, runs = _search(clusters, [_listener("good", 1), _listener("mixed", 2, *hosts)])
    found = list(search.culprits())
    assert _names(search, found) == [(Kind.CLUSTER, "c17"), (Kind.CLUSTER, "c3"), (Kind.ROUTE, "a(b")]
    assert all(item.alone and item.fatal for item in found)
    assert runs.used < 40, "halving, not one after another"


def test_what_is_refused_only_together_is_found_too() -> None:
    """Each of two virtual hosts is fine; both claim one domain, and the second is the one that is too many."""
    hosts = [_host("first", "same", "ok"), _host("other", "other", "ok"), _host("second", "same", "ok")]
    search, _ = _search([], [_listener("l", 1, *hosts)])
    (found,) = search.culprits()
    assert _names(search, [found]) == [(Kind.VIRTUAL_HOST, "second")]
    assert not found.alone


def test_equal_pieces_are_one_culprit() -> None:
    """One rule of a policy is in many listeners; it is looked for once."""
    listeners = [_listener(f"l{port}", port, _host("h", "h", "a(b")) for port in range(1, 9)]
    search, runs = _search([], listeners)
    assert _names(search, list(search.culprits())) == [(Kind.ROUTE, "a(b")]
    assert runs.used < 15


def test_a_bad_piece_does_not_hide_what_is_inside_of_it() -> None:
    """The listener is refused, and so is a route in it; both are said."""
    listener = _listener("l", 1, _host("h", "h", "a(b"))
    listener.listener_filters.add(name="no.such.filter")
    search, _ = _search([], [listener])
    assert _names(search, list(search.culprits())) == [(Kind.LISTENER, "l"), (Kind.ROUTE, "a(b")]


def test_a_bad_bootstrap_ends_the_search() -> None:
    """Nothing can be asked without one."""
    message: Any = Bootstrap()
    message.stats_config.stats_tags.add(tag_name="x", regex="a(b")
    runs = Runs(Validator(), 10)
    (found,) = Search(message, (), runs).culprits()
    assert found.position is None


def test_runs_are_counted() -> None:
    """The search never asks more often than it may."""
    search, runs = _search([_cluster(f"c{number}", "bad") for number in range(8)], [], limit=3)
    with pytest.raises(OutOfRunsError):
        list(search.culprits())
    assert runs.used == 3
