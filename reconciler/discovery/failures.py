"""How a registry that is asked over HTTP can fail: the same words for all of them."""

from __future__ import annotations

from reconciler.discovery.contract import AdapterError
from reconciler.http import DistrustError, HttpError, TimedOutError


class DeniedError(AdapterError):
    """A registry does not accept who we are, or does not let us read."""

    default_code = "discovery-denied"


class AnswerError(AdapterError):
    """What a registry answered makes no sense; nothing of it is used."""

    default_code = "discovery-answer"


def unread(registry: str, error: HttpError) -> AdapterError:
    """Why there was no answer.

    Args:
        registry: What to call it, to begin the message with.
        error: Has no secret in it.
    """
    match error:
        case DistrustError():
            hint = "check `ca` and the certificates of the registry and of the server"
        case TimedOutError():
            hint = "see whether it is overloaded, or cut off from here"
        case _:
            hint = "see whether it runs, and whether its address in Mesh.discovery is right"
    return AdapterError(f"{registry}: {error.message}", hint=hint)
