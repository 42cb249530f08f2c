"""What git's words mean: failures of calls over the network and of local writes. Pure.

Words are the last resort: a lost race is told by reading the branch again. Only what git gives no other sign for is matched.
"""

from __future__ import annotations

import re

from reconciler.errors import ReconcilerError
from reconciler.gitrepo.command import Result
from reconciler.gitrepo.errors import (
    AuthenticationError,
    CorruptRepositoryError,
    GitUnavailableError,
    GitWriteError,
    NotARepositoryError,
)

_CREDENTIALS = re.compile(
    r"authentication failed|could not read (?:username|password)|permission denied \(|terminal prompts disabled"
    r"|host key verification failed|invalid username or (?:password|token)|requested url returned error: 40[13]"
    r"|access denied|http basic: access denied|unable to get password",
    re.IGNORECASE,
)
_NO_REPOSITORY = re.compile(
    r"does not appear to be a git repository|repository not found|repository '[^']*' not found"
    r"|repository '[^']*' does not exist|requested url returned error: 404|not a git repository",
    re.IGNORECASE,
)
_NO_WRITE = re.compile(
    r"no space left|read-only file system|permission denied|insufficient permission|disk quota exceeded"
    r"|file too large|operation not permitted|unable to (?:create|write|append)|not a directory|input/output error",
    re.IGNORECASE,
)
_MISSING_OBJECT = re.compile(
    r"not a valid object|bad object|unable to read tree|missing (?:blob|tree|object)|invalid object|object file .* empty",
    re.IGNORECASE,
)
_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|failed to update ref|cannot lock ref|incorrect old value|already exists"
    r"|\.lock': file exists",
    re.IGNORECASE,
)
_POLICY = re.compile(
    r"GH006|GH013|hook declined|protected branch|ref updates aborted by hook|aborted by hook|requested url returned error: 403"
    r"|not allowed to push|denying|deny updating|prohibited",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref", re.IGNORECASE)


def sounds_like_a_race(words: str) -> bool:
    """Whether git says that another writer was faster; true positives only, there are more wordings than anybody knows."""
    return _RACE.search(words) is not None


def sounds_like_policy(words: str) -> bool:
    """Whether a rule, a protection or a hook speaks, rather than a race."""
    return _POLICY.search(words) is not None


def sounds_like_unknown(words: str) -> bool:
    """Whether a remote has not the commit that was asked for, or gives none by its id."""
    return _UNKNOWN.search(words) is not None


def network_error(result: Result, *, url: str) -> ReconcilerError:
    """Why a call to a remote failed: credentials, no such repository, or not reachable, which is the default."""
    words = result.words
    if _CREDENTIALS.search(words):
        hint = "check the credential helper, the token or the ssh key; nothing can be asked for on a terminal here"
        return AuthenticationError(f"{url} does not let us in: {words}", hint=hint)
    if _NO_REPOSITORY.search(words):
        return NotARepositoryError(
            f"{url} is not a repository: {words}",
            hint="check the URL; some servers say this when access is missing, too",
        )
    return GitUnavailableError(f"{url} can't be reached: {words}")


def write_error(result: Result, *, what: str) -> ReconcilerError:
    """Why a local write failed."""
    words = result.words
    if "fatal: not a git repository" in result.err:  # it was one when it was opened
        return GitUnavailableError(f"{what}: {words}", hint="bring it back; nothing is lost meanwhile")
    if _MISSING_OBJECT.search(words):
        return CorruptRepositoryError(f"{what}: {words}", hint="run git fsck in this repository")
    hint = "check the permissions and the free space of the repository" if _cannot_write(result) else ""
    return GitWriteError(f"{what}: {words}", hint=hint)


def _cannot_write(result: Result) -> bool:
    return result.code < 0 or _NO_WRITE.search(result.err) is not None
