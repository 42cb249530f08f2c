"""What has to be there before a proxy can start: its first files, and a folder for its admin socket."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def prepare_files(files: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Write files that a bootstrap refers to, as JSON. One that says the same already is left alone; others are replaced.

    Args:
        files: JSON-like values by absolute path.

    Returns:
        The paths that were created or replaced, in order.

    Raises:
        WriteError: One of them can't be written; names the path and the reason.
    """
    done: list[str] = []
    for path, value in files.items():
        folder = str(Path(path).parent)
        done += _folder(folder)
        disk, body = Disk(folder), f"{json.dumps(value, indent=1)}\n".encode()
        if not disk.holds(path, body):
            disk.replace([(path, body)])
            done.append(path)
    return tuple(done)


def _folder(path: str) -> tuple[str, ...]:
    try:
        if Path(path).is_dir():
            return ()
        Path(path).mkdir(parents=True)
    except OSError as error:
        raise WriteError(
            f"cannot create {path}: {error.strerror or error}",
            hint="it belongs on the proxy's host; `reconcile bootstrap --host-root DIR` makes it below DIR, to take it there",
        ) from error
    return (path,)
