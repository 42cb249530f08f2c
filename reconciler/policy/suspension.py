"""Suspending and resuming by the bytes of a policy file: the Mesh's `suspend` comes and goes, and nothing else changes. Pure.

A mesh without a Mesh document gets a file of its own for it, which goes again with the suspension.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from reconciler.errors import InputError
from reconciler.model.freeze import Suspension
from reconciler.model.tree import FileKind, Tree
from reconciler.policy.files import POLICIES
from reconciler.yamldoc import Drop, Put, SpliceError, read, splice

NEW_FILE = f"{POLICIES}/mesh.yaml"
_FREE = f"{POLICIES}/mesh-suspend{{}}.yaml"
_OURS = re.compile(rf"{POLICIES}/mesh(-suspend(-[0-9]+)?)?\.yaml")
_NEW = b"apiVersion: reconciler/v1alpha1\nkind: Mesh\nmetadata: {name: mesh}\nspec: {}\n"
_PATH = ("spec", "suspend")


class SuspensionError(InputError):
    """There is nothing to suspend or to resume, or it can't be written; nothing was."""

    default_code = "suspension"


@dataclass(frozen=True, slots=True)
class MeshPlace:
    """Where the Mesh document is.

    Attributes:
        file: Its path.
        document: Its index in the file, from 0.
        text: The file's content.
        spec: What it says; None without a `spec`.
    """

    file: str
    document: int
    text: bytes
    spec: Mapping[str, Any] | None


def mesh_place(tree: Tree) -> MeshPlace | None:
    """Where the Mesh document of a tree is; None without one. The tree is one that can be loaded."""
    for file in tree.files(POLICIES):
        if file.kind is not FileKind.FILE or not file.path.endswith((".yaml", ".yml")):
            continue
        text = tree.read(file)
        if b"Mesh" not in text:
            continue
        for number, value in enumerate(read(text, file=file.path)):
            if isinstance(value, dict) and value.get("kind") == "Mesh" and _ours(value):
                spec = value.get("spec")
                return MeshPlace(file.path, number, text, spec if isinstance(spec, dict) else None)
    return None


def suspended(tree: Tree, suspension: Suspension) -> dict[str, bytes | None]:
    """The file that changes, with its new content.

    Raises:
        SuspensionError: The mesh says just that already, or the file is written in a way in which it can't be changed in place.
    """
    block = {name: value for name, value in suspension.model_dump(by_alias=True).items() if value}
    place = mesh_place(tree)
    if place is None:
        path = _free(tree)
        return {path: _spliced(path, _NEW, Put(0, _PATH, block))}
    put = (
        Put(place.document, _PATH, block)
        if place.spec is not None
        else Put(place.document, _PATH[:1], {"suspend": block})
    )
    after = _spliced(place.file, place.text, put)
    if after == place.text:
        raise SuspensionError("the mesh is suspended just so already", hint="reconcile resume ends it")
    return {place.file: after}


def resumed(tree: Tree) -> dict[str, bytes | None]:
    """The file that changes, with its new content; None where it goes.

    Raises:
        SuspensionError: The mesh is not suspended, or the file can't be changed in place.
    """
    place = mesh_place(tree)
    if place is None or place.spec is None or "suspend" not in place.spec:
        raise SuspensionError("the mesh is not suspended", hint="there is nothing to resume")
    alone = len(place.spec) == 1
    try:
        after = splice(place.text, [Drop(place.document, _PATH)])
    except SpliceError:
        if not alone:
            raise
        after = _spliced(place.file, place.text, Drop(place.document, _PATH[:1]))
    return {place.file: None if after == _NEW and _OURS.fullmatch(place.file) else after}


def _free(tree: Tree) -> str:
    """Where a Mesh document of our own can be: a name that neither a file nor a folder has."""
    taken = {file.path for file in tree.files(POLICIES)}
    names = (NEW_FILE, *(_FREE.format(f"-{number}" if number else "") for number in range(len(taken) + 1)))
    return next(name for name in names if not any(path == name or path.startswith(f"{name}/") for path in taken))


def _spliced(file: str, text: bytes, change: Put | Drop) -> bytes:
    try:
        return splice(text, [change])
    except SpliceError as error:
        raise SuspensionError(f"{file}: {error.message}", hint=error.diagnostics[0].hint) from error


def _ours(value: Mapping[str, Any]) -> bool:
    version = value.get("apiVersion")
    return isinstance(version, str) and version.startswith("reconciler/")
