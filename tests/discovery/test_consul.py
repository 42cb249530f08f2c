"""Consul as a registry: the contract, what its answers mean, and its indexes, errors and troubles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.discovery.conformance import Member, Mood, Rule, Watched, rules, watching
from reconciler.discovery.contract import AdapterError, Gone, Put, Surroundings
from reconciler.discovery.platforms.consul import ConsulAdapter, build
from reconciler.model.discovered import Found
from reconciler.model.discovery import Consul
from reconciler.model.services import Health
from reconciler.settings import AdminSettings
from tests.consul.server import Agent, Catalog, cut, garbage, no_leader

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
    for content, words in (
        (None, "No such file"),
        (b"\xff", "something else than one token"),
        (b"a\nb", "than one token"),
    ):
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
