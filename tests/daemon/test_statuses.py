"""Commit statuses: said beside the passes, once, and until the forge takes them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.cycle import Report
from reconciler.daemon.statuses import Statuses
from reconciler.forge import GitHubConversation, StatusState, conversation
from reconciler.model.key import Key
from reconciler.model.observation import Proof
from reconciler.model.plan import Plan
from reconciler.model.receipt import Outcome, OutcomeKind
from reconciler.settings import ForgeSettings
from tests.cycle.test_standing import receipt
from tests.daemon.world import PATIENCE
from tests.forge.conftest import FILES, Hand
from tests.forge.server import ForgeServer

CONTEXT = "reconciler/live"
LOGGER = logging.getLogger("test.statuses")
A, U = OutcomeKind.APPLIED, OutcomeKind.UNREACHABLE


class Told:
    """A forge, what is said to it, and time that the test moves."""

    def __init__(self, forge: ForgeServer) -> None:
        self.forge = forge
        self.clock = Hand()
        self.statuses = self.begun()

    def begun(self) -> Statuses:
        settings = ForgeSettings(
            kind="github",
            repository=self.forge.repository,
            api=self.forge.api,
            token_file=str(self.forge.token_file),
        )
        found = Statuses(conversation(settings, clock=self.clock), context=CONTEXT, clock=self.clock, logger=LOGGER)
        found.start()
        return found

    def passed(self, commit: str, *kinds: OutcomeKind) -> None:
        self.report = report(commit, *kinds)
        self.statuses.passed(self.report, reasons=["poll"], whole=True)

    def after(self, seconds: float) -> None:
        """Time goes by, and the thread looks again."""
        self.clock.passed += seconds
        self.statuses.passed(self.report, reasons=["poll"], whole=True)

    def said(self, commit: str) -> list[tuple[str, str]]:
        with self.forge.lock:
            return [(item["state"], item["description"]) for item in self.forge.said.statuses.get(commit, ())]

    def wait(self, condition: Callable[[], bool]) -> None:
        tick = threading.Event()
        for _ in range(int(PATIENCE * 100)):
            if condition():
                return
            tick.wait(0.01)
        raise AssertionError([call.target for call in self.forge.calls])


def report(commit: str, *kinds: OutcomeKind) -> Report:
    keys = [Key("default", f"p{n}") for n in range(len(kinds))]
    outcomes = {
        key: Outcome(proxy=key, kind=kind, proof=Proof.EXACT, detail="no answer" if kind is U else "")
        for key, kind in zip(keys, kinds, strict=True)
    }
    plan = Plan(commit=commit, proxies=())
    return Report(head=commit, applied=commit, plan=plan, outcomes=outcomes, receipt=receipt())


@pytest.fixture
def told(tmp_path: Path) -> Iterator[Told]:
    with ForgeServer(tmp_path / "forge", FILES) as forge:
        found = Told(forge)
        yield found
        found.statuses.stop(patience=PATIENCE)


def test_a_commit_is_pending_until_it_is_live_everywhere(told: Told) -> None:
    """Each word once, however often it is said; what comes after the good one is no news about that commit."""
    commit = told.forge.hosted.tip("main")
    told.passed(commit, A, U)
    told.wait(lambda: len(told.said(commit)) == 1)
    told.passed(commit, A, U)
    told.passed(commit, A, A)
    told.wait(lambda: len(told.said(commit)) == 2)
    told.passed(commit, A, A)
    told.passed(commit, A, U)
    newer = told.forge.hosted.push("main", {"a": b"a"}, "Newer")
    told.passed(newer, A, A)
    told.wait(lambda: len(told.said(newer)) == 1)
    assert told.said(commit) == [
        ("pending", "live on 1/2 proxies; waits for p1: no answer"),
        ("success", "live on 2/2 proxies"),
    ]


def test_a_new_process_says_nothing_again(told: Told) -> None:
    """It asks the forge first: a proxy that is down after a restart does not take back what was live."""
    commit = told.forge.hosted.tip("main")
    told.passed(commit, A)
    told.wait(lambda: len(told.said(commit)) == 1)
    told.statuses.stop(patience=PATIENCE)
    told.statuses = told.begun()
    told.passed(commit, U)
    reads = len(told.forge.calls)
    told.wait(lambda: len(told.forge.calls) > reads)
    newer = told.forge.hosted.push("main", {"a": b"a"}, "Newer")
    told.passed(newer, A)
    told.wait(lambda: len(told.said(newer)) == 1)
    assert told.said(commit) == [("success", "live on 1/1 proxy")]


@pytest.mark.parametrize("how", ["squash", "merge"])
def test_the_pull_requests_head_has_the_status_too(told: Told, how: str) -> None:
    """People look at the pull request, whose commit is another than the one that was applied."""
    forge = told.forge
    forge.hosted.git("update-ref", "refs/heads/change", forge.hosted.tip("main"))
    head = forge.hosted.push("change", {"policies/reviews.yaml": b"weight: 7\n"}, "More")
    forge.hosted.open(head="change", base="main", title="More", body="")
    landed = forge.hosted.merge(1, how)
    told.passed(landed, A, U)
    told.wait(lambda: len(told.said(head)) == 1)
    told.passed(landed, A, A)
    told.wait(lambda: len(told.said(head)) == 2)
    assert told.said(head) == told.said(landed)


def test_a_head_that_takes_no_status_holds_nothing_up(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """A fork's may be out of reach; the commit's own is said, and said once."""
    forge = told.forge
    forge.hosted.git("update-ref", "refs/heads/change", forge.hosted.tip("main"))
    head = forge.hosted.push("change", {"policies/reviews.yaml": b"weight: 7\n"}, "More")
    forge.hosted.open(head="change", base="main", title="More", body="")
    landed = forge.hosted.merge(1, "merge")
    forge.fail(422, {"message": "No commit found"}, method="POST", path=head)
    with caplog.at_level(logging.INFO):
        told.passed(landed, A)
        told.wait(lambda: "is not told: " in caplog.text)
    newer = forge.hosted.push("main", {"a": b"a"}, "Newer")
    told.passed(newer, A)
    told.wait(lambda: len(told.said(newer)) == 1)
    assert (len(told.said(landed)), told.said(head)) == (1, [])


def test_an_older_commit_is_not_left_pending(told: Told) -> None:
    """It is live with the one that came after it."""
    old = told.forge.hosted.tip("main")
    told.passed(old, A, U)
    told.wait(lambda: len(told.said(old)) == 1)
    newer = told.forge.hosted.push("main", {"a": b"a"}, "Newer")
    told.passed(newer, A, A)
    told.wait(lambda: len(told.said(old)) == 2)
    assert told.said(old)[1] == ("success", f"replaced by {newer[:10]}, which is live on 2/2 proxies")


def test_a_forge_that_is_down_is_told_later_and_complained_of_once(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """The loop is not held up; the newest word is what is said in the end."""
    commit = told.forge.hosted.tip("main")
    with caplog.at_level(logging.INFO):
        told.forge.down()
        told.passed(commit, A, U)
        told.wait(lambda: "forge-unavailable" in caplog.text)
        told.after(6)
        told.passed(commit, A, A)
        told.after(20)
        told.forge.up()
        told.after(400)
        told.wait(lambda: len(told.said(commit)) == 1)
        told.wait(lambda: "told again" in caplog.text)
    assert told.said(commit) == [("success", "live on 2/2 proxies")]
    assert caplog.text.count("forge-unavailable") == 1


def test_a_token_that_may_not_is_tried_again_patiently(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Somebody may have given it the right since; one line says what is missing."""
    commit, token = told.forge.hosted.tip("main"), next(iter(told.forge.tokens))
    told.forge.tokens[token] = "read"
    told.passed(commit, A)
    told.wait(lambda: "forge-permission" in caplog.text)
    told.forge.tokens[token] = "write"
    told.after(5)
    assert told.said(commit) == []
    told.after(70)
    told.wait(lambda: len(told.said(commit)) == 1)
    assert caplog.text.count("forge-permission") == 1


def test_what_nobody_takes_for_a_day_is_given_up(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """A forge that does not have the commit, since the policies come from somewhere else."""
    told.passed("0" * 40, A)
    told.wait(lambda: "forge-refused" in caplog.text)
    told.after(25 * 3600)
    told.wait(lambda: "given up" in caplog.text)
    calls = len(told.forge.calls)
    told.clock.passed += 25 * 3600
    newer = told.forge.hosted.tip("main")
    told.passed(newer, A)
    told.wait(lambda: len(told.said(newer)) == 1)
    assert not [call for call in told.forge.calls[calls:] if "0" * 40 in call.target]


def test_a_proxy_that_comes_and_goes_makes_few_words(told: Told) -> None:
    """After the third of one commit each waits longer; that it is live everywhere is said at once."""
    commit = told.forge.hosted.tip("main")
    for n, kinds in enumerate([(U, U), (A, U), (U, A)], 1):
        told.passed(commit, *kinds)
        told.wait(lambda n=n: len(told.said(commit)) == n)  # type: ignore[misc]
    told.passed(commit, A, U)
    newer = told.forge.hosted.push("main", {"a": b"a"}, "Newer")
    told.passed(newer, U)
    told.wait(lambda: len(told.said(newer)) == 1)
    assert len(told.said(commit)) == 3
    told.passed(commit, A, A)
    told.wait(lambda: len(told.said(commit)) == 4)


def test_passes_over_a_part_and_faults_of_ours_say_nothing(told: Told) -> None:
    """They say nothing of the whole fleet."""
    commit = told.forge.hosted.tip("main")
    told.statuses.passed(report(commit, A), reasons=["asked"], whole=False)
    told.statuses.passed(replace(report(commit, A), head=""), reasons=["poll"], whole=True)
    told.statuses.broken(LookupError("x"))
    told.statuses.git_asked(None)
    told.passed(told.forge.hosted.push("main", {"a": b"a"}, "Newer"), A)
    told.wait(lambda: bool(told.forge.said.statuses))
    assert told.said(commit) == []


def test_a_token_that_may_not_read_pull_requests_sets_the_status_all_the_same(
    told: Told, caplog: pytest.LogCaptureFixture
) -> None:
    """The commit's own is what matters."""
    commit = told.forge.hosted.tip("main")
    told.forge.fail(403, {"message": "Resource not accessible by personal access token"}, path="/pulls")
    with caplog.at_level(logging.INFO):
        told.passed(commit, A)
        told.wait(lambda: "pull requests are not told" in caplog.text)
        told.wait(lambda: len(told.said(commit)) == 1)


class Faulty(GitHubConversation):
    """One with a fault of ours, which shows once."""

    faults = 1

    def status(self, commit: str, *, context: str) -> StatusState | None:
        if self.faults:
            self.faults -= 1
            raise LookupError("no such thing")
        return super().status(commit, context=context)


def test_a_fault_of_ours_does_not_end_the_thread(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    """Later commits are still said."""
    forge, commit = told.forge, told.forge.hosted.tip("main")
    talk = Faulty(forge.repository, token_file=forge.token_file, api=forge.api, clock=told.clock)
    told.statuses.stop(patience=PATIENCE)
    told.statuses = Statuses(talk, context=CONTEXT, clock=told.clock, logger=LOGGER)
    told.statuses.start()
    told.passed(commit, A)
    told.wait(lambda: "error[bug]" in caplog.text)
    newer = forge.hosted.push("main", {"a": b"a"}, "Newer")
    told.passed(newer, A)
    told.wait(lambda: len(told.said(newer)) == 1)


def test_the_memory_is_bounded(told: Told) -> None:
    """Of many commits that nobody takes, the newest are kept."""
    told.forge.down()
    for n in range(50):
        told.passed(f"{n:040x}", A)
    assert len(told.statuses._commits) == 20
    told.forge.up()


def test_stopping_does_not_wait_for_a_forge_that_hangs(told: Told) -> None:
    """A daemon that is to end ends."""
    told.forge.delay = 60
    told.passed(told.forge.hosted.tip("main"), A)
    told.statuses.stop(patience=0.01)
    told.forge.over.set()
