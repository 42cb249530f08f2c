"""What can go wrong with Git, split by what the caller does about it.

InputError
├── NotARepositoryError       there is no repository at this path or URL
├── SignersError              what says who may sign commits can't be read (in `signers`)
├── BranchNameError           Git does not allow a branch of this name
└── DirtyWorkTreeError        the branch is checked out with changes that moving it would mix up
TransientError
├── GitUnavailableError       the remote does not answer, or not in time; or the repository has gone since it was opened
├── RaceLostError             somebody else moved the branch: decide again from what is there
└── LockedError               another process holds the lock
PermanentError
├── GitNotFoundError          no usable `git` on this machine
├── GitTooOldError           this `git` can't do what is asked
├── UnsupportedRepositoryError  a repository of a kind that is not handled (SHA-256)
├── RefNotFoundError          no such branch, tag or commit
│   └── EmptyRepositoryError    no commit at all
├── HistoryMissingError       a shallow clone lacks a commit or history that is needed
├── UnrelatedHistoriesError   two commits that are to be merged have no commit in common
├── CorruptRepositoryError    an object that must be there is missing or unreadable
├── AuthenticationError       the remote wants other credentials
├── PushRefusedError          hooks, protection or rules forbid this push
├── GitWriteError             read-only, no permission, no space
└── SigningError              the commit could not be signed
"""

from __future__ import annotations

from reconciler.errors import InputError, PermanentError, TransientError


class NotARepositoryError(InputError):
    """There is no repository at this path or URL."""

    default_code = "git-not-a-repository"


class BranchNameError(InputError):
    """Git does not allow a branch of this name."""

    default_code = "git-branch-name"


class DirtyWorkTreeError(InputError):
    """The branch is checked out, and moving it would mix with what somebody is doing there. Nothing was changed."""

    default_code = "git-dirty-work-tree"


class GitUnavailableError(TransientError):
    """The remote does not answer, or not in time; or the repository has gone since it was opened."""

    default_code = "git-unavailable"


class RaceLostError(TransientError):
    """Somebody else moved the branch first: fetch, decide again from what is there, and commit anew."""

    default_code = "git-race-lost"


class LockedError(TransientError):
    """Another process holds the lock."""

    default_code = "git-locked"


class GitNotFoundError(PermanentError):
    """There is no usable `git` on this machine."""

    default_code = "git-not-found"


class GitTooOldError(PermanentError):
    """This `git` can't merge without a work tree, as undoing a commit and previewing a pull request need; all else works with it."""

    default_code = "git-too-old"


class UnsupportedRepositoryError(PermanentError):
    """A repository of a kind that is not handled."""

    default_code = "git-unsupported"


class RefNotFoundError(PermanentError):
    """No such branch, tag or commit."""

    default_code = "git-ref-not-found"


class EmptyRepositoryError(RefNotFoundError):
    """A repository without any commit."""

    default_code = "git-empty-repository"


class HistoryMissingError(PermanentError):
    """A shallow clone lacks a commit, or the history back to where two commits parted. Nothing less is compared instead."""

    default_code = "git-history-missing"


class UnrelatedHistoriesError(PermanentError):
    """Two commits have no commit in common, so one can't be merged into the other."""

    default_code = "git-unrelated"


class CorruptRepositoryError(PermanentError):
    """An object that must be there is missing or unreadable."""

    default_code = "git-corrupt"


class AuthenticationError(PermanentError):
    """The remote wants other credentials."""

    default_code = "git-authentication"


class PushRefusedError(PermanentError):
    """Hooks, branch protection or rules forbid this push. Trying again is a hot loop."""

    default_code = "git-push-refused"


class GitWriteError(PermanentError):
    """The repository can't be written: read-only, no permission, no space. The branch has not moved."""

    default_code = "git-write"


class SigningError(PermanentError):
    """The commit could not be signed. Nothing was written that anybody sees."""

    default_code = "git-signing"
