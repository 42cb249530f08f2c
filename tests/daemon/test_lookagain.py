"""Webhooks: an early one is not lost, and many are one."""

from __future__ import annotations

import threading

from reconciler.daemon import Daemon, Trigger
from reconciler.daemon.lookagain import LookAgain
from tests.daemon.world import Fleet, Hand, running


class Git(Fleet):
    """Counts the looks, and shows a push only from some look on."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.looked = threading.Semaphore(0)

    def head(self) -> str:
        self.looks += 1
        self.looked.release()
        return super().head()

    def seen(self) -> None:
        assert self.looked.acquire(timeout=20)


def test_the_further_looks_after_a_webhook() -> None:
    """Two and ten seconds after the newest one, as long as the head is the one that was known when it came."""
    again = LookAgain()
    assert again.due("a") is None
    again.told(100.0, "a")
    assert again.due("a") == 102.0
    again.looked(101.0)
    assert again.due("a") == 102.0
    again.looked(102.0)
    assert again.due("a") == 110.0
    again.told(105.0, "a")
    assert again.due("a") == 107.0
    assert again.due("b") is None
    assert again.due("a") is None
    again.told(200.0, "b")
    again.looked(500.0)
    assert again.due("b") is None


def tick(daemon: Daemon, hand: Hand, seconds: float) -> None:
    """Time goes by, and the loop hears of it."""
    with daemon._changed:
        hand.seconds += seconds
        daemon._changed.notify_all()


def test_a_push_that_is_told_of_before_git_shows_it_is_found_soon() -> None:
    """Without the look ten seconds later, it would wait for the interval, which may be an hour."""
    git, hand = Git(), Hand()
    with running(git, clock=hand) as daemon:
        git.seen()
        daemon.wake(Trigger.WEBHOOK)
        git.seen()
        tick(daemon, hand, 2.1)
        git.seen()
        git.commit = "c2"
        tick(daemon, hand, 8.0)
        git.seen()
        git.wait(lambda passes: passes[-1][0] == "c2")
        tick(daemon, hand, 60.0)
    assert git.looks == 4


def test_many_webhooks_are_one_look() -> None:
    """Those that come within a second of a look wait for each other, so that a flood of them is no flood of fetches."""
    git, hand = Git(), Hand()
    with running(git, clock=hand) as daemon:
        git.seen()
        daemon.wake(Trigger.WEBHOOK)
        git.seen()
        for _ in range(100):
            daemon.wake(Trigger.WEBHOOK)
        daemon.wake(Trigger.POLL)  # which waits for nobody, and does not bring them along
        git.seen()
        tick(daemon, hand, 1.1)
        git.seen()
    assert git.looks == 4
