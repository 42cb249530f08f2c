"""Rules of the conformance test about ends and trouble: being stopped, and a platform that is slow, down, mad or away."""

from __future__ import annotations

import logging
import os
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from reconciler.discovery.conformance.expecting import BOTH, TWO, begin, demand, goes_on, is_proper, lists, sees
from reconciler.discovery.conformance.platforms import Mood, Platform
from reconciler.discovery.conformance.watching import watching


def stops_wherever_it_waits(mood: Mood, platform: Platform) -> None:
    """`watch` ends soon after it was told to, wherever it waits: for changes, or for a server that does not answer."""
    begin(platform)
    try:
        with watching(platform.adapter()) as watched:
            sees(platform, watched, BOTH, "first state")
            platform.be(mood)
        with watching(platform.adapter()) as watched:  # the first question of all is the one that hangs
            for _ in range(3):
                time.sleep(0.1)  # there is nothing to wait for: it is to be in the midst of waiting
        if watched.error is not None and mood is Mood.WELL:
            raise AssertionError(f"`watch` is told to end and ends; it does not raise {watched.error!r}")
    finally:
        platform.be(Mood.WELL)


def leaves_nothing_behind(mood: Mood, platform: Platform) -> None:
    """A `watch` that has ended has left no thread and no open file or socket."""
    begin(platform)
    _rounds(platform, mood, 1)  # what is made once for all, such as a module's own cache, is no leak
    threads, files = set(threading.enumerate()), _open_files()
    _rounds(platform, mood, 3)
    deadline = (
        time.monotonic() + platform.patience
    )  # servers in this process need a moment to see that nobody is there any more
    while (more := set(threading.enumerate()) - threads) or _open_files() > files:
        if time.monotonic() > deadline:
            open_now = _open_files()
            raise AssertionError(
                f"three watches that ended have left threads {more}, and {open_now} open files instead of {files}"
            )
        time.sleep(0.02)


def _rounds(platform: Platform, mood: Mood, count: int) -> None:
    for _ in range(count):
        with watching(platform.adapter()) as watched:
            sees(platform, watched, BOTH, "first state")
            platform.be(mood)
        platform.be(Mood.WELL)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"))  # noqa: PTH112, PTH208 -- just a count


def trouble_is_an_error(mood: Mood, platform: Platform) -> None:
    """A platform that can't be read is an AdapterError with a code and a hint, and never an event."""
    begin(platform)
    platform.be(mood)
    try:
        with watching(platform.adapter()) as watched:
            watched.wait(
                lambda it: it.error is not None or bool(it.events), within=platform.patience, what="AdapterError"
            )
            demand(not watched.events, f"a platform that is {mood} can't be read, yet there was {watched.events!r}")
            is_proper(platform, watched.error)
    finally:
        platform.be(Mood.WELL)


def trouble_loses_nothing(mood: Mood, platform: Platform) -> None:
    """Trouble in the midst of a `watch` takes no service away; when it is over, what changed is seen, by this watch or the next."""
    begin(platform)
    try:
        with watching(platform.adapter()) as watched:
            sees(platform, watched, BOTH, "first state")
            platform.be(mood)
            deadline = time.monotonic() + min(platform.within, 1.5)
            while time.monotonic() < deadline and not watched.ended:
                time.sleep(0.02)
            demand(
                lists(platform, BOTH)(watched.services),
                f"a platform that is {mood} took {dict(watched.services)} for true",
            )
            if watched.error is not None:
                is_proper(platform, watched.error)
            platform.be(Mood.WELL)
            goes_on(platform, watched, {"reviews": (TWO,)})
    finally:
        platform.be(Mood.WELL)


def restart_is_survived(platform: Platform) -> None:
    """After a restart of the server what changes is seen: by a new `watch` at once, and the old one does not go on knowing nothing."""
    begin(platform)
    with watching(platform.adapter()) as watched:
        sees(platform, watched, BOTH, "first state")
        platform.restart()
        with watching(platform.adapter()) as other:
            sees(platform, other, BOTH, "state after the restart")
        goes_on(platform, watched, {"reviews": (TWO,)})


def slow_is_not_wrong(platform: Platform) -> None:
    """A server that takes its time is waited for."""
    begin(platform)
    platform.be(Mood.SLOW)
    try:
        with watching(platform.adapter()) as watched:
            watched.until(lists(platform, BOTH), within=platform.within + 10, what="state of a slow server")
    finally:
        platform.be(Mood.WELL)


def secrets_are_kept(platform: Platform) -> None:
    """No event and no log line shows a secret, and no error does, whatever the platform is like."""
    begin(platform)
    with _logged() as lines:
        for mood in (Mood.WELL, Mood.DOWN, Mood.GARBAGE, Mood.DENYING):
            try:
                platform.be(mood)
            except NotImplementedError:
                continue
            with watching(platform.adapter()) as watched:
                watched.wait(
                    lambda it: it.error is not None or bool(it.events), within=platform.patience, what="event or error"
                )
            platform.be(Mood.WELL)
            said = [*map(repr, watched.events), *lines]
            if watched.error is not None:
                said += traceback.format_exception(watched.error)  # and what it was caused by
            leaks = [text for text in said if any(secret in text for secret in platform.secrets)]
            demand(not leaks, f"while {mood}, a secret is in {len(leaks)} of its events, errors and log lines")


@contextmanager
def _logged() -> Iterator[list[str]]:
    """All that is logged, by whom and at whatever level."""
    lines: list[str] = []

    class Keeping(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(f"{record.name} {record.getMessage()} {record.exc_info}")

    root, handler = logging.getLogger(), Keeping(logging.NOTSET)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
