"""What a webhook is refused with. None of it says more than a stranger may know."""

from __future__ import annotations

from reconciler.errors import TransientError
from reconciler.web.errors import RequestError, UnauthorizedError


class WebhookProofError(UnauthorizedError):
    """A webhook is not signed with the shared secret, or is older or newer than is believed."""

    default_code = "webhook-proof"


class WebhookBodyError(RequestError):
    """A webhook is signed as it has to be, and its body can't be read."""

    default_code = "webhook-body"


class WebhookSecretError(TransientError):
    """The file of a webhook's secret can't be read, or is empty: nobody is believed."""

    default_code = "webhook-secret"
