"""Prometheus's file_sd as a registry: files with lists of targets, in JSON or YAML (the format is in `targets`).

Files are looked at every second, and at once when the system says that one was written, renamed or deleted (only that one, where
that is enough): so nothing is lost where it says nothing. As in Prometheus, a file that makes no sense, such as one that is half
written, keeps what it said before, and a file that is deleted has no targets. A file of which nothing is known yet has to be
readable: before that, the registry is not known either.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import PurePath

from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

from reconciler import yamldoc
from reconciler.discovery.contract import Alive, Event, Problem, Snapshot, Stopping, Surroundings
from reconciler.discovery.platforms.prometheus.bell import Bell
from reconciler.discovery.platforms.prometheus.files import FileError, Shelf, folders
from reconciler.discovery.platforms.prometheus.targets import (
    LARGEST,
    Listing,
    TargetsError,
    changes,
    from_json,
    read,
    services,
    summary,
)
from reconciler.errors import Diagnostic
from reconciler.model.discovered import Found
from reconciler.model.discovery import FileSd

_LOOK = 1.0
"""Seconds between two looks at the files, however quiet it is."""

_FILE = re.compile(r"/[^*?\[]*[^/]*\.(json|yml|yaml)", re.IGNORECASE)
"""As in Prometheus: only the last part of a path may be a pattern."""

_DOUBT = 0.1
"""Seconds until a file that is broken or gone is looked at again, before that is believed."""


def build(spec: FileSd, around: Surroundings) -> FileAdapter:
    """The adapter for a registry of this kind; ValueError if a path is not one of file_sd."""
    return FileAdapter(spec, around)


class FileAdapter:
    """See the module.

    Args:
        spec: The files, and whose instances their targets are.
        around: The mesh's domain, and the clock for the interval.
        observer: Seam for tests.
        look: Seconds between two looks at the files; a seam for tests.

    Raises:
        ValueError: A path is not absolute, ends in something else than .json, .yml or .yaml, or has a directory with `*`.
    """

    def __init__(
        self,
        spec: FileSd,
        around: Surroundings,
        *,
        observer: Callable[[], BaseObserver] = Observer,
        look: float = _LOOK,
    ) -> None:
        for path in spec.files:
            if _FILE.fullmatch(path) is None:
                raise ValueError(
                    f"{path!r} is not a path such as /etc/targets/*.json; it may end in .json, .yml and .yaml"
                )
        self._spec = spec
        self._around = around
        self._observer = observer
        self._look = look

    def watch(self, stopping: Stopping) -> Iterator[Event]:
        """The services that the files list, and then what changes.

        Raises:
            FileError: A file, or a directory, can't be read.
            TargetsError: A file is no list of target groups.
        """
        clock, interval = self._around.clock, self._spec.interval.total_seconds()
        paths = tuple(str(PurePath(path)) for path in self._spec.files)
        shelf = Shelf(paths, self._listing, LARGEST)
        with Bell(self._observer) as bell, stopping.closing(bell.ring):
            around = folders(paths)
            bell.attend(around)  # before the first look, so that nothing falls between the two
            shelf.look(thorough=True)
            if shelf.broken:
                raise FileError(diagnostics=shelf.broken)
            due, again = clock.monotonic() + interval, 0.0
            known, problems = self._services(shelf)
            yield Snapshot(known)
            said = summary((*shelf.faults, *problems, *bell.troubles))
            if said is not None:
                yield Problem(said)
            while not stopping.is_set():
                touched = bell.wait(_DOUBT if shelf.doubtful else self._look)
                if stopping.is_set():
                    return
                now = clock.monotonic()
                thorough = now >= due
                bell.attend(around)
                changed = shelf.glance(touched) if now < again and not thorough else None
                if changed is None:
                    changed, again = shelf.look(touched=touched, thorough=thorough), now + self._look
                if changed:
                    before, (known, problems) = known, self._services(shelf)
                    yield from changes(before, known)
                problem = summary((*shelf.faults, *problems, *bell.troubles))
                if problem != said:
                    said = problem
                    yield Problem(said)
                if thorough:
                    due = clock.monotonic() + interval
                    yield Alive()

    def _services(self, shelf: Shelf[Listing]) -> tuple[dict[str, Found], tuple[Diagnostic, ...]]:
        return services(shelf.says, self._spec, domain=self._around.domain)

    def _listing(self, path: str, text: bytes, before: Listing | None) -> Listing:
        if PurePath(path).suffix.lower() == ".json":
            document = from_json(text, source=path)
        else:
            try:
                documents = yamldoc.load(text, file=path)
            except yamldoc.YamlError as error:
                first = error.diagnostics[0]
                hint = first.hint or "write a list of target groups as YAML"
                raise TargetsError(f"{first.place}: {first.message}", hint=hint) from None
            if len(documents) > 1:
                raise TargetsError(f"{path}: more than one YAML document", hint="write one list of target groups")
            document = documents[0] if documents else None
        return read(document, self._spec, source=path, domain=self._around.domain, before=before)
