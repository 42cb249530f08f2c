"""A shared secret, read from its file at every use, so that another one counts from the moment it is there."""

from __future__ import annotations

from pathlib import Path

from reconciler.web.webhooks.errors import WebhookSecretError

_MOST_BYTES = 4096
_MOST_LINES = 2
_HINT = "write the shared secret into it, readable for the daemon's user only"


def read_secrets(path: Path) -> tuple[bytes, ...]:
    """The secrets that count now: one line, or two while the old one gives way to the new one. The ends of lines are no part of them.

    Raises:
        WebhookSecretError: The file can't be read, is empty, or is no such file. Its words never show what is in it, nor where it is.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise WebhookSecretError(
            f"the file of the webhook's secret can't be read: {error.strerror}", hint=_HINT
        ) from None
    lines = tuple(line.strip() for line in text.splitlines() if line.strip())
    if not lines:
        raise WebhookSecretError("the file of the webhook's secret is empty", hint=_HINT)
    if len(text) > _MOST_BYTES or len(lines) > _MOST_LINES:
        raise WebhookSecretError(
            f"the file of the webhook's secret has more than {_MOST_LINES} lines or {_MOST_BYTES} bytes", hint=_HINT
        )
    return lines
