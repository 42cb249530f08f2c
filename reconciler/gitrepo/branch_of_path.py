"""Moving a branch of a repository on this machine: compare-and-swap, with a work tree that has it checked out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path

from reconciler.gitrepo.checkouts import Checkout, checkouts, move, recover, require_clean, require_free
from reconciler.gitrepo.command import run
from reconciler.gitrepo.complaints import sounds_like_a_race, sounds_like_policy, write_error
from reconciler.gitrepo.errors import DirtyWorkTreeError, PushRefusedError, RaceLostError
from reconciler.gitrepo.graft import EMPTY_TREE, Grafted
from reconciler.gitrepo.locks import file_lock
from reconciler.gitrepo.objects import Objects
from reconciler.gitrepo.writing import grafted, identity, write_commit
from reconciler.settings import GitSettings

NO_COMMIT = "0" * 40


class PathBranches:
    """Writes branches of a repository that is its own authority.

    Args:
        git_dir: The common git directory.
        work_tree: The main work tree, if there is one.
        tidy_every: Commits after which git looks whether there is something to tidy up, since nobody else may ever run a
            command there that does.
    """

    def __init__(
        self,
        objects: Objects,
        settings: GitSettings,
        git_dir: Path,
        work_tree: Path | None,
        *,
        tidy_every: int = 500,
    ) -> None:
        self._objects = objects
        self._settings = settings
        self._git_dir = git_dir
        self._work_tree = work_tree
        self._tidy_every = tidy_every
        self._commits = 0

    def commit(
        self, branch: str, *, expect: str | None, files: Mapping[str, bytes | None], message: str, at: datetime
    ) -> str:
        """One commit on top of `expect`; see `Repository.commit`."""
        tree = partial(grafted, self._objects, expect, files)
        return self.commit_tree(branch, expect=expect, tree=tree, message=message, at=at)

    def commit_tree(
        self, branch: str, *, expect: str | None, tree: Callable[[], Grafted], message: str, at: datetime
    ) -> str:
        """One commit of a tree, which is asked for only if the branch is where it is expected."""
        new = self._commit(branch, expect=expect, tree=tree, message=message, at=at)
        self._commits += 1
        if self._commits % self._tidy_every == 0:
            run([f"--git-dir={self._git_dir}", "gc", "--auto", "--quiet"])
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
        self._require_nobody(branch)
        self._require(branch, expect)
        settings = self._settings if signed else replace(self._settings, signing=None)
        new = write_commit(self._git_dir, settings, tree(), parent=parent, message=message, at=at)
        self._swap(branch, expect, new, message, at)
        return new

    def drop(self, branch: str, *, expect: str) -> None:
        """Remove the branch if it is still where it is expected; see `Repository.drop`."""
        self._require_nobody(branch)
        self._require(branch, expect)
        removed = run([f"--git-dir={self._git_dir}", "update-ref", "-d", f"refs/heads/{branch}", expect])
        if not removed.ok:
            tip = self._tip(branch)
            if tip != expect:
                raise race(branch, expect, tip)
            raise write_error(removed, what=f"{branch} can't be removed")

    def _require_nobody(self, branch: str) -> None:
        homes = self._homes(branch)
        if homes:
            where, hint = homes[0].path, "check out another branch there"
            raise DirtyWorkTreeError(f"{branch} is checked out in {where}, so it is left alone", hint=hint)

    def require_movable(self, branch: str) -> None:
        """Refuse where a commit would be refused for what somebody does in a work tree; see `Repository.require_movable`."""
        homes = self._homes(branch)
        if homes:
            with self._checkout_lock(branch):
                recover(homes[0], self._tip(branch) or EMPTY_TREE)
                require_clean(homes[0])

    def _homes(self, branch: str) -> list[Checkout]:
        homes = [home for home in checkouts(self._git_dir, self._work_tree) if home.branch == branch]
        if len(homes) > 1:
            where = " and ".join(str(home.path) for home in homes)
            raise DirtyWorkTreeError(f"{branch} is checked out twice: {where}", hint="check out another branch in one")
        return homes

    def _checkout_lock(self, branch: str) -> AbstractContextManager[None]:
        lock = self._git_dir / "reconciler" / "checkout.lock"
        return file_lock(lock, wait=self._settings.timeout, what=f"the work tree of {branch}")

    def _commit(
        self, branch: str, *, expect: str | None, tree: Callable[[], Grafted], message: str, at: datetime
    ) -> str:
        homes = self._homes(branch)
        if not homes:
            self._require(branch, expect)
            new = write_commit(self._git_dir, self._settings, tree(), parent=expect, message=message, at=at)
            self._swap(branch, expect, new, message, at)
            return new
        with self._checkout_lock(branch):
            return self._commit_checked_out(homes[0], expect=expect, tree=tree, message=message, at=at)

    def _commit_checked_out(
        self, home: Checkout, *, expect: str | None, tree: Callable[[], Grafted], message: str, at: datetime
    ) -> str:
        branch = home.branch
        recover(home, self._tip(branch) or EMPTY_TREE)
        self._require(branch, expect)
        require_clean(home)
        made = tree()
        require_free(home, made.added)
        new = write_commit(self._git_dir, self._settings, made, parent=expect, message=message, at=at)
        move(
            home,
            old=expect or EMPTY_TREE,
            new=new,
            paths=list(made.paths),
            swap=lambda: self._swap(branch, expect, new, message, at),
        )
        return new

    def _tip(self, branch: str) -> str | None:
        return self._objects.commit(f"refs/heads/{branch}")

    def _require(self, branch: str, expect: str | None) -> None:
        """Notice a race that is lost already before anything is written."""
        tip = self._tip(branch)
        if tip != expect:
            raise race(branch, expect, tip)

    def _swap(self, branch: str, expect: str | None, new: str, message: str, at: datetime) -> None:
        ref = f"refs/heads/{branch}"
        log = f"reconcile: {message.partition(chr(10))[0]}"
        swapped = run(
            [f"--git-dir={self._git_dir}", "update-ref", "-m", log, ref, new, expect or NO_COMMIT],
            extra=identity(self._settings, at),
        )
        if swapped.ok:
            return
        tip = self._tip(branch)
        if sounds_like_policy(swapped.err):
            raise PushRefusedError(
                f"{branch} may not be moved: {swapped.words}", hint="a hook of this repository forbids it"
            )
        if tip != expect:
            raise race(branch, expect, tip)
        if (
            "exists; cannot create" not in swapped.err
            and sounds_like_a_race(swapped.err)
            and "denied" not in swapped.err
        ):
            raise RaceLostError(f"{branch} is locked by another writer: {swapped.words}")
        raise write_error(swapped, what=f"{branch} can't be moved")


def race(branch: str, expect: str | None, tip: str | None) -> RaceLostError:
    """The error for a branch that is not where a commit was to go on top of it."""
    if expect is None:
        return RaceLostError(f"{branch} exists already, at {tip}", hint="read it, and decide again")
    where = f"at {tip[:12]}" if tip else "gone"
    return RaceLostError(f"{branch} is {where}, not at {expect[:12]} any more", hint="fetch, and decide again")
