"""DNS as a registry: it conforms to the contract, and answers mean what RFC 1035, 2308 and 2782 say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dns.rcode
import pytest

from reconciler.discovery.conformance import Ability, Rule, State, Watched, rules, watching
from reconciler.discovery.contract import Alive, Snapshot
from reconciler.discovery.platforms.dns.adapter import DnsAdapter, build
from reconciler.discovery.platforms.dns.asking import Asker, DnsError
from reconciler.discovery.platforms.dns.records import Answer, Kind, Question, Target, asked, read
from reconciler.model.discovered import ANY_PORT, Found, Instance
from reconciler.model.discovery import Dns, DnsService
from reconciler.model.serviceentry import ServicePort
from tests.discovery.groups import AROUND, full
from tests.discovery.knot import ZONE, DnsPlatform, Knot, Relay, with_rcode

WITHIN = 8.0
HOST = full("reviews")


@pytest.fixture(scope="module")
def knot(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Knot]:
    server = Knot(tmp_path_factory.mktemp("knot"))
    yield server
    server.stop()


@pytest.fixture
def platform(knot: Knot) -> Iterator[DnsPlatform]:
    knot.zone("")
    it = DnsPlatform(knot)
    yield it
    it.close()


LACKS = (Ability.LABELS, Ability.DRAIN, Ability.UNHEALTHY)
RULES = [rule for rule in rules(lacks=LACKS) if rule.name != "secrets-are-kept"]  # there are none


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_it_conforms(rule: Rule, platform: DnsPlatform) -> None:
    """Every rule for adapters holds for DNS."""
    rule.check(platform)


def service(*names: str, port: int | None = 80, host: str = "reviews") -> DnsService:
    return DnsService(host=host, names=tuple(f"{name}.{ZONE}" for name in names), port=port)


def addresses(state: State, host: str = HOST) -> list[str] | None:
    return [each.address for each in state[host].instances] if host in state else None


def sees(watched: Watched, wanted: list[str]) -> None:
    watched.until(lambda state: addresses(state) == wanted, within=WITHIN, what=f"{wanted}")


def says(watched: Watched, *words: str) -> None:
    def said(it: Watched) -> bool:
        return all(word in str(it.problem) for word in words)

    watched.wait(said, within=WITHIN, what=f"problem with {words}")


def test_both_families_of_all_names_are_instances(knot: Knot, platform: DnsPlatform) -> None:
    """Aliases are followed, an address that two names have is one instance, and what a server shuffles is sorted."""
    knot.zone("a A 10.0.0.2\na A 10.0.0.1\na AAAA fd00::1\nb CNAME c\nc A 10.0.0.1\nc A 10.0.0.3")
    with watching(build(platform.spec(service("a", "b")), AROUND)) as watched:
        sees(watched, ["10.0.0.1", "10.0.0.2", "10.0.0.3", "fd00::1"])
        assert {each.ports[ANY_PORT] for each in watched.services[HOST].instances} == {80}


def test_a_large_answer_comes_over_tcp(knot: Knot, platform: DnsPlatform) -> None:
    """Two hundred addresses fit into no datagram."""
    wanted = sorted(f"10.0.{n % 7}.{n}" for n in range(200))
    knot.zone("\n".join(f"many A {address}" for address in wanted))
    with watching(build(platform.spec(service("many")), AROUND)) as watched:
        watched.until(lambda state: sorted(addresses(state) or ()) == wanted, within=WITHIN, what="200 addresses")
    assert f"many.{ZONE} A tcp" in platform.relay.questions


def test_an_answer_is_kept_for_its_ttl(knot: Knot, platform: DnsPlatform) -> None:
    """Each name has a clock of its own, and `maxTtl` shortens what is too long."""
    knot.zone("quick 1 A 10.0.0.1\nslow 300 A 10.0.0.2")
    spec = platform.spec(service("quick", "slow"), max_ttl=timedelta(minutes=5))

    def count(name: str) -> int:
        return sum(each.startswith(f"{name}.{ZONE} A ") for each in platform.relay.questions)

    with watching(build(spec, AROUND)) as watched:
        sees(watched, ["10.0.0.1", "10.0.0.2"])
        knot.zone("quick 1 A 10.0.0.3\nslow 300 A 10.0.0.4")
        sees(watched, ["10.0.0.2", "10.0.0.3"])
        watched.wait(lambda _: count("quick") >= 3, within=WITHIN, what="third question")
        assert count("slow") == 1
        assert Alive() in watched.events


def test_many_names_are_no_storm(knot: Knot, platform: DnsPlatform) -> None:
    """However short TTLs are, `minTtl` passes between two equal questions."""
    names = [f"n{number}" for number in range(40)]
    knot.zone("\n".join(f"{name} 0 A 10.0.0.{number}" for number, name in enumerate(names)))
    spec = platform.spec(service(*names), min_ttl=timedelta(seconds=30), max_ttl=timedelta(seconds=30))
    with watching(build(spec, AROUND)) as watched:
        watched.until(lambda state: len(addresses(state) or ()) == 40, within=WITHIN, what="all")
        assert len(platform.relay.questions) == len(set(platform.relay.questions)) == 80


def test_a_name_that_does_not_exist_has_no_instances(knot: Knot, platform: DnsPlatform) -> None:
    """Neither at first nor later, and it is asked for again: that is a state of the platform, not trouble."""
    with watching(build(platform.spec(service("a")), AROUND)) as watched:
        sees(watched, [])
        knot.zone("a A 10.0.0.1")
        sees(watched, ["10.0.0.1"])
        knot.zone("")
        sees(watched, [])
        assert watched.problem is None


def test_srv_records_say_port_and_weight(knot: Knot, platform: DnsPlatform) -> None:
    """Each target is an instance; a weight of 0 is the least that there is."""
    knot.zone("_http._tcp.r SRV 0 0 8080 x\n_http._tcp.r SRV 0 5 8081 y\nx A 10.0.0.1\ny A 10.0.0.2")
    with watching(build(platform.spec(service("_http._tcp.r", port=None)), AROUND)) as watched:
        sees(watched, ["10.0.0.1", "10.0.0.2"])
        found = [(each.ports, each.weight) for each in watched.services[HOST].instances]
        assert found == [({ANY_PORT: 8080}, 1), ({ANY_PORT: 8081}, 5)]


def test_only_targets_of_the_best_priority_with_addresses_are_used(knot: Knot, platform: DnsPlatform) -> None:
    """Others are used when those resolve to nothing, and no longer when they do again."""
    records = "_http._tcp.r SRV 1 1 80 x\n_http._tcp.r SRV 2 1 80 y\ny A 10.0.0.2\n"
    knot.zone(records + "x A 10.0.0.1")
    with watching(build(platform.spec(service("_http._tcp.r")), AROUND)) as watched:
        sees(watched, ["10.0.0.1"])
        knot.zone(records)
        sees(watched, ["10.0.0.2"])
        knot.zone(records + "x A 10.0.0.1")
        sees(watched, ["10.0.0.1"])


def test_a_name_that_fails_keeps_what_it_had(knot: Knot, platform: DnsPlatform) -> None:
    """A Problem names it, others go on, and the registry as a whole is not in trouble."""
    knot.zone("a A 10.0.0.1\nb A 10.0.0.2")
    spec = platform.spec(service("a"), service("b", host="ratings"))
    with watching(DnsAdapter(spec, AROUND, give_up=2.0)) as watched:
        sees(watched, ["10.0.0.1"])
        servfail = with_rcode(dns.rcode.SERVFAIL)
        platform.relay.answering = lambda question, ask: (
            servfail(question, ask) if b"\x01a\x07" in question else ask(question)
        )
        says(watched, f"a.{ZONE} (A)", "SERVFAIL")
        knot.zone("a A 10.0.0.3\nb A 10.0.0.4")
        watched.until(lambda state: addresses(state, full("ratings")) == ["10.0.0.4"], within=WITHIN, what="other name")
        assert addresses(watched.services) == ["10.0.0.1"]
        platform.relay.answering = lambda question, ask: ask(question)
        sees(watched, ["10.0.0.3"])
        watched.wait(lambda it: it.problem is None, within=WITHIN, what="end of the problem")


def test_a_service_of_which_nothing_is_known_is_not_listed_as_empty(knot: Knot, platform: DnsPlatform) -> None:
    """Its name fails from the start; the other service is listed all the same, and this one as soon as it is known."""
    knot.zone("a A 10.0.0.1\nb A 10.0.0.2")
    servfail = with_rcode(dns.rcode.SERVFAIL)
    platform.relay.answering = lambda question, ask: (
        servfail(question, ask) if b"\x01a\x07" in question else ask(question)
    )
    spec = platform.spec(service("a"), service("b", host="ratings"))
    with watching(DnsAdapter(spec, AROUND, give_up=0.5)) as watched:
        watched.until(lambda state: full("ratings") in state, within=WITHIN, what="Snapshot")
        assert HOST not in watched.services
        assert [event.unknown for event in watched.events if isinstance(event, Snapshot)] == [{HOST}]
        platform.relay.answering = lambda question, ask: ask(question)
        sees(watched, ["10.0.0.1"])


def test_a_server_that_fails_on_aaaa_for_good_does_not_hide_the_others(knot: Knot, platform: DnsPlatform) -> None:
    """Some do. One family is enough; that the other fails is said."""
    knot.zone("a A 10.0.0.1")
    refused = with_rcode(dns.rcode.REFUSED)
    platform.relay.answering = lambda question, ask: (
        refused(question, ask) if b"\x00\x1c\x00\x01" in question else ask(question)
    )
    with watching(build(platform.spec(service("a")), AROUND)) as watched:
        sees(watched, ["10.0.0.1"])
        says(watched, "(AAAA)", "REFUSED")


def test_the_next_server_is_asked_when_one_fails(knot: Knot, platform: DnsPlatform) -> None:
    """In their order."""
    knot.zone("a A 10.0.0.1")
    broken = Relay(knot.port)
    broken.answering = with_rcode(dns.rcode.SERVFAIL)
    try:
        spec = platform.spec(service("a")).model_copy(update={"servers": (broken.address, platform.relay.address)})
        with watching(build(spec, AROUND)) as watched:
            sees(watched, ["10.0.0.1"])
            assert watched.problem is None
        assert broken.questions
    finally:
        broken.close()


@pytest.mark.parametrize("server", ["dns.example.com", "10.0.0.53:", "10.0.0.53:0", "10.0.0.53:x", "[::1]:99999"])
def test_a_server_that_is_none_is_an_error(server: str) -> None:
    """When the adapter is made: by its text, and with what to write."""
    with pytest.raises(ValueError, match=f"{re.escape(repr(server))} is not the address of a DNS server, such as"):
        build(Dns(services=(service("a"),), servers=(server,)), AROUND)


def test_a_system_without_servers_is_an_error(tmp_path: Path) -> None:
    """Where the registry names none, /etc/resolv.conf does, or nobody can be asked."""
    (tmp_path / "resolv.conf").write_text("search example.test\n")
    for path in (tmp_path / "resolv.conf", tmp_path / "missing"):
        with pytest.raises(DnsError, match="no DNS server is known") as error:
            Asker((), shortest=1, longest=1, resolv=str(path))
        assert error.value.diagnostics[0].hint
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.1\n")
    Asker((), shortest=1, longest=1, resolv=str(tmp_path / "resolv.conf"))


def test_an_alias_that_its_server_does_not_follow_is_not_emptiness(knot: Knot, platform: DnsPlatform) -> None:
    """An authoritative server says nothing of other zones: that is a problem of whom is asked."""
    knot.zone("a CNAME b.other.test.\nb A 10.0.0.1")
    with watching(build(platform.spec(service("a"), service("b", host="ratings")), AROUND)) as watched:
        says(watched, f"a.{ZONE} (A)", "an alias that it does not follow")
        assert set(watched.services) == {full("ratings")}


def test_a_name_that_can_t_be_looked_up_is_a_problem(knot: Knot, platform: DnsPlatform) -> None:
    """The others are looked up."""
    knot.zone("a A 10.0.0.1")
    names = DnsService(host="bad", names=(f"{'x' * 64}.{ZONE}",), port=80)
    with watching(build(platform.spec(service("a"), names), AROUND)) as watched:
        sees(watched, ["10.0.0.1"])
        says(watched, "it is no name that can be looked up")


def meaning(spec: Dns, answers: dict[Question, Answer]) -> tuple[dict[str, Found], list[str]]:
    reading = read(spec, answers, asked(spec, answers) - answers.keys(), domain="cluster.local")
    return dict(reading.services), [each.message for each in reading.problems]


A = Question("a", Kind.A)
SRV = Question("_web._tcp.r", Kind.SRV)


def test_a_port_comes_from_the_settings_the_service_or_the_record() -> None:
    """A host name needs one; an SRV name that is called as one of the service's ports is about that port."""
    answers = {A: Answer(("10.0.0.1",)), SRV: Answer(targets=(Target(0, "a", 9, 1),))}
    web, grpc = ServicePort(number=80, name="web", target_port=8080), ServicePort(number=90, name="grpc")

    def ports(**fields: Any) -> list[Any]:
        given = DnsService.model_validate({"host": "r", "names": ("a",)} | fields)
        services, problems = meaning(Dns(services=(given,)), answers)
        return [*(dict(each.ports) for found in services.values() for each in found.instances), *problems]

    assert ports(port=1) == [{ANY_PORT: 1}]
    assert ports(ports=(web,)) == [{ANY_PORT: 8080}]
    assert ports(ports=(web,), port=1) == [{ANY_PORT: 1}]
    assert ports() == ports(ports=(web, grpc)) == ["r.default.svc.cluster.local: instances of a have no port"]
    assert ports(names=("_Web._tcp.r.",)) == [{ANY_PORT: 9}]
    assert ports(names=("_web._tcp.r",), ports=(web, grpc)) == [{"web": 9}]
    assert ports(names=("_other._tcp.r",), ports=(web, grpc)) == []


def test_labels_and_namespace_come_from_the_settings() -> None:
    """DNS has neither; a service listed twice is a problem."""
    one = DnsService(host="R", names=("a",), port=1, labels={"x": "y"})
    services, problems = meaning(Dns(services=(one, one), namespace="shop"), {A: Answer(("10.0.0.1",))})
    host = "r.shop.svc.cluster.local"
    instance = Instance(address="10.0.0.1", ports={ANY_PORT: 1}, labels={"x": "y"})
    assert services == {host: Found(host=host, namespace="shop", instances=(instance,))}
    assert problems == [f"{host} is listed twice; the first counts"]


def test_a_better_target_that_is_not_known_is_not_passed_over() -> None:
    """Failing over is for targets that have no address, not for those whose address can't be asked for."""
    spec = Dns(services=(DnsService(host="r", names=("_web._tcp.r",)),))
    answers = {SRV: Answer(targets=(Target(1, "b", 80, 1), Target(2, "a", 80, 1))), A: Answer(("10.0.0.1",))}
    assert meaning(spec, answers)[0] == {}
    (found,) = meaning(spec, answers | {Question("b", Kind.A): Answer()})[0].values()
    assert [each.address for each in found.instances] == ["10.0.0.1"]


def test_the_first_event_waits_for_all_that_has_to_be_asked(knot: Knot, platform: DnsPlatform) -> None:
    """Targets of SRV records too."""
    knot.zone("_http._tcp.r SRV 0 1 80 x\nx A 10.0.0.1")
    with watching(build(platform.spec(service("_http._tcp.r")), AROUND)) as watched:
        sees(watched, ["10.0.0.1"])
        (first,) = [event for event in watched.events if isinstance(event, Snapshot)]
        assert addresses(first.services) == ["10.0.0.1"]
