"""The bare mirror of a repository that is given by URL: made once, fetched, and pushed from.

Branches and tags of the remote have their own names in the mirror. Only fetches and our own pushes write it, one at a time.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from reconciler.gitrepo.branch_of_path import NO_COMMIT, race
from reconciler.gitrepo.command import Result, run
from reconciler.gitrepo.complaints import (
    network_error,
    sounds_like_a_race,
    sounds_like_policy,
    sounds_like_unknown,
    write_error,
)
from reconciler.gitrepo.credentials import Call, Credentials
from reconciler.gitrepo.errors import GitWriteError, PushRefusedError, RaceLostError
from reconciler.gitrepo.graft import Grafted
from reconciler.gitrepo.location import mirror_name, redacted
from reconciler.gitrepo.locks import file_lock
from reconciler.gitrepo.objects import Objects
from reconciler.gitrepo.writing import grafted, write_commit
from reconciler.settings import GitSettings

_TIDY_EVERY = 500
"""Fetches of one process after which git looks whether there is something to tidy up; the first does."""

_REFSPECS = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")


def ensure_mirror(url: str, settings: GitSettings) -> Path:
    """The directory of a URL's mirror, made and filled if it is not there.

    It is filled under another name and renamed when it is complete, under a lock: two processes make one mirror, and what a
    killed one leaves is removed by the next.

    Raises:
        GitWriteError: The cache can't be written.
        GitUnavailableError, AuthenticationError, NotARepositoryError: The first fetch failed; there is no mirror then.
    """
    final = settings.cache / mirror_name(url)
    try:
        settings.cache.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise GitWriteError(f"{settings.cache} can't be made: {error.strerror}") from error
    lock = settings.cache / f"{final.name}.lock"
    with file_lock(lock, wait=2 * settings.timeout, what=f"the mirror of {redacted(url)}"):
        if _complete(final):
            return final
        for leftover in (final, *settings.cache.glob(f"{final.name}.part-*")):
            shutil.rmtree(leftover, ignore_errors=True)
        part = settings.cache / f"{final.name}.part-{os.getpid()}"
        try:
            made = run(["init", "--quiet", "--bare", "--template=", "--initial-branch=main", str(part)])
            if not made.ok:
                raise write_error(made, what=f"{part} can't be made")
            _fetch(part, url, settings, Credentials(settings, url).call())
            part.rename(final)
        except OSError as error:
            raise GitWriteError(f"{final} can't be made: {error.strerror}") from error
        finally:
            shutil.rmtree(part, ignore_errors=True)
    return final


class MirrorBranches:
    """Reads and writes the branches of a remote, through its mirror."""

    def __init__(self, objects: Objects, settings: GitSettings, git_dir: Path, url: str) -> None:
        self._objects = objects
        self._settings = settings
        self._git_dir = git_dir
        self._url = url
        self._credentials = Credentials(settings, url)
        self._fetches = 0

    def fetch(self) -> None:
        """Bring the mirror up to date; branches and tags that the remote has lost go.

        Raises:
            GitUnavailableError, AuthenticationError, NotARepositoryError: The mirror is as it was.
        """
        lock = self._git_dir / "reconciler" / "fetch.lock"
        with file_lock(lock, wait=2 * self._settings.timeout, what=f"the mirror of {redacted(self._url)}"):
            try:
                _fetch(self._git_dir, self._url, self._settings, self._credentials.call())
            except RaceLostError:
                _clear_stale_locks(self._git_dir, self._settings.timeout)
                _fetch(self._git_dir, self._url, self._settings, self._credentials.call())
        if self._fetches % _TIDY_EVERY == 0:
            # Not as a part of the fetch: a large mirror takes longer than a fetch may, and would be left half-way each time.
            run([f"--git-dir={self._git_dir}", "gc", "--auto", "--quiet"])
        self._fetches += 1

    def bring(self, commit: str, *, patience: float) -> None:
        """Have one commit here, if the remote gives it; see `Repository.bring`. Moves no branch, so it needs no lock."""
        call = self._credentials.call()
        fetched = run(
            [
                f"--git-dir={self._git_dir}", *call.options, "-c", "protocol.version=2", "fetch", "--quiet", "--no-tags",
                "--no-auto-gc", "--no-write-fetch-head", "--recurse-submodules=no", self._url, commit,
            ],
            extra=call.extra,
            timeout=patience,
        )  # fmt: skip
        if not fetched.ok and not sounds_like_unknown(fetched.words):
            raise network_error(fetched, url=redacted(self._url))

    def commit(
        self, branch: str, *, expect: str | None, files: Mapping[str, bytes | None], message: str, at: datetime
    ) -> str:
        """One commit on top of `expect`, pushed; see `Repository.commit`."""
        tree = partial(grafted, self._objects, expect, files)
        return self.commit_tree(branch, expect=expect, tree=tree, message=message, at=at)

    def commit_tree(
        self, branch: str, *, expect: str | None, tree: Callable[[], Grafted], message: str, at: datetime
    ) -> str:
        """One commit of a tree, which is asked for only if the branch is where it is expected, pushed."""
        tip = self._objects.commit(f"refs/heads/{branch}")
        if tip != expect:
            raise race(branch, expect, tip)
        new = write_commit(self._git_dir, self._settings, tree(), parent=expect, message=message, at=at)
        self._push(branch, expect, new)
        # Our own reading has to show it before the next fetch; should this fail, that fetch mends it.
        run([f"--git-dir={self._git_dir}", "update-ref", f"refs/heads/{branch}", new, expect or NO_COMMIT])
        return new

    def replace(
        self,
        branch: str,
        *,
        expect: str | None,
        parent: str,
        tree: Callable[[], Grafted],
        message: str,
        at: datetime,
        signed: bool,
    ) -> str:
        """One commit of a tree on top of `parent`, and the branch moved to it wherever it was; see `Repository.propose`."""
        tip = self._objects.commit(f"refs/heads/{branch}")
        if tip != expect:
            raise race(branch, expect, tip)
        settings = self._settings if signed else replace(self._settings, signing=None)
        new = write_commit(self._git_dir, settings, tree(), parent=parent, message=message, at=at)
        self._push(branch, expect, new)
        run([f"--git-dir={self._git_dir}", "update-ref", f"refs/heads/{branch}", new, expect or NO_COMMIT])
        return new

    def drop(self, branch: str, *, expect: str) -> None:
        """Remove the branch if it is still where it is expected; see `Repository.drop`."""
        self._push(branch, expect, "")
        run([f"--git-dir={self._git_dir}", "update-ref", "-d", f"refs/heads/{branch}", expect])

    def _push(self, branch: str, expect: str | None, new: str) -> None:
        ref = f"refs/heads/{branch}"
        call = self._credentials.call()
        pushed = run(
            [
                f"--git-dir={self._git_dir}", *call.options, "push", "--porcelain", "--no-verify", "--no-signed",
                "--no-follow-tags", "--recurse-submodules=no", f"--force-with-lease={ref}:{expect or ''}",
                self._url, f"{new}:{ref}",
            ],
            extra=call.extra,
            timeout=self._settings.timeout,
        )  # fmt: skip
        if pushed.ok:
            return
        words = _remote_words(pushed)
        rejected = any(line.startswith("!") for line in pushed.text.splitlines())
        if sounds_like_policy(words):
            hint = "a hook or a protection of the remote forbids it; it will again until that is changed"
            raise PushRefusedError(f"{redacted(self._url)} refused the push to {branch}: {words}", hint=hint)
        if not rejected:
            raise network_error(pushed, url=redacted(self._url))
        tip = self._remote_tip(ref)
        if tip != expect:
            raise race(branch, expect, tip)
        if sounds_like_a_race(words):
            raise RaceLostError(f"{branch} is being moved by another writer: {words}")
        raise PushRefusedError(f"{redacted(self._url)} refused the push to {branch}: {words}")

    def _remote_tip(self, ref: str) -> str | None:
        call, patience = self._credentials.call(), self._settings.timeout
        listed = run(
            [*call.options, "ls-remote", self._url, ref], cwd=self._git_dir, extra=call.extra, timeout=patience
        )
        if not listed.ok:
            raise network_error(listed, url=redacted(self._url))
        lines = (line.split("\t") for line in listed.text.splitlines())
        return next((line[0] for line in lines if line[-1] == ref), None)


def _fetch(git_dir: Path, url: str, settings: GitSettings, call: Call) -> None:
    fetched = run(
        [
            f"--git-dir={git_dir}", *call.options, "fetch", "--quiet", "--prune", "--no-tags", "--no-auto-gc",
            "--no-write-fetch-head", "--recurse-submodules=no", url, *_REFSPECS,
        ],
        extra=call.extra,
        timeout=settings.timeout,
    )  # fmt: skip
    if fetched.ok:
        return
    if ".lock': File exists" in fetched.err:
        raise RaceLostError(f"the mirror {git_dir} is locked: {fetched.words}")
    if "unable to write" in fetched.err or "No space left" in fetched.err or "Read-only file system" in fetched.err:
        raise write_error(fetched, what=f"the mirror {git_dir} can't be written")
    raise network_error(fetched, url=redacted(url))


def _complete(mirror: Path) -> bool:
    """Whether this is a mirror that was finished: it got its name only then, but somebody may have emptied it since."""
    return all((mirror / part).exists() for part in ("HEAD", "config", "objects", "refs"))


def _clear_stale_locks(git_dir: Path, age: float) -> None:
    """Remove ref locks that a killed process left: we hold the mirror's lock, and no call lives longer than its limit."""
    before = time.time() - age
    for lock in (git_dir / "packed-refs.lock", *(git_dir / "refs").rglob("*.lock")):
        try:
            if lock.stat().st_mtime < before:
                lock.unlink()
        except OSError:
            continue


def _remote_words(result: Result) -> str:
    """What the remote and git said: the reasons of rejected refs, and lines of the remote's hooks."""
    reasons = [line.split("\t")[-1] for line in result.text.splitlines() if line.startswith("!")]
    said = [line.removeprefix("remote:").strip() for line in result.err.splitlines() if line.startswith("remote:")]
    return "; ".join(part for part in (*reasons, *said) if part) or result.words
