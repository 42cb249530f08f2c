"""Reading the hosts of clusters: every field of an answer, whatever else answers, and a fleet of which some are silent."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from reconciler.envoy import Admin, AdminError, hosts_seen
from reconciler.envoy.hosts import TARGET, hosts
from reconciler.model.key import Key
from reconciler.model.seen import HostFlag, HostSeen, Sight, Told, Trouble
from reconciler.settings import AdminSettings
from tests.envoy.live import running
from tests.http.servers import always, answer, routed, serving, silent

HASTY = AdminSettings(connect_timeout=0.3, read_timeout=0.3, workers=2)


def _host(address: dict[str, Any], health: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    stats = [{"name": "cx_total"}, {"name": "rq_active", "type": "GAUGE", "value": "3"}]
    return {
        "address": address,
        "stats": stats,
        "health_status": {"eds_health_status": "HEALTHY"} | (health or {}),
        "weight": 1,
    } | more


def _body(*items: dict[str, Any], name: str = "c") -> bytes:
    return json.dumps({"cluster_statuses": [{"name": name, "host_statuses": items}]}).encode()


_SOCKET = {"socket_address": {"address": "10.0.0.1", "port_value": 80}}


def test_every_field_of_a_host_is_read() -> None:
    """All flags by Envoy's names; what is 0 or absent is left out of an answer."""
    full = _host(
        _SOCKET,
        {flag.value: True for flag in HostFlag} | {"eds_health_status": "DRAINING"},
        weight=7, priority=2, hostname="one", success_rate={"value": 98.5}, locality={"region": "r", "sub_zone": "s"},
    )  # fmt: skip
    (found,) = hosts(_body(full))["c"]
    assert found == HostSeen(
        address="10.0.0.1", port=80, hostname="one", flags=frozenset(HostFlag), told=Told.DRAINING,
        weight=7, locality="r//s", priority=2, success_rate=98.5,
    )  # fmt: skip
    plain, pipe, inner = hosts(
        _body(
            _host(_SOCKET, locality={}),
            _host({"pipe": {"path": "/run/a"}}),
            _host({"envoy_internal_address": {}}, success_rate={}),
        )
    )["c"]
    assert plain == HostSeen(address="10.0.0.1", port=80)
    assert (pipe.address, pipe.port) == ("/run/a", 0)
    assert (inner.address, inner.port, inner.success_rate) == ("internal:{}", 0, 0.0)


def test_a_flag_without_a_word_of_eds() -> None:
    """A host of another way of discovery may have flags alone."""
    (found,) = hosts(_body({"address": _SOCKET, "health_status": {"failed_outlier_check": True}}))["c"]
    assert (found.flags, found.told) == (frozenset({HostFlag.EJECTED}), Told.UNKNOWN)


def test_an_envoy_without_hosts_or_clusters() -> None:
    """Neither is an error."""
    assert hosts(b"{}") == {}
    assert hosts(b'{"cluster_statuses": [{"name": "c"}]}') == {"c": ()}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b'"x"', b'{"a": 1}', b'{"cluster_statuses": 1}', b'{"cluster_statuses": [{}]}', _body({}), b"\xff"],
)
def test_whatever_else_answers(body: bytes) -> None:
    """It is no Envoy, and named by its address."""
    with (
        serving(always(answer(200, body))) as server,
        Admin(server.address, AdminSettings()) as admin,
        pytest.raises(AdminError) as caught,
    ):
        admin.endpoints()
    assert (caught.value.code, server.address in caught.value.message) == ("admin-garbage", True)


def test_a_path_that_is_not_allowed() -> None:
    """What has to be allowed is said."""
    with (
        serving(always(answer(403, b"Forbidden"))) as server,
        Admin(server.address, AdminSettings()) as admin,
        pytest.raises(AdminError) as caught,
    ):
        admin.endpoints()
    assert caught.value.code == "admin-forbidden"
    assert "/clusters" in caught.value.diagnostics[0].hint


def test_a_fleet_of_which_some_are_silent(tmp_path: Path) -> None:
    """One that hangs, one that is down and one with a wrong address are named; the others' answers count."""
    ejected = _body(_host(_SOCKET, {"failed_outlier_check": True}))
    with ExitStack() as stack:
        one = stack.enter_context(serving(routed([(TARGET, answer(200, ejected))], answer(404, b""))))
        other = stack.enter_context(serving(routed([(TARGET, answer(200, _body(_host(_SOCKET))))], answer(404, b""))))
        hanging = stack.enter_context(serving(silent))
        names = {
            "a": one.address,
            "b": hanging.address,
            "c": other.address,
            "d": f"unix://{tmp_path}/none",
            "e": "ftp://x",
        }
        seen = hosts_seen({Key("default", name): address for name, address in names.items()}, HASTY)
    assert [key.name for key in seen.answered] == ["a", "c"]
    assert {key.name: item.code for key, item in seen.silent.items()} == {
        "b": "admin-timeout", "d": "admin-unreachable", "e": "address",
    }  # fmt: skip
    assert seen.hosts == {("c", "10.0.0.1", 80): Sight(2, {Trouble.EJECTED: 1})}


def test_proxies_that_hang_do_not_hold_up_the_answer() -> None:
    """When time is up nobody else is asked, and who was not is named."""
    with serving(silent) as server:
        seen = hosts_seen({Key("default", str(number)): server.address for number in range(9)}, HASTY, within=0.1)
    codes = [item.code for item in seen.silent.values()]
    assert (len(codes), set(codes)) == (9, {"admin-timeout", "admin-not-asked"})
    assert codes.count("admin-not-asked") >= 5


def test_nobody_to_ask() -> None:
    """An empty fleet is not an error."""
    assert hosts_seen({}, HASTY).hosts == {}


@pytest.mark.long
def test_ten_thousand_hosts(tmp_path: Path) -> None:
    """All of them are read, each in its place."""
    listed = [
        {"endpoint": {"address": {"socket_address": {"address": f"10.0.{at // 256}.{at % 256}", "port_value": 80}}}}
        for at in range(10_000)
    ]
    cluster = {
        "name": "c",
        "type": "STATIC",
        "load_assignment": {"cluster_name": "c", "endpoints": [{"lb_endpoints": listed}]},
    }
    with running(tmp_path, static_resources={"clusters": [cluster]}) as live:
        found = live.admin.endpoints()["c"]
    assert {host.address for host in found} == {f"10.0.{at // 256}.{at % 256}" for at in range(10_000)}
