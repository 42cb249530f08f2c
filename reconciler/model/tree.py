"""The files of one commit, or of a folder, without saying how they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class FileKind(StrEnum):
    """What a tree entry is. Only files are read; the others are refused by name."""

    FILE = "file"
    SYMLINK = "symlink"
    SUBMODULE = "submodule"


@dataclass(frozen=True, slots=True)
class TreeFile:
    """One entry of a tree.

    Attributes:
        path: From the tree's root, with `/`. Bytes that are not UTF-8 are kept by `surrogateescape`.
        blob: Id of the content: equal ids mean equal bytes. Caches key on it.
        size: Bytes.
    """

    path: str
    blob: str
    size: int
    kind: FileKind = FileKind.FILE


class Tree(Protocol):
    """What policies and templates are loaded from."""

    @property
    def commit(self) -> str:
        """The full commit id, or "" for files that are not committed."""

    def files(self, folder: str) -> Sequence[TreeFile]:
        """All entries below a folder at any depth, sorted by path; none if the folder is not there."""

    def read(self, file: TreeFile) -> bytes:
        """The content. Never follows a symlink."""
