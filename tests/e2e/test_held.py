"""Freezes and suspensions with a real Envoy and a clock that the test moves: what is held, what passes, and when it goes on."""

from __future__ import annotations

import logging
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.cli.options import settings
from reconciler.cli.rollout.looking import document_of
from reconciler.cli.rollout.reading import reader
from reconciler.cli.session import Session
from reconciler.cycle import Report
from reconciler.cycle.ask import Ask
from reconciler.daemon import Daemon, Schedule
from reconciler.model.key import Key
from tests.e2e.canary import ROLLOUT
from tests.e2e.rig import MESH, Rig, git

WEEKEND = MESH.replace(
    "{verify",
    "{freezes: [{name: weekend, schedule: 0 18 * * FRI, duration: 60h, timeZone: Europe/Berlin, reason: nobody is here}], verify",
)
THURSDAY = datetime(2026, 8, 27, 12, tzinfo=UTC)
SATURDAY = datetime(2026, 8, 29, 12, tzinfo=UTC)
MONDAY = datetime(2026, 8, 31, 4, tzinfo=UTC)


class Hand:
    """Wall time that the test sets; the rest is the machine's."""

    def __init__(self) -> None:
        self.set(THURSDAY)

    def set(self, now: datetime, *, runs: bool = True) -> None:
        self._now, self._since, self._runs = now, time.monotonic(), runs

    def now(self) -> datetime:
        return self._now + timedelta(seconds=time.monotonic() - self._since) if self._runs else self._now

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(max(0.0, seconds))


class Held:
    """A mesh with a frozen weekend, and passes at times that the test says."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.clock = Hand()

    def run(self, **ask: Any) -> Report:
        with Session(settings(repo=str(self.rig.repo), ref="main", admin_timeout="2s")) as session:
            session.clock = self.clock
            return session.reconciler().run(Ask(**ask))

    def pull(self) -> None:
        git("-C", str(self.rig.clone), "pull", "-q", "--ff-only", "origin", "main", quiet=True)


@pytest.fixture
def held(rig: Rig) -> Held:
    """On a Thursday, with v2 at 10% and then at 30% live."""
    found = Held(rig)
    rig.commit({"policies/mesh.yaml": WEEKEND, **rig.routes(90, 10)}, "v2 at 10%")
    assert found.run().exit_code() == 0
    rig.commit(rig.routes(70, 30), "v2 at 30%")
    assert found.run().exit_code() == 0
    return found


def refused(report: Report) -> list[str]:
    assert report.plan is not None
    return [item.code for item in report.plan.refused]


def test_a_frozen_change_waits_and_nothing_else_does(held: Held) -> None:
    """Refused with why and until when; drift is corrected; a rollback passes; so does what is acknowledged; Monday applies it."""
    rig = held.rig
    held.clock.set(SATURDAY)
    rig.commit(rig.routes(60, 40), "v2 at 40%")
    report = held.run()
    assert (report.exit_code(), refused(report)) == (3, ["guard-freeze"])
    assert report.plan is not None
    assert report.plan.refused[0].message == (
        "changes are frozen until 2026-08-31T04:00:00Z (Mon 06:00 Europe/Berlin) by weekend (nobody is here), on edge"
    )
    assert report.again == pytest.approx((MONDAY - SATURDAY).total_seconds(), abs=60)
    assert refused(held.run(dry_run=True)) == ["guard-freeze"]
    rig.share_is(30, requests=600)

    rig.overwrite("edge", "lds.pb", lambda _: b"")
    rig.wait(lambda: not rig.ask("edge", "/listeners").strip(), "the listener is gone")
    report = held.run()
    assert refused(report) == ["guard-freeze"]
    assert report.outcomes
    rig.share_is(30, requests=600)

    rig.commit({**rig.routes(90, 10), "notes.txt": "x"}, "Back to 10%")
    assert held.run().exit_code() == 0
    rig.share_is(10, requests=600)

    rig.commit(rig.routes(65, 35), "v2 at 35%\n\nReconcile-Allow: guard-freeze")
    assert held.run().exit_code() == 0
    rig.share_is(35, requests=600)

    rig.commit(rig.routes(55, 45), "v2 at 45%")
    assert held.run().exit_code() == 3
    held.clock.set(MONDAY)
    assert held.run().exit_code() == 0
    rig.share_is(45, requests=600)


class Passes:
    """What a daemon's loop drives, at the test's time."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._reconciler = session.reconciler(settle=0)

    def head(self) -> str:
        return self._session.repository.resolve("main")

    def run(self, *, exact: bool) -> Report:
        return self._reconciler.run(Ask(exact=exact, fetched=True))

    def asked(self, ask: Ask) -> Report:
        return self._reconciler.run(ask)


def test_a_daemon_applies_what_waited_when_the_window_ends(held: Held) -> None:
    """By itself: nobody pushes, and neither Git nor drift is looked at for hours."""
    rig = held.rig
    rig.commit(rig.routes(60, 40), "v2 at 40%")
    before = len(rig.receipts())
    soon = MONDAY - timedelta(seconds=1)
    held.clock.set(soon, runs=False)
    hours = timedelta(hours=5)
    with Session(settings(repo=str(rig.repo), ref="main", admin_timeout="2s"), quiet=True) as session:
        session.clock = held.clock
        refusals: list[int] = []

        def ready() -> None:
            refusals.append(len(rig.receipts()))
            held.clock.set(soon)

        loop = Daemon(
            Passes(session),
            schedule=Schedule(interval=hours, drift_interval=hours),
            clock=held.clock,
            logger=logging.getLogger("tests.held"),
            on_ready=ready,
        )
        thread = threading.Thread(target=loop.run)
        thread.start()
        try:
            rig.wait(lambda: len(rig.receipts()) > before, "it is applied")
        finally:
            loop.stop()
            thread.join()
    assert refusals == [before]
    assert held.clock.now() >= MONDAY
    rig.share_is(40, requests=600)


def test_a_rollback_passes_beside_what_else_was_merged(held: Held) -> None:
    """Only weights change, to shares that were live: whoever takes one back need not take back the rest; anything else is held."""
    rig = held.rig
    slow = rig.routes(70, 30)["policies/routes.yaml"].replace("    route:", "    timeout: 7s\n    route:")
    rig.commit({"policies/routes.yaml": slow}, "A timeout")
    assert held.run().exit_code() == 0
    held.clock.set(SATURDAY)
    back = slow.replace("weight: 70", "weight: 90").replace("weight: 30", "weight: 10")
    rig.commit({"policies/routes.yaml": back.replace("7s", "8s")}, "Take 30% back, and something else")
    assert refused(held.run()) == ["guard-freeze"]
    rig.commit({"policies/routes.yaml": back}, "Take 30% back")
    assert held.run().exit_code() == 0
    rig.share_is(10, requests=600)


def test_what_was_undone_is_no_rollback(held: Held) -> None:
    """An aborted canary has stood at 30% and at 50%: to go there again is to go forward, alone or as the whole view it was."""
    rig = held.rig
    rig.commit(rig.routes(50, 50), "v2 at 50%")
    assert held.run().exit_code() == 0
    rig.commit(rig.routes(90, 10), "Take it back to 10%")
    assert held.run().exit_code() == 0
    stop = {"policies/mesh.yaml": MESH.replace("{verify", "{suspend: {reason: incident 7}, verify")}
    for share in (30, 50):
        rig.commit({**stop, **rig.routes(100 - share, share)}, f"v2 at {share}%")
        assert refused(held.run()) == ["guard-suspended"]
    rig.share_is(10, requests=600)
    slow = rig.routes(90, 10)["policies/routes.yaml"].replace("    route:", "    timeout: 7s\n    route:")
    rig.commit({"policies/routes.yaml": slow}, "A timeout\n\nReconcile-Allow: guard-suspended")
    assert held.run().exit_code() == 0
    rig.commit(
        {"policies/routes.yaml": slow.replace("weight: 90", "weight: 50").replace("weight: 10", "weight: 50")}, "x"
    )
    assert refused(held.run()) == ["guard-suspended"]


def test_a_view_goes_back_as_a_whole_only_if_no_route_goes_forward(held: Held) -> None:
    """It was live, and its weights were taken back since, with something else that stayed."""
    rig = held.rig
    back = rig.routes(90, 10)["policies/routes.yaml"].replace("    route:", "    timeout: 7s\n    route:")
    rig.commit({"policies/routes.yaml": back}, "Back to 10%, with a timeout")
    assert held.run().exit_code() == 0
    held.clock.set(SATURDAY)
    rig.commit(rig.routes(70, 30), "As it was at 30%")
    assert refused(held.run()) == ["guard-freeze"]
    rig.commit(rig.routes(90, 10), "As it was at 10%")
    assert held.run().exit_code() == 0
    rig.share_is(10, requests=600)


def test_what_begins_soon_is_said(held: Held) -> None:
    """In plans of the day before, and in none earlier."""

    def ahead(now: datetime) -> list[str]:
        held.clock.set(now)
        report = held.run(dry_run=True)
        assert report.plan is not None
        return [item.message for item in report.plan.warnings if item.code == "freeze-ahead"]

    assert ahead(THURSDAY) == []
    assert ahead(THURSDAY + timedelta(hours=20)) == [
        "from 2026-08-28T16:00:00Z on, changes are frozen until 2026-08-31T04:00:00Z (Mon 06:00 Europe/Berlin) by weekend (nobody is here)"
    ]


def test_an_offline_preview_says_what_holds_changes_now(held: Held) -> None:
    """And shows the plan, which may well be merged meanwhile."""
    rig = held.rig
    text = MESH.replace("{verify", "{suspend: {reason: incident 7}, verify")
    rig.commit({"policies/mesh.yaml": text, **rig.routes(60, 40)}, "Suspend")
    said = rig.command("--dry-run", "--against", "main~1", "--output", "json")
    assert said.code == 0, said.err
    assert said.json()["refused"] == []
    assert [item["message"] for item in said.json()["warnings"] if item["code"] == "freeze-now"] == [
        "changes are suspended until somebody resumes them: incident 7"
    ]


def test_rollouts_hold_and_say_why_and_abort_all_the_same(held: Held) -> None:
    """What a person asks for waits; the abort does not, although they wrote other things into the Rollout before it."""
    rig = held.rig
    rollout = ROLLOUT % {"fields": "", "steps": "  - setWeight: 5\n  - pause: {}\n  - setWeight: 50\n  - pause: {}"}
    rig.commit({**rig.routes(100, 0), "policies/rollout.yaml": rollout}, "A canary")
    assert held.run().exit_code() == 0
    report = held.run()
    assert len(report.taken) == 1, report
    rig.share_is(5, requests=600)

    held.clock.set(SATURDAY)
    held.pull()
    text = (rig.clone / "policies/rollout.yaml").read_text()
    promoted = text.replace("  canary: v2\n", "  canary: v2\n  step: 3\n")
    head = rig.commit({"policies/rollout.yaml": promoted}, "Promote")
    report = held.run()
    report = held.run()
    assert report.taken == ()
    assert report.plan is not None
    (note,) = [item.message for item in report.plan.warnings if item.code == "rollout-waiting"]
    assert "it stays where it is: changes are frozen until 2026-08-31T04:00:00Z" in note
    with reader(settings(repo=str(rig.repo), ref="main")) as git_:
        shown = document_of(git_, Key("default", "details"), now=held.clock.now())[0]["rollout"]
    assert shown["waiting"].startswith("changes are frozen until 2026-08-31T04:00:00Z")
    assert shown["next"]["due"].startswith("2026-08-31T04:00:00")
    assert git("-C", str(rig.repo), "rev-parse", "main").strip() == head

    rig.commit({"policies/rollout.yaml": promoted.replace("  step: 3\n", "  step: 3\n  abort: true\n")}, "Abort")
    report = held.run()
    assert report.exit_code() == 0, report
    assert [item.decision.move for item in report.taken] == ["abort"]
    rig.share_is(0, requests=600)


@pytest.mark.long
def test_rollouts_go_on_in_a_freeze_that_is_not_theirs(held: Held) -> None:
    """With `rollouts: false` their steps are made and applied, to weights that nobody has seen yet; people's changes wait."""
    rig = held.rig
    rollout = ROLLOUT % {"fields": "", "steps": "  - setWeight: 5\n  - pause: {}\n  - setWeight: 45\n  - pause: {}"}
    mesh = {"policies/mesh.yaml": WEEKEND.replace("duration", "rollouts: false, duration")}
    rig.commit({**rig.routes(100, 0), **mesh, "policies/rollout.yaml": rollout}, "A canary")
    assert held.run().exit_code() == 0
    assert len(held.run().taken) == 1
    held.clock.set(SATURDAY)
    held.pull()
    text = (rig.clone / "policies/rollout.yaml").read_text()
    rig.commit({"policies/rollout.yaml": text.replace("  canary: v2\n", "  canary: v2\n  step: 2\n")}, "Promote")
    moved = [held.run() for _ in range(4)]
    assert [report.exit_code() for report in moved] == [0, 0, 0, 0]
    assert [item.decision.weight for report in moved for item in report.taken] == [5, 45], moved
    rig.share_is(45, requests=600)
    held.pull()
    slow = (rig.clone / "policies/routes.yaml").read_text().replace("    route:", "    timeout: 7s\n    route:")
    rig.commit({"policies/routes.yaml": slow}, "A timeout")
    assert refused(held.run()) == ["guard-freeze"]


def test_a_suspension_holds_until_it_ends(held: Held) -> None:
    """It says by whom and why; afterwards it has no effect, and a warning says that it can go."""
    rig = held.rig
    text = MESH.replace("{verify", "{suspend: {reason: incident 7, by: Pat, until: '2026-08-27T13:00:00Z'}, verify")
    rig.commit({"policies/mesh.yaml": text, **rig.routes(60, 40)}, "Suspend")
    report = held.run()
    assert refused(report) == ["guard-suspended"]
    assert report.plan is not None
    assert "changes are suspended by Pat until 2026-08-27T13:00:00Z: incident 7" in report.plan.refused[0].message
    assert report.again == pytest.approx(3600, abs=60)
    assert held.run(allow=frozenset({"guard-suspended"}), dry_run=True).exit_code() == 0
    held.clock.set(THURSDAY + timedelta(hours=1))
    report = held.run()
    assert report.exit_code() == 0
    assert report.plan is not None
    assert "suspend-expired" in [item.code for item in report.plan.warnings]
    rig.share_is(40, requests=600)
