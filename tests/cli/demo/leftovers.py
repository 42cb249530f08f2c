"""What a stage must not leave behind, looked for from outside: by a private TMPDIR that everything of it carries."""

from __future__ import annotations

import os
import time
from pathlib import Path


def processes_of(folder: Path) -> dict[int, str]:
    """Command lines of all living processes whose environment or arguments name this folder, but for this one."""
    needle = os.fsencode(folder)
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            command = (entry / "cmdline").read_bytes()
            if needle in command or needle in (entry / "environ").read_bytes():
                found[int(entry.name)] = command.replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue  # it ended while we looked, or is somebody else's
    return found


def wait_until_there(folder: Path, pid: int, *, patience: float = 5.0) -> None:
    """Give a process that was just started the time to become the program that it is to be.

    Raises:
        AssertionError: It does not belong to the folder.
    """
    deadline = time.monotonic() + patience
    while pid not in processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert pid in processes_of(folder)


def wait_until_gone(folder: Path, *, patience: float = 5.0) -> None:
    """Give children of a process that was just reaped the time to vanish from the process table.

    Raises:
        AssertionError: Processes or files of the folder are left.
    """
    deadline = time.monotonic() + patience
    while processes_of(folder) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert processes_of(folder) == {}
    assert list(folder.iterdir()) == []
