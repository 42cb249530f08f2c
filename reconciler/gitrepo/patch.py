"""What one commit changed, as people read it: Git's own diff, of files that are worth reading, and no more than anybody reads.

Bounded before Git is asked for any text: a commit of a thousand files, or of one of 100 MB, costs what a small one does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.gitrepo.command import run
from reconciler.gitrepo.errors import CorruptRepositoryError
from reconciler.gitrepo.objects import Objects

_MOST_FILES = 100
_LARGEST = 128 * 1024
_MOST_TEXT = 256 * 1024
_NO_BLOB = "0" * 40
_OPTIONS = ("--root", "--no-commit-id", "-m", "--first-parent", "--no-renames")
_PLAIN = ("--no-color", "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilePatch:
    """One file that a commit changed.

    Attributes:
        path: In the repository; bytes that are no UTF-8 are replaced.
        action: `create`, `update` or `delete`.
        text: The hunks, from the first `@@`; "" where the file is binary, too large, or one too many.
    """

    path: str
    action: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """What a commit changed.

    Attributes:
        files: In order of their paths; at most a hundred.
        more: How many others there are.
    """

    files: tuple[FilePatch, ...]
    more: int = 0


@dataclass(frozen=True, slots=True)
class _Changed:
    path: bytes
    old: str
    new: str

    @property
    def action(self) -> str:
        if self.old == _NO_BLOB:
            return "create"
        return "delete" if self.new == _NO_BLOB else "update"


def patch_of(objects: Objects, git_dir: Path, commit: str, folders: Sequence[str]) -> Patch:
    """See `Repository.patch`."""
    listed = _git(git_dir, ["--raw", "-r", "-z", "--no-abbrev", commit], [folder.encode() for folder in folders])
    changed = list(_changed(listed))
    shown = changed[:_MOST_FILES]
    readable = list(_readable(objects, shown))
    texts = {item.path: _text(git_dir, commit, item.path) for item in readable}
    files = tuple(
        FilePatch(path=item.path.decode("utf-8", "replace"), action=item.action, text=texts.get(item.path, ""))
        for item in shown
    )
    return Patch(files=files, more=len(changed) - len(shown))


def _changed(listed: bytes) -> Iterator[_Changed]:
    """`:mode mode id id status NUL path NUL`, over and over."""
    parts = iter(listed.split(b"\0"))
    for head in parts:
        if head:
            _, _, old, new, _ = head.decode("ascii").split(" ")
            yield _Changed(next(parts), old, new)


def _readable(objects: Objects, changed: Sequence[_Changed]) -> Iterator[_Changed]:
    """Those that are small enough, until there is enough to read."""
    left = _MOST_TEXT
    for item in changed:
        try:
            sizes = objects.sizes([blob for blob in (item.old, item.new) if blob != _NO_BLOB])
        except CorruptRepositoryError:
            continue  # a submodule's commit is not here
        size = sum(sizes.values())
        if all(each <= _LARGEST for each in sizes.values()) and size <= left:
            left -= size
            yield item


def _text(git_dir: Path, commit: str, path: bytes) -> str:
    text = _git(git_dir, ["-p", *_PLAIN, commit], [path]).decode("utf-8", "replace")
    begin = text.find("\n@@ ")
    return text[begin + 1 :] if begin >= 0 else ""


def _git(git_dir: Path, arguments: Sequence[str], paths: Sequence[bytes]) -> bytes:
    named = [path.decode("utf-8", "surrogateescape") for path in paths]
    command = [f"--git-dir={git_dir}", "--literal-pathspecs", "diff-tree", *_OPTIONS, *arguments, "--", *named]
    done = run(command)
    if not done.ok:
        raise CorruptRepositoryError(f"the changes can't be read: {done.words}", hint="run git fsck in this repository")
    return done.out
