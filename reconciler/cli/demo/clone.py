"""The person at the keyboard: a clone in which they edit, commit, branch, merge and push, with the `git` command.

The product itself never touches this clone; it reads the repository that is pushed to.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from reconciler.errors import PermanentError

_PERSON = ("Ada", "ada@example.com")
_PATIENCE = 60.0


class GitFailedError(PermanentError):
    """A `git` command of the person at the keyboard failed."""

    default_code = "demo-git"


def hermetic(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which Git does the same on every machine: no settings of the user, the system or a calling Git."""
    clean = {name: value for name, value in environ.items() if not name.startswith("GIT_")}
    return clean | {
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C",
    }


class Clone:
    """A working clone of a bare repository; both are made here.

    Args:
        remote: Where the bare repository will be.
        path: Where the clone will be.
        files: What the first commit on `main` holds, by path.
        shield: What holds signals back while a command runs; nothing by default.

    Raises:
        GitFailedError: From every method: the command failed; the message is what it printed.
    """

    def __init__(
        self,
        *,
        remote: Path,
        path: Path,
        files: Mapping[str, bytes],
        shield: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        self._shield = shield
        self.remote = remote
        self.path = path
        self._environ = hermetic() | {
            "GIT_AUTHOR_NAME": _PERSON[0],
            "GIT_AUTHOR_EMAIL": _PERSON[1],
            "GIT_COMMITTER_NAME": _PERSON[0],
            "GIT_COMMITTER_EMAIL": _PERSON[1],
        }
        path.mkdir()
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(remote))
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", str(remote))
        self.commit("Describe bookinfo: services, sidecars, a gateway", files)

    def git(self, *arguments: str) -> str:
        """Run one command in the clone and return what it printed."""
        try:
            with self._shield():
                done = subprocess.run(
                    ["git", *arguments],
                    cwd=self.path,
                    env=self._environ,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                    start_new_session=True,
                    timeout=_PATIENCE,
                )
        except subprocess.TimeoutExpired as error:
            raise GitFailedError(f"git {' '.join(arguments[:2])} did not end within {_PATIENCE:g} s") from error
        except FileNotFoundError as error:
            raise GitFailedError("there is no git on PATH", hint="install git, then try again") from error
        if done.returncode:
            raise GitFailedError(f"git {' '.join(arguments[:2])}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout.rstrip("\n")

    def read(self, name: str) -> bytes:
        """A file of the work tree."""
        return (self.path / name).read_bytes()

    def commit(self, message: str, files: Mapping[str, bytes | None]) -> str:
        """Write or remove these files, commit them on the current branch, push it, and return the commit's id."""
        for name, content in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            if content is None:
                file.unlink()
            else:
                file.write_bytes(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", message)
        return self.push()

    def push(self) -> str:
        """Push the current branch and return its tip."""
        self.git("push", "--quiet", "origin", "HEAD")
        return self.git("rev-parse", "HEAD")

    def branch(self, name: str) -> None:
        """Begin a branch at the current commit and switch to it."""
        self.git("switch", "--quiet", "--create", name)

    def merge(self, name: str, message: str) -> str:
        """Merge a branch into `main`, as a pull request's button does, push, and return the merge's id."""
        self.git("switch", "--quiet", "main")
        self.git("merge", "--quiet", "--no-ff", "--message", message, name)
        return self.push()

    def pull(self) -> str:
        """Bring `main`, on which nothing is that was not pushed, to what others have pushed, and return its tip."""
        self.git("pull", "--quiet", "--ff-only", "origin", "main")
        return self.git("rev-parse", "HEAD")

    def revert(self) -> str:
        """Take the newest commit back with another one, push it, and return its id."""
        self.git("revert", "--no-edit", "HEAD")
        return self.push()

    def tip(self, branch: str) -> str:
        """The remote's tip of a branch, or "" if there is no such branch."""
        return self.git(f"--git-dir={self.remote}", "for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}")

    def log(self, branch: str, *, form: str = "%h %s", count: int = 20, grep: Sequence[str] = ()) -> list[str]:
        """The newest commits of one of the remote's branches, first parents only, one line each.

        Args:
            branch: Which, or `COMMIT..BRANCH` for those after a commit.
            form: Of a line, as Git's `--format`.
            count: How many at most.
            grep: Only those whose messages have one of these.
        """
        return self.git(
            f"--git-dir={self.remote}",
            "log",
            "--first-parent",
            f"--max-count={count}",
            f"--format={form}",
            *(f"--grep={word}" for word in grep),
            branch,
            "--",
        ).splitlines()
