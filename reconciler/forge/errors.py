"""What can go wrong with a forge, split by what the caller does about it.

TransientError
└── ForgeUnavailableError     it does not answer, or not sensibly; says in how many seconds it is asked again
    └── RateLimitedError        it wants us to wait
PermanentError
├── TokenFileError            the file with the token can't be used
├── ForgeAuthenticationError  it does not know the token
├── ForgePermissionError      no such repository, or the token may not do this
└── ForgeRefusedError         it does not do what is asked, whoever asks
    └── ExistsError             there is an open pull request of this branch already
"""

from __future__ import annotations

from reconciler.errors import PermanentError, TransientError


class ForgeUnavailableError(TransientError):
    """A forge that does not answer, or whose answer means nothing.

    Attributes:
        retry_after: Seconds during which it is not asked again.
    """

    default_code = "forge-unavailable"

    def __init__(self, message: str, *, retry_after: float = 0.0, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.retry_after = retry_after


class RateLimitedError(ForgeUnavailableError):
    """The forge wants us to wait: too many calls, by us or by others with the same token."""

    default_code = "forge-rate-limited"


class TokenFileError(PermanentError):
    """The file with the token is not there, can't be read, or holds no token."""

    default_code = "forge-token"


class ForgeAuthenticationError(PermanentError):
    """The forge does not know the token: it has expired, was taken back, or is another server's."""

    default_code = "forge-authentication"


class ForgePermissionError(PermanentError):
    """The forge says that there is no such thing, or that the token may not do this. Many forges say the first for the second."""

    default_code = "forge-permission"


class ForgeRefusedError(PermanentError):
    """The forge understands and does not do it."""

    default_code = "forge-refused"


class ExistsError(ForgeRefusedError):
    """There is an open pull request from this branch to that one already."""

    default_code = "forge-exists"
