"""Driving an adapter: whatever it does is told, and it is tried again, later each time."""

from __future__ import annotations

import asyncio
import logging
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from reconciler.clock import SystemClock
from reconciler.discovery import AdapterError, Alive, Event, Snapshot, Stopping
from reconciler.discovery.keeping.runner import LONGEST, SHORTEST, Patience, Runner
from reconciler.errors import Diagnostic

LOG = logging.getLogger("test.runner")
EMPTY = Snapshot({})
Course = Callable[[Stopping], Iterator[Event]]


class Scripted:
    """An adapter that does as it is told, once."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        return self._course(stopping)


class Told:
    """What a runner said."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.failures: list[Diagnostic] = []
        self._more = threading.Condition()

    def __call__(self, said: Event | Diagnostic) -> None:
        with self._more:
            if isinstance(said, Diagnostic):
                self.failures.append(said)
            else:
                self.events.append(said)
            self._more.notify_all()

    def until(self, *, events: int = 0, failures: int = 0) -> None:
        with self._more:
            assert self._more.wait_for(lambda: len(self.events) >= events and len(self.failures) >= failures, 20)


@contextmanager
def running(*courses: Course) -> Iterator[Told]:
    """A runner whose adapter does these one after another; the last again and again."""
    told, left = Told(), list(courses)
    runner = Runner(
        registry="it",
        make=lambda: Scripted(left.pop(0) if len(left) > 1 else left[0]),
        tell=told,
        clock=SystemClock(),
        log=LOG,
    )
    runner.start()
    try:
        yield told
    finally:
        runner.stop()
        assert runner.join(5)


def lasting(stopping: Stopping) -> Iterator[Event]:
    yield EMPTY
    while not stopping.wait(0.02):
        yield Alive()


def ending(_: Stopping) -> Iterator[Event]:
    yield EMPTY


def failing(_: Stopping) -> Iterator[Event]:
    yield EMPTY
    raise AdapterError("it is down", code="discovery-down", hint="wait")


def leaving(_: Stopping) -> Iterator[Event]:
    yield EMPTY
    raise SystemExit(3)


def hasty(_: Stopping) -> Iterator[Event]:
    yield Alive()


def babbling(_: Stopping) -> Iterator[Event]:
    yield EMPTY
    yield "tweet"  # type: ignore[misc]


def missing(_: Stopping) -> Iterator[Event]:
    raise KeyError("ports")


def cancelled(_: Stopping) -> Iterator[Event]:
    yield EMPTY
    raise asyncio.CancelledError("by itself")


class MuteError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def mute(_: Stopping) -> Iterator[Event]:
    raise MuteError


def test_events_are_told_in_order() -> None:
    """As they come."""
    with running(lasting) as told:
        told.until(events=3)
    assert told.events[:3] == [EMPTY, Alive(), Alive()]
    assert told.failures == []


def test_an_error_is_told_and_it_is_tried_again() -> None:
    """With the adapter's own code and words."""
    with running(failing, lasting) as told:
        told.until(events=3, failures=1)
    (failure,) = told.failures
    assert (failure.code, failure.message, failure.hint) == ("discovery-down", "it is down", "wait")


@pytest.mark.parametrize(
    ("course", "words"),
    [
        (ending, "ended although nobody asked it to"),
        (leaving, "failed with SystemExit at test_runner.py:"),
        (cancelled, "failed with CancelledError at test_runner.py:"),
        (mute, "failed with MuteError at test_runner.py:"),
        (hasty, "began with Alive instead of a Snapshot"),
        (babbling, "said 'tweet', which is no event"),
        (missing, "failed with KeyError at test_runner.py:"),
    ],
)
def test_a_fault_of_the_adapter_is_called_so(course: Course, words: str) -> None:
    """And it is tried again. What an exception says is not shown: it may be a secret."""
    with running(course, lasting) as told:
        told.until(events=2, failures=1)
    (failure,) = told.failures
    assert failure.code == "discovery-adapter"
    assert failure.message.rstrip("0123456789") == f"the adapter of registry 'it' {words}"
    assert "whoever wrote it" in failure.hint


def test_what_is_said_after_the_end_does_not_count() -> None:
    """An adapter that is told to end may still say and raise whatever it likes."""
    told, waits = Told(), threading.Event()

    def late(stopping: Stopping) -> Iterator[Event]:
        yield EMPTY
        waits.set()
        stopping.wait(20)
        yield Alive()

    runner = Runner(registry="it", make=lambda: Scripted(late), tell=told, clock=SystemClock(), log=LOG)
    runner.start()
    assert waits.wait(20)
    runner.stop()
    assert runner.join(5)
    assert (told.events, told.failures) == ([EMPTY], [])


def test_patience_grows_and_is_reset() -> None:
    """From half a second to half a minute, never more than that; after a good while it begins anew."""
    patience = Patience(random.Random(1))  # noqa: S311 -- a seed makes it the same in every run
    waits = [patience.after(0.0) for _ in range(10)]
    assert all(0.75 * SHORTEST * 2**turn <= wait <= SHORTEST * 2**turn for turn, wait in enumerate(waits[:6]))
    assert all(0.75 * LONGEST <= wait <= LONGEST for wait in waits[6:])
    assert len(set(waits[6:])) == 4
    assert patience.after(LONGEST - 1) > SHORTEST
    assert patience.after(LONGEST) <= SHORTEST
