"""Consul as a registry: the contract, what its answers mean, and its indexes, errors and troubles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.discovery.consul import ConsulAdapter, build
from reconciler.discovery.consul.reading import NonsenseError, entries, found, host_of
from reconciler.discovery.contract import AdapterError, Gone, Put, Surroundings
from reconciler.model.discovered import Found, Instance
from reconciler.model.discovery import Consul
from reconciler.model.protocol import Protocol
from reconciler.model.serviceentry import Resolution
from reconciler.model.services import Health
from reconciler.settings import AdminSettings
from tests.consul.server import Agent, Catalog, cut, garbage, no_leader
from tests.discovery.conformance import Rule, rules
from tests.discovery.platforms import Member, Mood
from tests.discovery.watching import Watched, watching

AROUND = Surroundings(registry="dc1", domain="cluster.local", clock=SystemClock())
HASTY = AdminSettings(connect_timeout=1.0, read_timeout=2.0)
TOKEN = "7c1d-secret"  # noqa: S105 -- what nobody may see


class Consuls:
    """Consul, as the conformance test wants a platform."""

    within = 5.0
    patience = 8.0
    alive = 5.0
    secrets = (TOKEN,)

    def __init__(self, folder: Path) -> None:
        self.agent = Agent(token=TOKEN)
        self.agent.catalog.node("n1")
        self._token = folder / "token"
        self._token.write_text(TOKEN + "\n", encoding="ascii")

    def adapter(self) -> ConsulAdapter:
        """See Platform."""
        spec = Consul(address=self.agent.address, token_file=str(self._token))
        return ConsulAdapter(spec, AROUND, wait=1, patience=HASTY)

    def host(self, service: str) -> str:
        """See Platform."""
        return f"{service}.service.consul"

    def publish(self, services: Mapping[str, Sequence[Member]]) -> None:
        """See Platform."""
        catalog = self.agent.catalog
        wanted = {f"{name}-{each.address}": (name, each) for name, members in services.items() for each in members}
        for _, ident in list(catalog.services):
            if ident not in wanted:
                catalog.deregister(ident)
        for ident, (name, each) in wanted.items():
            tags = [f"{key}|{value}" for key, value in each.labels.items()]
            status = "critical" if each.health is Health.UNHEALTHY else "passing"
            catalog.register(name, ident, address=each.address, port=each.port, check=status, Tags=tags)
            maintenance = f"_service_maintenance:{ident}"
            if each.health is Health.DRAINING:
                catalog.check("n1", maintenance, "critical", ident)
            elif ("n1", maintenance) in catalog.checks:
                catalog.uncheck("n1", maintenance)

    def be(self, mood: Mood) -> None:
        """See Platform."""
        self.agent.token = "another" if mood is Mood.DENYING else TOKEN
        self.agent.delay = 0.5 if mood is Mood.SLOW else 0
        if mood is Mood.DOWN:
            self.agent.stop()
            return
        self.agent.start()
        if mood is Mood.PARTITIONED:
            self.agent.hang()
        else:
            self.agent.be(garbage if mood is Mood.GARBAGE else None)

    def restart(self) -> None:
        """See Platform."""
        self.agent.stop()
        self.agent.start()

    def close(self) -> None:
        """End it."""
        self.agent.stop()


@pytest.fixture(scope="module")
def consuls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Consuls]:
    platform = Consuls(tmp_path_factory.mktemp("consul"))
    yield platform
    platform.close()


@pytest.mark.parametrize("rule", rules(), ids=str)
def test_it_conforms(rule: Rule, consuls: Consuls) -> None:
    """Every rule of the contract, with nothing that it lacks."""
    rule.check(consuls)


@contextmanager
def agent_of(catalog: Catalog | None = None) -> Iterator[Agent]:
    """An agent for one test."""
    agent = Agent(catalog)
    try:
        yield agent
    finally:
        agent.stop()


@contextmanager
def watched(agent: Agent, **spec: Any) -> Iterator[Watched]:
    """A watch of it that has begun."""
    adapter = ConsulAdapter(Consul(address=agent.address, **spec), AROUND, wait=1, patience=HASTY)
    with watching(adapter) as watch:
        watch.wait(lambda it: bool(it.events) or it.error is not None, within=10, what="first event")
        yield watch


def addresses(services: Mapping[str, Found], name: str) -> list[str]:
    """Where a service's instances are."""
    service = services.get(f"{name}.service.consul")
    return [] if service is None else [each.address for each in service.instances]


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


def test_only_services_and_tags_that_are_wanted() -> None:
    """Nothing is asked about the others."""
    catalog = Catalog()
    for name, tags in (("web", ["blue"]), ("api", ["blue"]), ("db", [])):
        catalog.register(name, f"{name}-1", address="10.0.0.1", Tags=tags)
    catalog.register("web", "web-2", address="10.0.0.2", Tags=["green"])
    with agent_of(catalog) as agent, watched(agent, services=("web", "db"), tag="blue", datacenter="dc9") as watch:
        assert {host: len(each.instances) for host, each in watch.services.items()} == {"web.service.consul": 1}
        assert not any("/db" in target or "/api" in target for target in agent.asked)
        assert all("dc=dc9" in target for target in agent.asked)


def test_names_that_differ_in_case_are_one_service() -> None:
    """As in Consul's DNS."""
    catalog = Catalog()
    catalog.register("web", "a", address="10.0.0.1")
    catalog.register("Web", "b", address="10.0.0.2")
    with agent_of(catalog) as agent, watched(agent) as watch:
        assert addresses(watch.services, "web") == ["10.0.0.1", "10.0.0.2"]
        catalog.deregister("b")
        watch.until(lambda now: addresses(now, "web") == ["10.0.0.1"], within=5, what="end of one of them")


def test_a_change_asks_for_what_it_is_about_only() -> None:
    """A check that fails among many services costs one question, not one for each service."""
    catalog = Catalog()
    for number in range(80):
        catalog.register(f"s{number}", f"i{number}", address="10.0.0.1", port=1000 + number)
    with agent_of(catalog) as agent, watched(agent) as watch:
        before = len([target for target in agent.asked if "/service/" in target])
        assert before == 80
        catalog.check("n1", "service:i7", "critical", "i7")
        watch.wait(lambda it: len(it.events) > 1 and isinstance(it.events[-1], Put), within=5, what="failing check")
        asked = [target for target in agent.asked if "/service/" in target][before:]
        assert asked == ["/v1/health/service/s7"]


def test_a_check_of_a_node_is_about_all_that_runs_there() -> None:
    """A node that is lost, or in maintenance, takes its instances along; others stay."""
    catalog = Catalog()
    for node in ("n1", "n2"):
        catalog.node(node)
        for name in ("web", "api"):
            catalog.register(name, f"{name}-{node}", address=f"10.0.0.{node[1]}", node=node)

    def health(services: Mapping[str, Found]) -> set[tuple[str, Health]]:
        return {(each.name, each.health) for service in services.values() for each in service.instances}

    with agent_of(catalog) as agent, watched(agent) as watch:
        catalog.check("n2", "serfHealth", "critical")
        lost = {("web-n2", Health.UNHEALTHY), ("api-n2", Health.UNHEALTHY)}
        well = {("web-n1", Health.HEALTHY), ("api-n1", Health.HEALTHY)}
        watch.until(lambda now: health(now) == lost | well, within=5, what="lost node")
        catalog.check("n1", "_node_maintenance", "critical")
        drained = {("web-n1", Health.DRAINING), ("api-n1", Health.DRAINING)}
        watch.until(lambda now: health(now) == lost | drained, within=5, what="node in maintenance")
        catalog.uncheck("n1", "_node_maintenance")
        watch.until(lambda now: health(now) == lost | well, within=5, what="end of the maintenance")


def test_what_has_no_check_is_found_among_many() -> None:
    """Nobody says which service it is: all are asked, and the change of meta and port is seen too."""
    catalog = Catalog()
    for number in range(120):
        catalog.register(f"s{number:03}", f"i{number}", address="10.0.0.1", check=None)
    with agent_of(catalog) as agent, watched(agent) as watch:
        catalog.register("s119", "new", address="10.0.0.2", check=None)
        watch.until(lambda now: len(addresses(now, "s119")) == 2, within=10, what="instance without a check")
        catalog.register("s060", "i60", address="10.0.0.1", check=None, Meta={"version": "v2"})
        watch.until(
            lambda now: now["s060.service.consul"].instances[0].labels == {"version": "v2"},
            within=10,
            what="changed meta",
        )
        catalog.deregister("i119")
        watch.until(lambda now: addresses(now, "s119") == ["10.0.0.2"], within=10, what="end of the other")


def test_an_index_that_goes_backwards_starts_anew() -> None:
    """A cluster that was restored counts from below: what is different there is seen, and nothing blocks for ever."""
    catalog = Catalog(index=5000)
    catalog.register("web", "a", address="10.0.0.1")
    with agent_of(catalog) as agent, watched(agent) as watch:
        other = Catalog(index=3)
        other.register("web", "b", address="10.0.0.2")
        old, agent.catalog = agent.catalog, other
        with old.changed:
            old.indexes = dict.fromkeys(old.indexes, 10**6)  # who waits for the old one wakes
            old.changed.notify_all()
        watch.until(lambda now: addresses(now, "web") == ["10.0.0.2"], within=10, what="restored state")
        other.register("web", "c", address="10.0.0.3")
        watch.until(lambda now: addresses(now, "web") == ["10.0.0.2", "10.0.0.3"], within=10, what="what came next")


def test_an_index_of_zero_is_not_asked_with() -> None:
    """It would not block, and the registry would be asked without pause."""
    catalog = Catalog(index=0)
    with agent_of(catalog) as agent, watched(agent) as watch:
        watch.wait(lambda it: len(it.events) > 2, within=10, what="some answers")
        assert sum("/v1/catalog/services" in target for target in agent.asked) < 6
        assert any("index=1&wait=1s" in target for target in agent.asked)


def test_errors_of_consul_say_what_to_do() -> None:
    """Those that happen in its midst as well as those at the beginning."""
    catalog = Catalog()
    catalog.register("web", "a", address="10.0.0.1")
    for fault, words in ((no_leader, "500: No cluster leader"), (cut, "the answer is broken")):
        with agent_of(catalog) as agent, watched(agent) as watch:
            agent.be(fault)
            watch.wait(lambda it: it.error is not None, within=10, what="error")
            assert addresses(watch.services, "web") == ["10.0.0.1"]
            assert isinstance(watch.error, AdapterError)
            with watching(ConsulAdapter(Consul(address=agent.address), AROUND, patience=HASTY)) as other:
                other.wait(lambda it: it.error is not None, within=10, what="error")
            assert isinstance(other.error, AdapterError)
            assert words in other.error.message


def test_a_token_is_read_again_for_each_question(tmp_path: Path) -> None:
    """So that it can be renewed; a file that can't be read is named."""
    path = tmp_path / "token"
    spec = Consul(address="http://127.0.0.1:1", token_file=str(path))
    for content, words in ((None, "No such file"), (b"\xff", "not ASCII"), (b"a\nb", "more than one token")):
        if content is not None:
            path.write_bytes(content)
        with watching(build(spec, AROUND)) as watch:
            watch.wait(lambda it: it.error is not None, within=10, what="error")
        assert isinstance(watch.error, AdapterError)
        assert watch.error.code == "discovery-denied"
        assert words in watch.error.message
    catalog = Catalog()
    path.write_text("one\n", encoding="ascii")
    with agent_of(catalog) as agent, watched(agent, token_file=str(path)) as watch:
        path.write_text("two\n", encoding="ascii")
        catalog.register("web", "a", address="10.0.0.1")
        watch.until(lambda now: addresses(now, "web") == ["10.0.0.1"], within=10, what="new instance")
        assert (agent.tokens[0], agent.tokens[-1]) == ("one", "two")


def test_what_is_left_out_is_told_and_taken_back() -> None:
    """A problem names it, and ends when it is mended; so does a token that may not see all."""
    catalog = Catalog()
    catalog.register("web", "a", address="10.0.0.1", port=0)
    catalog.register("no host", "b", address="10.0.0.1")
    with agent_of(catalog) as agent, watched(agent) as watch:
        watch.wait(lambda it: it.problem is not None, within=5, what="problem")
        assert watch.problem is not None
        assert "an instance of web: 10.0.0.1 has port 0" in watch.problem.message
        assert "service 'no host'" in watch.problem.message
        catalog.register("web", "a", address="10.0.0.1")
        watch.until(lambda now: addresses(now, "web") == ["10.0.0.1"], within=10, what="mended instance")
        catalog.deregister("b")
        watch.wait(lambda it: it.problem is None, within=10, what="end of the problem")
        agent.filtered = True
        watch.wait(lambda it: it.problem is not None, within=10, what="problem of the token")
        assert "may not see all" in watch.problem.message


def test_a_service_without_instances_is_none() -> None:
    """In Consul a service is its instances: with the last one it is gone, and it may come back."""
    catalog = Catalog()
    catalog.register("web", "a", address="10.0.0.1")
    with agent_of(catalog) as agent, watched(agent) as watch:
        catalog.deregister("a")
        watch.wait(lambda it: Gone("web.service.consul") in it.events, within=10, what="end of the service")
        catalog.register("web", "a", address="10.0.0.1")
        watch.until(lambda now: addresses(now, "web") == ["10.0.0.1"], within=10, what="service that came back")


@pytest.mark.parametrize("address", ["consul:8500", "http://", "unix://relative"])
def test_an_address_that_is_none_is_refused_when_the_adapter_is_made(address: str) -> None:
    """Trying again would not help."""
    with pytest.raises(ValueError, match="is not an address"):
        build(Consul(address=address), AROUND)
