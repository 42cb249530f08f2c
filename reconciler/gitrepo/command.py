"""Running one `git` command: with a time limit, without a terminal, in a session of its own.

Not GitPython's `execute`, because a call over the network must end with all its children (ssh, git-remote-https) when its
time is up, and because variables that a surrounding git hook has set must not reach it. What failures mean is not
decided here.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from reconciler.gitrepo.errors import GitNotFoundError, GitUnavailableError
from reconciler.gitrepo.location import redacted

_LOCAL_LIMIT = 600.0
_HOOK_VARIABLES = frozenset(
    {
        "GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_COMMON_DIR", "GIT_DIR", "GIT_GRAFT_FILE", "GIT_IMPLICIT_WORK_TREE",
        "GIT_INDEX_FILE", "GIT_INTERNAL_SUPER_PREFIX", "GIT_NAMESPACE", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX",
        "GIT_QUARANTINE_PATH", "GIT_REPLACE_REF_BASE", "GIT_SHALLOW_FILE", "GIT_WORK_TREE",
    }
)  # fmt: skip
"""What `git rev-parse --local-env-vars` lists, but for the `-c` parameters: another repository's, if a hook started us."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command ended.

    Attributes:
        code: Exit status; negative is the signal that ended it.
        err: Its stderr, without the secrets in URLs.
    """

    code: int
    out: bytes
    err: str

    @property
    def ok(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0

    @property
    def text(self) -> str:
        """stdout, stripped; bytes that are not UTF-8 are kept by `surrogateescape`."""
        return self.out.decode("utf-8", "surrogateescape").strip()

    @property
    def words(self) -> str:
        """What git said, on one line, for a message."""
        lines = (line.strip() for line in self.err.splitlines())
        said = "; ".join(line for line in lines if line and not line.startswith("hint:"))
        return said[-1000:] or (f"ended by signal {-self.code}" if self.code < 0 else f"exit status {self.code}")


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every git command: English, no prompts, nothing left from a surrounding hook."""
    kept = {name: value for name, value in os.environ.items() if name not in _HOOK_VARIABLES}
    fixed = {
        "LC_ALL": "C",
        "LANGUAGE": "C",
        "GIT_TERMINAL_PROMPT": "0",
        "SSH_ASKPASS": "",  # a window on somebody's desktop; a script in GIT_ASKPASS, as CI systems use it, stays
        "SSH_ASKPASS_REQUIRE": "never",
        "GCM_INTERACTIVE": "never",
        "GIT_OPTIONAL_LOCKS": "0",  # `git status` must not write the user's index
        "GIT_NO_REPLACE_OBJECTS": "1",  # an object id has to mean its content: caches rely on it
    }
    return kept | fixed | dict(extra or {})


def run(
    arguments: Sequence[str],
    *,
    cwd: Path | None = None,
    stdin: bytes = b"",
    extra: Mapping[str, str] | None = None,
    timeout: float | None = None,
) -> Result:
    """Run `git ARGUMENTS...` to its end.

    Args:
        arguments: What follows `git`.
        stdin: What it reads, if anything.
        cwd: Where; the root directory by default, so that a deleted current directory does not matter.
        extra: Environment variables to add.
        timeout: Seconds, for calls over the network; ten minutes for local ones.

    Raises:
        GitNotFoundError: There is no `git` that can be started.
        GitUnavailableError: Time is up; the command and its children have been ended.
    """
    limit = _LOCAL_LIMIT if timeout is None else timeout
    try:
        process = subprocess.Popen(
            ["git", *arguments],
            cwd=cwd or "/",
            env=environment(extra),
            stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        hint = "install Git 2.36 or newer and make sure that it is on PATH"
        raise GitNotFoundError(f"git can't be started: {error.strerror}", hint=hint) from error
    with process:
        try:
            out, err = process.communicate(stdin or None, limit)
        except subprocess.TimeoutExpired:
            _end(process)
            what = next((word for word in arguments if word in {"fetch", "push", "ls-remote"}), "the call")
            raise GitUnavailableError(f"git {what} did not end within {limit:g} s") from None
        except BaseException:
            if timeout is None:
                process.communicate()  # Ctrl-C: a local write is short, and ended half-way it leaves locks behind
            else:
                _end(process)
            raise
    return Result(process.returncode, out, redacted(err.decode("utf-8", "backslashreplace")))


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and everything it started; its session is its own, so nobody else is in the group."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.communicate()
