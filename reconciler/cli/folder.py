"""A folder that a user names on the command line, as a tree of policies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from reconciler.model.tree import Tree, TreeFile
from reconciler.policy import FolderTree

_POLICIES = "policies"


@dataclass(frozen=True, slots=True)
class PolicyFolder:
    """The tree to load, and how its paths look from where the user stands."""

    tree: Tree
    base: Path

    def shown(self, file: str | None) -> str | None:
        """A path inside the tree, as one the user can open."""
        if file is None:
            return None
        inner = file if isinstance(self.tree, FolderTree) else file.removeprefix(f"{_POLICIES}/")
        return str(self.base / inner)


def policy_folder(path: Path) -> PolicyFolder:
    """The root of a policy repository if it has `policies/`; otherwise the folder itself holds the policies."""
    if (path / _POLICIES).is_dir():
        return PolicyFolder(FolderTree(path), path)
    return PolicyFolder(_Inside(path), path)


class _Inside:
    """A folder seen as the `policies/` of an otherwise empty repository."""

    commit = ""

    def __init__(self, folder: Path) -> None:
        self._folder = FolderTree(folder)

    def files(self, folder: str) -> Sequence[TreeFile]:
        head, _, rest = folder.partition("/")
        if head != _POLICIES:
            return ()
        return [replace(file, path=f"{_POLICIES}/{file.path}") for file in self._folder.files(rest)]

    def read(self, file: TreeFile) -> bytes:
        return self._folder.read(replace(file, path=file.path.removeprefix(f"{_POLICIES}/")))
