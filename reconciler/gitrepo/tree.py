"""The files of one commit, as `model.tree.Tree`: read from objects, without a work tree."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from reconciler.errors import BugError
from reconciler.gitrepo.objects import SUBMODULE_MODE, SYMLINK_MODE, TREE_MODE, Entry, Objects
from reconciler.model.tree import FileKind, TreeFile

_KINDS = {SYMLINK_MODE: FileKind.SYMLINK, SUBMODULE_MODE: FileKind.SUBMODULE}


class CommitTree:
    """The files of a commit. Reads only the folders that are asked for."""

    def __init__(self, objects: Objects, commit: str) -> None:
        self._objects = objects
        self._commit = commit

    @property
    def commit(self) -> str:
        """The full commit id."""
        return self._commit

    def files(self, folder: str) -> Sequence[TreeFile]:
        """All entries below a folder at any depth, sorted by path; none if there is no such folder.

        A symlink or a submodule in the folder's place is the one entry, so that a reader can refuse it by name.

        Raises:
            CorruptRepositoryError: An object is missing.
        """
        top = self._objects.at(self._commit, folder)
        if top is None:
            return ()
        name = folder.strip("/").encode("utf-8", "surrogateescape")
        if top.mode == TREE_MODE:
            found = list(self._walk(top.id, name + b"/" if name else b""))
        else:
            found = [(name, top)] if top.mode in _KINDS else []
        sizes = self._objects.sizes([entry.id for _, entry in found if entry.mode != SUBMODULE_MODE])
        files = (_file(path, entry, sizes.get(entry.id, 0)) for path, entry in found)
        return tuple(sorted(files, key=lambda file: file.path))

    def read(self, file: TreeFile) -> bytes:
        """The content; of a symlink, its target's path.

        Raises:
            CorruptRepositoryError: The object is missing.
        """
        if file.kind is FileKind.SUBMODULE:
            raise BugError(f"{file.path} is a submodule, which has no content here")
        return self._objects.data(file.blob)

    def _walk(self, tree: str, prefix: bytes) -> Iterator[tuple[bytes, Entry]]:
        for entry in self._objects.tree(tree):
            if entry.mode == TREE_MODE:
                yield from self._walk(entry.id, prefix + entry.name + b"/")
            else:
                yield prefix + entry.name, entry


def _file(path: bytes, entry: Entry, size: int) -> TreeFile:
    return TreeFile(path.decode("utf-8", "surrogateescape"), entry.id, size, _KINDS.get(entry.mode, FileKind.FILE))
