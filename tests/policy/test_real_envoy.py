from __future__ import annotations

from typing import Any

import pytest
from envoy.config.bootstrap.v3.bootstrap_pb2 import Bootstrap
from google.protobuf.json_format import ParseDict

import reconciler.model.protos  # noqa: F401 -- loads the messages that are named here
from reconciler.envoy.validation import Validator
from reconciler.policy.checks.ciphers import CIPHERS
from reconciler.policy.checks.headervalues import ALONE, ARGUED, EITHER, value_problem

_TYPES = "type.googleapis.com/envoy.extensions"
_ARGUMENTS = {
    "COMMON_DURATION": "DS_RX_BEG:DS_RX_END",
    "METADATA": "ROUTE:a:b",
    "COALESCE": '{"operators": ["HOSTNAME"]}',
}
"""Of commands that don't take just any name."""


def headers(*values: str) -> dict[str, Any]:
    """A bootstrap whose one listener adds headers of these values."""
    added = [{"header": {"key": "x", "value": value}} for value in values]
    host = {"name": "a", "domains": ["*"], "request_headers_to_add": added, "routes": []}
    manager = {
        "@type": f"{_TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "a",
        "route_config": {"virtual_hosts": [host]},
        "http_filters": [{"name": "r", "typed_config": {"@type": f"{_TYPES}.filters.http.router.v3.Router"}}],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    chain = {"filters": [{"name": "m", "typed_config": manager}]}
    return {"static_resources": {"listeners": [{"name": "l", "address": address, "filter_chains": [chain]}]}}


def ciphers(*names: str) -> dict[str, Any]:
    """A bootstrap with one cluster that offers these cipher suites."""
    context = {
        "@type": f"{_TYPES}.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"tls_params": {"cipher_suites": list(names)}},
    }
    socket = {"name": "tls", "typed_config": context}
    cluster = {"name": "c", "type": "STATIC", "connect_timeout": "1s", "transport_socket": socket}
    return {"static_resources": {"clusters": [cluster]}}


def complaint(bootstrap: dict[str, Any]) -> str:
    """What Envoy has against it."""
    return Validator().ask(ParseDict(bootstrap, Bootstrap()).SerializeToString()).complaint


def test_every_command_that_is_known_is_one_of_envoys() -> None:
    """Header values that are taken here can't take a proxy's routes down."""
    values = [
        *(f"%{name}%" for name in ALONE | EITHER),
        *(f"%{name}({_ARGUMENTS.get(name, 'a')})%" for name in ARGUED),
        "100%% of %REQ(x-a?y-b):10%, %START_TIME(%Y/%m)%%%",
    ]
    assert [value for value in values if value_problem(value)] == []
    assert complaint(headers(*values)) == ""


@pytest.mark.parametrize(
    "value", ["100%", "a%b", "%WHATEVER%", "%req(a)%", "%REQ%", "%PROTOCOL(a)%", "%HOSTNAME%%", "%a%%"]
)
def test_what_is_refused_would_be_refused_by_envoy(value: str) -> None:
    """No header value is refused for nothing."""
    assert value_problem(value)
    assert complaint(headers(value))


def test_cipher_suites_are_those_of_envoy() -> None:
    """Each name is known to Envoy, and it takes no listener with one that isn't."""
    assert complaint(ciphers(*CIPHERS, "[AES128-SHA|AES256-SHA]")) == ""
    assert complaint(ciphers("ALL", "-AES128-SHA")) == ""
    assert "AES129-SHA" in complaint(ciphers("AES128-SHA", "AES129-SHA"))
