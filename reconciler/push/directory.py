"""Making the directory that a `files` proxy is started with: Envoy does not start without its two first files."""

from __future__ import annotations

import os
from pathlib import Path

from reconciler.push.disk import Disk, WriteError
from reconciler.push.layout import contents


def prepare_directory(directory: str) -> tuple[str, ...]:
    """Create a directory, and empty `cds.pb` and `lds.pb` in it, where they are absent. What is there is left alone.

    Returns:
        The paths that were created, in order.

    Raises:
        WriteError: One of them can't be created; names the path and the reason.
    """
    created: list[str] = []
    if not Path(directory).is_dir():
        try:
            Path(directory).mkdir(parents=True)
        except OSError as error:
            raise WriteError(f"cannot create {directory}: {error.strerror or error}") from error
        created.append(directory)
    disk = Disk(directory)
    for path, content in contents(directory, {}).items():
        if not os.path.lexists(path):
            disk.stage(path, content.render())
            disk.commit(path)
            created.append(path)
    return tuple(created)
