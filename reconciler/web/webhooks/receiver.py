"""What becomes of a delivery: proven or refused, new or seen before, about the policy branch or not. Then it wakes, and no more.

Nothing in a delivery is believed: which commit is to be live is what the daemon itself reads from Git.
"""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from reconciler.clock import Clock
from reconciler.errors import ReconcilerError
from reconciler.web.webhooks.delivery import Delivery, Result
from reconciler.web.webhooks.errors import WebhookBodyError, WebhookProofError, WebhookSecretError
from reconciler.web.webhooks.secrets import read_secrets
from reconciler.web.webhooks.senders import SENDERS

_REMEMBERED = 4096
"""Deliveries that are known again. Only who has the secret can add one."""
_BETWEEN_LINES = 60.0
"""Seconds in which one line of the log is enough for all deliveries of a sender that are refused."""
_REFUSALS: Mapping[type[Exception], Result] = {
    WebhookProofError: Result.PROOF,
    WebhookBodyError: Result.BODY,
    WebhookSecretError: Result.SECRET,
}


class Receiver:
    """Takes deliveries. Safe to call from any thread.

    Args:
        secrets: The file of the shared secret by kind of sender; each has to be one of `SENDERS`.
        branch: The policy branch, as a name or as a whole ref.
        wake: Asks for a look at Git.
        clock: Of signed times and of the log's rest.
        counted: Told of every delivery, by kind.
    """

    def __init__(
        self,
        secrets: Mapping[str, str],
        *,
        branch: str,
        wake: Callable[[], None],
        clock: Clock,
        logger: logging.Logger,
        counted: Callable[[str, Result], None] = lambda _kind, _result: None,
    ) -> None:
        self._secrets = {kind: Path(path) for kind, path in secrets.items()}
        self._ref = branch if branch.startswith("refs/") else f"refs/heads/{branch}"
        self._wake = wake
        self._clock = clock
        self._logger = logger
        self._counted = counted
        self._lock = threading.Lock()
        self._seen: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._quiet: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    @property
    def limits(self) -> Mapping[str, int]:
        """Bytes that a delivery may have, by the kinds that are taken."""
        return {kind: SENDERS[kind].max_body for kind in self._secrets}

    def receive(self, kind: str, delivery: Delivery) -> Result:
        """Take one.

        Raises:
            WebhookProofError, WebhookBodyError, WebhookSecretError: It is refused, and nobody is woken.
        """
        try:
            result = self._judge(kind, delivery)
        except (WebhookProofError, WebhookBodyError, WebhookSecretError) as error:
            self._counted(kind, _REFUSALS[type(error)])
            self._complain(kind, error)
            raise
        self._counted(kind, result)
        if result is Result.WOKEN:
            self._logger.debug("webhook from %s: looking at Git", kind)
            self._wake()
        return result

    def _judge(self, kind: str, delivery: Delivery) -> Result:
        sender = SENDERS[kind]
        known_by = sender.prove(delivery, read_secrets(self._secrets[kind]), self._clock.now().timestamp())
        if not self._is_new(kind, known_by):
            return Result.REPLAY
        event = delivery.header(*sender.event)
        if sender.ping and event == sender.ping:
            return Result.PING
        if event != sender.push:
            return Result.EVENT
        return self._moved(delivery.document()) if sender.push or delivery.body else Result.WOKEN

    def _moved(self, said: Mapping[str, Any]) -> Result:
        """Whether it is the policy branch that is said to have moved. A script may leave the branch out."""
        ref = said.get("ref", self._ref)
        if ref != self._ref:
            return Result.BRANCH
        after = said.get("after", "")
        gone = said.get("deleted") is True or (isinstance(after, str) and after != "" and not after.strip("0"))
        return Result.DELETED if gone else Result.WOKEN

    def _is_new(self, kind: str, known_by: str) -> bool:
        key = (kind, known_by)
        with self._lock:
            if key in self._seen:
                self._seen.move_to_end(key)
                return False
            self._seen[key] = None
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
            return True

    def _complain(self, kind: str, error: ReconcilerError) -> None:
        """Say it at once, and then once in a while with how many there were."""
        now = self._clock.monotonic()
        with self._lock:
            if now < self._quiet.get(kind, now):
                self._unsaid[kind] = self._unsaid.get(kind, 0) + 1
                return
            self._quiet[kind] = now + _BETWEEN_LINES
            more = self._unsaid.pop(kind, 0)
        before, facts = (
            f" ({more} more before)" if more else "",
            {"code": error.code, "hint": error.diagnostics[0].hint},
        )
        self._logger.warning("webhook from %s refused: %s%s", kind, error.message, before, extra={"facts": facts})
