"""Questions to Consul: what every one carries, which answers are none, and what the index of an answer is good for.

The rules of indexes are those of https://developer.hashicorp.com/consul/api-docs/features/blocking: an index that goes backwards (a
cluster that was restored, or another one) means to start anew without one, an index below 1 must not be asked with since it
would not block, and an answer may bring nothing new.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, urlencode

from reconciler.discovery.contract import AdapterError
from reconciler.discovery.platforms.failures import AnswerError, DeniedError, unread
from reconciler.http import HttpClient, HttpError, NoTokenError, Reply, read_token
from reconciler.model.discovery import Consul

NAMES = "/v1/catalog/services"
CHECKS = "/v1/health/state/any"
_JITTER = 16
"""Consul adds up to this part of `wait` to it, so that not all ask again at once."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked for.

    Attributes:
        document: Of JSON.
        index: To ask with for what is newer; 0 to ask for everything at once.
        filtered: Whether the token may not see all of it (since Consul 1.11).
    """

    document: Any
    index: int
    filtered: bool


class Questions:
    """Asks Consul.

    Args:
        spec: Where, as whom, and for what.
        registry: Its name, for messages.
        wait: Seconds that a blocking question may block, at most.
    """

    def __init__(self, spec: Consul, *, registry: str, wait: float) -> None:
        self._spec = spec
        self._registry = registry
        self._wait = wait

    def ask(self, client: HttpClient, target: str, index: int = 0) -> Answer:
        """Ask; with an index, until there is something newer or the time is up.

        Raises:
            AdapterError: There is no answer, or no good one.
        """
        asked = {"dc": self._spec.datacenter, "index": index or "", "wait": f"{self._wait:g}s" if index else ""}
        query = urlencode({name: value for name, value in asked.items() if value}, quote_via=quote)
        joined = f"{target}{'&' if '?' in target else '?'}{query}" if query else target
        wait = self._wait * (1 + 1 / _JITTER) if index else 0
        try:
            reply = client.send("GET", joined, headers=self._headers(), wait=wait)
        except HttpError as error:
            raise unread(self._registry, error) from error
        self._judge(reply)
        return self._answer(reply, index)

    def instances(self, name: str) -> str:
        """Where instances of a service are asked for."""
        tag = f"?{urlencode({'tag': self._spec.tag}, quote_via=quote)}" if self._spec.tag else ""
        return f"/v1/health/service/{quote(name, safe='')}{tag}"

    def nonsense(self, why: object) -> AnswerError:
        """An answer that is not what Consul says."""
        return AnswerError(
            f"{self._registry}: {why}", hint=f"see whether {self._spec.address} is the address of Consul's HTTP API"
        )

    def _headers(self) -> dict[str, str]:
        if not self._spec.token_file:
            return {}
        try:
            return {"X-Consul-Token": read_token(self._spec.token_file)}
        except NoTokenError as error:
            if error.empty:  # Consul's own word for no token is the empty one
                return {}
            where = self._spec.token_file
            if error.why:
                message = f"{self._registry}: cannot read the token in {where}: {error.why}"
                hint = "write Consul's ACL token into this file, readable for the daemon"
            else:
                message = f"{self._registry}: {where} holds something else than one token"
                hint = "write one token into this file, on one line"
            raise DeniedError(message, hint=hint) from None

    def _judge(self, reply: Reply) -> None:
        if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            hint = "give the token in `tokenFile` a policy with service:read and node:read"
            raise DeniedError(f"{self._registry}: Consul denies it ({reply.status})", hint=hint)
        if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
            hint = "raise `limits.http_max_conns_per_client` or the rate limits of the Consul agent"
            raise AdapterError(f"{self._registry}: Consul is asked too much (429)", hint=hint)
        if reply.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            words = " ".join(reply.text.split())[:200]
            hint = "see Consul's own log; without a leader it answers nothing"
            raise AdapterError(f"{self._registry}: Consul answers {reply.status}: {words}", hint=hint)
        if reply.status != HTTPStatus.OK:
            raise self.nonsense(f"the answer is {reply.status}")

    def _answer(self, reply: Reply, asked: int) -> Answer:
        try:
            document = json.loads(reply.body)
        except (ValueError, RecursionError):
            raise self.nonsense("the answer is no JSON") from None
        text = reply.headers.get("x-consul-index", "")
        if not (text.isascii() and text.isdigit() and len(text) <= 20):  # noqa: PLR2004 -- digits of 2^64
            raise self.nonsense("the answer has no X-Consul-Index")
        index = max(1, int(text))
        filtered = reply.headers.get("x-consul-results-filtered-by-acls", "") == "true"
        return Answer(document, 0 if index < asked else index, filtered)
