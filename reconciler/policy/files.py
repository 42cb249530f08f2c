"""Which files of a tree are read, and which are refused unread: links, submodules, huge files, names that are no text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from reconciler.errors import Diagnostic
from reconciler.model.tree import FileKind, TreeFile

POLICIES = "policies"
"""The folder that policies are read from, at any depth."""

TEMPLATES = "envoy-templates"
"""The folder whose files override the house defaults of the same name."""

MAX_SIZE = 1024 * 1024
"""Bytes. Istio's largest published example has 20 KB; the API server of Kubernetes takes 1.5 MB."""

_SUFFIXES = (".yaml", ".yml")


def choose(entry: TreeFile) -> TreeFile | Diagnostic | None:
    """The file if it is YAML that can be read, a diagnostic if it is refused, and None if it is ignored.

    Files without a YAML suffix are ignored, links to them too; a link without a suffix may be a folder of policies, so it is
    refused.
    """
    name = entry.path.rpartition("/")[2]
    if not name.endswith(_SUFFIXES):
        if entry.kind is FileKind.FILE:
            return None
        if entry.kind is FileKind.SYMLINK and "." in name:
            return None
    return _refusal(entry) or entry


class Listing:
    """What one folder holds, from one tree to the next."""

    def __init__(self) -> None:
        self._entries: dict[str, TreeFile] = {}
        self._problems: dict[str, Diagnostic] = {}
        self._readable: set[str] = set()

    @property
    def problems(self) -> list[Diagnostic]:
        """A diagnostic for each entry that is refused."""
        return [self._problems[path] for path in sorted(self._problems)]

    @property
    def empty(self) -> bool:
        """Whether there is no file to be read."""
        return not self._readable

    def compare(self, entries: Sequence[TreeFile]) -> Changes:
        """How the folder's entries differ from the last ones. Changes nothing: see `apply`."""
        known = self._entries
        changed: dict[str, TreeFile] = {}
        seen = 0
        for entry in entries:
            was = known.get(entry.path)
            if was is not entry and was != entry:
                changed[entry.path] = entry
            if was is not None:
                seen += 1
        gone: frozenset[str] = frozenset()
        if seen < len(known):
            gone = frozenset(known.keys() - {entry.path for entry in entries})
        return Changes({path: (entry, choose(entry)) for path, entry in changed.items()}, gone)

    def apply(self, changes: Changes) -> None:
        """These are the folder's entries now."""
        for path in (*changes.gone, *changes.changed):
            self._entries.pop(path, None)
            self._problems.pop(path, None)
            self._readable.discard(path)
        for path, (entry, chosen) in changes.changed.items():
            self._entries[path] = entry
            if isinstance(chosen, Diagnostic):
                self._problems[path] = chosen
            elif chosen is not None:
                self._readable.add(path)


@dataclass(frozen=True, slots=True)
class Changes:
    """How one tree's folder differs from another's.

    Attributes:
        changed: New and changed entries by path, and what `choose` says of them.
        gone: Paths.
    """

    changed: Mapping[str, tuple[TreeFile, TreeFile | Diagnostic | None]]
    gone: frozenset[str]

    def __bool__(self) -> bool:
        return bool(self.changed or self.gone)


def _refusal(entry: TreeFile) -> Diagnostic | None:
    shown = _printable(entry.path)
    if shown != entry.path:
        hint = "rename it: letters, digits, '-', '_' and '.' never cause trouble"
        text = entry.path.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        what = "is not UTF-8 text" if text != entry.path else "has a character that can't be shown"
        return Diagnostic(code="file-name", message=f"the file's name {what}", hint=hint, file=shown)
    if entry.kind is FileKind.SUBMODULE:
        message, hint = "submodules are not read", "copy the files, or keep the submodule elsewhere"
        return Diagnostic(code="file-kind", message=message, hint=hint, file=shown)
    if entry.kind is not FileKind.FILE:
        message = "symbolic links and special files are not read"
        return Diagnostic(
            code="file-kind", message=message, hint="replace it by the file that it points to", file=shown
        )
    if entry.size > MAX_SIZE:
        message = f"the file has {entry.size:,} bytes; at most {MAX_SIZE:,} are read"
        return Diagnostic(code="file-size", message=message, hint="split it into several files", file=shown)
    return None


def _printable(path: str) -> str:
    """The path, with bytes that are not UTF-8 and characters that can't be shown as escapes."""
    if path.isascii() and path.isprintable():
        return path
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
