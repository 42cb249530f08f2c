from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from reconciler.cycle import Ask, Report
from reconciler.daemon.state import GitState, Journal
from reconciler.errors import TransientError
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.plan import Plan, ProxyPlan
from reconciler.model.receipt import Outcome, OutcomeKind
from tests.daemon.world import PATIENCE, PROXY, Fleet, running

START = datetime(2026, 1, 1, tzinfo=UTC)
B = Key("default", "b")


class Hands:
    """A clock that is turned by hand."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


def report(**outcomes: OutcomeKind) -> Report:
    keys = {Key("default", name): kind for name, kind in outcomes.items()}
    return Report(
        head="c1",
        applied="c1",
        plan=Plan(commit="c1", proxies=tuple(ProxyPlan(proxy=key) for key in keys)),
        outcomes={key: Outcome(proxy=key, kind=kind, proof=Proof.EXACT) for key, kind in keys.items()},
    )


def test_a_proxy_is_verified_when_it_was_proven_last() -> None:
    """A pass that could not prove a proxy leaves the time and the commit of the one that could."""
    clock = Hands()
    journal = Journal(clock)
    journal.passed(report(a=OutcomeKind.APPLIED, b=OutcomeKind.APPLIED), reasons=["start"], whole=True)
    clock.sleep(60)
    late = replace(report(a=OutcomeKind.UNREACHABLE, b=OutcomeKind.APPLIED), applied="c2")
    journal.passed(late, reasons=["poll", "drift"], whole=True)
    state = journal.state
    assert (state.verified[PROXY].at, state.verified[PROXY].commit) == (START, "c1")
    assert (state.verified[B].at, state.verified[B].commit) == (START + timedelta(seconds=60), "c2")
    assert state.last is not None
    assert (state.last.report, state.last.reasons) == (late, ("drift", "poll"))


def test_who_left_the_fleet_is_forgotten_by_a_whole_pass_only() -> None:
    """A pass over selected proxies says nothing of the others; one whose commit is unusable has no plan to go by."""
    journal = Journal(Hands())
    journal.passed(report(a=OutcomeKind.APPLIED, b=OutcomeKind.APPLIED), reasons=["start"], whole=True)
    before = journal.state.last
    journal.passed(report(b=OutcomeKind.APPLIED), reasons=["asked"], whole=False)
    journal.passed(Report(head="c2"), reasons=["poll"], whole=True)
    assert journal.state.last is not before
    assert set(journal.state.verified) == {PROXY, B}
    journal.passed(report(b=OutcomeKind.LATE), reasons=["poll"], whole=True)
    assert set(journal.state.verified) == {B}


def test_the_state_says_since_when_the_loop_is_busy() -> None:
    """Whoever watches the daemon can tell a pass that hangs from one that is not due."""
    fleet = Fleet()
    with running(fleet) as daemon:
        first = daemon.state.last
        assert first is not None
        assert first.reasons == ("start",)
        fleet.gate = threading.Event()
        fleet.entered.clear()
        asker = threading.Thread(target=daemon.ask, args=[Ask()], kwargs={"timeout": PATIENCE})
        asker.start()
        assert fleet.entered.wait(PATIENCE)
        busy = daemon.state
        fleet.gate.set()
        asker.join(PATIENCE)
    ended = daemon.state
    assert busy.busy_since is not None
    assert ended.busy_since is None
    assert ended.last is not None
    assert ended.last.reasons == ("asked",)


def test_a_state_that_was_read_does_not_change() -> None:
    """Readers on other threads hold one instant, however many passes end meanwhile."""
    journal = Journal(Hands())
    held = journal.state
    journal.begin()
    journal.passed(report(a=OutcomeKind.APPLIED), reasons=["start"], whole=True)
    assert (held.busy_since, held.last, dict(held.verified)) == (None, None, {})


def test_it_is_known_since_when_git_has_not_answered() -> None:
    """A failed look moves the time of asking alone; the next that succeeds takes the problem away."""
    clock = Hands()
    journal = Journal(clock)
    journal.git(None)
    clock.sleep(10)
    problem = TransientError("no route")
    journal.git(problem)
    assert journal.state.git == GitState(asked=START + timedelta(seconds=10), answered=START, problem=problem)
    clock.sleep(10)
    journal.git(None)
    assert journal.state.git == GitState(asked=clock.now(), answered=clock.now())


def test_the_loop_says_how_its_looks_at_git_go() -> None:
    """What is asked on the loop's thread is seen in its state."""
    fleet = Fleet()
    fleet.git_failures = 1
    with running(fleet, first_retry=0.01) as daemon:
        fleet.wait(lambda passes: len(passes) == 1)
        git = daemon.state.git
    assert git.answered is not None
    assert git.problem is None
