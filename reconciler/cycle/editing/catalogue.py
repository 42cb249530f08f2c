"""Which policies a commit has, and where: by the headers of its documents, also where the mesh as a whole can't be used.

So a broken policy can be read and mended over HTTP as well. Files are remembered by their blobs.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from reconciler.cycle.editing.errors import RefusedChangeError, UnknownPolicyError
from reconciler.cycle.editing.wishes import Shown
from reconciler.gitrepo import object_id
from reconciler.model.key import DEFAULT_NAMESPACE, Key
from reconciler.model.tree import Tree, TreeFile
from reconciler.policy.files import POLICIES, choose
from reconciler.policy.kinds import KINDS
from reconciler.yamldoc import SpliceError, one, parts, read

_FILES_KEPT = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One policy in its file.

    Attributes:
        kind: As the document says it.
        key: Namespace and name.
        api_version: Likewise.
        file: Path.
        document: Index in the file, from 0.
    """

    kind: str
    key: Key
    api_version: str
    file: str
    document: int

    @property
    def order(self) -> tuple[str, str, str]:
        """How policies are listed."""
        return self.kind, self.key.namespace, self.key.name


class Catalogue:
    """Finds policies in trees. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[tuple[str, str], tuple[Entry, ...]] = OrderedDict()

    def entries(self, tree: Tree) -> Iterator[Entry]:
        """All policies, in the order of their files."""
        for item in tree.files(POLICIES):
            chosen = choose(item)
            if isinstance(chosen, TreeFile):
                yield from self._of(tree, chosen)

    def find(self, tree: Tree, kind: str, key: Key) -> Entry | None:
        """One policy; None if there is none.

        Raises:
            RefusedChangeError: There are several of this kind and name.
        """
        found = [entry for entry in self.entries(tree) if entry.kind == kind and entry.key == key]
        if len(found) > 1:
            places = ", ".join(sorted({entry.file for entry in found}))
            raise RefusedChangeError(
                f"there are {len(found)} documents {kind} {key}: {places}", hint="remove all but one of them in Git"
            )
        return found[0] if found else None

    def _of(self, tree: Tree, file: TreeFile) -> tuple[Entry, ...]:
        name = (file.path, file.blob)
        with self._lock:
            known = self._known.get(name)
            if known is not None:
                self._known.move_to_end(name)
                return known
        found = tuple(_entries(tree.read(file), file.path))
        with self._lock:
            self._known[name] = found
            while len(self._known) > _FILES_KEPT:
                self._known.popitem(last=False)
        return found


def _entries(text: bytes, file: str) -> Iterator[Entry]:
    for index, value in enumerate(read(text, file=file)):
        header = header_of(value)
        if header is not None:
            kind, key, version = header
            yield Entry(kind=kind, key=key, api_version=version, file=file, document=index)


def header_of(value: Any) -> tuple[str, Key, str] | None:
    """Kind, name and apiVersion of a document of ours; None for any other."""
    if not isinstance(value, dict) or value.get("kind") not in list(KINDS):
        return None
    kind, version, metadata = value["kind"], value.get("apiVersion"), value.get("metadata")
    if not isinstance(version, str) or version.rpartition("/")[0] != KINDS[kind][0] or not isinstance(metadata, dict):
        return None
    name, namespace = metadata.get("name"), metadata.get("namespace") or DEFAULT_NAMESPACE
    if not isinstance(name, str) or not isinstance(namespace, str) or not name:
        return None
    return kind, Key(namespace, name), version


def shown(entry: Entry, text: bytes, commit: str) -> Shown:
    """A policy as it stands in its file.

    Raises:
        RefusedChangeError: It shares lines with something else, so it can't be told what is its own.
    """
    part = parts(text)[entry.document]
    try:
        value = one(part.text) if part is not None else None
    except SpliceError:
        value = None
    if part is None or not isinstance(value, dict):
        raise RefusedChangeError(
            f"{entry.kind} {entry.key} has no lines of its own in {entry.file}",
            hint="begin each document with a line of its own that is `---`",
        )
    return Shown(
        kind=entry.kind,
        key=entry.key,
        tag=tag_of(part.text),
        text=part.text,
        value=value,
        file=entry.file,
        document=entry.document,
        line=part.line,
        commit=commit,
    )


def tag_of(text: bytes) -> str:
    """The blob id that Git would give a document by itself: for a file of one document without comments around it, the file's."""
    return object_id("blob", text)


def unknown(kind: str, key: Key) -> UnknownPolicyError:
    """There is no such policy."""
    return UnknownPolicyError(f"there is no {kind} {key}", hint="GET /v1/policies lists those there are")
