"""A bell that rings when something in a directory changes: for `file_sd`, which looks for itself what it was.

One observer, and so one of the inotify instances of which Linux gives a user 128, serves all directories of a registry. Where the
system can't say that something changed (no instance left, a network's file system), the bell just does not ring, and who waits
for it looks from time to time.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Self

from watchdog.events import (
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver, ObservedWatch

from reconciler.errors import Diagnostic, Severity

# Not each write: what is in the midst of being written makes no sense yet.
_EVENTS: list[type[FileSystemEvent]] = [FileClosedEvent, FileMovedEvent, FileCreatedEvent, FileDeletedEvent]
_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOSPC})

Identity = tuple[int, int]


class Bell(FileSystemEventHandler):
    """Rings for directories. A context: leaving it releases what was opened.

    Args:
        observer: Seam for tests.
    """

    def __init__(self, observer: Callable[[], BaseObserver] = Observer) -> None:
        self._make = observer
        self._observer: BaseObserver | None = None
        self._watches: dict[str, tuple[Identity, ObservedWatch]] = {}
        self._rung = threading.Event()
        self._lock = threading.Lock()
        self._touched: set[str] = set()
        self.troubles: tuple[Diagnostic, ...] = ()
        """Why it does not ring where it should."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._observer is not None and self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def ring(self) -> None:
        """Wake who waits. Safe from any thread."""
        self._rung.set()

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Called by the observer, on its thread."""
        with self._lock:
            self._touched |= {os.fsdecode(path) for path in (event.src_path, event.dest_path) if path}
        self._rung.set()

    def wait(self, seconds: float) -> frozenset[str]:
        """Wait until it rings, or so long; the paths of what was written, moved or deleted meanwhile."""
        self._rung.wait(seconds)
        self._rung.clear()
        with self._lock:
            touched, self._touched = frozenset(self._touched), set()
        return touched

    def attend(self, folders: Iterable[str]) -> None:
        """Ring for these directories. One that was deleted and made anew, or that a link now leads to, is another one."""
        troubles: list[Diagnostic] = []
        for folder in folders:
            identity = _identity(folder)
            known = self._watches.get(folder)
            if known is not None and known[0] == identity:
                continue
            if known is not None and self._observer is not None:
                del self._watches[folder]
                with suppress(KeyError, OSError):
                    self._observer.unschedule(known[1])
            if identity is not None:
                troubles += self._watch(folder, identity)
        self.troubles = tuple(troubles)

    def _watch(self, folder: str, identity: Identity) -> Iterator[Diagnostic]:
        try:
            if self._observer is None:
                observer = self._make()
                observer.start()
                self._observer = observer
            watch = self._observer.schedule(self, folder, event_filter=_EVENTS, follow_symlink=True)
        except OSError as error:
            yield _trouble(folder, error)
        else:
            self._watches[folder] = (identity, watch)


def _identity(folder: str) -> Identity | None:
    try:
        status = os.stat(folder)  # noqa: PTH116 -- called every second for every directory
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _trouble(folder: str, error: OSError) -> Diagnostic:
    hint = "raise fs.inotify.max_user_instances and max_user_watches" if error.errno in _EXHAUSTED else ""
    return Diagnostic(
        code="discovery-watch",
        severity=Severity.WARNING,
        message=f"changes in {folder} are seen a second or two late: the system can't tell of them ({error.strerror or error})",
        hint=hint or "nothing is wrong with what is known; keep the files on a file system of this machine",
    )
