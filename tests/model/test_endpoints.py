"""Canonical endpoints: two assignments that Envoy treats alike are equal, and nothing that it treats otherwise is lost."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given
from hypothesis import strategies as st

from reconciler.model.endpoints import alike, bare, canonical
from reconciler.model.protos import from_dict, resource
from reconciler.model.resource import Resource, ResourceType


def _assignment(*localities: dict[str, Any], **fields: Any) -> Any:
    return from_dict(ResourceType.ENDPOINTS, {"cluster_name": "c", "endpoints": localities, **fields})


def _host(port: int, address: str = "127.0.0.1", **fields: Any) -> dict[str, Any]:
    return {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}, **fields}


def _version(*localities: dict[str, Any], **fields: Any) -> str:
    return resource(ResourceType.ENDPOINTS, _assignment(*localities, **fields)).version


PLAIN = {"lb_endpoints": [_host(1), _host(2)]}


@pytest.mark.parametrize(
    "other",
    [
        {"lb_endpoints": [_host(2), _host(1)]},
        {"lb_endpoints": [_host(1, load_balancing_weight=1), _host(2, load_balancing_weight=1)]},
        {"lb_endpoints": [_host(1), _host(2), _host(1, load_balancing_weight=9)]},
        {"locality": {}, "load_balancing_weight": 0, "lb_endpoints": [_host(1), _host(2)]},
    ],
    ids=["order", "default weight", "first of two", "empty locality"],
)
def test_what_envoy_treats_alike_is_equal(other: dict[str, Any]) -> None:
    """Order, defaults written out and repetitions make no difference."""
    assert _version(other) == _version(PLAIN)


def test_one_locality_in_pieces_is_one() -> None:
    """Envoy keeps hosts by priority and locality, however they were grouped, and drops empty groups."""
    pieces = ({"lb_endpoints": [_host(2)]}, {"lb_endpoints": [_host(1)]}, {"priority": 1, "lb_endpoints": []})
    assert _version(*pieces) == _version(PLAIN)


def test_the_policy_envoy_always_shows_is_no_difference() -> None:
    """The default overprovisioning factor equals none; drops are equal in any denominator."""
    assert _version(PLAIN, policy={"overprovisioning_factor": 140}) == _version(PLAIN)
    shares = [{"numerator": 5}, {"numerator": 500, "denominator": "TEN_THOUSAND"}]
    drops = [_version(PLAIN, policy={"drop_overloads": [{"category": "x", "drop_percentage": one}]}) for one in shares]
    assert drops[0] == drops[1] != _version(PLAIN)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("0:0:0:0:0:0:0:1", "::1"),
        ("FE80::1", "fe80::1"),
        ("::ffff:1.2.3.4", "::ffff:1.2.3.4"),
        ("name.example", "name.example"),
    ],
)
def test_addresses_are_written_as_envoy_writes_them(written: str, shown: str) -> None:
    """IP addresses are in their shortest form, names are left alone."""
    settled: Any = canonical(_assignment({"lb_endpoints": [_host(1, written)]}))
    assert settled.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.address == shown


@pytest.mark.parametrize(
    "other",
    [
        {"lb_endpoints": [_host(1)]},
        {"lb_endpoints": [_host(1, load_balancing_weight=2), _host(2)]},
        {"lb_endpoints": [_host(1, health_status="DRAINING"), _host(2)]},
        {"lb_endpoints": [_host(1, metadata={"filter_metadata": {"a": {}}}), _host(2)]},
        {"priority": 1, "lb_endpoints": [_host(1), _host(2)]},
        {"locality": {"region": "r"}, "lb_endpoints": [_host(1), _host(2)]},
        {"load_balancing_weight": 3, "lb_endpoints": [_host(1), _host(2)]},
        {"metadata": {"filter_metadata": {"a": {}}}, "lb_endpoints": [_host(1), _host(2)]},
    ],
    ids=["fewer", "weight", "status", "metadata", "priority", "locality", "share", "kept"],
)
def test_what_envoy_treats_otherwise_differs(other: dict[str, Any]) -> None:
    """Nothing that changes where traffic goes is dropped on the way to Envoy."""
    assert _version(other) != _version(PLAIN)


def test_the_given_message_is_not_changed() -> None:
    """A stage never edits its input."""
    message = _assignment({"locality": {}, "lb_endpoints": [_host(2), _host(1)]})
    before = MessageToDict(message)
    canonical(message)
    assert MessageToDict(message) == before


_hosts = st.lists(
    st.builds(
        lambda port, weight: _host(port, **({"load_balancing_weight": weight} if weight else {})),
        st.integers(1, 4),
        st.integers(0, 3),
    ),
    max_size=4,
)
_localities = st.lists(
    st.builds(
        lambda hosts, region, priority: {"lb_endpoints": hosts, "locality": {"region": region}, "priority": priority},
        _hosts,
        st.sampled_from(["", "a", "b"]),
        st.integers(0, 1),
    ),
    max_size=4,
)


@given(_localities)
def test_canonical_is_canonical(localities: list[dict[str, Any]]) -> None:
    """Bringing it into the form twice is the same as once."""
    settled = canonical(_assignment(*localities))
    assert canonical(settled) == settled


@given(_localities.flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_order_never_matters_without_repetitions(pair: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Without one address twice, any order of groups gives the same resource."""
    given_order, other = pair
    ports = [
        host["endpoint"]["address"]["socket_address"]["port_value"]
        for one in given_order
        for host in one["lb_endpoints"]
    ]
    if len(ports) == len(set(ports)):
        assert _version(*given_order) == _version(*other)


def _resource(*hosts: dict[str, Any]) -> Resource:
    return resource(ResourceType.ENDPOINTS, _assignment({"lb_endpoints": [*hosts]}))


def test_health_is_all_that_may_differ_of_what_is_alike() -> None:
    """Envoy shows of a host whether it is called, and not why; so health is compared apart, and order does not matter."""
    told = _resource(_host(1, health_status="DRAINING"), _host(2), _host(3, health_status="UNHEALTHY"))
    shown = _resource(_host(1), _host(2), _host(3))
    assert told.version != shown.version
    assert bare(told) == shown
    assert bare(shown) is shown
    assert alike(told, shown)
    assert alike(shown, told)
    assert not alike(told, _resource(_host(1), _host(2)))
    assert not alike(told, _resource(_host(1), _host(2), _host(3, load_balancing_weight=2)))


def test_what_can_not_be_expressed_is_like_nothing_else() -> None:
    """Its body shows only what our protobufs know of it."""
    told = _resource(_host(1, health_status="DRAINING"))
    unreadable = replace(told, version="another")
    assert bare(unreadable) is unreadable
    assert not alike(unreadable, told)
