from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor

import pytest

from reconciler.cycle import Ask, Report
from reconciler.daemon import AskTimeoutError, Daemon, DaemonStoppingError, Trigger
from reconciler.errors import BugError
from tests.daemon.world import PATIENCE, Fleet, running

ASK = Ask(allow=frozenset({"guard-weight"}), plan_digest="abc", exact=False)


class Crowd:
    """Askers on threads of their own, against a fleet whose passes wait for a gate."""

    def __init__(self, pool: ThreadPoolExecutor, daemon: Daemon, fleet: Fleet) -> None:
        self.pool = pool
        self.daemon = daemon
        self.fleet = fleet
        fleet.gate = threading.Event()
        fleet.entered.clear()

    def first(self, ask: Ask = ASK) -> Future[Report]:
        """Somebody whose pass has begun."""
        answer = self.pool.submit(self.daemon.ask, ask, timeout=PATIENCE)
        assert self.fleet.entered.wait(PATIENCE)
        return answer

    def next(self, ask: Ask = ASK) -> Future[Report]:
        """Somebody who waits for their turn."""
        before = len(self.daemon._asks._waiting)
        answer = self.pool.submit(self.daemon.ask, ask, timeout=PATIENCE)
        with self.daemon._changed:
            assert self.daemon._changed.wait_for(lambda: len(self.daemon._asks._waiting) > before, PATIENCE)
        return answer

    def go(self) -> None:
        assert self.fleet.gate is not None
        self.fleet.gate.set()


def test_a_pass_that_is_asked_for_runs_on_the_loops_thread_as_it_was_asked() -> None:
    """The fleet has one writer; what was asked for is neither merged with other passes nor changed."""
    fleet = Fleet()
    with running(fleet) as daemon:
        assert daemon.ask(ASK, timeout=PATIENCE).head == "c1"
        ((ask, thread),) = fleet.asks
        assert ask is ASK
        assert thread != threading.get_ident()
        assert fleet.passes == [("c1", True), ("c1", False)]


def test_a_dry_run_is_no_news_of_the_fleet() -> None:
    """Its report is for who asked; the last pass is the last one that did something."""
    fleet = Fleet()
    with running(fleet) as daemon:
        before = daemon.state
        assert daemon.ask(Ask(dry_run=True), timeout=PATIENCE).head == "c1"
        after = daemon.state
        assert (after.last, after.verified) == (before.last, before.verified)
        daemon.ask(Ask(), timeout=PATIENCE)
        assert daemon.state.last is not before.last


def test_everyone_who_asks_gets_a_pass_of_their_own_and_triggers_are_not_starved() -> None:
    """Asks are never folded into one; between two of them the loop does what has become due."""
    fleet = Fleet()
    with running(fleet) as daemon, ThreadPoolExecutor() as pool:
        crowd = Crowd(pool, daemon, fleet)
        asks = [Ask(plan_digest=str(number), exact=False) for number in range(4)]
        answers = [crowd.first(asks[0]), *map(crowd.next, asks[1:])]
        daemon.wake(Trigger.DRIFT)
        crowd.go()
        assert [answer.result(PATIENCE).head for answer in answers] == ["c1"] * 4
        assert [ask for ask, _ in fleet.asks] == asks
        assert fleet.passes[1:4] == [("c1", False), ("c1", True), ("c1", False)]


def test_who_loses_patience_in_the_queue_is_not_served_later() -> None:
    """A pass that nobody waits for any more must not move traffic when its turn comes."""
    fleet = Fleet()
    with running(fleet) as daemon, ThreadPoolExecutor() as pool:
        crowd = Crowd(pool, daemon, fleet)
        served = crowd.first()
        with pytest.raises(AskTimeoutError, match="did not begin"):
            daemon.ask(Ask(plan_digest="late"), timeout=0.05)
        gone = pool.submit(daemon.ask, Ask(plan_digest="gone"), timeout=PATIENCE, wanted=lambda: False)
        last = pool.submit(daemon.ask, ASK, timeout=PATIENCE)
        crowd.go()
        served.result(PATIENCE)
        last.result(PATIENCE)
        with pytest.raises(AskTimeoutError, match="nobody waits"):
            gone.result(PATIENCE)
        assert [ask.plan_digest for ask, _ in fleet.asks] == ["abc", "abc"]


def test_a_pass_that_has_begun_goes_on_without_its_asker() -> None:
    """A time limit is the asker's: half a push helps nobody."""
    fleet = Fleet()
    with running(fleet) as daemon, ThreadPoolExecutor() as pool:
        crowd = Crowd(pool, daemon, fleet)
        impatient = pool.submit(daemon.ask, ASK, timeout=1.0)
        assert fleet.entered.wait(PATIENCE)
        with pytest.raises(AskTimeoutError, match="did not end"):
            impatient.result(PATIENCE)
        crowd.go()
        fleet.wait(lambda passes: len(passes) == 2)
        assert [ask for ask, _ in fleet.asks] == [ASK]


def test_a_stop_refuses_those_who_wait_and_everyone_after() -> None:
    """Nobody hangs on a daemon that ends: the running pass is answered, the others get an error to try again on."""
    fleet = Fleet()
    with running(fleet) as daemon, ThreadPoolExecutor() as pool:
        crowd = Crowd(pool, daemon, fleet)
        served, refused = crowd.first(), [crowd.next(), crowd.next()]
        daemon.stop()
        crowd.go()
        assert served.result(PATIENCE).head == "c1"
        for answer in refused:
            with pytest.raises(DaemonStoppingError):
                answer.result(PATIENCE)
        with pytest.raises(DaemonStoppingError):
            daemon.ask(ASK, timeout=PATIENCE)
        assert daemon.state.stopping
    assert len(fleet.asks) == 1


def test_a_fault_in_a_pass_is_told_to_its_asker_and_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """An exception nobody expects is a bug for the asker and the log; the next pass runs."""
    fleet = Fleet()
    with running(fleet) as daemon:
        fleet.faults = 1
        with pytest.raises(BugError, match="ZeroDivisionError"):
            daemon.ask(ASK, timeout=PATIENCE)
        assert "error[bug]: a pass ended by ZeroDivisionError" in caplog.text
        assert daemon.ask(ASK, timeout=PATIENCE).head == "c1"


def test_what_goes_wrong_in_an_asked_pass_is_no_news_of_the_fleet(caplog: pytest.LogCaptureFixture) -> None:
    """Complaints about a part go to whoever asked; the log would forget what it has said of the others."""
    fleet = Fleet()
    with running(fleet) as daemon:
        fleet.locked = 1
        assert [item.code for item in daemon.ask(ASK, timeout=PATIENCE).errors] == ["git-locked"]
        assert "git-locked" not in caplog.text


def test_a_revert_in_a_pass_that_was_asked_for_is_applied_at_once() -> None:
    """Whoever asked is told; what is on the branch now is carried out by a pass of the daemon's own."""
    fleet = Fleet()
    with running(fleet) as daemon:
        fleet.reverts = ("c2",)
        assert daemon.ask(ASK, timeout=PATIENCE).reverted == ("c2",)
        fleet.wait(lambda passes: passes[-1] == ("c2", False))
