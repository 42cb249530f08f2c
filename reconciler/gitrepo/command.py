"""Running one `git` command: with a time limit, without a terminal, in a session of its own.

Not GitPython's `execute`, because a call over the network must end with all its children (ssh, git-remote-https) when its
time is up, and because variables that a surrounding git hook has set must not reach it. What failures mean is not
decided here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from reconciler.gitrepo.errors import GitNotFoundError, GitUnavailableError
from reconciler.gitrepo.location import redacted

_LOCAL_LIMIT = 600.0
_ROUND = 0.5
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
    process = start(
        arguments,
        cwd=cwd or Path("/"),
        environ=environment(extra),
        stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with process:
        try:
            out, err = _communicate(process, stdin or None, limit)
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


def start(
    arguments: Sequence[str], *, cwd: Path, environ: Mapping[str, str], stdin: int, stderr: int
) -> subprocess.Popen[bytes]:
    """Start `git ARGUMENTS...` in a session of its own: Ctrl-C is for us, and what we do about it may still need git.

    Args:
        arguments: What follows `git`.
        cwd: Where.
        environ: All of its environment.
        stdin: As for `Popen`.
        stderr: As for `Popen`; `DEVNULL` for a process that stays open: nobody empties a pipe, and when its complaints
            have filled one it stands still for ever.

    Raises:
        GitNotFoundError: There is no `git` that can be started.
    """
    try:
        return subprocess.Popen(
            ["git", *arguments],
            cwd=cwd,
            env=environ,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=stderr,
            start_new_session=True,
        )
    except OSError as error:
        hint = "install Git 2.36 or newer and make sure that it is on PATH"
        raise GitNotFoundError(f"git can't be started: {error.strerror}", hint=hint) from error


def _communicate(process: subprocess.Popen[bytes], stdin: bytes | None, limit: float) -> tuple[bytes, bytes]:
    """Until the process has ended, or time is up.

    What a hook, or ssh with `ControlPersist`, leaves running in the background may hold the pipes open for hours: once git
    itself has ended, one more round reads all that it said. What reads our input starts no hook, and Python can't go on
    with an input that it was interrupted in, so that is one long round.
    """
    longest = limit if stdin else _ROUND
    deadline = time.monotonic() + limit
    ended = False
    while True:
        try:
            return process.communicate(stdin, max(0.0, min(longest, deadline - time.monotonic())))
        except subprocess.TimeoutExpired as late:
            if ended:
                return late.output or b"", late.stderr or b""
            ended = process.poll() is not None
            if not ended and time.monotonic() >= deadline:
                raise


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and everything it started; its session is its own, so nobody else is in the group.

    Its pipes are not read to their end: what has left the group may hold them open for ever.
    """
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
