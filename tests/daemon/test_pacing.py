"""Proxies that come: how soon they are served, how often, and what of it without Git."""

from __future__ import annotations

import logging
import threading

import pytest

from reconciler.cycle import Ask
from reconciler.daemon import Trigger
from reconciler.model.receipt import OutcomeKind
from tests.daemon.world import PATIENCE, Fleet, Hand, running

ASK = Ask(exact=False)


def test_proxies_that_flap_get_a_pass_a_second_and_not_one_after_the_other() -> None:
    """The first is served at once; those that come within a second of its pass share the next one."""
    fleet, clock = Fleet(), Hand()
    with running(fleet, clock=clock) as daemon:
        daemon.wake(Trigger.CONNECT)
        fleet.wait(lambda passes: len(passes) == 2)
        for _ in range(1000):
            daemon.wake(Trigger.CONNECT)
        for seconds in (0.0, 0.5, 0.4):
            clock.seconds += seconds
            daemon.ask(ASK, timeout=PATIENCE)
        assert len(fleet.passes) == 5, "only what was asked for"
        clock.seconds += 0.2
        daemon.ask(ASK, timeout=PATIENCE)
        assert len(fleet.passes) == 7
        clock.seconds += 10
        daemon.ask(ASK, timeout=PATIENCE)
        assert len(fleet.passes) == 8, "nobody came any more"


def test_who_waits_for_the_pause_to_end_is_served_then() -> None:
    """Without any other trigger."""
    fleet = Fleet()
    with running(fleet, connect_pause=0.05) as daemon:
        for count in range(2, 6):
            daemon.wake(Trigger.CONNECT)
            fleet.wait(lambda passes, count=count: len(passes) == count)  # type: ignore[misc]


def test_a_pause_for_those_who_connect_holds_up_nothing_else() -> None:
    """A commit is applied at once, whoever flaps."""
    fleet, clock = Fleet(), Hand()
    with running(fleet, clock=clock) as daemon:
        for _ in range(2):
            daemon.wake(Trigger.CONNECT)
            fleet.wait(lambda passes: len(passes) == 2)
        fleet.commit = "c2"
        daemon.wake(Trigger.POLL)
        fleet.wait(lambda passes: passes[-1] == ("c2", False))
        daemon.wake(Trigger.DRIFT)
        fleet.wait(lambda passes: passes[-1] == ("c2", True))


def test_a_fleet_that_connects_while_the_daemon_starts_is_a_handful_of_passes() -> None:
    """A thousand connections during the first pass are one pass after it, and a thousand during that one more."""
    fleet, clock = Fleet(), Hand()
    fleet.gate = threading.Event()
    with running(fleet, clock=clock) as daemon:
        assert fleet.entered.wait(PATIENCE)
        for _ in range(1000):
            daemon.wake(Trigger.CONNECT)
        fleet.gate.set()
        fleet.wait(lambda passes: len(passes) == 2)
        for _ in range(1000):
            daemon.wake(Trigger.CONNECT)
        clock.seconds += 1
        daemon.ask(ASK, timeout=PATIENCE)
        clock.seconds += 1
        daemon.ask(ASK, timeout=PATIENCE)
        assert 4 <= len(fleet.passes) <= 5


@pytest.mark.parametrize(("trigger", "exact"), [(Trigger.CONNECT, False), (Trigger.DRIFT, True)])
def test_git_that_cannot_be_asked_does_not_stop_the_care_for_the_fleet(
    trigger: Trigger, caplog: pytest.LogCaptureFixture, *, exact: bool
) -> None:
    """Who came, and who drifted, is brought to the head that is known; the failure is said once; Git is asked again."""
    fleet = Fleet()
    with running(fleet, first_retry=0.01, connect_pause=0.01) as daemon:
        fleet.git_failures = 10**6
        for count in (2, 3):
            daemon.wake(trigger)
            fleet.wait(lambda passes, count=count: len(passes) == count)  # type: ignore[misc]
            assert fleet.passes[-1] == ("c1", exact)
        fleet.commit, fleet.git_failures = "c2", 0
        fleet.wait(lambda passes: passes[-1][0] == "c2")
        fleet.git_failures = 1
        daemon.wake(Trigger.POLL)
        fleet.commit = "c3"
        fleet.wait(lambda passes: passes[-1][0] == "c3")
    said = [record for record in caplog.records if "git-unavailable" in record.getMessage()]
    assert [record.levelno for record in said] == [logging.ERROR] * 2, "one line an outage"


def test_git_that_cannot_be_asked_is_no_reason_for_a_pass() -> None:
    """Looks and their repetitions ask no proxy anything while nothing is owed to any."""
    fleet = Fleet()
    with running(fleet, first_retry=0.01) as daemon:
        failures_left: list[int] = []
        fleet.meanwhile = lambda: failures_left.append(fleet.git_failures)
        fleet.git_failures = 3
        daemon.wake(Trigger.POLL)
        fleet.wait(lambda passes: len(passes) == 2)
    assert failures_left[0] == 0


def test_what_was_not_confirmed_is_tried_again_without_git_too() -> None:
    """A proxy that was down when Git went away is served when it comes back."""
    fleet = Fleet()
    fleet.outcome = OutcomeKind.UNREACHABLE
    with running(fleet, first_retry=0.01):
        fleet.git_failures = 10**6
        count = len(fleet.passes)
        fleet.wait(lambda passes: len(passes) >= count + 3)
