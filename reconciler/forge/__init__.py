"""Forges: proposing changes by pull requests, through their APIs. Knows nothing of rollouts.

`GitHub` is one `Forge`, `Beside` one that nobody waits for; what can go wrong is drawn at the top of `errors`. A `Conversation` is
what is said on one about commits and pull requests: comments, statuses, checks.
"""

from reconciler.forge.beside import Beside
from reconciler.forge.conversation import (
    LONGEST_COMMENT,
    LONGEST_DESCRIPTION,
    LONGEST_SUMMARY,
    MOST_ANNOTATIONS,
    Annotation,
    AnnotationLevel,
    CheckConclusion,
    CheckForm,
    CheckResult,
    CommentResult,
    Conversation,
    StatusState,
    Written,
)
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
from reconciler.forge.github_talk import GitHubConversation
from reconciler.forge.gitlab import GitLab
from reconciler.forge.gitlab_talk import GitLabConversation
from reconciler.forge.opening import conversation
from reconciler.forge.pull import Forge, PullRequest, PullState

__all__ = [
    "LONGEST_COMMENT",
    "LONGEST_DESCRIPTION",
    "LONGEST_SUMMARY",
    "MOST_ANNOTATIONS",
    "Annotation",
    "AnnotationLevel",
    "Beside",
    "CheckConclusion",
    "CheckForm",
    "CheckResult",
    "CommentResult",
    "Conversation",
    "ExistsError",
    "Forge",
    "ForgeAuthenticationError",
    "ForgePermissionError",
    "ForgeRefusedError",
    "ForgeUnavailableError",
    "GitHub",
    "GitHubConversation",
    "GitLab",
    "GitLabConversation",
    "PullRequest",
    "PullState",
    "RateLimitedError",
    "StatusState",
    "TokenFileError",
    "Written",
    "conversation",
]
