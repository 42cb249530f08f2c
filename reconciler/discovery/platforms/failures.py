"""How a registry that is asked over HTTP can fail, or never be asked: the same words for all of them."""

from __future__ import annotations

from reconciler.discovery.contract import AdapterError
from reconciler.errors import UsageError
from reconciler.http import DistrustError, HttpClient, HttpError, TimedOutError
from reconciler.settings import AdminSettings


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


def speakable(address: str) -> None:
    """Refuse what is no address of an HTTP server, when an adapter is made.

    Raises:
        ValueError: It is none, or has a secret in it.
    """
    if "@" in address:
        raise ValueError("an address has no user and password in it; they belong into a file")
    try:
        HttpClient(address, AdminSettings()).close()
    except UsageError as error:
        raise ValueError(error.message) from error
