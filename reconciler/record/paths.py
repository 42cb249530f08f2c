"""Which file of the record is whose: `<folder>/<namespace>/<name>.yaml`."""

from __future__ import annotations

import re

from reconciler.errors import InputError
from reconciler.model.key import Key

_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?")


def path_in(folder: str, key: Key, noun: str) -> str:
    """A name's file in a folder.

    Raises:
        InputError: A name is not one that Kubernetes would allow, so it might lead out of its folder.
    """
    for name in (key.namespace, key.name):
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name!r} can't be the name of a {noun} or its namespace in the record",
                code="record-name",
                hint="use letters, digits, dots and hyphens, as Kubernetes does",
            )
    return f"{folder}/{key.namespace}/{key.name}.yaml"


def key_in(folder: str, path: str) -> Key | None:
    """Whose file this is, or None if nobody can have it."""
    head, _, rest = path.partition("/")
    namespace, _, file = rest.partition("/")
    name = file.removesuffix(".yaml")
    right = head == folder and name != file and _NAME.fullmatch(namespace) and _NAME.fullmatch(name)
    return Key(namespace, name) if right else None
