"""Forges: proposing changes by pull requests, through their APIs. Knows nothing of rollouts.

`GitHub` is one `Forge`, `Beside` one that nobody waits for; what can go wrong is drawn at the top of `errors`.
"""

from reconciler.forge.beside import Beside
from reconciler.forge.errors import (
    ExistsError,
    ForgeAuthenticationError,
    ForgePermissionError,
    ForgeRefusedError,
    ForgeUnavailableError,
    RateLimitedError,
    TokenFileError,
)
from reconciler.forge.github import GitHub
from reconciler.forge.pull import Forge, PullRequest, PullState

__all__ = [
    "Beside",
    "ExistsError",
    "Forge",
    "ForgeAuthenticationError",
    "ForgePermissionError",
    "ForgeRefusedError",
    "ForgeUnavailableError",
    "GitHub",
    "PullRequest",
    "PullState",
    "RateLimitedError",
    "TokenFileError",
]
