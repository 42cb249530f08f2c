from __future__ import annotations

from typing import Any

import pytest

from reconciler.cli.services.choice import UnknownServiceError, chosen, instances_of, unwell_only
from reconciler.errors import UsageError
from tests.cli.services.test_sight import document, endpoint

HOSTS = ("a.default.svc.cluster.local", "b.default.svc.cluster.local", "b.prod.svc.cluster.local", "api.example.com")


def several(*hosts: str) -> dict[str, Any]:
    plain = document()
    return plain | {
        "services": [plain["services"][0] | {"host": host} for host in hosts],
        "registries": [{"registry": "files"}, {"registry": "more"}],
        "unused": [{"host": "c.default.svc.cluster.local", "registries": ["files"]}],
    }


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("b", ["b.default.svc.cluster.local"]),
        ("b.prod", ["b.prod.svc.cluster.local"]),
        ("B.prod.svc.cluster.local", ["b.prod.svc.cluster.local"]),
        ("api.example.com", ["api.example.com"]),
        ("b.*", ["b.default.svc.cluster.local", "b.prod.svc.cluster.local"]),
        ("?.default", ["a.default.svc.cluster.local", "b.default.svc.cluster.local"]),
        ("*", [*HOSTS]),
    ],
)
def test_a_host_is_written_as_in_policies_or_as_a_pattern(text: str, found: list[str]) -> None:
    """A short name is one of the namespace that is asked about."""
    assert [item["host"] for item in chosen(several(*HOSTS), [text], namespace="default")["services"]] == found


def test_short_names_are_of_the_namespace_that_was_named() -> None:
    """As in a policy of that namespace."""
    found = chosen(several(*HOSTS), ["b"], namespace="prod")
    assert ([item["host"] for item in found["services"]], found["unused"]) == (["b.prod.svc.cluster.local"], [])


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("apj.example.com", "there is no service apj.example.com", "did you mean api.example.com?"),
        ("zz*", "there is no service zz*", "`reconcile services` lists all of them"),
        ("c", "c.default.svc.cluster.local is listed by files, and nobody says its ports", "declare them in"),
    ],
)
def test_a_host_that_is_none_is_an_error_with_what_is_near(text: str, message: str, hint: str) -> None:
    """And one that registries list without being a service is told apart from one that nobody knows."""
    with pytest.raises(UnknownServiceError, match="service-unknown") as raised:
        chosen(several(*HOSTS), ["a", text], namespace="default")
    assert raised.value.message == message
    assert raised.value.diagnostics[0].hint.startswith(hint)


def test_a_service_of_another_namespace_is_near() -> None:
    """The most likely slip."""
    with pytest.raises(UnknownServiceError) as raised:
        chosen(several("b.prod.svc.cluster.local"), ["b"], namespace="default")
    assert raised.value.diagnostics[0].hint == "did you mean b.prod.svc.cluster.local?"


def test_of_one_registry_its_services_and_its_instances_alone() -> None:
    """Counts are of what is shown."""
    whole = several(*HOSTS[:2])
    whole["services"][0]["endpoints"] = [endpoint("10.0.0.1"), endpoint("10.0.0.2", registry=None, health="draining")]
    whole["services"][1]["registries"] = ["more"]
    found = instances_of(chosen(whole, [], namespace="default", registry="files"), "files")
    (item,) = found["services"]
    assert [one["address"] for one in item["endpoints"]] == ["10.0.0.1"]
    assert item["counts"] == {"instances": 1, "healthy": 1, "unhealthy": 0, "draining": 0}
    assert found["unused"] == whole["unused"]
    assert chosen(whole, [], namespace="default", registry="more")["unused"] == []


def test_of_one_proxy_what_it_may_call() -> None:
    """By its name as elsewhere."""
    whole = several(*HOSTS)
    whole["services"][0]["callers"] = {"proxies": ["default/x"], "of": 2}
    assert len(chosen(whole, [], namespace="default", proxy="w")["services"]) == len(HOSTS) - 1
    assert len(chosen(whole, [], namespace="default", proxy="default/x")["services"]) == len(HOSTS)
    assert chosen(whole, [], namespace="default", proxy="o")["services"] == []


@pytest.mark.parametrize(
    ("options", "hint"),
    [
        ({"registry": "file"}, "did you mean files?"),
        ({"registry": "zzz"}, "there is files, more"),
        ({"proxy": "default/ww"}, "did you mean"),
        ({"proxy": "v"}, "name a proxy with"),
    ],
)
def test_what_is_no_registry_and_no_proxy_of_ours_is_an_error(options: dict[str, str], hint: str) -> None:
    """An empty list would look like an answer."""
    whole = several(*HOSTS)
    whole["proxies"].append({"proxy": "default/v", "admin": None, "configured_here": False})
    with pytest.raises(UsageError) as raised:
        chosen(whole, [], namespace="default", **options)
    assert raised.value.diagnostics[0].hint.startswith(hint)
    empty = whole | {"registries": [], "proxies": []}
    with pytest.raises(UsageError, match="there are no"):
        chosen(empty, [], namespace="default", **dict.fromkeys(options, "z"))


def test_only_what_is_not_well() -> None:
    """Of a service that has well instances too, the others; and a service without any instance."""
    whole = several(*HOSTS)
    good, bad = endpoint("10.0.0.1"), endpoint("10.0.0.2", health="unhealthy")
    for item, endpoints in zip(whole["services"], ([good], [good, bad], [], []), strict=True):
        item |= {"endpoints": endpoints, "others": []}
    whole["services"][3]["resolution"] = "DNS"
    found = unwell_only(whole)["services"]
    assert [(item["host"], item["endpoints"]) for item in found] == [(HOSTS[1], [bad]), (HOSTS[2], [])]
