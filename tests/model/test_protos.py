"""Canonical bytes: what makes a compiled resource and a dumped one comparable."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.json_format import ParseDict

from reconciler.model.protos import canonical, encode, from_dict, to_dict
from reconciler.model.resource import ResourceType

_PROGRAM = """
import json, sys
from reconciler.model.protos import from_dict, resource, to_dict
from reconciler.model.resource import ResourceType
log = {
    "@type": "type.googleapis.com/envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "log_format": {"json_format": {key: key for key in sys.argv[1]}},
}
hcm = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "access_log": [{"name": "log", "typed_config": log}],
}
chain = {"filters": [{"name": "http", "typed_config": hcm}]}
listener = {"name": "a", "filter_chains": [chain], "metadata": {"filter_metadata": {key: {} for key in sys.argv[1]}}}
message = from_dict(ResourceType.LISTENER, listener)
print(resource(ResourceType.LISTENER, message).version, json.dumps(to_dict(message)))
"""


def test_equal_messages_have_equal_bytes_in_every_process() -> None:
    """Maps, also inside nested `Any`s, don't depend on the process or on the order of a dump: as bytes and as dicts."""
    versions = {
        subprocess.run(
            [sys.executable, "-c", _PROGRAM, keys],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, keys in (("1", "abcdefghijk"), ("2", "kjihgfedcba"), ("3", "fghijkabcde"))
    }
    assert len(versions) == 1


def test_a_dict_means_the_message_that_it_was_read_from() -> None:
    """Sorting maps changes nothing else: fields, lists and values survive the way there and back."""
    value = {
        "name": "a",
        "connect_timeout": "2s",
        "circuit_breakers": {"thresholds": [{"max_requests": 2}, {"priority": "HIGH", "max_requests": 1}]},
        "metadata": {
            "filter_metadata": {"b": {"z": [{"y": 1.0, "x": None}, "w"], "a": True}, "a": {}},
            "typed_filter_metadata": {
                "s": {"@type": "type.googleapis.com/google.protobuf.Struct", "value": {"k": 1.0}}
            },
        },
    }
    message = from_dict(ResourceType.CLUSTER, value)
    shown = to_dict(message)
    assert from_dict(ResourceType.CLUSTER, shown) == message
    assert shown == value
    assert list(shown["metadata"]["filter_metadata"]) == ["a", "b"]
    assert list(shown["metadata"]["filter_metadata"]["b"]["z"][0]) == ["x", "y"]


def test_a_type_that_is_not_ours_is_named() -> None:
    """An `Any` that can't be read can't be compared, so it is no silent pass."""
    with pytest.raises(KeyError, match=r"envoy\.Nope"):
        canonical(AnyMessage(type_url="type.googleapis.com/envoy.Nope", value=b""))


def test_nothing_but_the_packing_changes() -> None:
    """A message without `Any`s keeps its bytes."""
    value = {"name": "a", "connect_timeout": "1.5s", "load_assignment": {"cluster_name": "a"}}
    assert encode(from_dict(ResourceType.CLUSTER, value)) == encode(ParseDict(value, Cluster()))
