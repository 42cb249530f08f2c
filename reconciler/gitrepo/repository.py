"""One repository, by path or by URL: what the rest of the product sees of Git.

Nothing here decides what a commit says or whether a lost race is tried again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from stat import S_ISREG
from typing import Self

from reconciler.gitrepo.branch_of_path import PathBranches
from reconciler.gitrepo.command import run
from reconciler.gitrepo.completing import Remote
from reconciler.gitrepo.errors import CorruptRepositoryError
from reconciler.gitrepo.history import CommitInfo, commit_info
from reconciler.gitrepo.location import is_url, redacted
from reconciler.gitrepo.locks import file_lock
from reconciler.gitrepo.merging import Merged, merge
from reconciler.gitrepo.mirror import MirrorBranches, ensure_mirror
from reconciler.gitrepo.naming import require_branch, require_proposal
from reconciler.gitrepo.objects import Objects
from reconciler.gitrepo.ownkey import own_signature
from reconciler.gitrepo.patch import Patch, patch_of
from reconciler.gitrepo.place import discover, main_work_tree
from reconciler.gitrepo.resolving import resolve
from reconciler.gitrepo.reversal import Reversal, reverse
from reconciler.gitrepo.signatures import Signature, Verdict, backdated, verify
from reconciler.gitrepo.signers import Signers
from reconciler.gitrepo.tree import CommitTree
from reconciler.gitrepo.writing import by_us, grafted
from reconciler.settings import GitSettings

_LOCK_NAME = re.compile(r"[a-z0-9-]+")


class Repository:
    """A repository. Use `open_repository`; close it, or use it as a context.

    Attributes:
        location: As it was given, a URL without its password.
        git_dir: The common git directory, shared by all work trees; for a URL, the mirror.
        work_tree: The one that was named, main or linked; None for a bare repository or a URL.
        is_url: Whether the authority is somewhere else.
    """

    def __init__(self, location: str, settings: GitSettings, *, git_dir: Path, work_tree: Path | None = None) -> None:
        self.location = redacted(location)
        self.is_url = is_url(location)
        self.git_dir = git_dir
        self._objects = Objects(git_dir)
        self._settings = settings
        self.work_tree = work_tree
        self._branches: MirrorBranches | PathBranches = (
            MirrorBranches(self._objects, settings, git_dir, location)
            if self.is_url
            else PathBranches(self._objects, settings, git_dir, main_work_tree(git_dir))
        )

    def close(self) -> None:
        """End the processes that read for it."""
        self._objects.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def fetch(self) -> None:
        """Learn what the remote has; nothing for a path, whose own branches count.

        Raises:
            GitUnavailableError: It does not answer in time; what was known stays.
            AuthenticationError: It wants other credentials.
            NotARepositoryError: It is not a repository any more.
        """
        if isinstance(self._branches, MirrorBranches):
            self._branches.fetch()

    def bring(self, commit: str, *, patience: float) -> None:
        """Have one commit of the remote here, by its full id, beside whoever fetches at the same time; nothing for a path.

        Branches stay as they were. A commit that the remote does not give is still unknown afterwards.

        Args:
            commit: Its full id.
            patience: Seconds that the remote may take; nothing is asked if the commit is here.

        Raises:
            GitUnavailableError, AuthenticationError, NotARepositoryError: The remote can't be asked.
        """
        if isinstance(self._branches, MirrorBranches) and self._objects.commit(commit) is None:
            self._branches.bring(commit, patience=patience)

    def branch(self, name: str) -> str | None:
        """The tip of a branch as of the last fetch, or None if there is no such branch.

        Raises:
            BranchNameError: No branch can have this name.
            GitUnavailableError: The repository is not there any more.
        """
        require_branch(name)
        return self._objects.commit(f"refs/heads/{name}")

    def resolve(self, ref: str) -> str:
        """The full commit id of a branch, tag, remote branch (`origin/main`), id or any other expression Git knows.

        A branch comes before a tag of the same name.

        Raises:
            GitUnavailableError: The repository is not there any more.
            RefNotFoundError: There is no such commit; names the branches there are.
            EmptyRepositoryError: There is no commit at all.
        """
        return resolve(self._objects, self.git_dir, ref, location=self.location)

    def tree(self, commit: str) -> CommitTree:
        """The files of a commit."""
        return CommitTree(self._objects, commit)

    def tree_id(self, commit: str) -> str:
        """The id of a commit's root tree: equal ids mean equal files.

        Raises:
            CorruptRepositoryError: It is not here.
        """
        return self._objects.root(commit)

    def read(self, commit: str, path: str) -> bytes | None:
        """The content of one file, or None if there is no file of this path (a folder or a symlink is none).

        Raises:
            CorruptRepositoryError: The commit or the content is missing.
        """
        found = self._objects.at(commit, path)
        return self._objects.data(found.id) if found is not None and S_ISREG(found.mode) else None

    def commit_info(self, commit: str) -> CommitInfo:
        """What a commit says, by its full id.

        Raises:
            CorruptRepositoryError: It is not here.
        """
        return commit_info(commit, self._objects.data(commit))

    def log(
        self,
        ref_or_id: str,
        *,
        since: datetime | None = None,
        exclude: str | None = None,
        first_parent: bool = False,
        limit: int | None = None,
    ) -> Iterator[CommitInfo]:
        """Commits that a ref reaches, newest first.

        Args:
            ref_or_id: Where to begin.
            since: Stop at commits that are older.
            exclude: Leave out what this ref or id reaches.
            first_parent: Follow only first parents: what landed, not how it was made.
            limit: How many at most; all by default.

        Raises:
            RefNotFoundError: One of the two is not there.
        """
        arguments = [f"--max-age={int(since.timestamp())}"] if since else []
        arguments += [f"--max-count={limit}"] if limit is not None else []
        arguments += ["--first-parent"] if first_parent else []
        arguments += [self.resolve(ref_or_id)]
        arguments += [f"^{self.resolve(exclude)}"] if exclude else []
        listed = run([f"--git-dir={self.git_dir}", "rev-list", *arguments])
        if not listed.ok:
            raise CorruptRepositoryError(f"the history of {ref_or_id} can't be read: {listed.words}")
        return (self.commit_info(commit) for commit in listed.text.split())

    def patch(self, commit: str, folders: Sequence[str]) -> Patch:
        """What a commit changed below some folders, against its first parent, in the form of `git diff`, as far as it is readable at all.

        Raises:
            CorruptRepositoryError: The commit or its parent is not here.
        """
        return patch_of(self._objects, self.git_dir, commit, folders)

    def is_ancestor(self, ancestor: str, commit: str) -> bool:
        """Whether a commit contains another, both by full id; a commit that is not here is contained in nothing."""
        asked = run([f"--git-dir={self.git_dir}", "merge-base", "--is-ancestor", ancestor, commit])
        return asked.ok

    def same(self, commit_a: str, commit_b: str, folders: Sequence[str]) -> bool:
        """Whether these folders are equal in two commits; absent in both is equal.

        Raises:
            CorruptRepositoryError: One of the commits is not here.
        """
        if commit_a == commit_b:
            return True
        return all(self._objects.at(commit_a, folder) == self._objects.at(commit_b, folder) for folder in folders)

    def commit(
        self, branch: str, *, expect: str | None, files: Mapping[str, bytes | None], message: str, at: datetime
    ) -> str:
        """Make one commit and move the branch to it, if it is still where it is expected. Never by force.

        A commit whose tree equals its parent's is made too. A branch that is checked out moves with its work tree.

        Args:
            branch: Its name, without `refs/heads/`.
            expect: The branch's tip; None makes an orphan root, and the branch must not exist.
            files: Content by path; None removes the file.
            message: Subject, empty line, body, trailers.
            at: Author and commit time.

        Returns:
            The new commit's id.

        Raises:
            RaceLostError: The branch is elsewhere.
            PushRefusedError: Hooks or protection forbid it; has git's words.
            DirtyWorkTreeError: The branch is checked out, and its work tree is not clean.
            BranchNameError, GitWriteError, SigningError, GitUnavailableError, AuthenticationError: As they say.
        """
        require_branch(branch)
        return self._branches.commit(branch, expect=expect, files=files, message=message, at=at)

    def reversal(self, commit: str, *, onto: str) -> Reversal:
        """The reverse of one commit on top of another, as `git revert` would make it; nothing is written.

        Of a merge, what it brought to its first parent.

        Args:
            commit: What to undo, by full id.
            onto: What to undo it on, by full id.

        Raises:
            GitTooOldError: This git can't merge without a work tree.
            CorruptRepositoryError: One of the commits, or the parent of the one to undo, is not here.
            GitWriteError: There is no room for temporary files.
        """
        return reverse(self._objects, self.git_dir, commit, onto=onto)

    def merged(self, base: str, head: str) -> Merged:
        """What merging one commit into another comes to, conflicts included; nothing is written.

        Args:
            base: What is merged into, by full id.
            head: What is merged, by full id.

        Raises:
            GitTooOldError: This git can't merge without a work tree.
            UnrelatedHistoriesError: They have no commit in common, as far as histories are here.
            CorruptRepositoryError: Objects are missing.
            GitWriteError: There is no room for temporary files.
        """
        return merge(self._objects, self.git_dir, base, head)

    def remote(self, name: str) -> Remote:
        """A remote that what this clone lacks may be fetched from, by its name or URL."""
        return Remote(self.git_dir, name, self._settings)

    def revert(self, branch: str, reversal: Reversal, *, message: str, at: datetime) -> str:
        """Commit a reversal on a branch that is still at what it was made for; everything else as `commit`.

        Raises:
            ValueError: It has conflicts.
            RaceLostError, PushRefusedError, DirtyWorkTreeError, ...: As for `commit`.
        """
        require_branch(branch)
        if reversal.merged is None:
            raise ValueError(f"{reversal.commit} can't be undone on {reversal.onto} without conflicts")
        made = reversal.merged
        return self._branches.commit_tree(branch, expect=reversal.onto, tree=lambda: made, message=message, at=at)

    def propose(
        self,
        branch: str,
        *,
        expect: str | None,
        parent: str,
        files: Mapping[str, bytes | None],
        message: str,
        at: datetime,
        signed: bool = True,
    ) -> str:
        """Make one commit on top of any commit, and make it all that a proposal's branch adds to that. By force, with a lease.

        Args:
            branch: Its name; it begins with `PROPOSALS` or `EDITS`, so nothing that people or receipts stand on is moved like this.
            expect: The branch's tip as it was last read; None if it must not exist.
            parent: What the commit goes on top of, by full id.
            files: Content by path; None removes the file.
            message: Subject, empty line, body, trailers.
            at: Author and commit time.
            signed: Whether it is signed like other commits of ours.

        Returns:
            The new commit's id.

        Raises:
            ValueError: The branch is none for proposals.
            RaceLostError: The branch is elsewhere: somebody else has written to it.
            DirtyWorkTreeError: The branch is checked out somewhere.
            PushRefusedError, GitWriteError, SigningError, GitUnavailableError, ...: As for `commit`.
        """
        require_proposal(branch)
        tree = partial(grafted, self._objects, parent, dict(files))
        return self._branches.replace(
            branch, expect=expect, parent=parent, tree=tree, message=message, at=at, signed=signed
        )

    def drop(self, branch: str, *, expect: str) -> None:
        """Remove the branch of a proposal, if it is still where it is expected.

        Raises:
            ValueError: The branch is none for proposals.
            RaceLostError, DirtyWorkTreeError, PushRefusedError, ...: As for `propose`.
        """
        require_proposal(branch)
        self._branches.drop(branch, expect=expect)

    def tree_with(self, commit: str, files: Mapping[str, bytes]) -> str:
        """The id that a commit's root tree would have with these files; nothing is written.

        Raises:
            CorruptRepositoryError: The commit is not here.
        """
        return grafted(self._objects, commit, dict(files)).tree

    def signature(self, commit: str, signers: Signers) -> Signature:
        """Who signed a commit, by its full id, or why nobody who may did.

        Raises:
            CorruptRepositoryError: It, or a parent by whose date it is judged, is not here.
        """
        found = verify(self.git_dir, commit, self._objects.data(commit), signers)
        if found.verdict is Verdict.GOOD and found.form == "ssh" and signers.times:
            info = self.commit_info(commit)
            if backdated(info.at.timestamp(), [self.commit_info(item).at.timestamp() for item in info.parents]):
                return replace(found, verdict=Verdict.BACKDATED)
        return found

    def own_signature(self, signers: Signers, *, at: datetime) -> Signature:
        """Who would have signed a commit that we make now. Nothing of it stays.

        Raises:
            SigningError: It can't be signed.
        """
        return own_signature(self.git_dir, self._settings, signers, at=at)

    def is_ours(self, info: CommitInfo) -> bool:
        """Whether a commit's author and committer are the ones that we write as. A hint, not a proof: anybody may claim it."""
        return by_us(info, self._settings)

    def require_movable(self, branch: str) -> None:
        """Find out, before anything is done, whether somebody's work tree keeps a branch from being moved.

        Nothing for a URL, and for a branch that nobody has checked out.

        Raises:
            DirtyWorkTreeError: It is checked out, and its work tree is not clean.
            BranchNameError: No branch can have this name.
        """
        require_branch(branch)
        if isinstance(self._branches, PathBranches):
            self._branches.require_movable(branch)

    def lock(self, name: str, *, wait: float) -> AbstractContextManager[None]:
        """Hold a lock that processes on this machine share; the kernel releases it when we end, however we end.

        Args:
            name: Lower-case letters, digits and hyphens.
            wait: Seconds to wait for it.

        Raises:
            LockedError: Another process has it; names its id.
            GitUnavailableError: The git directory is not there.
            GitWriteError: The git directory can't be written.
        """
        if not _LOCK_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is not a lock's name")
        path = self.git_dir / "reconciler" / f"{name}.lock"
        return file_lock(path, wait=wait, what=f"{self.location} ({name})")


def open_repository(location: str, settings: GitSettings) -> Repository:
    """Open a repository by path, found upwards from there as git does, or by URL, mirrored under `settings.cache`.

    Raises:
        NotARepositoryError: There is none.
        UnsupportedRepositoryError: It is of a kind that is not handled, or git refuses to trust it.
        GitUnavailableError, AuthenticationError, GitWriteError: A URL without a mirror could not be mirrored.
    """
    if is_url(location):
        return Repository(location, settings, git_dir=ensure_mirror(location, settings))
    git_dir, work_tree = discover(location)
    return Repository(location, settings, git_dir=git_dir, work_tree=work_tree)
