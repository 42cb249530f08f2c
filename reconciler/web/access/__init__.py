"""Who asks, and what they may: every route but health names the role that it takes."""

from reconciler.web.access.callers import Access, Anonymous, Caller, Owner, Role
from reconciler.web.access.door import Door
from reconciler.web.access.limits import Rate
from reconciler.web.access.tokenfile import (
    TokenFile,
    TokensFileError,
    TokensWriteError,
    UnknownTokenError,
    add_token,
    read_tokens,
    revoke_token,
)
from reconciler.web.access.tokens import Token, TokensFormatError, mint

__all__ = [
    "Access",
    "Anonymous",
    "Caller",
    "Door",
    "Owner",
    "Rate",
    "Role",
    "Token",
    "TokenFile",
    "TokensFileError",
    "TokensFormatError",
    "TokensWriteError",
    "UnknownTokenError",
    "add_token",
    "mint",
    "read_tokens",
    "revoke_token",
]
