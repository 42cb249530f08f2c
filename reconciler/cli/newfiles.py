"""Files that a verb adds to a user's work tree: all of them, or none; and none of the user's own is lost."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.errors import Diagnostic, InputError, PermanentError


class ExistingFileError(InputError):
    """A file that would be written exists, with other content."""

    default_code = "import-exists"


class UnwritableError(PermanentError):
    """A file can't be written; those that were are taken back."""

    default_code = "import-write"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of files: those that are new or others than before, and those that were as they should be."""

    changed: tuple[Path, ...]
    unchanged: tuple[Path, ...]


def write(files: Mapping[Path, bytes], *, force: bool) -> Written:
    """Bring files into being; everything is looked at before anything is written.

    Raises:
        ExistingFileError: Some are there with other content, and `force` does not say to replace them.
        UnwritableError: The disk says no.
    """
    try:
        before = {path: _read(path) for path in files}
    except OSError as error:
        raise _unwritable(error) from None
    changed = [path for path in files if before[path] != files[path]]
    others = [path for path in changed if before[path] is not None]
    if others and not force:
        raise ExistingFileError(
            diagnostics=[
                Diagnostic(
                    code=ExistingFileError.default_code,
                    message=f"{path} exists with other content; nothing was written",
                    hint="move it away, choose another --output-dir, or replace all such files with --force",
                )
                for path in others
            ]
        )
    _replace(changed, files, before)
    return Written(tuple(changed), tuple(path for path in files if path not in set(changed)))


def _replace(changed: Sequence[Path], files: Mapping[Path, bytes], before: Mapping[Path, bytes | None]) -> None:
    """Write beside, then rename; on an error or an interrupt everything is as it was."""
    staged: dict[Path, Path] = {}
    made: list[Path] = []
    done: list[Path] = []
    try:
        for path in changed:
            _folder(path.parent, made)
            staged[path] = _stage(path, files[path])
        for path in changed:
            staged[path].replace(path)
            done.append(path)
    except BaseException as error:
        _undo(done, before, staged, made)
        if isinstance(error, OSError):
            raise _unwritable(error) from None
        raise


def _folder(path: Path, made: list[Path]) -> None:
    if not path.is_dir():
        _folder(path.parent, made)
        path.mkdir()
        made.append(path)


def _stage(path: Path, content: bytes) -> Path:
    handle, name = tempfile.mkstemp(prefix=".import-", dir=path.parent)  # hidden, so that no policy loader reads it
    with os.fdopen(handle, "wb") as file:
        file.write(content)
    staged = Path(name)
    staged.chmod(0o644)
    return staged


def _undo(
    done: Sequence[Path], before: Mapping[Path, bytes | None], staged: Mapping[Path, Path], made: Sequence[Path]
) -> None:
    for path in done:
        content = before[path]
        if content is None:
            path.unlink(missing_ok=True)
        else:
            path.write_bytes(content)
    for path in staged.values():
        path.unlink(missing_ok=True)
    for folder in reversed(made):
        folder.rmdir()


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def _unwritable(error: OSError) -> UnwritableError:
    return UnwritableError(
        f"{error.filename or 'a file'} can't be written: {error.strerror}; nothing is changed",
        hint="look at the folder's permissions and at the disk, or choose another --output-dir",
    )
