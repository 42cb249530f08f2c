"""Prometheus's target groups become services: what each field means, and what is left out and named."""

from __future__ import annotations

import ipaddress
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery.contract import Gone, Put
from reconciler.discovery.platforms.prometheus.targets import (
    Listing,
    TargetsError,
    changes,
    from_json,
    read,
    services,
    summary,
)
from reconciler.errors import Diagnostic
from reconciler.model.discovered import ANY_PORT, Found, Instance
from reconciler.model.discovery import Naming
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import ServicePort
from reconciler.model.services import Health, Port
from tests.discovery.groups import full, group

NAMING = Naming()
HOST = full("reviews")


def listing(document: Any, naming: Naming = NAMING) -> Listing:
    return read(document, naming, source="t.json", domain="cluster.local")


def found(document: Any, naming: Naming = NAMING) -> dict[str, Found]:
    services_, problems = services([listing(document, naming)], naming, domain="cluster.local")
    assert problems == ()
    return services_


def problems(document: Any, naming: Naming = NAMING) -> list[str]:
    _, said = services([listing(document, naming)], naming, domain="cluster.local")
    assert all(each.hint and each.code == "discovery-targets" for each in said)
    return [each.message for each in said]


def one(document: Any, naming: Naming = NAMING) -> Instance:
    ((service,),) = (found(document, naming).values(),)
    (instance,) = service.instances
    return instance


def test_a_target_is_an_instance_of_the_host_that_its_label_says() -> None:
    """`job` names the service; the group's labels are its instances', and instances are in the order of their addresses."""
    document = [
        group("10.0.0.2:8080", "10.0.0.1:8080", version="v2"),
        {"targets": ["[fd00::1]:9"], "labels": {"job": "a.b"}},
    ]
    labels = {"job": "reviews", "version": "v2"}
    assert found(document) == {
        "a.b": Found(host="a.b", instances=(Instance(address="fd00::1", ports={ANY_PORT: 9}, labels={"job": "a.b"}),)),
        HOST: Found(
            host=HOST,
            instances=tuple(
                Instance(address=address, ports={ANY_PORT: 8080}, labels=labels) for address in ("10.0.0.1", "10.0.0.2")
            ),
        ),
    }


def test_a_registry_may_name_its_one_host_another_label_and_the_service_s_ports() -> None:
    """`host` wins over any label, `hostLabel` may be any, `port` names the targets' port, and `ports` are the service's."""
    naming = Naming(
        host="Ratings", namespace="shop", port="web", ports=(ServicePort(number=80, name="web", target_port=8080),)
    )
    (service,) = found([group("10.0.0.1:8080")], naming).values()
    assert service.host == "ratings.shop.svc.cluster.local"
    assert service.namespace == "shop"
    assert service.ports == (Port(80, "web", Protocol.HTTP, 8080),)
    assert service.instances[0].ports == {"web": 8080}
    assert set(found([group("10.0.0.1:1", app="x.example.")], Naming(host_label="app"))) == {"x.example"}


def test_labels_with_two_underscores_say_more_of_an_instance() -> None:
    """Weight, locality, health, network, account and port name; Prometheus's own are dropped."""
    labels = {
        "__weight__": "3", "__locality__": "eu/a", "__health__": "draining", "__network__": "n1",
        "__service_account__": "sa", "__port_name__": "grpc", "__meta_x": "1", "__scheme__": "https",
    }  # fmt: skip
    assert one([group("10.0.0.1:8080", **labels)], Naming(port="web")) == Instance(
        address="10.0.0.1",
        ports={"grpc": 8080},
        labels={"job": "reviews"},
        weight=3,
        health=Health.DRAINING,
        locality="eu/a",
        network="n1",
        service_account="sa",
    )


def test_a_service_may_have_no_instances() -> None:
    """A group without targets names its service; a registry of one host always has that; an empty list is no error."""
    assert found([group()])[HOST].instances == ()
    assert found([]) == {}
    assert found([], Naming(host="reviews"))[HOST].instances == ()


@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("10.0.0.1", "has no port"),
        ("::1", "has no port"),
        ("[::1]", "has no port"),
        ("", "has no port"),
        ("reviews.example:80", "is not an IP address"),
        ("http://10.0.0.1:80", "is not an IP address"),
        ("[10.0.0.1]:80", "is not an IP address"),
        ("[fe80::1%eth0]:80", "is not an IP address"),
        ("10.0.0.1:0", "port that is none"),
        ("10.0.0.1:65536", "port that is none"),
        ("10.0.0.1:80/metrics", "port that is none"),
        (8080, "is not a string"),
    ],
)
def test_a_target_that_makes_no_sense_is_left_out_and_named(target: Any, why: str) -> None:
    """Its file, its group and itself are in the message; the other targets of the group count."""
    (said,) = problems([group("10.0.0.9:80"), group(target, "10.0.0.1:80")])
    assert said.startswith(f"t.json: group 1: the target {str(target)!r}")
    assert why in said
    assert len(listing([group(target, "10.0.0.1:80")]).entries) == 1


def test_a_name_as_target_is_sent_to_the_registry_for_names() -> None:
    """Endpoints of a STATIC service are addresses, so the hint names the registry that finds them."""
    (problem,) = listing([group("reviews.example:80")]).problems
    assert "dns" in problem.hint


@pytest.mark.parametrize(
    ("nonsense", "why"),
    [
        (None, "not a target group"),
        ("10.0.0.1:80", "not a target group"),
        ({"labels": {}}, "no list of targets"),
        ({"targets": "10.0.0.1:80"}, "no list of targets"),
        ({"targets": [], "lables": {}}, "no field 'lables'"),
        ({"targets": [], "labels": []}, "no mapping"),
        (group(version=1), "'version' is not a string"),
        ({"targets": ["10.0.0.1:80"]}, "no label 'job'"),
        (group(job=""), "no label 'job'"),
        (group(job="a b"), "not the name of a host"),
        (group(job="10.0.0.1"), "not the name of a host"),
        (group(job="*.example.com"), "not the name of a host"),
        (group(job="x" * 64), "not the name of a host"),
        (group(__weight__="0"), "__weight__ is '0'"),
        (group(__weight__="4294967296"), "__weight__"),
        (group(__weight__="-1"), "__weight__"),
        (group(__locality__="a//c"), "__locality__"),
        (group(__locality__="a/b/c/d"), "__locality__"),
        (group(__health__="down"), "__health__ is 'down'"),
    ],
)
def test_a_group_that_makes_no_sense_is_left_out_and_named(nonsense: Any, why: str) -> None:
    """The other groups count."""
    document = [nonsense, group("10.0.0.1:80")]
    (said,) = problems(document)
    assert said.startswith("t.json: group 0: ")
    assert why in said
    assert [host for host, _ in listing(document).entries] == [HOST]


def test_a_registry_s_own_host_that_is_none_is_a_problem() -> None:
    """It is said once for the registry, not only for each group."""
    assert problems([], Naming(host="a b")) == ["host: 'a b' is not the name of a host"]


def test_of_one_target_twice_the_first_counts() -> None:
    """Over all lists in their order, and however an address is written; saying something else of it is a problem."""
    same = [group("10.0.0.1:80", "10.0.0.1:80"), group("10.0.0.1:80")]
    assert len(found(same)[HOST].instances) == 1
    lists = [listing([group("[fd00:0::1]:80", version="v1")]), listing([group("[fd00::1]:80", version="v2")])]
    services_, said = services(lists, NAMING, domain="cluster.local")
    assert [each.labels["version"] for each in services_[HOST].instances] == ["v1"]
    assert [each.message for each in said] == [f"{HOST} has [fd00::1]:80 twice with different labels; the first counts"]
    two_ports = found([group("10.0.0.1:80", "10.0.0.1:81")])
    assert [each.ports for each in two_ports[HOST].instances] == [{ANY_PORT: 80}, {ANY_PORT: 81}]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "not JSON"),
        (b'[{"targets": ["10.0.0.1:8', "not JSON"),
        (b"\xff[]", "not UTF-8"),
        (b'[{"targets": [], "targets": ["10.0.0.1:80"]}]', "'targets' stands twice"),
        (b"[" * 100_000, "nested too deeply"),
    ],
)
def test_a_text_that_is_no_json_is_an_error(text: bytes, why: str) -> None:
    """Nothing of it is used, the source is named, and there is a hint."""
    with pytest.raises(TargetsError, match=why) as error:
        from_json(text, source="t.json")
    assert error.value.message.startswith("t.json: ")
    assert error.value.diagnostics[0].hint


@pytest.mark.parametrize("document", [None, {}, "x", {"targets": []}, 5])
def test_a_document_that_is_no_list_is_an_error(document: Any) -> None:
    """Not an empty list: what wrote it may be broken."""
    with pytest.raises(TargetsError, match=r"t\.json"):
        listing(document)


def test_many_problems_are_one_message() -> None:
    """The first, and how many more there are."""
    first, second = (Diagnostic(code="x", message=text) for text in ("first", "second"))
    assert summary(()) is None
    assert summary((first,)) is first
    said = summary((first, second))
    assert said is not None
    assert said.message == "first; and 1 more like it"


TARGETS = st.builds(
    lambda address, port: f"[{address}]:{port}" if ":" in address else f"{address}:{port}",
    st.ip_addresses().map(str).filter(lambda text: "%" not in text),
    st.integers(min_value=1, max_value=65535),
)
DOCUMENTS = st.lists(
    st.builds(
        lambda targets, job: group(*targets, job=job), st.lists(TARGETS, max_size=4), st.sampled_from(["a", "b", "c.d"])
    ),
    max_size=5,
)


@given(DOCUMENTS)
def test_every_address_and_port_is_found_once(document: list[dict[str, Any]]) -> None:
    """Law: a service has the set of the targets of its groups, whatever their order, and its JSON means the same."""
    services_ = found(from_json(json.dumps(document).encode(), source="t.json"))
    for host in ("a", "b", "c.d"):
        wanted = {target for each in document if each["labels"]["job"] == host for target in each["targets"]}
        pairs = [target.rpartition(":") for target in wanted]
        expected = sorted((ipaddress.ip_address(pair[0].strip("[]")).compressed, int(pair[2])) for pair in pairs)
        name = host if "." in host else full(host)
        got = [(each.address, each.ports[ANY_PORT]) for each in services_[name].instances] if name in services_ else []
        assert got == expected
    assert found(document[::-1]) == services_


@given(DOCUMENTS, DOCUMENTS)
def test_changes_turn_the_old_services_into_the_new(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Law: applying what changed to the old gives the new; of equal services nothing changed."""
    before, after = found(old), found(new)
    state = dict(before)
    for event in changes(before, after):
        match event:
            case Put(service):
                assert state.get(service.host) != service
                state[service.host] = service
            case Gone(host):
                del state[host]
    assert state == after
    assert list(changes(after, found(new))) == []


@given(DOCUMENTS, DOCUMENTS)
def test_what_was_said_before_changes_nothing(old: list[dict[str, Any]], new: list[dict[str, Any]]) -> None:
    """Law: a list means the same whatever its source said before; what did not change is the same object."""
    before = listing(old)
    after = read(new, NAMING, source="t.json", domain="cluster.local", before=before)
    assert after == listing(new)
    again = read(new, NAMING, source="t.json", domain="cluster.local", before=after)
    assert all(one is other for (_, one), (_, other) in zip(after.entries, again.entries, strict=True))
