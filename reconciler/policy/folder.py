"""A folder on disk as a tree: for `validate PATH` and for previews of uncommitted work. Follows no link, changes nothing."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.errors import PermanentError
from reconciler.model.tree import FileKind, TreeFile

_KEPT = 4 * 1024 * 1024
_CHUNK = 1024 * 1024


class FolderError(PermanentError):
    """A folder or one of its files can't be read."""

    default_code = "folder"


class FolderTree:
    """The files of a folder, with the blob ids that Git would give them.

    Args:
        root: What stands for the root of a repository.
        mounted: The folder inside the tree that `root` itself stands for; "" if it is the root. `FolderTree(path,
            mounted="policies")` reads a bare folder of policies.
    """

    def __init__(self, root: Path, *, mounted: str = "") -> None:
        self._root = root
        self._mounted = mounted.strip("/")
        self._content: dict[str, bytes] = {}

    @property
    def commit(self) -> str:
        """Nothing here is committed: always ""."""
        return ""

    def files(self, folder: str) -> Sequence[TreeFile]:
        """All entries below a folder at any depth, sorted by path; none if the folder is not there.

        A folder that is itself a link is one entry; so is a nested repository, as a submodule. `.git` is no entry.

        Raises:
            FolderError: Something can't be read.
        """
        start = self._disk(folder)
        if start is None:
            return ()
        try:
            mode = os.lstat(start).st_mode
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise _unreadable(error) from error
        if not stat.S_ISDIR(mode):
            return (self._entry(start, folder, mode),)
        return tuple(sorted(self._walk(start, folder), key=lambda entry: entry.path))

    def read(self, file: TreeFile) -> bytes:
        """The content as it was when it was listed; a large file is read again.

        Raises:
            FolderError: It is gone, is a link or can't be read.
        """
        kept = self._content.get(file.blob)
        if kept is not None:
            return kept
        path = self._disk(file.path)
        if path is None:
            raise FolderError(
                f"{file.path} is outside of {self._root}", hint="this tree has only what is below its root"
            )
        return b"".join(_chunks(path))

    def _disk(self, path: str) -> Path | None:
        if not self._mounted:
            return self._root / path if path else self._root
        head, rest = path[: len(self._mounted)], path[len(self._mounted) :]
        if head != self._mounted or (rest and not rest.startswith("/")):
            return None
        return self._root / rest[1:] if rest else self._root

    def _walk(self, folder: Path, path: str) -> Iterator[TreeFile]:
        try:
            with os.scandir(folder) as entries:
                found = [(item.name, item.stat(follow_symlinks=False).st_mode) for item in entries]
        except OSError as error:
            raise _unreadable(error) from error
        for name, mode in found:
            inside = f"{path}/{name}" if path else name
            if name == ".git":
                continue
            if not stat.S_ISDIR(mode):
                yield self._entry(folder / name, inside, mode)
            elif os.path.lexists(folder / name / ".git"):
                yield TreeFile(inside, "", 0, FileKind.SUBMODULE)
            else:
                yield from self._walk(folder / name, inside)

    def _entry(self, path: Path, inside: str, mode: int) -> TreeFile:
        if not stat.S_ISREG(mode):
            return TreeFile(inside, "", 0, FileKind.SYMLINK)
        size = path.lstat().st_size
        digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
        content = bytearray()
        for chunk in _chunks(path):
            digest.update(chunk)
            if size <= _KEPT:
                content += chunk
        blob = digest.hexdigest()
        if size <= _KEPT:
            self._content[blob] = bytes(content)
        return TreeFile(inside, blob, size)


def _chunks(path: Path) -> Iterator[bytes]:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
    except OSError as error:
        raise _unreadable(error) from error


def _unreadable(error: OSError) -> FolderError:
    return FolderError(f"{error.filename}: {error.strerror}", hint="check that it exists and that you may read it")
