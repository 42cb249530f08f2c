"""Locks between processes on one machine: flock on a file, so that the kernel releases them whatever happens to the holder."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from reconciler.gitrepo.errors import GitUnavailableError, GitWriteError, LockedError

_POLL = 0.01


@contextmanager
def file_lock(path: Path, *, wait: float, what: str) -> Iterator[None]:
    """Hold an exclusive lock, with our process id in the file for people to read.

    The file stays when the lock goes: removing it would let two processes hold two files of one name.

    Args:
        path: The file; made if it is not there, and so is its folder, but not what that is in.
        wait: Seconds to wait for it; 0 does not wait.
        what: What is locked, for messages.

    Raises:
        LockedError: Somebody else has it; names the process.
        GitUnavailableError: What its folder is in is not there.
        GitWriteError: The file can't be made.
    """
    try:
        # Not what is above it: a repository that is away for a moment would find its place taken when it comes back.
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except FileNotFoundError as error:
        raise GitUnavailableError(f"{what} can't be locked: {path.parent.parent} is not there") from error
    except OSError as error:
        raise GitWriteError(f"{what} can't be locked: {path}: {error.strerror}") from error
    try:
        _acquire(handle, wait=wait, what=what)
        _sign(handle)
        yield
    finally:
        os.close(handle)


def _acquire(handle: int, *, wait: float, what: str) -> None:
    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                holder = os.pread(handle, 20, 0).decode("ascii", "replace").strip() or "unknown"
                hint = "wait for it to end, or end it"
                raise LockedError(f"{what} is locked by process {holder}", hint=hint) from None
            time.sleep(_POLL)
        else:
            return


def _sign(handle: int) -> None:
    try:
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
    except OSError:  # a full disk: the lock holds all the same, only its message is poorer
        return
