from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo

import pytest

from reconciler.cycle import Report
from reconciler.daemon import Schedule, Trigger
from reconciler.errors import Diagnostic, TransientError
from reconciler.model.observation import Proof
from reconciler.model.plan import Action, Cause, Change, Plan, ProxyPlan
from reconciler.model.receipt import Outcome, OutcomeKind, Receipt
from reconciler.model.resource import ResourceId, ResourceType
from tests.daemon.world import PATIENCE, PROXY, Fleet, running


def test_the_first_pass_reads_everything() -> None:
    """A daemon that starts knows nothing, so it reads every proxy's content before it says that it is ready."""
    fleet = Fleet()
    with running(fleet):
        assert fleet.passes == [("c1", True)]


def test_a_look_at_an_unchanged_git_runs_no_pass() -> None:
    """Polling is cheap: without a new commit no proxy is asked."""
    fleet = Fleet()
    with running(fleet) as daemon:
        daemon.wake(Trigger.POLL)
        daemon.wake(Trigger.DRIFT)
        fleet.wait(lambda passes: len(passes) == 2)
        assert fleet.passes[1] == ("c1", True)


def test_a_new_commit_is_applied_without_reading_everything() -> None:
    """A moved head runs a pass that may trust what this process has proven before."""
    fleet = Fleet()
    with running(fleet) as daemon:
        fleet.commit = "c2"
        daemon.wake(Trigger.POLL)
        fleet.wait(lambda passes: len(passes) == 2)
        assert fleet.passes[1] == ("c2", False)


def test_the_schedule_polls_git_by_itself() -> None:
    """A missed wake-up costs at most one interval."""
    fleet = Fleet()
    schedule = Schedule(interval=timedelta(milliseconds=50), drift_interval=timedelta(hours=1))
    with running(fleet, schedule):
        fleet.commit = "c2"
        fleet.wait(lambda passes: ("c2", False) in passes)


def test_twenty_triggers_during_a_pass_are_one_pass_after_it() -> None:
    """Triggers never queue."""
    fleet = Fleet()
    fleet.gate = threading.Event()
    with running(fleet) as daemon:
        assert fleet.entered.wait(PATIENCE)
        for _ in range(20):
            daemon.wake(Trigger.DRIFT)
        fleet.gate.set()
        fleet.wait(lambda passes: len(passes) == 2)
        fleet.commit = "c2"
        daemon.wake(Trigger.POLL)
        fleet.wait(lambda passes: ("c2", False) in passes)
        assert len(fleet.passes) == 3


def test_stopping_lets_the_running_pass_end() -> None:
    """A stop is seen between passes, never inside one."""
    fleet = Fleet()
    fleet.gate = threading.Event()
    with running(fleet) as daemon:
        assert fleet.entered.wait(PATIENCE)
        daemon.stop()
        fleet.gate.set()
    assert len(fleet.passes) == 1


def test_what_was_not_confirmed_is_tried_again() -> None:
    """A proxy that is down is asked again without a new commit."""
    fleet = Fleet()
    fleet.outcome = OutcomeKind.UNREACHABLE
    with running(fleet, first_retry=0.01):
        fleet.wait(lambda passes: len(passes) >= 3)


def test_a_revert_of_our_own_is_applied_at_once() -> None:
    """A pass that moved the branch is followed by one for where it is now, long before the next look or retry."""
    fleet = Fleet()
    fleet.outcome = OutcomeKind.REJECTED
    fleet.reverts = ("c2", "c3")
    with running(fleet, first_retry=3600):
        fleet.wait(lambda passes: passes == [("c1", True), ("c3", False)])


@pytest.mark.parametrize("proof", [Proof.CONFIRMED, Proof.SENT])
def test_what_was_not_seen_to_be_all_there_is_looked_at_again(proof: Proof) -> None:
    """What is missing although the versions are right must not wait until drift is due."""
    fleet = Fleet()
    fleet.proof = proof
    with running(fleet, first_retry=0.01):
        fleet.wait(lambda passes: len(passes) >= 3)
        fleet.proof = Proof.EXACT


def test_git_that_fails_is_asked_again() -> None:
    """An unreachable remote delays the first pass and does not end the daemon."""
    fleet = Fleet()
    fleet.git_failures = 3
    with running(fleet, first_retry=0.01):
        fleet.wait(lambda passes: len(passes) == 1)


def test_a_fault_of_our_own_does_not_end_the_daemon(caplog: pytest.LogCaptureFixture) -> None:
    """A pass that ends by an exception is one line in the log, in words that can't forge others, and is tried again."""
    fleet = Fleet()
    fleet.faults = 3
    with running(fleet, first_retry=0.01):
        fleet.wait(lambda passes: len(passes) == 1)
    lines = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(lines) == 1
    assert lines[0].startswith("error[bug]: a pass ended by ZeroDivisionError: by\\x1b[31m nought")


def test_words_of_others_cannot_forge_a_line_of_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Line breaks and terminal escapes in Envoy's and Git's words are shown, not carried out."""
    from reconciler.daemon.log import PassLog

    caplog.set_level(logging.INFO)
    evil = "no\x1b[2J\nERROR all is lost"
    receipt = Receipt(
        commit="f" * 40, at=datetime(2026, 1, 1, tzinfo=UTC), subject=evil,
        policy_commit="c" * 40, plan_digest="", outcome="applied", proxies={},
    )  # fmt: skip
    outcome = Outcome(proxy=PROXY, kind=OutcomeKind.REJECTED, proof=Proof.NONE, detail=evil)
    complaint = Diagnostic(code="x", message=evil, hint=evil, file=evil)
    log = PassLog(logging.getLogger("test"))
    log.passed(Report(errors=(complaint,), outcomes={PROXY: outcome}, receipt=receipt), reasons=["poll"])
    log.git_failed(TransientError(evil))
    assert len(caplog.records) == 4
    assert "\x1b" not in caplog.text
    assert "\nERROR all is lost" not in caplog.text


def test_a_complaint_is_logged_once_until_it_goes_away(caplog: pytest.LogCaptureFixture) -> None:
    """A proxy that stays down is one line, not one a pass; a second outage is a second line."""
    caplog.set_level(logging.INFO)
    fleet = Fleet()
    fleet.outcome = OutcomeKind.UNREACHABLE
    with running(fleet, first_retry=0.01) as daemon:
        fleet.wait(lambda passes: len(passes) >= 3)
        fleet.outcome = OutcomeKind.APPLIED
        count = len(fleet.passes)
        daemon.wake(Trigger.DRIFT)
        fleet.wait(lambda passes: len(passes) >= count + 2 or fleet.outcome is OutcomeKind.APPLIED)
    lines = [record.getMessage() for record in caplog.records if "proxy-unreachable" in record.getMessage()]
    assert len(lines) == 1
    assert "a: no answer" in lines[0]


def test_a_receipt_and_a_plan_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    """What happened is said in one line each: the plan's summary and the receipt's subject."""
    from reconciler.daemon.log import PassLog

    caplog.set_level(logging.INFO)
    receipt = Receipt(
        commit="f" * 40, at=datetime(2026, 1, 1, tzinfo=UTC), subject="reviews v2 0% -> 5% live on 1/1 proxies in 0.1s",
        policy_commit="c" * 40, plan_digest="", outcome="applied", proxies={},
    )  # fmt: skip
    refusal = Diagnostic(code="guard-empty-view", message="nothing would be left")
    plan = Plan(commit="c" * 40, proxies=(ProxyPlan(proxy=PROXY),), refused=(refusal,))
    PassLog(logging.getLogger("test")).passed(Report(plan=plan, receipt=receipt), reasons=["poll"])
    text = caplog.text
    assert "ffffffffff: reviews v2 0% -> 5% live on 1/1 proxies in 0.1s" in text
    assert "error[guard-empty-view]: nothing would be left" in text


def test_what_is_refused_again_is_no_news_and_a_revert_is(caplog: pytest.LogCaptureFixture) -> None:
    """A refusal is tried again and again, and said once; what was committed because of it is said, whoever asked for the pass."""
    from reconciler.daemon.log import PassLog

    caplog.set_level(logging.INFO)
    id_ = ResourceId(ResourceType.ROUTE, "web")
    change = Change(id=id_, action=Action.UPDATE, cause=Cause.CHANGE)
    plan = Plan(commit="c" * 40, proxies=(ProxyPlan(proxy=PROXY, changes=(change,)),))
    refused = Outcome(proxy=PROXY, kind=OutcomeKind.REJECTED, proof=Proof.NONE, detail="no")
    report = Report(applied="c" * 40, plan=plan, outcomes={PROXY: refused})
    log = PassLog(logging.getLogger("test"))
    for _ in range(3):
        log.passed(report, reasons=["retry"])
    log.asked(replace(report, reverted=("d" * 40,)))
    done = [record.getMessage() for record in caplog.records if record.levelno == logging.INFO]
    assert done == ["cccccccccc: 1 updated", "dddddddddd: committed on the policy branch, a revert of what was refused"]
    log.passed(replace(report, outcomes={PROXY: replace(refused, kind=OutcomeKind.APPLIED)}), reasons=["retry"])
    log.passed(report, reasons=["poll"])
    assert [record.getMessage() for record in caplog.records].count("cccccccccc: 1 updated") == 3


def test_a_plan_that_a_guard_refused_is_not_said_to_be_done(caplog: pytest.LogCaptureFixture) -> None:
    """Proxies were looked at for the last good commit meanwhile, and have it; that is no word on the refused one."""
    from reconciler.daemon.log import PassLog

    caplog.set_level(logging.INFO)
    change = Change(id=ResourceId(ResourceType.ROUTE, "web"), action=Action.UPDATE, cause=Cause.CHANGE)
    refusal = Diagnostic(code="guard-delete-percent", message="too much would go")
    plan = Plan(commit="c" * 40, proxies=(ProxyPlan(proxy=PROXY, changes=(change,)),), refused=(refusal,))
    kept = Outcome(proxy=PROXY, kind=OutcomeKind.APPLIED, proof=Proof.EXACT)
    log = PassLog(logging.getLogger("test"))
    for _ in range(2):
        log.passed(Report(head="c" * 40, applied="b" * 40, plan=plan, outcomes={PROXY: kept}), reasons=["rollout"])
    assert "updated" not in caplog.text
    assert caplog.text.count("error[guard-delete-percent]") == 1


def test_a_branch_that_goes_back_during_a_pass_is_followed() -> None:
    """What a pass has applied counts, not what a look said before: else a head that moved for a moment would stay live."""
    fleet = Fleet()
    with running(fleet) as daemon:

        def moves() -> None:
            fleet.commit, fleet.meanwhile = "c2", lambda: None

        fleet.meanwhile = moves  # the look says c1, the pass applies c2 ...
        daemon.wake(Trigger.DRIFT)
        fleet.wait(lambda passes: len(passes) == 2)
        fleet.commit = "c1"  # ... and the branch is back at c1 when it is looked at again
        daemon.wake(Trigger.POLL)
        fleet.wait(lambda passes: len(passes) == 3)
        assert fleet.passes[2][0] == "c1"


def test_a_reading_that_was_not_made_is_still_owed() -> None:
    """Git that does not answer, and a lock that somebody has, must not cost a whole drift interval."""
    fleet = Fleet()
    with running(fleet, first_retry=0.01) as daemon:
        fleet.git_failures, fleet.locked = 2, 2
        daemon.wake(Trigger.DRIFT)
        fleet.wait(lambda passes: len(passes) == 4)
        assert fleet.passes[1:] == [("c1", True)] * 3
        fleet.commit = "c2"
        daemon.wake(Trigger.POLL)
        fleet.wait(lambda passes: len(passes) == 5)
        assert fleet.passes[4] == ("c2", False)


def test_a_clock_that_is_set_back_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Passes run in seconds that go by, whatever the machine says the time is."""
    back = threading.Event()

    class Clock(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Clock:
            now = super().now(tz)
            return now - timedelta(hours=1) if back.is_set() else now

    monkeypatch.setattr("apscheduler.schedulers.base.datetime", Clock)
    fleet = Fleet()
    schedule = Schedule(interval=timedelta(milliseconds=50), drift_interval=timedelta(milliseconds=100))
    with running(fleet, schedule):
        back.set()
        count = len(fleet.passes)
        fleet.wait(lambda passes: len(passes) >= count + 5)
        fleet.commit = "c2"
        fleet.wait(lambda passes: passes[-1][0] == "c2")


def test_a_proxy_that_connects_is_served_although_git_is_quiet() -> None:
    """A connection forces a pass for the same head, and no reading of everybody's content."""
    fleet = Fleet()
    with running(fleet) as daemon:
        daemon.wake(Trigger.CONNECT)
        fleet.wait(lambda passes: len(passes) == 2)
        assert fleet.passes[1] == ("c1", False)


def test_a_rollout_that_falls_due_is_looked_at_although_git_is_quiet() -> None:
    """A pause that ends is noticed then, not at the next look at Git; one that waits for nothing causes no pass."""
    fleet = Fleet()
    fleet.again = 0.05
    with running(fleet):
        fleet.wait(lambda passes: len(passes) >= 3)
        fleet.again = None
        before = len(fleet.passes)
    assert len(fleet.passes) <= before + 1


def test_a_rollout_falls_due_although_git_cannot_be_asked() -> None:
    """A canary is judged, and given up, also while the remote is away."""
    fleet = Fleet()
    fleet.again = 0.05
    with running(fleet, first_retry=3600):
        fleet.wait(lambda passes: len(passes) >= 2)
        fleet.git_failures = 1_000_000
        seen = len(fleet.passes)
        fleet.wait(lambda passes: len(passes) >= seen + 3)
