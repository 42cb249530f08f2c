"""Who may wake the daemon, and how they prove it: pushes told by GitHub, GitLab, Gitea or Forgejo, and by scripts.

A delivery is proven by a secret that the sender shares with us, and then only wakes: nothing that it says is believed.

RequestError
├── WebhookProofError    it is not from who shares the secret, or not of now   UnauthorizedError
└── WebhookBodyError     it is, and can't be read
TransientError
└── WebhookSecretError   our file of the secret can't be read, or is empty
"""

from reconciler.web.webhooks.delivery import Delivery, Result
from reconciler.web.webhooks.errors import WebhookBodyError, WebhookProofError, WebhookSecretError
from reconciler.web.webhooks.receiver import Receiver
from reconciler.web.webhooks.secrets import read_secrets
from reconciler.web.webhooks.senders import SENDERS, Sender

__all__ = [
    "SENDERS",
    "Delivery",
    "Receiver",
    "Result",
    "Sender",
    "WebhookBodyError",
    "WebhookProofError",
    "WebhookSecretError",
    "read_secrets",
]
