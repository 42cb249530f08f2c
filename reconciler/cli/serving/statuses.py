"""`reconcile daemon --forge`: the forge is told how the policy commits stand. Composition."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reconciler.clock import Clock
    from reconciler.daemon import Daemon
    from reconciler.settings import ForgeSettings


@contextmanager
def statuses(loop: Daemon, settings: ForgeSettings, *, clock: Clock, logger: logging.Logger) -> Iterator[None]:
    """Tell the forge while the context is open, if there is one.

    Raises:
        UsageError: The settings name no repository of one.
    """
    if not settings.kind:
        yield
        return
    from reconciler.daemon.statuses import Statuses
    from reconciler.forge import conversation

    told = Statuses(conversation(settings, clock=clock), context=settings.context, clock=clock, logger=logger)
    told.start()
    loop.watch(told)
    logger.info("statuses of commits (%s) on %s: %s", settings.context, settings.kind, settings.repository)
    try:
        yield
    finally:
        told.stop()
