"""Which files of a tree are read, and which are refused unread: links, submodules, huge files, names that are no text."""

from __future__ import annotations

from collections.abc import Iterator

from reconciler.errors import Diagnostic
from reconciler.model.tree import FileKind, Tree, TreeFile

POLICIES = "policies"
"""The folder that policies are read from, at any depth."""

TEMPLATES = "envoy-templates"
"""The folder whose files override the house defaults of the same name."""

MAX_SIZE = 1024 * 1024
"""Bytes. Istio's largest published example has 20 KB; the API server of Kubernetes takes 1.5 MB."""

_SUFFIXES = (".yaml", ".yml")


def choose(tree: Tree, folder: str) -> Iterator[TreeFile | Diagnostic]:
    """The YAML files below a folder that can be read, and a diagnostic for each entry that can't.

    Other files are ignored, links to them too; a link without a suffix may be a folder of policies, so it is refused.
    """
    for entry in tree.files(folder):
        name = entry.path.rpartition("/")[2]
        if entry.kind is FileKind.FILE and not name.endswith(_SUFFIXES):
            continue
        if entry.kind is FileKind.SYMLINK and "." in name and not name.endswith(_SUFFIXES):
            continue
        yield _refusal(entry) or entry


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
    text = path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
