"""Where a branch is checked out, and moving such a work tree along with its branch.

What was there before is never lost: a work tree with changes, with untracked files in the way, or in the middle of a merge
or rebase is refused before anything moves. A note in the work tree's git directory lets the next commit put things right
after a crash in between.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.complaints import write_error
from reconciler.gitrepo.errors import DirtyWorkTreeError, GitWriteError

_IN_PROGRESS = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase",
}
_HINT = "commit or stash what is there, or check out another branch; nothing was changed"
_NOTE = "reconciler/moving.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkout:
    """A work tree.

    Attributes:
        git_dir: Its own: where its HEAD and index are.
        path: Its files.
        branch: The branch it is on, or the one that a rebase in it will return to; "" if detached.
    """

    git_dir: Path
    path: Path
    branch: str


def checkouts(common_dir: Path, main: Path | None) -> Iterator[Checkout]:
    """All work trees of a repository whose files are there: the main one and the linked ones."""
    if main is not None:
        yield Checkout(git_dir=common_dir, path=main, branch=_branch(common_dir))
    for git_dir in sorted((common_dir / "worktrees").glob("*")):
        try:
            link = (git_dir / "gitdir").read_text("utf-8", "surrogateescape").strip()
        except OSError:
            continue  # being removed just now
        path = (git_dir / link).parent
        if path.is_dir():
            yield Checkout(git_dir=git_dir, path=path, branch=_branch(git_dir))


def _branch(git_dir: Path) -> str:
    for name in ("rebase-merge/head-name", "rebase-apply/head-name", "HEAD"):
        try:
            text = (git_dir / name).read_text("utf-8", "surrogateescape").strip().removeprefix("ref: ")
        except OSError:
            continue
        if text.startswith("refs/heads/"):
            return text.removeprefix("refs/heads/")
    return ""


def require_clean(checkout: Checkout) -> None:
    """Refuse a work tree that somebody is in the middle of something in. Untracked files are no matter here.

    Raises:
        DirtyWorkTreeError: Names what is in the way.
    """
    for name, what in _IN_PROGRESS.items():
        if (checkout.git_dir / name).exists():
            raise _dirty(checkout, f"{what} is in progress", "finish or abort it; nothing was changed")
    changed = _changed(checkout)
    if changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""  # noqa: PLR2004 -- enough to recognise it
        raise _dirty(checkout, f"changes that are not committed: {', '.join(changed[:3])}{more}", _HINT)


def require_free(checkout: Checkout, added: Iterable[str]) -> None:
    """Refuse if untracked files, ignored ones included, are where new ones would go.

    Raises:
        DirtyWorkTreeError: Names the first.
    """
    for path in added:
        place = checkout.path / path
        blocked = next(
            (up for up in _up(place, checkout.path) if up.is_symlink() or (up.exists() and not up.is_dir())), None
        )
        taken = place if place.is_symlink() or place.exists() else blocked
        if taken is not None:
            name = taken.relative_to(checkout.path)
            raise _dirty(checkout, f"{name} is there, untracked", "move it away, or check out another branch")


def move(checkout: Checkout, *, old: str, new: str, paths: Sequence[str], swap: Callable[[], None]) -> None:
    """Take a clean work tree from one commit or tree to another, and its branch in the same breath.

    The files go first: a crash in between then leaves changes that look like ours, ready to commit, instead of a work tree
    that would undo the branch.

    Args:
        checkout: A clean work tree, see `require_clean` and `require_free`.
        old: What it has.
        new: What it gets.
        paths: Every path that differs.
        swap: Moves the branch, or raises; then the work tree goes back.

    Raises:
        DirtyWorkTreeError: Git would lose something of somebody's; nothing was changed.
        GitWriteError: The files can't be written; what was written has been taken back as far as possible.
    """
    note = checkout.git_dir / _NOTE
    _write_note(note, old=old, new=new, paths=paths)
    try:
        _read_tree(checkout, old, new)
        swap()
    except BaseException:
        if not _git(checkout, "read-tree", "-m", "-u", new, old).ok or _changed(checkout):
            _restore(checkout, old, paths, new)
        if not _changed(checkout):  # otherwise the next commit tries again, see `recover`
            note.unlink(missing_ok=True)
        raise
    note.unlink(missing_ok=True)


def _read_tree(checkout: Checkout, old: str, new: str) -> None:
    moved = _git(checkout, "read-tree", "-m", "-u", old, new)
    if moved.ok:
        return
    if "not uptodate" in moved.err or "overwritten" in moved.err or "would lose" in moved.err:
        raise _dirty(checkout, moved.words, _HINT)
    raise write_error(moved, what=f"the work tree {checkout.path} can't be moved")


def recover(checkout: Checkout, tip: str) -> None:
    """Put right what a crash in `move` left: files that are exactly the old or the new ones go to the branch's tip.

    Files that somebody has changed since are left alone, and `require_clean` then says so.
    """
    note = checkout.git_dir / _NOTE
    try:
        said = json.loads(note.read_bytes())
        old, new, paths = str(said["old"]), str(said["new"]), [str(path) for path in said["paths"]]
    except FileNotFoundError:
        return
    except (OSError, ValueError, KeyError, TypeError):
        note.unlink(missing_ok=True)
        return
    if set(_changed(checkout)) <= set(paths) and all(_is_ours(checkout, path, (old, new)) for path in paths):
        _restore(checkout, tip, paths, new)
    note.unlink(missing_ok=True)


def _restore(checkout: Checkout, tip: str, paths: Sequence[str], new: str) -> None:
    """Bring these paths, in the index and on disk, to what a commit has; a file that it lacks goes if it is the new one."""
    for path in paths:
        if _blob(checkout, f"{tip}:{path}"):
            _git(checkout, "restore", "--quiet", f"--source={tip}", "--staged", "--worktree", "--", f":(literal){path}")
        elif _is_ours(checkout, path, (new,)):
            _git(checkout, "rm", "--quiet", "--cached", "--ignore-unmatch", "--", f":(literal){path}")
            (checkout.path / path).unlink(missing_ok=True)


def _is_ours(checkout: Checkout, path: str, commits: Sequence[str]) -> bool:
    """Whether a file is as one of these commits has it, or the beginning of that; an absent file is no loss."""
    place = checkout.path / path
    if not place.is_file() or place.is_symlink():
        return not place.is_symlink() and not place.exists()
    if _git(checkout, "hash-object", "--", path).text in {_blob(checkout, f"{commit}:{path}") for commit in commits}:
        return True
    content = place.read_bytes()  # where the disk was full, git leaves as much as there was room for
    return any(_git(checkout, "cat-file", "blob", f"{commit}:{path}").out.startswith(content) for commit in commits)


def _blob(checkout: Checkout, name: str) -> str:
    return _git(checkout, "rev-parse", "--verify", "--quiet", name).text


def _changed(checkout: Checkout) -> list[str]:
    # The index may only look outdated: refreshed first, or read-tree refuses files that were touched and not changed.
    _git(checkout, "update-index", "-q", "--refresh")
    status = _git(
        checkout, "status", "--porcelain=v1", "-z", "--untracked-files=no", "--no-renames", "--ignore-submodules=dirty"
    )
    if not status.ok:
        raise write_error(status, what=f"the work tree {checkout.path} can't be read")
    return [line[3:] for line in status.out.decode("utf-8", "surrogateescape").split("\0") if line]


def _git(checkout: Checkout, *arguments: str) -> Result:
    where = [f"--git-dir={checkout.git_dir}", f"--work-tree={checkout.path}"]
    return run([*where, "-c", "core.fsmonitor=false", *arguments], cwd=checkout.path)


def _up(place: Path, top: Path) -> Iterator[Path]:
    for parent in place.parents:
        if parent == top:
            return
        yield parent


def _write_note(note: Path, *, old: str, new: str, paths: Sequence[str]) -> None:
    try:
        note.parent.mkdir(exist_ok=True)
        note.write_text(json.dumps({"old": old, "new": new, "paths": list(paths)}), "utf-8")
    except OSError as error:
        raise GitWriteError(f"{note} can't be written: {error.strerror}", hint=_HINT) from error


def _dirty(checkout: Checkout, what: str, hint: str) -> DirtyWorkTreeError:
    return DirtyWorkTreeError(f"{checkout.branch} is checked out at {checkout.path}, and {what}", hint=hint)
