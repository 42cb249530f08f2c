"""The control socket's place: where a daemon of this repository listens, and whether what is there can be trusted.

A directory under `/tmp` can be made by anybody, so one that is not the user's own, or that others may enter, is refused by
both sides: a stranger's socket would be told what is asked, and could answer anything.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from reconciler.errors import PermanentError
from reconciler.gitrepo import Repository
from reconciler.settings import control_sockets


class ControlDirectoryError(PermanentError):
    """The directory of control sockets belongs to somebody else, or is open to others."""

    default_code = "control-directory"


def identity(repository: Repository) -> str:
    """One text for all spellings of one repository: its git directory, resolved; a URL as it is, without its password."""
    return repository.location if repository.is_url else str(repository.git_dir.resolve())


def own_socket(repository: Repository, ref: str) -> Path:
    """Where a daemon listens; its directory is made, for its user only.

    Raises:
        ControlDirectoryError: No directory can be made, or the one that is there is not only ours.
    """
    failed: list[str] = []
    for path in control_sockets(identity(repository), ref):
        try:
            path.parent.mkdir(mode=0o700)
        except FileExistsError:
            pass
        except OSError as error:  # a runtime directory that this login does not have
            failed.append(f"{path.parent} can't be made: {error.strerror}")
            continue
        _require_ours(path.parent)
        return path
    raise ControlDirectoryError("; ".join(failed), hint="name a socket elsewhere with --daemon")


def sockets(repository: Repository, ref: str) -> Sequence[Path]:
    """Sockets that are there, in the order in which a daemon would be looked for. Whether anybody listens is not known.

    Raises:
        ControlDirectoryError: One is in a directory that is not only ours.
    """
    found = [path for path in control_sockets(identity(repository), ref) if _is_socket(path)]
    for path in found:
        _require_ours(path.parent)
    return found


def _is_socket(path: Path) -> bool:
    try:
        return stat.S_ISSOCK(path.lstat().st_mode)
    except OSError:
        return False


def _require_ours(folder: Path) -> None:
    try:
        found = folder.lstat()
    except OSError as error:
        raise ControlDirectoryError(f"{folder} can't be looked at: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise ControlDirectoryError(
            f"{folder} is not a directory of yours alone",
            hint="look who made it; give it to your user with mode 0700, or name a socket elsewhere with --daemon",
        )
