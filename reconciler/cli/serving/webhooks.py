"""What takes webhooks: who shares a secret with the daemon, and how its loop is woken."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from reconciler.clock import Clock
from reconciler.errors import UsageError

if TYPE_CHECKING:
    from reconciler.daemon import Daemon
    from reconciler.web.webhooks import Receiver, Result


def _uncounted(_kind: str, _result: Result) -> None:
    """Nobody counts."""


def webhooks(
    secrets: Mapping[str, str],
    *,
    loop: Daemon,
    ref: str,
    clock: Clock,
    logger: logging.Logger,
    counted: Callable[[str, Result], None] = _uncounted,
) -> Receiver | None:
    """The receiver; None if no kind of sender has a secret.

    A file that can't be read yet is a warning: it may come later, and until then nobody is believed.

    Raises:
        UsageError: There is no such kind.
    """
    from pathlib import Path

    from reconciler.daemon import Trigger
    from reconciler.web.webhooks import SENDERS, Receiver, WebhookSecretError, read_secrets

    for kind, path in secrets.items():
        if kind not in SENDERS:
            raise UsageError(f"there are no webhooks of the kind {kind}", hint=f"one of {', '.join(sorted(SENDERS))}")
        try:
            read_secrets(Path(path))
        except WebhookSecretError as error:
            facts = {"code": error.code, "hint": error.diagnostics[0].hint}
            logger.warning("webhooks from %s are refused: %s", kind, error.message, extra={"facts": facts})
    if not secrets:
        return None
    return Receiver(
        secrets, branch=ref, wake=lambda: loop.wake(Trigger.WEBHOOK), clock=clock, logger=logger, counted=counted
    )
