"""Where a repository on this machine is: its git directory and its work trees, and whether it is of a kind that is handled."""

from __future__ import annotations

import stat
from pathlib import Path

from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.errors import NotARepositoryError, UnsupportedRepositoryError


def discover(location: str) -> tuple[Path, Path | None]:
    """The common git directory, and the top of the work tree that the path is in, found upwards from there as git does.

    Raises:
        NotARepositoryError: There is none.
        UnsupportedRepositoryError: It is of a kind that is not handled, or git refuses to trust it.
    """
    try:
        path = Path(location).expanduser().absolute()
    except (OSError, RuntimeError) as error:  # the current folder has been deleted; `~nobody` has no home
        raise NotARepositoryError(f"{location} is not there: {error}", hint="give an absolute path") from error
    hint = "give the path or the URL of a Git repository"
    try:
        if not stat.S_ISDIR(path.stat().st_mode):
            raise NotARepositoryError(f"{location} is not a folder", hint=hint)
    except (FileNotFoundError, NotADirectoryError):
        raise NotARepositoryError(f"{location} is not there", hint=hint) from None
    except OSError as error:
        raise NotARepositoryError(f"{location} can't be looked at: {error.strerror or error}", hint=hint) from error
    # Asked from inside the folder, git refuses a repository that another user has planted there; see safe.directory.
    found = run(["rev-parse", "--path-format=absolute", "--git-common-dir"], cwd=path)
    if found.ok:
        git_dir = _path(found)
        _require_supported(location, git_dir)
        top = run(["rev-parse", "--path-format=absolute", "--show-toplevel"], cwd=path)
        return git_dir, _path(top) if top.ok else main_work_tree(git_dir)
    if "not a git repository" in found.err:
        raise NotARepositoryError(f"{location} is not in a Git repository", hint="git init makes one")
    raise UnsupportedRepositoryError(f"git does not open {location}: {found.words}")


def _path(result: Result) -> Path:
    return Path(result.out.decode("utf-8", "surrogateescape").rstrip("\n"))


def _require_supported(location: str, git_dir: Path) -> None:
    formats = run([f"--git-dir={git_dir}", "config", "--get-regexp", r"^extensions\.(objectformat|refstorage)$"])
    for line in formats.text.splitlines():
        name, _, value = line.partition(" ")
        if value not in {"sha1", "files"}:
            what = "object format" if name.endswith("objectformat") else "ref storage"
            raise UnsupportedRepositoryError(f"{location} has the {what} {value}, which is not supported")


def main_work_tree(git_dir: Path) -> Path | None:
    """The main work tree: `core.worktree` (a submodule's), or what `.git` lies in."""
    where = f"--git-dir={git_dir}"
    if run([where, "rev-parse", "--is-bare-repository"]).text == "true":
        return None
    configured = run([where, "config", "--get", "core.worktree"])
    return (git_dir / configured.text).resolve() if configured.ok else git_dir.parent
