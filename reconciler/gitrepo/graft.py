"""New trees from an old one and some changed files, and the pack that carries new objects. Pure.

Entries that are not touched keep their ids and modes; an executable file that is rewritten stays executable.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from reconciler.errors import BugError
from reconciler.gitrepo.objects import TREE_MODE, Entry

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
_FILE_MODE = 0o100644
_EXECUTABLE_MODE = 0o100755
_PACK_TYPES = {"tree": 2, "blob": 3}

ReadTree = Callable[[str], Iterable[Entry]]
Files = Mapping[bytes, bytes | None]


@dataclass(frozen=True, slots=True)
class Grafted:
    """A tree that may not be written yet.

    Attributes:
        tree: Its id.
        objects: What has to be written for it: (type, content), each before what refers to it.
        added: Paths that the old tree did not have.
        paths: Every path that may differ from the old tree.
    """

    tree: str
    objects: Sequence[tuple[str, bytes]]
    added: Sequence[str]
    paths: Sequence[str]


@dataclass(slots=True)
class _Work:
    read: ReadTree
    objects: list[tuple[str, bytes]] = field(default_factory=list)
    added: list[str] = field(default_factory=list)


def graft(read: ReadTree, root: str, files: Mapping[str, bytes | None]) -> Grafted:
    """The tree that has these files set, or removed where the content is None.

    A file replaces a symlink of its name. A folder that loses its last file goes. Removing what is not there is nothing.

    Raises:
        BugError: A path leaves the tree, names `.git`, or is a folder.
    """
    work = _Work(read)
    tree = _graft(work, root, _checked(files), b"")
    return Grafted(tree or _store(work, "tree", b""), tuple(work.objects), tuple(work.added), tuple(files))


def object_id(kind: str, content: bytes) -> str:
    """The id that Git gives this content."""
    return hashlib.sha1(b"%s %d\0" % (kind.encode(), len(content)) + content, usedforsecurity=False).hexdigest()


def pack(objects: Sequence[tuple[str, bytes]]) -> bytes:
    """A packfile (version 2, no deltas) of these objects: how they are handed to git, all at once."""
    parts = [struct.pack(">4sII", b"PACK", 2, len(objects))]
    for kind, content in objects:
        size = len(content)
        byte, size = (_PACK_TYPES[kind] << 4) | (size & 15), size >> 4
        head = bytearray()
        while size:
            head.append(byte | 0x80)
            byte, size = size & 0x7F, size >> 7
        head.append(byte)
        parts += [bytes(head), zlib.compress(content, 1)]
    body = b"".join(parts)
    return body + hashlib.sha1(body, usedforsecurity=False).digest()


def _graft(work: _Work, tree: str, files: Files, prefix: bytes) -> str | None:
    """The new id of a tree, or None if nothing is left in it; "" stands for a tree that is not there."""
    entries = {entry.name: entry for entry in work.read(tree)} if tree and tree != EMPTY_TREE else {}
    here = {path: content for path, content in files.items() if b"/" not in path}
    folders: dict[bytes, dict[bytes, bytes | None]] = {}
    for path, content in files.items():
        name, slash, rest = path.partition(b"/")
        if slash:
            folders.setdefault(name, {})[rest] = content
    # What goes makes room for what comes, so that a file may become a folder, and a folder that is emptied a file.
    for name in [name for name, content in here.items() if content is None]:
        _remove_file(entries, name, prefix)
    for name, inside in folders.items():
        old = entries.get(name)
        old_tree = old.id if old is not None and old.mode == TREE_MODE else ""
        new = _graft(work, old_tree, inside, prefix + name + b"/")
        if new is not None:
            entries[name] = Entry(TREE_MODE, name, new)
        elif old_tree:
            del entries[name]
    for name, content in here.items():
        if content is not None:
            _set_file(work, entries, name, content, prefix)
    if not entries:
        return None
    data = b"".join(
        b"%o %s\0" % (entry.mode, entry.name) + bytes.fromhex(entry.id)
        for entry in sorted(entries.values(), key=_order)
    )
    return _store(work, "tree", data, known=tree)


def _remove_file(entries: dict[bytes, Entry], name: bytes, prefix: bytes) -> None:
    old = entries.get(name)
    if old is not None and old.mode == TREE_MODE:
        raise BugError(f"{_shown(prefix + name)} is a folder, so no file is removed there")
    entries.pop(name, None)


def _set_file(work: _Work, entries: dict[bytes, Entry], name: bytes, content: bytes, prefix: bytes) -> None:
    old = entries.get(name)
    if old is not None and old.mode == TREE_MODE:
        raise BugError(f"{_shown(prefix + name)} is a folder, so no file is written there")
    if old is None:
        work.added.append(_shown(prefix + name))
    mode = _EXECUTABLE_MODE if old is not None and old.mode == _EXECUTABLE_MODE else _FILE_MODE
    entries[name] = Entry(mode, name, _store(work, "blob", content, known=old.id if old else ""))


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")


def _store(work: _Work, kind: str, content: bytes, *, known: str = "") -> str:
    new = object_id(kind, content)
    if new != known:
        work.objects.append((kind, content))
    return new


def _order(entry: Entry) -> bytes:
    """Git sorts a folder as if its name ended in a slash."""
    return entry.name + b"/" if entry.mode == TREE_MODE else entry.name


def _checked(files: Mapping[str, bytes | None]) -> Files:
    checked = {}
    for path, content in files.items():
        parts = path.split("/")
        if "\0" in path or any(part in {"", ".", ".."} or part.lower() == ".git" for part in parts):
            raise BugError(f"{path!r} is not a path inside a repository")
        checked[path.encode("utf-8", "surrogateescape")] = content
    return checked
