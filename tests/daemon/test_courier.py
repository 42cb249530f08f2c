from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from reconciler.clock import SystemClock
from reconciler.daemon import Courier, Pace
from reconciler.errors import TransientError

PATIENCE = 10.0


@dataclass
class Sink:
    """Takes deliveries; each may be made to wait, fail or ask for a pass."""

    answers: list[bool | Exception] = field(default_factory=list)
    late: bool = False
    delivered: int = 0
    looked: int = 0
    woken: int = 0
    gate: threading.Event | None = None
    changed: threading.Condition = field(default_factory=threading.Condition)

    def deliver(self) -> bool:
        if self.gate is not None:
            assert self.gate.wait(PATIENCE)
        with self.changed:
            self.delivered += 1
            self.changed.notify_all()
            answer = self.answers.pop(0) if self.answers else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    def confirm(self) -> bool:
        with self.changed:
            self.looked += 1
            self.changed.notify_all()
        return self.late

    def wake(self) -> None:
        with self.changed:
            self.woken += 1
            self.changed.notify_all()

    def wait(self, condition: Callable[[], bool]) -> None:
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE)


@contextmanager
def courier(sink: Sink, pace: Pace | None = None) -> Iterator[Courier]:
    found = Courier(
        sink,
        wake=sink.wake,
        clock=SystemClock(),
        logger=logging.getLogger("courier"),
        pace=pace or Pace(rest=0.0, look_after=60.0),
    )
    found.start()
    try:
        yield found
    finally:
        found.stop()


def test_a_burst_is_one_delivery() -> None:
    """What comes within a moment goes together."""
    sink = Sink()
    with courier(sink, Pace(quiet=0.2, longest=5.0, rest=0.0, look_after=60.0)) as found:
        for _ in range(50):
            found.tell()
        sink.wait(lambda: sink.delivered == 1)
    assert sink.delivered == 1


def test_changes_without_end_are_delivered_all_the_same() -> None:
    """Waiting for quiet has an end: a registry that changes all the time starves nobody."""
    sink = Sink()
    ended = threading.Event()
    with courier(sink, Pace(quiet=1.0, longest=0.05, rest=0.0, look_after=60.0)) as found:

        def chatter() -> None:
            while not ended.wait(0.001):
                found.tell()

        talker = threading.Thread(target=chatter)
        talker.start()
        try:
            sink.wait(lambda: sink.delivered >= 3)
        finally:
            ended.set()
            talker.join()


def test_what_comes_during_a_delivery_is_delivered_after_it() -> None:
    """Nothing is lost between two deliveries."""
    sink = Sink(gate=threading.Event())
    with courier(sink) as found:
        found.tell()
        time.sleep(0.05)  # until it waits at the gate; too short a time would only make the test easier
        found.tell()
        assert sink.gate is not None
        sink.gate.set()
        sink.wait(lambda: sink.delivered == 2)


def test_what_only_a_pass_can_bring_wakes_the_loop() -> None:
    """A service that is new needs clusters and routes."""
    sink = Sink(answers=[True])
    with courier(sink) as found:
        found.tell()
        sink.wait(lambda: sink.woken == 1)


def test_it_is_looked_once_whether_a_delivery_arrived() -> None:
    """A proxy that does not take what it was sent gets a pass; a quiet courier asks nobody."""
    sink = Sink(late=True)
    with courier(sink, Pace(quiet=0.001, longest=0.01, rest=0.0, look_after=0.01)) as found:
        found.tell()
        sink.wait(lambda: sink.woken == 1)
    assert sink.looked == 1


def test_a_delivery_that_fails_is_said_once_and_handed_to_a_pass(caplog: pytest.LogCaptureFixture) -> None:
    """One fault ends nothing, and repeats of it fill no log."""
    sink = Sink(answers=[TransientError("disk full"), TransientError("disk full"), RuntimeError("a fault"), False])
    with caplog.at_level(logging.ERROR), courier(sink) as found:
        for number in range(1, 5):
            found.tell()
            sink.wait(lambda number=number: sink.delivered == number)  # type: ignore[misc]
        sink.wait(lambda: sink.woken == 3)
    assert [record.getMessage().partition(": ")[2] for record in caplog.records] == [
        "disk full",
        "RuntimeError('a fault')",
    ]


def test_it_stops_while_it_waits() -> None:
    """A daemon that ends does not wait for registries."""
    sink = Sink()
    with courier(sink):
        pass
    assert sink.delivered == 0
