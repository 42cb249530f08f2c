"""The senders: where each one puts its proof, the name of its event and the branch that moved. A further one is one more entry.

GitHub: https://docs.github.com/webhooks/using-webhooks/validating-webhook-deliveries; GitLab:
https://docs.gitlab.com/user/project/integrations/webhooks/; Gitea: https://docs.gitea.com/usage/webhooks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from reconciler.web.webhooks.delivery import Delivery
from reconciler.web.webhooks.errors import WebhookProofError
from reconciler.web.webhooks.proofs import any_equal, hex_digest, standard_digest, timely

Prove = Callable[[Delivery, Sequence[bytes], float], str]
"""Says by what a delivery is known again, which is part of what is proven wherever the sender makes that possible.

Raises WebhookProofError for one that is not proven.
"""

MEBIBYTE = 1 << 20
_FORGE_BODY = 25 * MEBIBYTE
"""GitHub sends no more, and what others send is no larger."""
_PLAIN_BODY = 64 << 10
_MOST_SIGNATURES = 8
_ALGORITHM = "sha256="


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """One kind of sender.

    Attributes:
        prove: How it proves who it is.
        event: Headers that name the event, the first that is there counts; none if there are only pushes.
        push: The event that is a push.
        ping: The event that only tries; "" if there is none.
        max_body: Bytes that a delivery may have.
    """

    prove: Prove
    event: tuple[str, ...] = ()
    push: str = ""
    ping: str = ""
    max_body: int = _FORGE_BODY


def _github(delivery: Delivery, secrets: Sequence[bytes], _now: float) -> str:
    return _signed_body(delivery, secrets, delivery.header("x-hub-signature-256"))


def _gitea(delivery: Delivery, secrets: Sequence[bytes], _now: float) -> str:
    given = delivery.header("x-forgejo-signature", "x-gitea-signature")
    return _signed_body(
        delivery, secrets, _ALGORITHM + given if given else delivery.header("x-hub-signature-256")
    )  # fmt: skip


def _signed_body(delivery: Delivery, secrets: Sequence[bytes], given: str) -> str:
    """The id of the delivery is not signed, so it is known again by its body: that of a push says when it was, or from where to where."""
    if not any_equal([given], [_ALGORITHM + hex_digest(secret, delivery.body) for secret in secrets]):
        raise _unproven()
    return hashlib.sha256(delivery.body).hexdigest()


def _gitlab(delivery: Delivery, secrets: Sequence[bytes], now: float) -> str:
    """With a signing token it signs; without, it shows the secret token itself, and whoever has seen that one may say anything."""
    signatures = delivery.header("webhook-signature").split(" ")[:_MOST_SIGNATURES]
    if signatures != [""]:
        number, stamp = delivery.header("webhook-id"), delivery.header("webhook-timestamp")
        said = f"{number}.{stamp}.".encode("latin-1", "replace") + delivery.body
        if not any_equal(signatures, [standard_digest(secret, said) for secret in secrets]):
            raise _unproven()
        if not timely(stamp, now):
            raise _untimely()
        return number
    given = delivery.header("x-gitlab-token")
    if not any_equal(
        [hex_digest(b"", given.encode("latin-1", "replace"))], [hex_digest(b"", secret) for secret in secrets]
    ):
        raise _unproven()
    return delivery.header("idempotency-key", "x-gitlab-event-uuid") or hashlib.sha256(delivery.body).hexdigest()


def _plain(delivery: Delivery, secrets: Sequence[bytes], now: float) -> str:
    given, stamp = delivery.header("x-reconcile-signature"), delivery.header("x-reconcile-timestamp")
    said = f"{stamp}.".encode("latin-1", "replace") + delivery.body
    if not any_equal([given], [_ALGORITHM + hex_digest(secret, said) for secret in secrets]):
        raise _unproven()
    if not timely(stamp, now):
        raise _untimely()
    return given


def _unproven() -> WebhookProofError:
    return WebhookProofError(
        "the webhook is not signed with the secret that is shared with its sender",
        hint="give the sender the secret that the daemon's file has, or add the sender's as a second line of it",
    )


def _untimely() -> WebhookProofError:
    return WebhookProofError(
        "the webhook was signed at another time than now", hint="set the clocks; one that waited is to be signed anew"
    )


SENDERS: Mapping[str, Sender] = MappingProxyType(
    {
        "github": Sender(prove=_github, event=("x-github-event",), push="push", ping="ping"),
        "gitlab": Sender(prove=_gitlab, event=("x-gitlab-event",), push="Push Hook"),
        "gitea": Sender(
            prove=_gitea, event=("x-forgejo-event", "x-gitea-event", "x-github-event"), push="push", ping="ping"
        ),
        "plain": Sender(prove=_plain, max_body=_PLAIN_BODY),
    }
)
"""By the kind that the settings and the path name."""
