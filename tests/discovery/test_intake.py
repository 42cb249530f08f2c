"""What adapters say that can't be used: it is left out and named, and holds back nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.discovery import Alive, Event, Gone, Problem, Put, Snapshot
from reconciler.discovery.keeping.intake import Intake
from reconciler.discovery.keeping.sound import NonsenseError, service
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found, Instance
from reconciler.model.protocol import Protocol
from reconciler.model.services import Port

GOOD = Instance(address="10.0.0.1", ports={"http": 80})
HTTP = Port(80, "http", Protocol.HTTP, 8080)
HOST = "reviews.example.com"


def found(*instances: Any, **fields: Any) -> Found:
    return Found(**{"host": HOST, "instances": instances, **fields})


def bad(**fields: Any) -> Instance:
    return replace(GOOD, **fields)


@pytest.mark.parametrize(
    ("instance", "why"),
    [
        (bad(ports={"http": 0}), "port 0"),
        (bad(ports={"http": -1}), "port -1"),
        (bad(ports={"http": 70000}), "port 70000"),
        (bad(ports={"http": True}), "port True"),
        (bad(ports={"http": "80"}), "port '80'"),
        (bad(ports=None), "makes no sense"),
        (bad(address=""), "'' is no address"),
        (bad(address=None), "None is no address"),
        (bad(address=["10.0.0.1"]), "makes no sense"),
        (bad(address="0.0.0.0"), "0.0.0.0 is the address of nobody"),  # noqa: S104 -- which is the point
        (bad(address="::"), ":: is the address of nobody"),
        (bad(address="224.0.0.1"), "224.0.0.1 is the address of nobody"),
        (bad(address="fe80::1%eth0"), "'fe80::1%eth0' is no address"),
        (bad(address="10.0.0.1\0"), "is no address"),
        (bad(address="unix://"), "is no socket"),
        (bad(address="unix://../../x"), "is no socket"),
        (bad(address="unix:///" + "a" * 107), "is no socket"),
        (bad(address="unix:///a\0b"), "is no address"),
        (bad(address="unix:///\ud800"), "is no address"),
        (bad(weight=1.5), "weight 1.5"),
        (bad(health="weird"), "health 'weird'"),
        (bad(locality="\ud800"), "something else than text"),
        (bad(locality="a\nb"), "something else than text"),
        (bad(locality="a" * 2000), "something else than text"),
        (bad(service_account=7), "something else than text"),
        (bad(labels=None), "something else than text"),
        (bad(labels={"version": 1}), "something else than text"),
        (bad(labels={"version": "\udfff"}), "something else than text"),
        ("10.0.0.1:80", "makes no sense"),
    ],
)
def test_an_instance_that_can_not_be_used_is_left_out(instance: Any, why: str) -> None:
    """Alone, and it is said why."""
    used, wrong = service(found(GOOD, instance, bad(address="10.0.0.2")))
    assert [each.address for each in used.instances] == ["10.0.0.1", "10.0.0.2"]
    assert len(wrong) == 1
    assert why in wrong[0]


def test_what_can_be_used_is_the_same_object() -> None:
    """Names, sockets and addresses, odd labels and health: the merge judges whether they fit."""
    instances = (
        GOOD,
        bad(address="fd00::1"),
        bad(address="localhost", ports={}),
        bad(address="unix:///" + "a" * 106),
        bad(address="unix://@abstract"),
        bad(labels={"note": "ü\n" * 500_000}),
        bad(weight=4294967295),
    )
    given_ = found(*instances, ports=(HTTP,), addresses=("10.1.0.1", "10.2.0.0/16", "fd00::1"))
    assert service(given_) == (given_, ())
    assert service(given_)[0] is given_
    assert service(given_, given_)[0] is given_


def test_a_weight_is_one_that_envoy_takes() -> None:
    """From 1 to what 32 bits hold."""
    used, wrong = service(found(bad(weight=0), bad(weight=-5), bad(weight=2**40)))
    assert ([each.weight for each in used.instances], wrong) == ([1, 1, 4294967295], ())


@pytest.mark.parametrize(
    "host", ["", "*", "*.example.com", "A.example.com", "a b", "a|b", "a/b", "a\nb", "10.0.0.1", "\ud800.x", "a." * 200]
)
def test_a_host_is_one_name(host: str) -> None:
    """No registry may take all hosts, or what is no host, for its own."""
    with pytest.raises(NonsenseError, match="not the name of a host"):
        service(found(host=host))


@pytest.mark.parametrize("fields", [{"namespace": ""}, {"namespace": "a/b"}, {"resolution": "STATIC?"}, {"selector": {"a": 1}}, {"instances": [GOOD]}])  # fmt: skip
def test_a_service_of_nonsense_is_none(fields: Any) -> None:
    """What its instances are instances of would not be known."""
    with pytest.raises(NonsenseError):
        service(found(**fields))


def test_ports_and_addresses_that_can_not_be_used_are_left_out() -> None:
    """A listener everywhere would take what is for all others."""
    ports = (HTTP, replace(HTTP, number=0), replace(HTTP, number=81, target=70000), replace(HTTP, number=82, name=""))
    used, wrong = service(found(ports=ports, addresses=("10.1.0.1", "0.0.0.0", "::/0", "nonsense", "fe80::1%x")))  # noqa: S104
    assert (used.ports, used.addresses) == ((HTTP,), ("10.1.0.1",))
    assert len(wrong) == 7


def taken(intake: Intake, event: Event) -> list[Event]:
    return list(intake.take(event))


def told(said: list[Event]) -> str:
    (problem,) = (each for each in said if isinstance(each, Problem))
    return problem.diagnostic.message if problem.diagnostic is not None else ""


def test_what_is_left_out_is_a_problem_until_it_is_gone() -> None:
    """Said once, with how many services it is about."""
    intake = Intake("consul")
    wild = found(host="*")
    said = taken(intake, Snapshot({HOST: found(GOOD, bad(address="")), "*": wild}))
    assert said[0] == Snapshot({HOST: found(GOOD)})
    assert told(said) == (
        "registry consul lists what can't be used: service '*': that is not the name of a host, in lower case;"
        " and 1 more services like it"
    )
    assert taken(intake, Alive()) == [Alive()]
    assert told(taken(intake, Gone("*"))) == f"registry consul lists what can't be used: {HOST}: '' is no address"
    put = Put(found(GOOD))
    assert taken(intake, put) == [put, Problem(None)]


def test_a_service_that_makes_no_sense_any_more_is_gone() -> None:
    """It is no service as it is, and what it was it is not."""
    intake = Intake("consul")
    taken(intake, Snapshot({HOST: found(GOOD)}))
    said = taken(intake, Put(found(GOOD, namespace="")))
    assert said[0] == Gone(HOST)
    assert told(said)


def test_what_an_adapter_itself_says_goes_first() -> None:
    """And what is left out comes again when that is over."""
    intake, own = Intake("consul"), Diagnostic(code="discovery-entries", message="one is odd")
    taken(intake, Snapshot({HOST: found(bad(address=""))}))
    assert taken(intake, Problem(own)) == [Problem(own)]
    assert taken(intake, Put(found(host="*"))) == [Gone("*")]
    assert "2" not in told(taken(intake, Problem(None)))[:10]


def test_what_is_no_service_is_the_fault_of_the_adapter() -> None:
    """It is not known which service that was."""
    with pytest.raises(TypeError, match="is no service"):
        taken(Intake("consul"), Put("reviews"))  # type: ignore[arg-type]


def test_what_can_be_used_passes_as_it_is() -> None:
    """The same objects: who listens tells by that what has changed."""
    intake = Intake("consul")
    for event in (Snapshot({HOST: found(GOOD)}, frozenset({"x"})), Put(found(GOOD)), Gone(HOST), Alive()):
        (same,) = taken(intake, event)
        assert same is event


ANYTHING = st.one_of(
    st.none(), st.integers(), st.text(), st.floats(), st.dictionaries(st.text(), st.text(), max_size=2)
)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(Instance.__dataclass_fields__, ANYTHING)))
def test_no_value_is_too_odd_to_be_judged(fields: dict[str, Any]) -> None:
    """Whatever stands in whichever field, the instance beside it is used."""
    used, _ = service(found(GOOD, bad(**fields)))
    assert used.instances[0] is GOOD
