"""What was used last of each registry, on disk: a daemon that starts again never begins with nothing.

One SQLite file, written in transactions, so that a process that is killed leaves what was written last. It is a cache: whatever is
wrong with it is a line in the log, and nothing else. Without a path, or a disk, nothing is remembered.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from reconciler.model.discovered import Found

VERSION = 1
"""Of the layout. A file of another one is moved aside."""

_ASIDE = ".unreadable"
_LAYOUT = (
    "CREATE TABLE service (registry TEXT, digest TEXT, host TEXT, found BLOB NOT NULL, PRIMARY KEY (registry, digest, host))"
    " WITHOUT ROWID"
)
_PUT = "INSERT OR REPLACE INTO service VALUES (?, ?, ?, ?)"
_DROP = "DELETE FROM service WHERE registry = ? AND digest = ? AND host = ?"


@dataclass(frozen=True, slots=True)
class Line:
    """A service as it was used last, or None if it is not any more.

    Attributes:
        registry: By name.
        digest: Of what its adapter was made from: another source is not remembered by what the one before said.
    """

    registry: str
    digest: str
    host: str
    found: Found | None


class _UnusableError(Exception):
    """The file is none of ours, or broken."""


class Cache:
    """One file, opened when it is first asked or written, so that who has no registries has no file. Safe from any thread."""

    def __init__(self, path: Path | None, log: logging.Logger) -> None:
        self._path = path
        self._log = log
        self._lock = threading.Lock()
        self._codec = TypeAdapter(Found)
        self._complained = False
        self._peeked = False
        self._db: sqlite3.Connection | None = None
        self._known: dict[tuple[str, str], dict[str, Found]] = {}
        self._closed = False

    def remembered(self, registry: str, digest: str) -> Mapping[str, Found]:
        """What was used last of a registry when the file was opened, by host."""
        with self._lock:
            self._ready()
            return self._known.pop((registry, digest), {})

    def write(self, lines: Iterable[Line]) -> bool:
        """Remember these, all or none; whether that could be done. What failed is worth trying again."""

        def change(db: sqlite3.Connection) -> None:
            for line in lines:
                key = (line.registry, line.digest, line.host)
                if line.found is None:
                    db.execute(_DROP, key)
                elif (text := self._encoded(line, line.found)) is not None:
                    db.execute(_PUT, (*key, text))

        return self._change(change)

    def keep_only(self, registries: Collection[tuple[str, str]]) -> bool:
        """Forget all others; by name and digest."""
        self._known = {key: services for key, services in self._known.items() if key in registries}

        def change(db: sqlite3.Connection) -> None:
            for key in db.execute("SELECT DISTINCT registry, digest FROM service").fetchall():
                if key not in registries:
                    db.execute("DELETE FROM service WHERE registry = ? AND digest = ?", key)

        return self._change(change)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._closed = True
            self._shut()

    def _ready(self) -> None:
        """Have the file open, if that can be."""
        if self._db is None and self._path is not None and not self._closed:
            self._start(self._path)

    def _shut(self) -> None:
        if self._db is not None:
            with suppress(sqlite3.Error):
                self._db.close()
            self._db = None

    def _start(self, path: Path) -> None:
        """Open and read the file; if that can't be, begin anew with another one."""
        try:
            self._open(path)
        except (sqlite3.Error, OSError, _UnusableError) as error:
            self._shut()
            if _is_of_file(error) or path.is_dir():
                self._aside(path, error)
                return
            self._complain(error)
            if not self._peeked and not _busy(error):
                self._peek(path)

    def _peek(self, path: Path) -> None:
        """Read what can't be written to: a full or read-only disk is no reason to begin with nothing."""
        self._peeked = True
        with (
            suppress(sqlite3.Error, _UnusableError),
            closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as db,
        ):
            (version,) = db.execute("PRAGMA user_version").fetchone()
            self._known = self._read(db) if version == VERSION else {}

    def _aside(self, path: Path, error: Exception) -> None:
        aside = path.with_name(path.name + _ASIDE)
        self._log.warning(
            "what registries said before can't be read from %s: %s; it is moved to %s", path, error, aside
        )
        try:
            with suppress(FileNotFoundError):
                path.rename(aside)
            for suffix in ("-wal", "-shm"):  # they belong to the file that is not here any more
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._open(path)
        except (sqlite3.Error, OSError, _UnusableError) as again:
            self._shut()
            self._complain(again)

    def _open(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        new = not path.exists()
        db = self._db = sqlite3.connect(path, timeout=1.0, isolation_level=None, check_same_thread=False)
        if new:
            path.chmod(0o600)  # labels and addresses are nobody else's business
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        (version,) = db.execute("PRAGMA user_version").fetchone()
        if version == 0 and not db.execute("SELECT 1 FROM sqlite_master").fetchone():
            with _transaction(db):
                db.execute(_LAYOUT)
                db.execute(f"PRAGMA user_version = {VERSION}")
        elif version != VERSION:
            raise _UnusableError(f"it has layout {version}, and this version reads layout {VERSION}")
        self._known = self._read(db)

    def _read(self, db: sqlite3.Connection) -> dict[tuple[str, str], dict[str, Found]]:
        known: dict[tuple[str, str], dict[str, Found]] = {}
        for registry, digest, host, text in db.execute("SELECT registry, digest, host, found FROM service"):
            try:
                known.setdefault((registry, digest), {})[host] = self._codec.validate_json(text)
            except ValidationError as error:
                raise _UnusableError(f"its entry for {host} of {registry} makes no sense") from error
        return known

    def _encoded(self, line: Line, found: Found) -> bytes | None:
        """None for what can't be written, or could not be read again, such as half a character: it is remembered as it was."""
        try:
            line.host.encode()
            # Read-only mappings, which pydantic doesn't know, are what `fallback` is for and what it would warn of.
            return self._codec.dump_json(found, fallback=dict, warnings=False)
        except (ValueError, TypeError) as error:
            self._log.debug("%a of registry %s can't be remembered: %s", line.host, line.registry, error)
            return None

    def _change(self, change: Callable[[sqlite3.Connection], object]) -> bool:
        with self._lock:
            self._ready()
            if self._db is None:
                return self._path is None
            try:
                with _transaction(self._db):
                    change(self._db)
            except sqlite3.Error as error:
                self._complain(error)
                return False
            self._complained = False
            return True

    def _complain(self, error: Exception) -> None:
        """Once, until it works again."""
        if not self._complained:
            self._complained = True
            self._log.warning("what registries say can't be remembered in %s: %s", self._path, error)


@contextmanager
def _transaction(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        raise


def _busy(error: Exception) -> bool:
    """Whether another process holds the file, and may be in the midst of writing."""
    return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))


def _is_of_file(error: Exception) -> bool:
    """Whether it is the file that can't be used, and not the disk, its permissions, or another process that holds it."""
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorname", "").startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_ERROR"))
    return isinstance(error, _UnusableError)
