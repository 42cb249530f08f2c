"""Git, by GitPython: reading commits without a work tree, and writing by compare-and-swap. The only room that knows Git.

`open_repository` is the way in; what can go wrong is drawn at the top of `errors`.
"""

from reconciler.gitrepo.errors import (
    AuthenticationError,
    BranchNameError,
    CorruptRepositoryError,
    DirtyWorkTreeError,
    EmptyRepositoryError,
    GitNotFoundError,
    GitTooOldError,
    GitUnavailableError,
    GitWriteError,
    LockedError,
    NotARepositoryError,
    PushRefusedError,
    RaceLostError,
    RefNotFoundError,
    SigningError,
    UnsupportedRepositoryError,
)
from reconciler.gitrepo.history import CommitInfo
from reconciler.gitrepo.person import NobodyError, person
from reconciler.gitrepo.repository import PROPOSALS, Repository, open_repository
from reconciler.gitrepo.reversal import Reversal
from reconciler.gitrepo.tree import CommitTree

__all__ = [
    "PROPOSALS",
    "AuthenticationError",
    "BranchNameError",
    "CommitInfo",
    "CommitTree",
    "CorruptRepositoryError",
    "DirtyWorkTreeError",
    "EmptyRepositoryError",
    "GitNotFoundError",
    "GitTooOldError",
    "GitUnavailableError",
    "GitWriteError",
    "LockedError",
    "NobodyError",
    "NotARepositoryError",
    "PushRefusedError",
    "RaceLostError",
    "RefNotFoundError",
    "Repository",
    "Reversal",
    "SigningError",
    "UnsupportedRepositoryError",
    "open_repository",
    "person",
]
