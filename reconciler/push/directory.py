"""What has to be there before a `files` proxy can start: its two first files, and a folder for its admin socket."""

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
    created = [*_folder(directory)]
    disk = Disk(directory)
    for path, content in contents(directory, {}).items():
        if not os.path.lexists(path):
            disk.stage(path, content.render())
            disk.commit(path)
            created.append(path)
    return tuple(created)


def prepare_socket(admin: str) -> tuple[str, ...]:
    """Create the folder of an admin endpoint's Unix socket where it is absent: Envoy does not.

    Args:
        admin: As in `Proxy.spec.admin`; an address of another kind needs nothing.

    Returns:
        The path that was created, if any.

    Raises:
        WriteError: It can't be created; names the path and the reason.
    """
    path = admin.removeprefix("unix://")
    return () if path == admin else _folder(str(Path(path).parent))


def _folder(path: str) -> tuple[str, ...]:
    try:
        if Path(path).is_dir():
            return ()
        Path(path).mkdir(parents=True)
    except OSError as error:
        raise WriteError(f"cannot create {path}: {error.strerror or error}") from error
    return (path,)
