"""Git, by GitPython: reading commits without a work tree, and writing by compare-and-swap. The only room that knows Git.

`open_repository` is the way in; what can go wrong is drawn at the top of `errors`.
"""

from reconciler.gitrepo.completing import Remote
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
    HistoryMissingError,
    LockedError,
    NotARepositoryError,
    PushRefusedError,
    RaceLostError,
    RefNotFoundError,
    SigningError,
    UnrelatedHistoriesError,
    UnsupportedRepositoryError,
)
from reconciler.gitrepo.graft import object_id
from reconciler.gitrepo.history import CommitInfo
from reconciler.gitrepo.merging import Merged
from reconciler.gitrepo.naming import EDITS, PROPOSALS
from reconciler.gitrepo.patch import FilePatch, Patch
from reconciler.gitrepo.person import NobodyError, person
from reconciler.gitrepo.repository import Repository, open_repository
from reconciler.gitrepo.reversal import Reversal
from reconciler.gitrepo.signatures import Signature, Verdict
from reconciler.gitrepo.signers import Signers, SignersError, read_signers
from reconciler.gitrepo.tree import CommitTree

__all__ = [
    "EDITS",
    "PROPOSALS",
    "AuthenticationError",
    "BranchNameError",
    "CommitInfo",
    "CommitTree",
    "CorruptRepositoryError",
    "DirtyWorkTreeError",
    "EmptyRepositoryError",
    "FilePatch",
    "GitNotFoundError",
    "GitTooOldError",
    "GitUnavailableError",
    "GitWriteError",
    "HistoryMissingError",
    "LockedError",
    "Merged",
    "NobodyError",
    "NotARepositoryError",
    "Patch",
    "PushRefusedError",
    "RaceLostError",
    "RefNotFoundError",
    "Remote",
    "Repository",
    "Reversal",
    "Signature",
    "Signers",
    "SignersError",
    "SigningError",
    "UnrelatedHistoriesError",
    "UnsupportedRepositoryError",
    "Verdict",
    "object_id",
    "open_repository",
    "person",
    "read_signers",
]
