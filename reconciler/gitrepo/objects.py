"""Reading objects and refs through two `git cat-file` processes that stay open. Reads only; starts no process per object.

Trees and sizes are remembered by id, which is safe because an id means its content.
"""

from __future__ import annotations

import re
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple, TypeVar, cast

from git import Git

from reconciler.gitrepo.command import environment, start
from reconciler.gitrepo.errors import CorruptRepositoryError, GitUnavailableError

_T = TypeVar("_T")
_TREES_KEPT = 8192
_SIZES_KEPT = 65536
_PIPE = 4096
"""Bytes that questions asked before answers are read may have, and their answers: more than fits into a pipe, and both sides wait
for ever. 64 KiB usually fit; where a user has many pipes, or memory is short, it is one page."""
_ANSWER = 72
"""Bytes of an answer: an id, a type, a size."""
_NO_ANSWER = len(" ambiguous\n")
"""Bytes of one that repeats the question."""

TREE_MODE = 0o040000
SYMLINK_MODE = 0o120000
SUBMODULE_MODE = 0o160000


class Entry(NamedTuple):
    """One entry of a tree object."""

    mode: int
    name: bytes
    id: str


class Header(NamedTuple):
    """What an object is."""

    id: str
    type: str
    size: int


class Objects:
    """The objects of one repository. Threads take turns.

    Args:
        git_dir: The common git directory.
    """

    def __init__(self, git_dir: Path) -> None:
        self._git_dir = git_dir
        # Not GitPython's Repo, which looks at the environment. Whatever a surrounding git hook has set there, these
        # processes read this repository and its true objects.
        self._git = Git(git_dir)
        self._git.update_environment(
            GIT_DIR=str(git_dir),
            GIT_COMMON_DIR=str(git_dir),
            GIT_OBJECT_DIRECTORY=str(git_dir / "objects"),
            GIT_ALTERNATE_OBJECT_DIRECTORIES="",
            GIT_NAMESPACE="",
            GIT_NO_REPLACE_OBJECTS="1",
        )
        self._lock = threading.Lock()
        self._packed_refs = (0, 0, 0)
        self._trees: dict[str, tuple[Entry, ...]] = {}
        self._sizes: dict[str, int] = {}

    def close(self) -> None:
        """End the processes; they start again if they are needed again."""
        with self._lock:
            self._git.clear_cache()

    def commit(self, name: str) -> str | None:
        """The full id of the commit that a full ref name or id stands for, or None.

        Raises:
            GitUnavailableError: The repository is not there: a process that stays open would say that its branches are gone.
        """
        self._notice_packed_refs()
        found = self._headers([f"{name}^{{commit}}"])[0]
        if found is None and not (self._git_dir / "HEAD").is_file():
            raise GitUnavailableError(f"{self._git_dir} is not there", hint="bring it back; nothing is lost meanwhile")
        return found.id if found else None

    def data(self, object_id: str) -> bytes:
        """The content of an object.

        Raises:
            CorruptRepositoryError: It is not there, or not readable.
        """
        return self._patiently(lambda: self._read(object_id))

    def tree(self, tree_id: str) -> tuple[Entry, ...]:
        """The entries of a tree, or of a commit's root tree, in Git's order."""
        found = self._trees.get(tree_id)
        if found is None:
            found = tuple(parse_tree(self.data(tree_id)))
            _bound(self._trees, _TREES_KEPT)
            self._trees[tree_id] = found
        return found

    def root(self, commit: str) -> str:
        """The id of a commit's root tree.

        Raises:
            CorruptRepositoryError: There is no such commit.
        """
        found = self._headers([f"{commit}^{{tree}}"])[0]
        if found is None:
            raise CorruptRepositoryError(f"commit {commit} is not in {self._git_dir}", hint=_SHALLOW)
        return found.id

    def at(self, commit: str, path: str) -> Entry | None:
        """The entry at a path of a commit, or None; the root for an empty path."""
        found = Entry(TREE_MODE, b"", self.root(commit))
        for name in path.encode("utf-8", "surrogateescape").split(b"/"):
            if not name:
                continue
            if found.mode != TREE_MODE:
                return None
            inside = next((entry for entry in self.tree(found.id) if entry.name == name), None)
            if inside is None:
                return None
            found = inside
        return found

    def sizes(self, ids: Sequence[str]) -> dict[str, int]:
        """Bytes of each object."""
        # Threads share what is remembered, and another may forget all of it at any moment: what is returned is our own.
        found = {item: size for item in ids if (size := self._sizes.get(item)) is not None}
        unknown = [item for item in dict.fromkeys(ids) if item not in found]
        for item, header in zip(unknown, self._headers(unknown), strict=True):
            if header is None:
                raise CorruptRepositoryError(f"object {item} is missing from {self._git_dir}", hint=_FSCK)
            found[item] = header.size
        _bound(self._sizes, _SIZES_KEPT)
        self._sizes.update(found)
        return found

    def _notice_packed_refs(self) -> None:
        """Start anew when packed-refs was rewritten.

        A git process that stays open compares its times by the second, and may miss for ever that the file was rewritten
        twice in one: then a branch would stand still for us.
        """
        try:
            now = (self._git_dir / "packed-refs").stat()
            stamp = (now.st_mtime_ns, now.st_ino, now.st_size)
        except FileNotFoundError:
            stamp = (0, 0, 0)
        with self._lock:
            if stamp != self._packed_refs:
                self._packed_refs = stamp
                self._git.clear_cache()

    def _headers(self, names: Sequence[str]) -> list[Header | None]:
        found: list[Header | None] = []
        for part in _parts(names):
            found += self._patiently(lambda part=part: self._ask(part))  # type: ignore[misc]
        return found

    def _ask(self, names: Iterable[str]) -> list[Header | None]:
        git = self._git
        git.cat_file_header = git.cat_file_header or _start(git, "--batch-check")
        asked = list(names)
        lines = "".join(f"{name}\n" for name in asked)
        git.cat_file_header.stdin.write(lines.encode("utf-8", "surrogateescape"))
        git.cat_file_header.stdin.flush()
        return [_header(git.cat_file_header.stdout) for _ in asked]

    def _read(self, object_id: str) -> bytes:
        git = self._git
        git.cat_file_all = git.cat_file_all or _start(git, "--batch")
        git.cat_file_all.stdin.write(f"{object_id}\n".encode())
        git.cat_file_all.stdin.flush()
        header = _header(git.cat_file_all.stdout)
        if header is None:
            raise CorruptRepositoryError(f"object {object_id} is missing from {self._git_dir}", hint=_FSCK)
        data = cast("bytes", git.cat_file_all.stdout.read(header.size + 1))
        if len(data) != header.size + 1:
            raise EOFError
        return data[:-1]

    def _patiently(self, ask: Callable[[], _T]) -> _T:
        """Ask once more with a new process if the old one has died: somebody ended it, or an object broke it."""
        with self._lock:
            try:
                return ask()
            except (OSError, EOFError):
                self._git.clear_cache()
            try:
                return ask()
            except (OSError, EOFError) as error:
                self._git.clear_cache()
                raise CorruptRepositoryError(f"git can't read objects of {self._git_dir}", hint=_FSCK) from error


_FSCK = "run git fsck in this repository"
_SHALLOW = "fetch it, or deepen a shallow clone with git fetch --unshallow"


def parse_tree(data: bytes) -> Iterable[Entry]:
    """Read a tree object: `mode name NUL id`, over and over.

    Not GitPython's parser, which refuses names that Git allows, and decodes what need not be text.
    """
    position = 0
    while position < len(data):
        space = data.index(b" ", position)
        end = data.index(b"\0", space)
        yield Entry(int(data[position:space], 8), data[space + 1 : end], data[end + 1 : end + 21].hex())
        position = end + 21


def _start(git: Git, mode: str) -> Git.AutoInterrupt:
    # GitPython's own way to start one gives it a pipe for stderr that nobody empties: 64 KiB of complaints, such as a
    # warning at each look at a ref, and it would stand still for ever, and we with it.
    process = start(
        ["cat-file", mode],
        cwd=Path(str(git.working_dir)),
        environ=environment(git.environment()),
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    return Git.AutoInterrupt(process, process.args)


_HEADER = re.compile(rb"([0-9a-f]{40}) (\w+) (\d+)\n")


def _header(stream: IO[bytes]) -> Header | None:
    line = stream.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    found = _HEADER.fullmatch(line)
    return Header(found[1].decode(), found[2].decode(), int(found[3])) if found else None


def _parts(names: Sequence[str]) -> Iterator[list[str]]:
    """These names, as many at a time as may be asked at once."""
    part: list[str] = []
    room = _PIPE
    for name in names:
        needs = max(_ANSWER, len(name.encode("utf-8", "surrogateescape")) + _NO_ANSWER)
        if part and needs > room:
            yield part
            part, room = [], _PIPE
        part.append(name)
        room -= needs
    if part:
        yield part


def _bound(cache: dict[str, _T], limit: int) -> None:
    if len(cache) >= limit:
        cache.clear()
