"""One webhook as it arrived, and what became of it. Values only."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qs

from reconciler.web.webhooks.errors import WebhookBodyError, WebhookProofError

_FORM = "application/x-www-form-urlencoded"
_FIELDS = 10


class Result(StrEnum):
    """What became of a delivery.

    WOKEN: it says that the policy branch moved, and the daemon looks. PING: the forge tries whether somebody is there. EVENT: it is about
    something other than a push. BRANCH: another branch moved. DELETED: the policy branch is gone, which asks for nothing. REPLAY: it was
    here before. PROOF: refused, since it is not proven. BODY: refused, since it can't be read. SECRET: refused, since our own secret
    can't be read.
    """

    WOKEN = "woken"
    PING = "ping"
    EVENT = "event"
    BRANCH = "branch"
    DELETED = "deleted"
    REPLAY = "replay"
    PROOF = "proof"
    BODY = "body"
    SECRET = "secret"  # noqa: S105 -- the name of a result


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One request.

    Attributes:
        headers: By name in lower case, every value that was sent.
        body: The bytes that were sent: signatures are over these.
    """

    headers: Mapping[str, Sequence[str]]
    body: bytes

    def header(self, *names: str) -> str:
        """The value of the first of these headers that is there; "" if none is.

        Raises:
            WebhookProofError: It was sent twice: which of the two counts would be a guess.
        """
        for name in names:
            values = self.headers.get(name, ())
            if len(values) > 1:
                raise WebhookProofError(f"the header {name} was sent {len(values)} times", hint="send it once")
            if values:
                return values[0].strip()
        return ""

    def document(self) -> Mapping[str, Any]:
        """The JSON object that the body is, or that a form has in its field `payload`. Only of a delivery that is proven.

        An object counts whatever type it was sent as: curl calls everything a form that is not said to be something else.

        Raises:
            WebhookBodyError: There is none.
        """
        text: bytes | str = self.body
        form = self.header("content-type").partition(";")[0].strip().lower() == _FORM
        if form and not self.body.lstrip().startswith(b"{"):
            text = _payload(self.body)
        try:
            found = json.loads(text)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise WebhookBodyError("the webhook's body is no JSON object", hint="choose application/json at the sender")
        return found


def _payload(body: bytes) -> str:
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=_FIELDS, errors="strict")
    except ValueError:
        fields = {}
    found = fields.get("payload", [])
    if len(found) != 1:
        raise WebhookBodyError("the webhook's form has no field payload", hint="choose application/json at the sender")
    return found[0]
