from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from reconciler.cli.services.choice import unwell_only, well
from reconciler.cli.services.inventory import counted
from reconciler.cli.services.sight import asked, with_sight
from reconciler.errors import Diagnostic
from reconciler.model.key import Key
from reconciler.model.seen import HostFlag, HostSeen, HostsSeen, Tally, Told

HOST = "b.default.svc.cluster.local"
CLUSTER = f"outbound|80||{HOST}"
PROXIES = tuple(f"default/{name}" for name in "wxyz")


def endpoint(address: str, **fields: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "address": address, "ports": {"http": 8080}, "labels": {}, "locality": "", "weight": 1, "health": "healthy",
        "workload": "", "service_account": "", "registry": "files", "declared": None, "seen": None,
    }  # fmt: skip
    return plain | fields


def document(*endpoints: dict[str, Any], whole: Sequence[str] | None = None, **fields: Any) -> dict[str, Any]:
    """One service that four proxies may call."""
    port = {"number": 80, "name": "http", "protocol": "HTTP", "callers": None, "whole": whole}
    service: dict[str, Any] = {
        "host": HOST, "namespace": "default", "location": "MESH_INTERNAL", "resolution": "STATIC", "addresses": [],
        "export_to": ["*"], "ports": [port], "declared": None, "registries": ["files"],
        "counts": counted(item["health"] for item in endpoints), "callers": {"proxies": [*PROXIES], "of": 5},
        "endpoints": [*endpoints],
    }  # fmt: skip
    proxies = [{"proxy": name, "admin": f"unix:///{name}", "configured_here": True} for name in (*PROXIES, "default/o")]
    proxies[3]["admin"] = None
    return {
        "schema_version": 1, "commit": "c" * 40, "ref": "main", "domain": "cluster.local", "now": "2026-01-01T12:00:00+00:00",
        "daemon": None, "registries": [], "unused": [], "proxies": proxies, "services": [service | fields],
    }  # fmt: skip


def host(address: str, *flags: HostFlag, port: int = 8080, told: Told = Told.HEALTHY) -> HostSeen:
    return HostSeen(address=address, port=port, flags=frozenset(flags), told=told)


def said(*answers: Mapping[str, Sequence[HostSeen]]) -> HostsSeen:
    """What the first of the proxies say."""
    tally = Tally()
    for name, answer in zip(PROXIES, answers, strict=False):
        tally.answer(Key.parse(name), answer)
    return tally.result()


def seen(found: Mapping[str, Any]) -> list[Any]:
    return [item["seen"] for item in found["services"][0]["endpoints"]]


def test_an_instance_that_some_callers_have_ejected_and_some_do_not_have() -> None:
    """Each is counted against those that answered, not against all that there are."""
    ejected = host("10.0.0.1", HostFlag.EJECTED)
    one, two = host("10.0.0.1"), host("10.0.0.2")
    found = with_sight(
        document(endpoint("10.0.0.1"), endpoint("10.0.0.2")),
        said({CLUSTER: [ejected, two]}, {CLUSTER: [ejected]}, {CLUSTER: [one, two]}),
    )
    assert seen(found) == [
        {"callers": 3, "having": 3, "lacking": 0, "troubles": {"ejected": 2}},
        {"callers": 3, "having": 2, "lacking": 1, "troubles": {}},
    ]
    assert found["services"][0]["callers"]["answered"] == found["health"]["answered"] == 3
    assert [well(item) for item in found["services"][0]["endpoints"]] == [False, False]


def test_who_has_subsets_only_lacks_nothing() -> None:
    """A gateway has the clusters that its routes name: an instance of no such subset is not there, and need not be."""
    subset = CLUSTER.replace("||", "|v1|")
    answers = said({CLUSTER: [host("10.0.0.1"), host("10.0.0.2")]}, {subset: [host("10.0.0.1", HostFlag.FAILED_CHECK)]})
    found = with_sight(document(endpoint("10.0.0.1"), endpoint("10.0.0.2"), whole=["default/w"]), answers)
    assert seen(found) == [
        {"callers": 2, "having": 1, "lacking": 0, "troubles": {"failed-check": 1}},
        {"callers": 2, "having": 1, "lacking": 0, "troubles": {}},
    ]


def test_nobody_has_answered() -> None:
    """Then nothing is known of how instances are seen, and it is said who was silent."""
    tally = Tally()
    tally.silence(Key("default", "w"), Diagnostic(code="admin-unreachable", message="no"))
    found = with_sight(document(endpoint("10.0.0.1")), tally.result())
    assert seen(found) == [None]
    assert found["health"] == {
        "answered": 0,
        "silent": [{"proxy": "default/w", "code": "admin-unreachable", "reason": "no"}],
    }


@pytest.mark.parametrize(
    ("declared", "shown", "port"),
    [("2001:DB8:0::1", "2001:db8::1", 8080), ("unix:///run/b.sock", "/run/b.sock", 0), ("10.0.0.1", "10.0.0.1", 8080)],
)
def test_one_address_in_two_spellings_is_one_instance(declared: str, shown: str, port: int) -> None:
    """Envoy writes addresses in its own way."""
    found = with_sight(document(endpoint(declared)), said({CLUSTER: [host(shown, port=port)]}))
    assert seen(found) == [{"callers": 1, "having": 1, "lacking": 0, "troubles": {}}]
    assert found["services"][0]["others"] == []


def test_what_callers_have_and_nobody_lists_is_named() -> None:
    """An instance that has left and is not forgotten; of names, the addresses that they were resolved to."""
    answers = said({CLUSTER: [host("10.0.0.8", HostFlag.LEAVING)]}, {CLUSTER: []})
    left = {"address": "10.0.0.8", "port": 8080, "callers": 2, "having": 1, "troubles": {"leaving": 1}}
    found = with_sight(document(), answers)
    assert found["services"][0]["others"] == [left]
    assert unwell_only(found)["services"] == found["services"]
    named = with_sight(document(endpoint("b.example.com"), resolution="DNS"), said({CLUSTER: [host("10.0.0.8")]}))
    assert (seen(named), len(named["services"][0]["others"])) == ([None], 1)
    assert unwell_only(named)["services"] == []


def test_those_are_asked_that_may_call_something() -> None:
    """A proxy without an admin endpoint can't be, and one that calls none of the services has nothing to say."""
    assert [str(key) for key in asked(document())] == ["default/w", "default/x", "default/y"]
    assert asked(document(), "x") == {Key("default", "x"): "unix:///default/x"}
