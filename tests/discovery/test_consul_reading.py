"""What Consul's answers mean: instances, health, ports, and what makes no sense."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from reconciler.discovery.platforms.consul.reading import NonsenseError, entries, found, host_of
from reconciler.model.discovered import Found, Instance
from reconciler.model.discovery import Consul
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health

ENTRY: dict[str, Any] = {
    "Node": {"Node": "n1", "Address": "10.0.0.9", "Datacenter": "dc1"},
    "Service": {"ID": "web-1", "Service": "web", "Address": "10.0.0.1", "Port": 8080, "Tags": [], "Meta": {}},
    "Checks": [{"CheckID": "serfHealth", "Status": "passing"}],
}


def entry(
    *, checks: Sequence[tuple[str, str]] = (), node: Mapping[str, Any] | None = None, **service: Any
) -> dict[str, Any]:
    """One of Consul's entries, with what is different about it."""
    given = [{"CheckID": ident, "Status": status} for ident, status in checks]
    return {
        "Node": ENTRY["Node"] | (node or {}),
        "Service": ENTRY["Service"] | service,
        "Checks": [*ENTRY["Checks"], *given],
    }


def read(*documents: dict[str, Any], **spec: Any) -> tuple[Found, tuple[str, ...]]:
    """The service that these entries are."""
    given = entries(list(documents), "web")
    service, problems = found("web.service.consul", given.usable, Consul(**spec))
    return service, (*given.problems, *problems)


def only(document: dict[str, Any], **spec: Any) -> Instance:
    """The instance that this entry is, without a problem."""
    service, problems = read(document, **spec)
    assert problems == ()
    (instance,) = service.instances
    return instance


def test_an_entry_is_an_instance() -> None:
    """Address, port, labels from meta and tags, weight, locality, and its id."""
    assert only(
        entry(Tags=["version|v2", "canary", "tier=b=c"], Meta={"version": "v1", "app": "web"}, Weights={"Passing": 7})
    ) == Instance(
        address="10.0.0.1",
        ports={"": 8080},
        labels={"version": "v2", "tier": "b=c", "app": "web"},
        weight=7,
        locality="dc1",
        name="web-1",
    )


def test_an_instance_without_an_address_has_its_nodes() -> None:
    """As Consul's own DNS answers."""
    assert only(entry(Address="")).address == "10.0.0.9"


@pytest.mark.parametrize(
    ("checks", "health", "weight"),
    [
        ([], Health.HEALTHY, 10),
        ([("service:web", "passing")], Health.HEALTHY, 10),
        ([("service:web", "warning")], Health.HEALTHY, 3),
        ([("a", "warning"), ("b", "critical")], Health.UNHEALTHY, 10),
        ([("b", "critical"), ("_node_maintenance", "critical")], Health.DRAINING, 10),
        ([("_service_maintenance:web-1", "critical")], Health.DRAINING, 10),
        ([("a", "unheard-of")], Health.UNHEALTHY, 10),
    ],
)
def test_checks_are_health(checks: list[tuple[str, str]], health: Health, weight: int) -> None:
    """Summed up as Consul does it: maintenance, critical, warning, passing; a warning has its own weight."""
    instance = only(entry(checks=checks, Weights={"Passing": 10, "Warning": 3}))
    assert (instance.health, instance.weight) == (health, weight)


def test_a_weight_of_zero_is_draining() -> None:
    """Such an instance is to get nothing new, which no weight of ours can say."""
    instance = only(entry(checks=[("a", "warning")], Weights={"Passing": 10, "Warning": 0}))
    assert (instance.health, instance.weight) == (Health.DRAINING, 1)


def test_a_locality_says_more_than_the_datacenter() -> None:
    """The service's own before its node's."""
    place = {"Region": "eu", "Zone": "eu-1"}
    assert only(entry(node={"Locality": place})).locality == "eu/eu-1"
    assert only(entry(node={"Locality": place}, Locality={"Region": "us"})).locality == "us"


def test_ports_are_those_of_the_instances() -> None:
    """One port serves whatever the service calls it; of several each instance serves its own."""
    service, _ = read(entry(Meta={"protocol": "http"}), entry(ID="b", Address="10.0.0.2", Meta={"protocol": "HTTP"}))
    assert [(port.number, port.name, port.protocol) for port in service.ports] == [(8080, "http-8080", Protocol.HTTP)]
    assert [dict(each.ports) for each in service.instances] == [{"": 8080}, {"": 8080}]
    service, _ = read(entry(), entry(ID="b", Address="10.0.0.2", Port=9090, Meta={"protocol": "grpc"}))
    assert [(port.number, port.name) for port in service.ports] == [(8080, "tcp-8080"), (9090, "grpc-9090")]
    assert [dict(each.ports) for each in service.instances] == [{"tcp-8080": 8080}, {"grpc-9090": 9090}]


def test_a_port_for_instances_with_ports_of_their_own() -> None:
    """As a scheduler gives them: callers need one that stays."""
    service, _ = read(entry(Port=21001), entry(ID="b", Port=21002, Address="10.0.0.2"), port=80)
    assert [port.number for port in service.ports] == [80]
    assert [dict(each.ports) for each in service.instances] == [{"": 21001}, {"": 21002}]


def test_instances_that_are_names_make_a_service_of_names() -> None:
    """Services outside are registered by name; beside addresses a name can't be used, and is named as a problem."""
    service, problems = read(entry(Address="db.example.com"))
    assert (service.resolution, problems) == (Resolution.DNS, ())
    service, problems = read(entry(Address="db.example.com"), entry(ID="b"))
    assert service.resolution is Resolution.STATIC
    assert [each.address for each in service.instances] == ["10.0.0.1"]
    assert problems == ("web.service.consul: db.example.com is no IP address, as others are",)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"Service": {}}, "has no Node"),
        ({"Node": {}, "Service": []}, "has no Service"),
        (entry(Address="", node={"Address": ""}), "neither it nor its node has an address"),
        (entry(Port=0), "has port 0"),
        (entry(Port=70000), "has port 70000"),
        (entry(Port="80"), "has port 80"),
        (entry(Port=True), "has port True"),
        (entry(Meta={"protocol": "smtp"}), "speaks 'smtp'"),
    ],
)
def test_an_entry_that_makes_no_sense_is_left_out(document: dict[str, Any], words: str) -> None:
    """And named; the others count."""
    service, problems = read(document, entry(ID="ok", Address="10.0.0.3"))
    assert [each.name for each in service.instances] == ["ok"]
    assert len(problems) == 1
    assert words in problems[0]


def test_a_disagreement_on_the_protocol_is_named() -> None:
    """The first instance counts, whatever the order they come in."""
    two = entry(Meta={"protocol": "http"}), entry(ID="b", Address="10.0.0.2", Meta={"protocol": "tcp"})
    assert read(*two) == read(*reversed(two))
    assert "do not agree on the protocol of port 8080" in read(*two)[1][0]


@pytest.mark.parametrize(
    "kind", ["connect-proxy", "mesh-gateway", "ingress-gateway", "terminating-gateway", "api-gateway"]
)
def test_what_belongs_to_consuls_own_mesh_is_not_listed(kind: str) -> None:
    """Its proxies are no services that somebody calls by name."""
    assert entries([entry(Kind=kind)], "web").usable == ()


@pytest.mark.parametrize("document", [None, {}, [1], "x"])
def test_no_list_of_instances_at_all(document: object) -> None:
    """Then nothing of it is used."""
    with pytest.raises(NonsenseError):
        entries(document, "web")


def test_a_name_that_is_no_host() -> None:
    """Consul takes any name; a host is in lower case."""
    assert host_of("Web_1.v2", "Consul.") == "web_1.v2.service.consul"
    for name in ("a b", "-a", "a/b", "", "a..b", "ä", "a." * 120 + "a"):
        with pytest.raises(NonsenseError):
            host_of(name, "consul")
