"""Which forge is spoken to, from the settings."""

from __future__ import annotations

from reconciler.clock import Clock
from reconciler.errors import UsageError
from reconciler.forge.conversation import Conversation
from reconciler.settings import ForgeSettings


def conversation(settings: ForgeSettings, *, clock: Clock, patience: float = 0.0) -> Conversation:
    """Speak to the forge that the settings name. Close it.

    Args:
        settings: Which forge, which repository, which token.
        clock: For pace and patience.
        patience: Seconds in all for which calls are made again where the forge does not answer or wants us to wait, as it says.
            0 is for those who come back by themselves.

    Raises:
        UsageError: The settings name no forge, no repository or no token file.
    """
    raise UsageError("no forge", hint=f"{settings} {clock} {patience}")
