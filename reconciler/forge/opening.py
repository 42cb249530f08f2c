"""Which forge is spoken to, from the settings."""

from __future__ import annotations

from pathlib import Path

from reconciler.clock import Clock
from reconciler.errors import UsageError
from reconciler.forge.conversation import Conversation
from reconciler.forge.github_talk import GITHUB, GitHubConversation
from reconciler.forge.gitlab import GITLAB
from reconciler.forge.gitlab_talk import GitLabConversation
from reconciler.forge.patience import Patient
from reconciler.settings import ForgeSettings


def conversation(settings: ForgeSettings, *, clock: Clock, patience: float = 0.0) -> Conversation:
    """Speak to the forge that the settings name. Close it.

    Args:
        settings: Which forge, which repository, which token.
        clock: For pace and patience.
        patience: Seconds in all for which calls are made again where the forge does not answer or wants us to wait, as it says.
            0 is for those who come back by themselves.

    Raises:
        UsageError: The settings name no forge, no repository or no token file, or the address is none.
    """
    if settings.kind not in {"github", "gitlab"}:
        raise UsageError(f"{settings.kind!r} is not a forge", hint="it can be github or gitlab")
    for name, value in (("repository", settings.repository), ("token file", settings.token_file)):
        if not value:
            raise UsageError(
                f"the forge {settings.kind} has no {name}", hint="name all of kind, repository and token file"
            )
    token = Path(settings.token_file)
    spoken: Conversation
    if settings.kind == "github":
        spoken = GitHubConversation(settings.repository, token_file=token, clock=clock, api=settings.api or GITHUB)
    else:
        spoken = GitLabConversation(settings.repository, token_file=token, clock=clock, api=settings.api or GITLAB)
    return Patient(spoken, clock=clock, patience=patience) if patience > 0 else spoken
