"""The files that a registry is kept in: which there are, and what they say. For `file_sd`, which decides what to make of it.

A file that can't be read, or is being written, keeps what it said before. What has gone is gone only when it is still gone a
moment later: many editors delete and write anew. Nothing here knows target groups or waits for anything.
"""

from __future__ import annotations

import fnmatch
import os
import stat
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from reconciler.discovery.contract import AdapterError
from reconciler.errors import Diagnostic, ReconcilerError

T = TypeVar("T")

_BELIEVED = 2
"""Looks at a file that show it broken or gone, until that is believed."""

_Stamp = tuple[int, ...]
_UNREADABLE: _Stamp = (-1,)


class FileError(AdapterError):
    """A file can't be read right now."""

    default_code = "discovery-file"


@dataclass(slots=True)
class _File(Generic[T]):
    rank: tuple[int, str]
    says: T | None = None
    fault: Diagnostic | None = None
    seen: _Stamp | None = None
    read: _Stamp | None = None
    doubts: int = 0


@dataclass(slots=True)
class Shelf(Generic[T]):
    """Files, and what each of them said last.

    Attributes:
        patterns: Absolute paths; the last part may have `*`.
        parse: What a file's bytes say, given its path and what it said before; raises a ReconcilerError if they make no sense.
        largest: Bytes of a file that is read.
    """

    patterns: tuple[str, ...]
    parse: Callable[[str, bytes, T | None], T]
    largest: int
    _files: dict[str, _File[T]] = field(default_factory=dict)
    _links: bool = False
    _missing: list[Diagnostic] = field(default_factory=list)
    _unknown: list[Diagnostic] = field(default_factory=list)

    def look(self, *, touched: Collection[str] = (), thorough: bool = False) -> bool:
        """Look at all files, and read those that have changed; whether one of them now says something else, or has gone.

        A file that is not among the touched ones is read when it has stayed as it is since the last look: it may be in the
        midst of being written.

        Args:
            touched: Paths of files that somebody has just written, moved or deleted.
            thorough: Read all.
        """
        self._missing.clear()
        self._unknown.clear()
        self._links = False
        changed = False
        present: set[str] = set()
        for index, pattern in enumerate(self.patterns):
            for path in self._paths(pattern):
                if path not in present:
                    present.add(path)
                    known = self._files.setdefault(path, _File((index, path)))
                    changed |= self._look_at(path, known, touched, thorough=thorough)
        for path in [path for path in self._files if path not in present]:
            known = self._files[path]
            known.doubts += 1
            known.seen = known.read = None
            if known.doubts >= _BELIEVED or known.says is None:
                del self._files[path]
                changed = True
        return changed

    def glance(self, touched: Collection[str]) -> bool | None:
        """Look at the touched files only: among thousands of files, that is what a change of one costs.

        Returns:
            Whether one of them now says something else; None if all files have to be looked at instead, because one came, went or
            is in doubt, or because of links.
        """
        around = {os.path.split(pattern)[0] for pattern in self.patterns}
        if self._links or self.doubtful or any(os.path.split(path)[0] not in around for path in touched):
            return None
        own = [path for path in touched if any(_matches(path, pattern) for pattern in self.patterns)]
        if not touched or any(path not in self._files or not _is_plain(path) for path in own):
            return None
        looked = [self._look_at(path, self._files[path], touched, thorough=False) for path in own]
        return any(looked)

    @property
    def says(self) -> list[T]:
        """What all files say, in the order of the patterns and of their names."""
        return [known.says for known in self._ranked() if known.says is not None]

    @property
    def faults(self) -> tuple[Diagnostic, ...]:
        """What can't be read, and is believed to stay so."""
        files = (known.fault for known in self._ranked() if known.doubts >= _BELIEVED)
        return (*self._unknown, *filter(None, files), *self._missing)

    @property
    def broken(self) -> tuple[Diagnostic, ...]:
        """What can't be read of which nothing is known."""
        return (*self._unknown, *filter(None, (known.fault for known in self._ranked() if known.says is None)))

    @property
    def doubtful(self) -> bool:
        """Whether to look again soon."""
        return any(0 < known.doubts < _BELIEVED for known in self._files.values())

    def _ranked(self) -> list[_File[T]]:
        return sorted(self._files.values(), key=lambda known: known.rank)

    def _paths(self, pattern: str) -> Iterator[str]:
        """Files that are there, or that are known where that can't be told."""
        folder, name = os.path.split(pattern)
        if not _is_glob(name):
            try:
                os.stat(pattern)  # noqa: PTH116 -- as in `_stamp`
            except (FileNotFoundError, NotADirectoryError):
                self._missing.append(_fault("discovery-file-missing", f"there is no file {pattern}", _WRITE_IT))
            except OSError:
                yield pattern  # what is wrong with it, reading says
            else:
                yield pattern
            return
        try:
            with os.scandir(folder) as entries:
                found = sorted(entry.path for entry in entries if _matches(entry.path, pattern))
        except (FileNotFoundError, NotADirectoryError):
            found = []
        except OSError as error:
            message = f"cannot read the directory {folder}: {error.strerror or error}"
            self._unknown.append(_fault(FileError.default_code, message, "make it readable for the daemon"))
            yield from [path for path in self._files if _matches(path, pattern)]
            return
        there = [path for path in found if os.path.exists(path)]  # noqa: PTH110 -- no dangling links, such as an editor's lock
        if not there:
            self._missing.append(_fault("discovery-file-missing", f"no file matches {pattern}", _WRITE_IT))
        yield from there

    def _look_at(self, path: str, known: _File[T], touched: Collection[str], *, thorough: bool) -> bool:
        stamp = _stamp(path)
        is_link = os.path.islink(path)  # noqa: PTH114 -- as in `_stamp`
        self._links |= is_link
        # Where a link leads is changed at once, by renaming something else in its directory (Kubernetes does so).
        settled = thorough or path in touched or stamp == known.seen or (bool(touched) and is_link)
        known.seen = stamp
        if not settled or (stamp == known.read and not thorough and path not in touched):
            return False
        try:
            says = self.parse(path, self._text(path), known.says)
        except ReconcilerError as error:
            known.doubts += 1
            known.fault = error.diagnostics[0]
            lasting = known.doubts >= _BELIEVED and not isinstance(error, FileError)
            known.read = stamp if lasting else None
            return False
        changed = says != known.says
        known.says, known.fault, known.doubts, known.read = says, None, 0, stamp
        return changed

    def _text(self, path: str) -> bytes:
        """All of a file.

        Raises:
            FileError: It is no file, is too large, or can't be read.
        """
        try:
            # A named pipe without a writer would block.
            with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise FileError(f"{path} is no file", hint="name files with lists of targets")
                text: bytes = file.read(self.largest + 1)
        except OSError as error:
            why = error.strerror or error
            raise FileError(f"cannot read {path}: {why}", hint="make it readable for the daemon") from error
        if len(text) > self.largest:
            raise FileError(f"{path} is larger than {self.largest} bytes", hint="split it into several files")
        return text


_WRITE_IT = "write it; until then it counts as one without targets"


def folders(patterns: Collection[str]) -> tuple[str, ...]:
    """The directories that files of these patterns are in."""
    return tuple(dict.fromkeys(str(Path(pattern).parent) for pattern in patterns))


def _stamp(path: str) -> _Stamp:
    """What is another one after every change of a file, but for two within one tick of the system's clock."""
    try:
        status = os.stat(path)  # noqa: PTH116 -- called every second for every file
    except OSError:
        return _UNREADABLE
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _is_plain(path: str) -> bool:
    """Whether it is a file itself, no link to one."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


def _matches(path: str, pattern: str) -> bool:
    """As in a shell: `*` does not match what begins with a dot, such as an editor's file beside the real one."""
    folder, name = os.path.split(pattern)
    own_folder, own = os.path.split(path)
    if not _is_glob(name):
        return path == pattern
    return own_folder == folder and fnmatch.fnmatchcase(own, name) and (name.startswith(".") or not own.startswith("."))


def _is_glob(name: str) -> bool:
    return any(sign in name for sign in "*?[")


def _fault(code: str, message: str, hint: str) -> Diagnostic:
    return Diagnostic(code=code, message=message, hint=hint)
