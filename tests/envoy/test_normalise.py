"""The memory of what was read: the same answers as without it, bounded, and safe to share between threads."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.envoy import Normaliser
from reconciler.envoy.normalise import Expecting
from reconciler.model import protos
from reconciler.model.resource import ResourceType, content_hash
from tests.envoy.live import CLUSTER, ENDPOINTS, HTTP_OPTIONS, LISTENER, ROUTE, chain, made, split

PLAIN: dict[ResourceType, dict[str, Any]] = {
    CLUSTER: {"name": "c", "connect_timeout": "0.250s", "lb_policy": "RANDOM"},
    ENDPOINTS: {"cluster_name": "c", "endpoints": [{"lb_endpoints": [{"endpoint": {"hostname": "h"}}]}]},
    LISTENER: {"name": "l", "filter_chains": [chain("l", route_config=split("r", {"a": 1}))]},
    ROUTE: split("r", {"a": 1, "b": 2}),
}


@pytest.mark.parametrize("type_", PLAIN)
def test_a_part_of_a_dump_is_the_resource_it_describes(type_: ResourceType) -> None:
    """With or without the type that a dump adds, and the second time as the first."""
    normaliser = Normaliser()
    dumped = {"@type": type_.type_url, **PLAIN[type_]}
    assert normaliser.resource(type_, dumped) == made(type_, PLAIN[type_])
    assert normaliser.resource(type_, dumped) is normaliser.resource(type_, json.loads(json.dumps(dumped)))


UNKNOWN: dict[str, tuple[ResourceType, dict[str, Any]]] = {
    "field": (CLUSTER, {"name": "x", "a_field_of_the_future": 1}),
    "nested field": (ROUTE, {"name": "x", "virtual_hosts": [{"name": "v", "new": {}}]}),
    "enum value": (CLUSTER, {"name": "x", "lb_policy": "TELEPATHY"}),
    "extension": (
        LISTENER,
        {
            "name": "x",
            "filter_chains": [{"filters": [{"name": "f", "typed_config": {"@type": "t.com/new.v9.T", "a": 1}}]}],
        },
    ),
    "extension's field": (
        CLUSTER,
        {"name": "x", "typed_extension_protocol_options": {"o": {"@type": HTTP_OPTIONS, "future": True}}},
    ),
    "type without a name": (LISTENER, {"name": "x", "listener_filters": [{"name": "f", "typed_config": {"@type": 7}}]}),
    "shape": (CLUSTER, {"name": "x", "circuit_breakers": "many"}),
    "endpoint field": (ENDPOINTS, {"cluster_name": "x", "new": 1}),
    "duration": (CLUSTER, {"name": "x", "connect_timeout": "soon"}),
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_we_cannot_express_equals_nothing_and_still_shows(name: str) -> None:
    """A newer Envoy's resource is kept by name, is readable, and has a version that nothing compiled can have."""
    type_, value = UNKNOWN[name]
    item = Normaliser().resource(type_, {"@type": type_.type_url, **value})
    assert (item.id.type, item.id.name) == (type_, "x")
    shown = protos.to_dict(protos.decode(item))
    assert "x" in {shown.get("name"), shown.get("cluster_name")}
    assert item.version != content_hash(type_.encode(), b"x", item.body)
    assert item.version != protos.resource(type_, protos.decode(item)).version


def test_an_unknown_extension_shows_its_content() -> None:
    """A person who reads the plan sees what is in it."""
    type_, value = UNKNOWN["extension"]
    shown = protos.to_dict(protos.decode(Normaliser().resource(type_, value)))
    config = shown["filter_chains"][0]["filters"][0]["typed_config"]
    assert config["value"] == {"@type": "t.com/new.v9.T", "a": 1.0}


def test_two_unknown_contents_differ() -> None:
    """A change inside what we can't express is a change."""
    one, two = ({"name": "x", "a_field_of_the_future": value} for value in (1, 2))
    normaliser = Normaliser()
    assert normaliser.resource(CLUSTER, one).version != normaliser.resource(CLUSTER, two).version
    assert normaliser.resource(CLUSTER, one) == Normaliser().resource(CLUSTER, one)


def test_health_is_left_out() -> None:
    """What Envoy mixes into endpoints about their health is no configuration."""
    group = {"lb_endpoints": [{"endpoint": {"hostname": "h"}, "health_status": "UNHEALTHY"}]}
    dumped = {"cluster_name": "c", "endpoints": [group], "policy": {"overprovisioning_factor": 140}}
    assert Normaliser().resource(ENDPOINTS, dumped) == made(ENDPOINTS, PLAIN[ENDPOINTS])


def test_the_same_answer_is_read_once() -> None:
    """A body that was read is not read again; another body, or another kind of question, is."""
    reads: list[bytes] = []

    def read(body: bytes) -> int:
        reads.append(body)
        return len(reads)

    normaliser = Normaliser()
    assert [normaliser.answer("a", b"1", read), normaliser.answer("a", b"1", read)] == [1, 1]
    assert [normaliser.answer("b", b"1", read), normaliser.answer("a", b"2", read)] == [2, 3]


def test_what_fails_is_not_remembered() -> None:
    """An answer that could not be read raises each time."""
    normaliser = Normaliser()
    for _ in range(2):
        with pytest.raises(ValueError, match="invalid literal"):
            normaliser.answer("a", b"x", int)
    assert normaliser.answer("a", b"7", int) == 7


@given(st.lists(st.integers(0, 9), max_size=60))
def test_its_size_is_bounded(keys: list[int]) -> None:
    """However much is asked, only so much is kept, and answers stay right."""
    normaliser = Normaliser(answers=3, resources=2)
    for key in keys:
        assert normaliser.answer("a", b"%d" % key, int) == key
        assert normaliser.resource(CLUSTER, {"name": str(key)}).id.name == str(key)
    assert len(normaliser._answers) <= 3
    assert len(normaliser._resources) <= 2


def test_what_is_used_stays() -> None:
    """The ones not used for longest go first."""
    reads: list[bytes] = []
    normaliser = Normaliser(answers=2)
    for body in (b"1", b"2", b"1", b"3", b"1"):
        normaliser.answer("a", body, reads.append)
    assert reads == [b"1", b"2", b"3"]


def test_threads_may_share_it() -> None:
    """Many threads asking for the same and for different things get what one would."""
    normaliser = Normaliser(answers=5, resources=5)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: normaliser.resource(CLUSTER, {"name": str(number % 9)}), range(2000)))
    assert [item.id.name for item in found] == [str(number % 9) for number in range(2000)]


def test_what_is_expected_is_known_by_its_version_and_everything_else_is_read() -> None:
    """The version is the hash of the content, so it stands for it; with another version, or none, the content counts."""
    inner, other = Normaliser(), split("r", {"a": 100})
    wanted = made(ROUTE, PLAIN[ROUTE])
    reader = Expecting(inner, {wanted.id: wanted})
    assert reader.resource(ROUTE, PLAIN[ROUTE], wanted.version) is wanted
    assert reader.resource(ROUTE, other, "another") == made(ROUTE, other)
    assert reader.resource(ROUTE, other) == made(ROUTE, other)
    assert reader.resource(ROUTE, split("q", {"a": 1}), wanted.version) == made(ROUTE, split("q", {"a": 1}))
    assert inner.resource(ROUTE, other, wanted.version) == made(ROUTE, other), "nobody expects anything of files"
