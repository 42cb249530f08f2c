"""Bringing what a merge needs into a clone that lacks it: commits by their ids, and history back to where two commits parted.

For clones that continuous integration makes: of depth 1, of one branch, of a merge commit whose parents are missing. Adds
objects, moves the boundary of a shallow clone back, and touches no branch, tag, remote branch or work tree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.complaints import network_error
from reconciler.gitrepo.errors import GitUnavailableError, HistoryMissingError, RefNotFoundError
from reconciler.gitrepo.location import redacted
from reconciler.gitrepo.merging import ancestors_of
from reconciler.settings import GitSettings

_DEEPEN = (50, 500, 5_000)
"""Commits by which a shallow clone is deepened before all of its history is fetched."""

_ID = re.compile(r"[0-9a-f]{40}")
_SINGLE = 1


class Remote:
    """One remote of a local clone, from which something is fetched once.

    Args:
        git_dir: The clone.
        name: Of the remote, as `git remote` lists it, or a URL.
        settings: For the time limit.
    """

    def __init__(self, git_dir: Path, name: str, settings: GitSettings) -> None:
        self._git_dir = git_dir
        self._name = name
        self._settings = settings

    @property
    def known(self) -> bool:
        """Whether the clone has a remote of this name."""
        listed = run([f"--git-dir={self._git_dir}", "remote"])
        return self._name in listed.text.splitlines()

    def tip(self, ref: str) -> str:
        """What a ref of the remote names now, fetched.

        Args:
            ref: In full: `refs/heads/main`.

        Raises:
            RefNotFoundError: It is not there.
            GitUnavailableError, AuthenticationError, NotARepositoryError: The remote can't be asked.
        """
        listed = self._call("ls-remote", "--exit-code", self._name, ref, refused={2})
        commit = next((line.partition("\t")[0] for line in listed.text.splitlines() if line.endswith(f"\t{ref}")), "")
        if not _ID.fullmatch(commit):
            raise RefNotFoundError(
                f"there is no {ref} at {redacted(self._name)}", hint="give the branch's name there, as main"
            )
        return commit

    def bring(self, commit: str, *, ref: str = "") -> None:
        """Have a commit and its files here.

        Args:
            commit: Its full id.
            ref: A ref of the remote that has it, for servers that give no commit by its id.

        Raises:
            HistoryMissingError: The remote does not give it; says the command that would.
            GitUnavailableError, AuthenticationError, NotARepositoryError: The remote can't be asked.
        """
        for wanted in (commit, *([ref] if ref else [])):
            if self._has(commit):
                return
            depth = ["--depth=1"] if self._shallow() else []
            self._fetch([*depth], [wanted])
        if not self._has(commit):
            raise _missing(f"commit {commit[:10]} is not in this clone, and {redacted(self._name)} does not give it",
                           f"git fetch {redacted(self._name)} {commit}")  # fmt: skip

    def connect(self, base: str, head: str) -> None:
        """Have the history of two commits back to where they parted. Both are here.

        Raises:
            HistoryMissingError: They are still unconnected when all there is has been fetched, or can't be fetched; says the
                command that would help.
        """
        if connected(self._git_dir, base, head):
            return
        command = f"git fetch --unshallow {redacted(self._name)}"
        if not self.known:
            raise _missing(
                f"this shallow clone does not reach back to where {base[:10]} and {head[:10]} parted", command
            )
        said = ""
        for options in self._deepening():
            fetched = self._fetch(options, [base, head])
            said = f": {fetched.words}" if not fetched.ok else ""
            if connected(self._git_dir, base, head):
                return
        if self._shallow():
            what = f"this shallow clone could not be deepened to where {base[:10]} and {head[:10]} parted"
            raise _missing(what + said, command)

    def _deepening(self) -> Iterator[Sequence[str]]:
        for amount in _DEEPEN:
            if self._shallow():
                yield (f"--deepen={amount}",)
        if self._shallow():
            yield ("--unshallow",)

    def _fetch(self, options: Sequence[str], wanted: Sequence[str]) -> Result:
        quiet = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-gc", "--recurse-submodules=no"]
        return self._call("fetch", *quiet, *options, self._name, *wanted, refused={1, 128})

    def _call(self, verb: str, *arguments: str, refused: set[int]) -> Result:
        """A call over the network; those of `refused` are for the caller, unless it was credentials or the network."""
        where = [f"--git-dir={self._git_dir}", "-c", "protocol.version=2"]
        result = run([*where, verb, *arguments], timeout=self._settings.timeout)
        if not result.ok:
            error = network_error(result, url=redacted(self._name))
            if result.code not in refused or not isinstance(error, GitUnavailableError):
                raise error
        return result

    def _has(self, commit: str) -> bool:
        return run([f"--git-dir={self._git_dir}", "cat-file", "-e", f"{commit}^{{tree}}"]).ok

    def _shallow(self) -> bool:
        return is_shallow(self._git_dir)


def is_shallow(git_dir: Path) -> bool:
    """Whether the history of a clone has been cut off."""
    return run([f"--git-dir={git_dir}", "rev-parse", "--is-shallow-repository"]).text == "true"


def connected(git_dir: Path, base: str, head: str) -> bool:
    """Whether what is here of two histories is enough to merge them as with all of it.

    In a whole clone it is. In a shallow one, if the two have exactly one best ancestor in common and the history is cut off
    nowhere above it: what lies behind a cut that both sides reach can't be where they parted.
    """
    if not is_shallow(git_dir):
        return True
    if len(ancestors_of(git_dir, base, head)) != _SINGLE:
        return False
    only_one_side = run([f"--git-dir={git_dir}", "rev-list", f"{base}...{head}", "--"])
    cut = set((git_dir / "shallow").read_text("ascii").split())
    return only_one_side.ok and not cut & set(only_one_side.text.split())


def _missing(what: str, command: str) -> HistoryMissingError:
    return HistoryMissingError(
        what, hint=f"run `{command}` first, or check out with the whole history (fetch-depth: 0)"
    )
