"""What etcd's keys and values mean."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery.platforms.etcd.gateway import interval
from reconciler.discovery.platforms.etcd.reading import Entry, NonsenseError, entry, service
from reconciler.model.discovered import Instance
from reconciler.model.discovery import Etcd
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import ServicePort
from reconciler.model.services import Health


def value(address: str, port: int = 8080, **metadata: Any) -> str:
    """As gRPC's naming writes it."""
    return json.dumps({"Op": 0, "Addr": f"{address}:{port}", "Metadata": metadata or None})


def read(text: str, key: str = "p/web/1", **spec: Any) -> Entry | None:
    """What a key with this value is."""
    return entry(key.encode(), text.encode(), Etcd(prefix="p/", **spec), domain="cluster.local")


def test_a_key_of_grpcs_naming_is_an_instance() -> None:
    """With what its metadata says of it; what else is in there is the application's."""
    more: dict[str, Any] = {
        "weight": 7,
        "labels": {"v": "2", "a": "b"},
        "locality": "r/z",
        "health": "draining",
        "network": "n",
        "x": 1,
    }
    assert read(value("10.0.0.1", **more)) == Entry(
        "web.default.svc.cluster.local",
        Instance(
            address="10.0.0.1",
            ports={"": 8080},
            labels={"a": "b", "v": "2"},
            weight=7,
            locality="r/z",
            health=Health.DRAINING,
            network="n",
            name="1",
        ),
    )


@pytest.mark.parametrize("metadata", [None, "free text", 7, ["x"], {}, {"other": {"weight": 0}}])
def test_metadata_is_the_applications(metadata: object) -> None:
    """Whatever it is, unless a field of it is one of ours."""
    got = read(json.dumps({"Op": 0, "Addr": "[fd00::1]:80", "Metadata": metadata}))
    assert got is not None
    assert got.instance == Instance(address="fd00::1", ports={"": 80}, name="1")


def test_kitex_and_go_zero_are_read_too() -> None:
    """Told apart by the form of the value."""
    kitex = {"network": "tcp", "address": "10.0.0.1:80", "weight": 10, "tags": {"v": "2"}}
    got = read(json.dumps(kitex), "p/echo/10.0.0.1:80")
    assert got is not None
    assert got.instance == Instance(
        address="10.0.0.1", ports={"": 80}, labels={"v": "2"}, weight=10, name="10.0.0.1:80"
    )
    assert read(json.dumps(kitex | {"weight": 0, "tags": None})) is not None
    got = read("10.0.0.1:8080", "p/user.rpc/7587848919")
    assert got == Entry("user.rpc", Instance(address="10.0.0.1", ports={"": 8080}, name="7587848919"))


def test_an_update_that_deletes_is_no_instance() -> None:
    """The older naming of gRPC wrote it."""
    assert read(json.dumps({"Op": 1, "Addr": "10.0.0.1:80"})) is None


def test_the_host_is_said_by_the_key_or_otherwise() -> None:
    """By the settings for all keys, or by a label."""
    labelled = value("10.0.0.1", labels={"job": "Api.example.com."})
    got = [
        read(labelled, **spec) for spec in ({}, {"host": "all.example"}, {"host_label": "job"}, {"namespace": "prod"})
    ]
    assert [each.host for each in got if each] == [
        "web.default.svc.cluster.local",
        "all.example",
        "api.example.com",
        "web.prod.svc.cluster.local",
    ]


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("p/web", value("10.0.0.1"), "no service before"),
        ("p/a/b/c", value("10.0.0.1"), "'a/b' is not a host"),
        ("p/-a/c", value("10.0.0.1"), "not a host"),
        ("p/web/1", "", "'' is not address:port"),
        ("p/web/1", "{", "neither JSON nor address:port"),
        ("p/web/1", "[" * 100_000, "neither JSON nor address:port"),
        ("p/web/1", "[]", "no object"),
        ("p/web/1", "{}", "neither `Addr` nor `address`"),
        ("p/web/1", '{"Addr": 7}', "'7' is not address:port"),
        ("p/web/1", "10.0.0.1", "is not address:port"),
        ("p/web/1", "10.0.0.1:0", "0 is no port"),
        ("p/web/1", "10.0.0.1:65536", "65536 is no port"),
        ("p/web/1", "web.example.com:80", "'web.example.com' is no IP address"),
        ("p/web/1", "[10.0.0.1]:80", "is no IP address"),
        ("p/web/1", value("10.0.0.1", weight=0), "its weight 0"),
        ("p/web/1", value("10.0.0.1", weight="7"), "its weight 7"),
        ("p/web/1", value("10.0.0.1", weight=True), "its weight True"),
        ("p/web/1", value("10.0.0.1", labels={"a": 1}), "its labels"),
        ("p/web/1", value("10.0.0.1", labels=["a"]), "its labels"),
        ("p/web/1", value("10.0.0.1", health="ill"), "its health 'ill'"),
        ("p/web/1", value("10.0.0.1", locality="a/b/c/d"), "its locality"),
        ("p/web/1", value("10.0.0.1", network=7), "its network"),
    ],
)
def test_what_makes_no_sense_is_named_by_its_key(key: str, text: str, words: str) -> None:
    """It stands for nothing."""
    with pytest.raises(NonsenseError) as caught:
        read(text, key)
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"key {key!r}: ")
    with pytest.raises(NonsenseError):
        entry(b"p/web/\xff", b"\xff", Etcd(prefix="p/"), domain="cluster.local")


def test_ports_of_a_service_are_those_of_the_settings() -> None:
    """A key has none; `port` names the one that instances serve."""
    spec = Etcd(
        prefix="p/",
        port="grpc",
        ports=(ServicePort.model_validate_json('{"number": 80, "name": "grpc", "protocol": "GRPC"}'),),
    )
    got = entry(b"p/web/1", b"10.0.0.1:8080", spec, domain="cluster.local")
    assert got is not None
    found = service(got.host, [got.instance], spec)
    assert [(port.number, port.name, port.protocol, port.target) for port in found.ports] == [
        (80, "grpc", Protocol.GRPC, 80)
    ]
    assert found.instances[0].ports == {"grpc": 8080}


@given(prefix=st.binary(max_size=4), key=st.binary(min_size=1, max_size=6))
def test_an_interval_has_the_keys_with_a_prefix_and_no_others(prefix: bytes, key: bytes) -> None:
    """Also where the prefix can't be counted up; an end of zero is none, as etcd has it."""
    begin, end = interval(prefix)
    assert (begin <= key and (end == b"\0" or key < end)) == key.startswith(prefix) or begin == b"\0" == key
