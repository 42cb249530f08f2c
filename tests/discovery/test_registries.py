"""All registries together: adapters on threads, and one catalogue of what they say."""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.discovery import KindError, Registries
from reconciler.discovery.conformance import Member, Mood
from reconciler.model.discovered import Catalogue, Knowledge
from reconciler.model.discovery import Registry
from tests.discovery.plugged import plug
from tests.discovery.scripted import LOFTS, Pigeons

ONE, TWO = Member(address="127.0.0.11"), Member(address="127.0.0.12")
LOG = logging.getLogger("test.registries")


class World:
    """Registries, and platforms for them."""

    def __init__(self, folder: Path) -> None:
        self.lofts: list[Pigeons] = []
        self.folder = folder
        self.calls = 0
        self.called = threading.Event()
        self.registries = self.make()

    def make(self) -> Registries:
        return Registries(clock=SystemClock(), cache=self.folder / "cache", on_change=self.on_change, log=LOG)

    def on_change(self) -> None:
        self.calls += 1
        self.called.set()

    def loft(self, name: str, fault: str = "") -> Pigeons:
        self.lofts.append(Pigeons(fault))
        LOFTS[f"{self.folder}/{name}"] = self.lofts[-1]
        return self.lofts[-1]

    def registry(self, name: str, loft: str = "", **protection: Any) -> Registry:
        settings = {"loft": f"{self.folder}/{loft or name}"}
        return Registry.model_validate(
            {"name": name, "plugin": {"adapter": "pigeons", "settings": settings}, "protection": protection}
        )

    def configure(self, *registries: Registry) -> None:
        self.registries.configure(registries, domain="cluster.local")

    def until(self, condition: Callable[[Catalogue], bool], registries: Registries | None = None) -> Catalogue:
        """The first catalogue that is so."""
        deadline = time.monotonic() + 20
        while not condition(catalogue := (registries or self.registries).catalogue):
            assert time.monotonic() < deadline, catalogue
            self.called.wait(0.05)
            self.called.clear()
        return catalogue


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    (tmp_path / "package").mkdir()
    plug(tmp_path / "package", monkeypatch, {"pigeons": "tests.discovery.scripted:build"})
    world = World(tmp_path)
    yield world
    world.registries.close()
    for loft in world.lofts:
        loft.close()


def addresses(catalogue: Catalogue) -> dict[str, list[tuple[str, list[str]]]]:
    """By service: registries that list it, in order, and the last parts of its addresses."""
    return {
        host.partition(".")[0]: [
            (item.registry, [each.address.rsplit(".", 1)[1] for each in item.found.instances]) for item in listed
        ]
        for host, listed in catalogue.services.items()
    }


def knowledge(catalogue: Catalogue) -> list[Knowledge]:
    return [standing.knowledge for standing in catalogue.standings]


def test_without_registries_there_is_nothing(world: World) -> None:
    """And nothing is waited for."""
    assert world.registries.settled(0)
    world.configure()
    assert world.registries.settled(0)
    assert (world.registries.catalogue.services, world.registries.catalogue.standings) == ({}, ())


def test_what_all_list_is_one_catalogue(world: World) -> None:
    """A host of two registries is listed by both, in the mesh's order; what did not change is the same object."""
    first, second = world.loft("first"), world.loft("second")
    first.publish({"reviews": [ONE], "ratings": [ONE]})
    second.publish({"reviews": [TWO]})
    world.configure(world.registry("b", "first"), world.registry("a", "second"))
    assert world.registries.settled(20)
    before = world.until(lambda it: knowledge(it) == [Knowledge.LIVE] * 2)
    assert addresses(before) == {"reviews": [("b", ["11"]), ("a", ["12"])], "ratings": [("b", ["11"])]}
    assert [(each.registry, each.kind) for each in before.standings] == [("b", "pigeons"), ("a", "pigeons")]
    second.publish({"reviews": [TWO, ONE]})
    after = world.until(lambda it: it.generation > before.generation)
    assert addresses(after)["reviews"] == [("b", ["11"]), ("a", ["11", "12"])]
    ratings, reviews = first.host("ratings"), first.host("reviews")
    assert after.services[ratings] is before.services[ratings]
    assert after.services[reviews][0] is before.services[reviews][0]


def test_a_change_is_announced_once_until_it_is_read(world: World) -> None:
    """However many there are; and nothing is announced while nothing changes."""
    loft = world.loft("loft")
    loft.publish({"reviews": [ONE]})
    world.configure(world.registry("loft"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    calls = world.calls
    for number in range(5):
        loft.publish({"reviews": [ONE], f"other-{number}": [TWO]})
        heard = world.registries._kept["loft"].keeper
        deadline = time.monotonic() + 20
        while loft.host(f"other-{number}") not in heard.used:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert world.calls == calls + 1
    read = world.registries.catalogue
    assert len(read.services) == 6  # those that went are held
    again = world.registries.catalogue
    assert (again.generation, again.services) == (read.generation, read.services)
    assert again.services is read.services


def test_what_is_described_as_before_goes_on(world: World) -> None:
    """Another protection restarts no adapter; another order is another catalogue; a registry that is gone takes its services along."""
    for name in ("one", "two"):
        world.loft(name).publish({"reviews": [ONE]})
    one, two = world.registry("one"), world.registry("two")
    world.configure(one, two)
    before = world.until(lambda it: knowledge(it) == [Knowledge.LIVE] * 2)
    runners = {name: kept.runner for name, kept in world.registries._kept.items()}
    world.configure(two, world.registry("one", hold_for=timedelta(seconds=1)))
    after = world.registries.catalogue
    assert {name: kept.runner for name, kept in world.registries._kept.items()} == runners
    assert addresses(after) == {"reviews": [("two", ["11"]), ("one", ["11"])]}
    assert after.generation > before.generation
    world.configure(one)
    assert addresses(world.registries.catalogue) == {"reviews": [("one", ["11"])]}
    assert [standing.registry for standing in world.registries.catalogue.standings] == ["one"]


def test_another_source_takes_over_when_it_speaks(world: World) -> None:
    """Until then what is in use stays in use, and is shown as stale."""
    old, new = world.loft("old"), world.loft("new")
    old.publish({"reviews": [ONE]})
    new.publish({"reviews": [TWO]})
    new.be(Mood.DOWN)
    world.configure(world.registry("it", "old"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    world.configure(world.registry("it", "new"))
    stale = world.until(lambda it: it.standings[0].problem is not None)
    assert (knowledge(stale), addresses(stale)) == ([Knowledge.STALE], {"reviews": [("it", ["11"])]})
    old.publish({"reviews": [ONE, TWO]})  # nobody listens to it any more
    new.be(Mood.WELL)
    assert addresses(world.until(lambda it: knowledge(it) == [Knowledge.LIVE])) == {"reviews": [("it", ["12"])]}


def test_a_registry_that_is_down_keeps_what_it_said(world: World) -> None:
    """It is stale, with the reason; when it is back, what it says counts again."""
    loft = world.loft("loft")
    loft.publish({"reviews": [ONE]})
    world.configure(world.registry("loft"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    loft.be(Mood.DOWN)
    stale = world.until(lambda it: knowledge(it) == [Knowledge.STALE])
    (standing,) = stale.standings
    assert standing.problem is not None
    assert standing.problem.code == "discovery-registry"
    assert addresses(stale) == {"reviews": [("loft", ["11"])]}
    loft.publish({"reviews": [ONE, TWO]})
    loft.be(Mood.WELL)
    world.until(lambda it: addresses(it) == {"reviews": [("loft", ["11", "12"])]})
    assert world.registries.catalogue.standings[0].problem is None


@pytest.mark.parametrize("fault", ["begins with a change", "raises what it met"])
def test_an_adapter_that_breaks_its_contract_is_named(world: World, fault: str) -> None:
    """Nothing that it says is used, and the others are not harmed."""
    world.loft("bad", fault).be(Mood.DOWN if fault == "raises what it met" else Mood.WELL)
    world.loft("good").publish({"reviews": [ONE]})
    world.configure(world.registry("bad"), world.registry("good"))
    assert world.registries.settled(20)
    catalogue = world.until(lambda it: knowledge(it) == [Knowledge.SILENT, Knowledge.LIVE])
    problem = catalogue.standings[0].problem
    assert problem is not None
    assert (problem.code, "'bad'" in problem.message) == ("discovery-adapter", True)
    assert catalogue.silent == ("bad",)


def test_a_loss_falls_due_without_an_event(world: World) -> None:
    """When it was held for long enough it is believed, though the registry says nothing more."""
    loft = world.loft("loft", "says nothing")
    loft.publish({"reviews": [ONE], "ratings": [ONE]})
    world.configure(world.registry("loft", hold_for=timedelta(seconds=0.6)))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    loft.publish({"ratings": [ONE]})
    held = world.until(lambda it: bool(it.standings[0].held))
    assert len(held.services) == 2
    assert len(world.until(lambda it: not it.standings[0].held).services) == 1


def test_whoever_keeps_house_survives_a_fault(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Without it no loss would ever be believed, and nothing be remembered: here, a log can't be written once."""
    faults = ["the disk is full"]

    def fail(_: logging.LogRecord) -> bool:
        if faults:
            raise OSError(faults.pop())
        return True

    loft = world.loft("a")
    loft.publish({"reviews": [ONE, TWO]})
    LOG.addFilter(fail)
    try:
        world.configure(world.registry("a", max_loss_percent=10, hold_for="3s"))
        world.until(lambda it: addresses(it) == {"reviews": [("a", ["11", "12"])]})
        loft.publish({"reviews": [ONE]})
        world.until(lambda it: addresses(it) == {"reviews": [("a", ["11"])]})
    finally:
        LOG.removeFilter(fail)
    assert not faults
    assert "could not be kept" in caplog.text


def test_what_was_used_is_used_after_a_restart(world: World) -> None:
    """Stale, at once, and doubted against what the registry says then; of another source nothing is remembered."""
    loft = world.loft("loft")
    loft.publish({"reviews": [ONE, TWO]})
    world.configure(world.registry("loft"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    world.registries.close()
    loft.be(Mood.DOWN)
    world.registries = world.make()
    world.configure(world.registry("loft"))
    assert world.registries.settled(20)
    catalogue = world.registries.catalogue
    assert (knowledge(catalogue), addresses(catalogue)) == ([Knowledge.STALE], {"reviews": [("loft", ["11", "12"])]})
    loft.publish({})
    loft.be(Mood.WELL)
    live = world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    assert addresses(live) == {"reviews": [("loft", ["11", "12"])]}
    world.registries.close()
    world.registries = world.make()
    world.loft("other").be(Mood.DOWN)
    world.configure(world.registry("loft", "other"))
    assert world.registries.catalogue.services == {}


def test_a_registry_that_never_answers_is_waited_for_only_so_long(world: World) -> None:
    """`settled` says that nothing is known of it, and why; an error is an answer."""
    loft = world.loft("loft")
    loft.be(Mood.PARTITIONED)
    world.configure(world.registry("loft"))
    assert not world.registries.settled(0.05)
    assert world.registries.settled(20)
    assert knowledge(world.registries.catalogue) == [Knowledge.SILENT]


def test_what_is_remembered_is_no_answer(world: World) -> None:
    """A pass that does not wait for what the registry says now would bring back instances that are long gone."""
    loft = world.loft("loft")
    loft.publish({"reviews": [ONE]})
    world.configure(world.registry("loft"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    world.registries.close()
    loft.be(Mood.PARTITIONED)
    world.registries = world.make()
    world.configure(world.registry("loft"))
    assert not world.registries.settled(0.05)
    assert addresses(world.registries.catalogue) == {"reviews": [("loft", ["11"])]}


def test_a_registry_of_no_kind_changes_nothing(world: World) -> None:
    """What ran goes on."""
    world.loft("loft").publish({"reviews": [ONE]})
    world.configure(world.registry("loft"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    with pytest.raises(KindError):
        world.configure(Registry(name="nothing"))
    assert knowledge(world.registries.catalogue) == [Knowledge.LIVE]


def test_threads_end(world: World) -> None:
    """With `close`; what was listed can still be read."""
    before = set(threading.enumerate())
    world.loft("loft").publish({"reviews": [ONE]})
    world.configure(world.registry("loft"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    world.registries.close()
    assert set(threading.enumerate()) <= before
    assert len(world.registries.catalogue.services) == 1
    world.registries.close()


def test_the_log_has_a_line_for_what_matters(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A registry answers, is not believed, is down: a line each, and none for an event."""
    caplog.set_level(logging.INFO, LOG.name)
    loft = world.loft("loft")
    loft.publish({"reviews": [ONE]})
    world.configure(world.registry("loft"))

    def lines(words: str) -> int:
        return sum(words in record.message for record in caplog.records)

    world.until(lambda _: lines("answers (services: 1, instances: 1)") == 1)
    for turn in range(10):
        loft.publish({"reviews": [ONE, Member(address=f"127.0.1.{turn}")]})
    loft.publish({"reviews": []})
    world.until(lambda _: lines("is not believed: 0 of ") == 1)
    loft.be(Mood.DOWN)
    world.until(lambda _: lines("does not answer, and what it said last stays in use") == 1)
    assert len(caplog.records) == 3


def test_a_reader_that_fails_harms_nobody(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Registries go on; the log has what happened."""

    def fail() -> None:
        raise RuntimeError("not today")

    loft = world.loft("loft")
    loft.publish({"reviews": [ONE]})
    world.registries.close()
    world.registries = Registries(clock=SystemClock(), cache=None, on_change=fail, log=LOG)
    world.configure(world.registry("loft"))
    world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
    loft.publish({"reviews": [ONE, TWO]})
    world.until(lambda it: addresses(it) == {"reviews": [("loft", ["11", "12"])]})
    assert "not today" in caplog.text


def test_what_could_not_be_written_is_written_later(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A disk that can't be written for a while is told once, and costs nothing that is in use by then."""
    loft = world.loft("loft")
    loft.publish({"reviews": [ONE]})
    with closing(sqlite3.connect(world.folder / "cache", isolation_level=None)) as other:
        world.configure(world.registry("loft"))
        world.until(lambda it: knowledge(it) == [Knowledge.LIVE])
        other.execute("BEGIN IMMEDIATE")
        loft.publish({"reviews": [ONE, TWO]})
        world.until(lambda _: "can't be remembered" in caplog.text)
        other.execute("ROLLBACK")
    world.registries.close()
    loft.be(Mood.DOWN)
    world.registries = world.make()
    world.configure(world.registry("loft"))
    assert addresses(world.registries.catalogue) == {"reviews": [("loft", ["11", "12"])]}


def test_many_changes_cost_what_they_are_about(world: World) -> None:
    """A thousand services that all change while nobody reads are one announcement and one catalogue, and only they are new in it."""
    loft = world.loft("loft")
    steady = {f"steady-{number}": [ONE] for number in range(1000)}
    loft.publish(steady)
    world.configure(world.registry("loft"))
    before = world.until(lambda it: len(it.services) == 1000)
    keeper = world.registries._kept["loft"].keeper
    calls = world.calls
    loft.publish(steady | {f"busy-{number}": [ONE, TWO] for number in range(1000)})
    deadline = time.monotonic() + 20
    while len(keeper.used) < 2000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert world.calls == calls + 1
    after = world.registries.catalogue
    assert len(after.services) == 2000
    assert after.generation == before.generation + 1
    assert all(after.services[host] is listed for host, listed in before.services.items())
